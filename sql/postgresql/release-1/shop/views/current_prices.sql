-- The price of each thing today.
--
-- shop.prices keeps what was asked before and what is announced for later; nobody but this view
-- should have to know how to pick among them.
CREATE OR REPLACE VIEW shop.current_prices AS
SELECT DISTINCT ON (p.thing_id)
    p.thing_id,
    p.price,
    p.valid_from AS since
FROM shop.prices AS p
WHERE p.valid_from <= current_date
ORDER BY p.thing_id, p.valid_from DESC;

COMMENT ON VIEW shop.current_prices IS 'One row per thing that has a price today';

GRANT SELECT ON shop.current_prices TO shop_app;
