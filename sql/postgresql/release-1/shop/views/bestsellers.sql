-- What was sold most. Materialized, because the front page asks for it at every visit and nobody
-- minds if it is an hour old. Each version of it holds its own data.
CREATE MATERIALIZED VIEW shop.bestsellers AS
SELECT
    l.thing_id,
    l.name,
    l.category,
    sum(line.quantity)::integer AS sold,
    sum(line.quantity * line.unit_price) AS revenue,
    l.available
FROM shop.order_lines AS line
JOIN shop.orders AS o ON o.order_id = line.order_id
JOIN shop.thing_listing AS l ON l.thing_id = line.thing_id
WHERE o.status = 'shipped'
GROUP BY l.thing_id, l.name, l.category, l.available;

-- REFRESH ... CONCURRENTLY asks for a unique index over all rows.
CREATE UNIQUE INDEX bestsellers_thing_id ON shop.bestsellers (thing_id);

COMMENT ON MATERIALIZED VIEW shop.bestsellers IS 'One row per thing that was ever shipped';

GRANT SELECT ON shop.bestsellers TO shop_app;
