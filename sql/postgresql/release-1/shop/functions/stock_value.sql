-- What the stock has cost, thing by thing, damaged pieces included: the accountant writes those
-- off once a year.
--
-- Runs as its owner, because callers may see the sums but not the tables below them.
CREATE OR REPLACE FUNCTION shop.stock_value()
RETURNS TABLE (thing_id integer, name text, on_hand integer, value numeric)
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.thing_id, t.name, s.on_hand, s.on_hand * shop.thing_cost(t.thing_id) AS value
    FROM shop.things AS t
    JOIN shop.stock_levels AS s ON s.thing_id = t.thing_id
    ORDER BY t.thing_id;
$$;

COMMENT ON FUNCTION shop.stock_value() IS 'Value of the stock at purchase cost';

REVOKE ALL ON FUNCTION shop.stock_value() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.stock_value() TO shop_app;
