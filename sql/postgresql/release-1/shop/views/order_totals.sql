-- Orders with what they come to.
CREATE OR REPLACE VIEW shop.order_totals AS
SELECT
    o.order_id,
    o.customer_id,
    o.placed_on,
    o.status,
    count(*)::integer AS lines,
    -- Rounded once, at the end: rounding each line makes the total differ from the invoice.
    round(sum(line.quantity * line.unit_price) * (1 - o.discount), 2) AS total
FROM shop.orders AS o
JOIN shop.order_lines AS line ON line.order_id = o.order_id
GROUP BY o.order_id;

COMMENT ON VIEW shop.order_totals IS 'One row per order that has lines';

GRANT SELECT ON shop.order_totals TO shop_app;
