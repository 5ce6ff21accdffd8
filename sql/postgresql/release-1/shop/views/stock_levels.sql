-- How much of each thing there is, all warehouses together.
--
-- Things without a row in shop.stock are listed too, with zeros: a search for what has run out
-- would otherwise miss exactly those that were never bought.
CREATE OR REPLACE VIEW shop.stock_levels AS
SELECT
    t.thing_id,
    coalesce(sum(s.quantity), 0)::integer AS on_hand,
    coalesce(sum(s.damaged), 0)::integer AS damaged,
    coalesce(sum(s.quantity - s.damaged), 0)::integer AS available
FROM shop.things AS t
LEFT JOIN shop.stock AS s ON s.thing_id = t.thing_id
GROUP BY t.thing_id;

COMMENT ON VIEW shop.stock_levels IS 'One row per thing; available is what may be sold';

GRANT SELECT ON shop.stock_levels TO shop_app;
