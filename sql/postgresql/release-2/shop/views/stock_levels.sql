-- How much of each thing there is, all warehouses together.
--
-- Things without a row in shop.stock are listed too, with zeros: a search for what has run out
-- would otherwise miss exactly those that were never bought.
--
-- What open orders wait for still lies on the shelf, but is not available any more. Below zero
-- means that more was sold than there is.
CREATE OR REPLACE VIEW shop.stock_levels AS
WITH shelf AS (
    SELECT s.thing_id, sum(s.quantity) AS quantity, sum(s.damaged) AS damaged
    FROM shop.stock AS s
    GROUP BY s.thing_id
), waiting AS (
    SELECT line.thing_id, sum(line.quantity) AS quantity
    FROM shop.order_lines AS line
    JOIN shop.orders AS o ON o.order_id = line.order_id
    WHERE o.status = 'open'
    GROUP BY line.thing_id
)
SELECT
    t.thing_id,
    coalesce(shelf.quantity, 0)::integer AS on_hand,
    coalesce(shelf.damaged, 0)::integer AS damaged,
    coalesce(waiting.quantity, 0)::integer AS reserved,
    (coalesce(shelf.quantity - shelf.damaged, 0) - coalesce(waiting.quantity, 0))::integer
        AS available
FROM shop.things AS t
LEFT JOIN shelf ON shelf.thing_id = t.thing_id
LEFT JOIN waiting ON waiting.thing_id = t.thing_id;

COMMENT ON VIEW shop.stock_levels IS 'One row per thing; available is what may be sold';

GRANT SELECT ON shop.stock_levels TO shop_app;
