-- What release 2 needs of the tables. It only adds, so release 1 runs on beside it; it may run at
-- any time before release 2 is published, even together with the first two.

CREATE TABLE shop.tax_rates (
    country text PRIMARY KEY CHECK (country ~ '^[A-Z]{2}$'),
    rate    numeric(4, 3) NOT NULL CHECK (rate >= 0)
);

INSERT INTO shop.tax_rates (country, rate) VALUES
    ('AT', 0.20),
    ('DE', 0.19),
    ('US', 0);

GRANT SELECT ON shop.tax_rates TO shop_app;
