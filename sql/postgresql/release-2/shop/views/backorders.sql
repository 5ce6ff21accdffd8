-- What was sold more often than it was there, for the buyer's list.
CREATE OR REPLACE VIEW shop.backorders AS
SELECT
    l.thing_id,
    l.name,
    s.reserved,
    -l.available AS missing
FROM shop.thing_listing AS l
JOIN shop.stock_levels AS s ON s.thing_id = l.thing_id
WHERE l.available < 0;

COMMENT ON VIEW shop.backorders IS 'Things of which more is ordered than there is';

GRANT SELECT ON shop.backorders TO shop_app;
