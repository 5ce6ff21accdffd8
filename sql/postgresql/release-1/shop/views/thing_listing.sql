-- What a customer sees of a thing. The catalogue page, the search and the order form all read
-- this view, so that they can never disagree about a price or about what is in stock.
CREATE OR REPLACE VIEW shop.thing_listing AS
SELECT
    t.thing_id,
    t.name,
    shop.category_path(t.category_id) AS category,
    current_prices.price,
    stock_levels.available
FROM shop.things AS t
-- An inner join on purpose: a thing without a price is not for sale yet.
JOIN shop.current_prices ON current_prices.thing_id = t.thing_id
JOIN shop.stock_levels ON stock_levels.thing_id = t.thing_id;

COMMENT ON VIEW shop.thing_listing IS 'One row per thing for sale';

GRANT SELECT ON shop.thing_listing TO shop_app;
