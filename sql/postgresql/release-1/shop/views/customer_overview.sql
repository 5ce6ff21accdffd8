-- Customers with what they have bought so far.
CREATE OR REPLACE VIEW shop.customer_overview AS
SELECT
    c.customer_id,
    c.name,
    count(o.order_id)::integer AS orders,
    -- Only what was shipped: an open order can still be cancelled, and discounts hang on this sum.
    coalesce(sum(o.total) FILTER (WHERE o.status = 'shipped'), 0.00) AS spent,
    max(o.placed_on) AS last_order
FROM shop.customers AS c
LEFT JOIN shop.order_totals AS o
    ON o.customer_id = c.customer_id AND o.status <> 'cancelled'
GROUP BY c.customer_id, c.name;

COMMENT ON VIEW shop.customer_overview IS 'One row per customer, those without orders included';

GRANT SELECT ON shop.customer_overview TO shop_app;
