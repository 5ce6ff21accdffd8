-- What release 2 needs of the tables. It only adds, so release 1 runs on beside it; it may run at
-- any time before release 2 is published, even together with the first two.

CREATE TABLE shop.TaxRates (
    Country nchar(2) NOT NULL CONSTRAINT PK_TaxRates PRIMARY KEY
            CONSTRAINT CK_TaxRates_Country CHECK (Country LIKE N'[A-Z][A-Z]'),
    Rate    decimal(4, 3) NOT NULL CONSTRAINT CK_TaxRates_Rate CHECK (Rate >= 0)
);

INSERT shop.TaxRates (Country, Rate) VALUES
    (N'AT', 0.20),
    (N'DE', 0.19),
    (N'US', 0);

ALTER TABLE shop.OrderItems ADD GiftNote nvarchar(200) NULL;
GO
