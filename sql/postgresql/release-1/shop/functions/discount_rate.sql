-- The discount a customer has earned: 0.10 from 1000 on, 0.05 from 250 on, else 0.
--
-- BEGIN ATOMIC, so PostgreSQL itself refuses to drop the view this hangs on.
CREATE OR REPLACE FUNCTION shop.discount_rate(customer integer)
RETURNS numeric
LANGUAGE sql
STABLE
BEGIN ATOMIC
    SELECT coalesce(max(
        CASE
            WHEN o.spent >= 1000 THEN 0.10
            WHEN o.spent >= 250 THEN 0.05
            ELSE 0.00
        END
    ), 0.00)
    FROM shop.customer_overview AS o
    WHERE o.customer_id = discount_rate.customer;
END;

COMMENT ON FUNCTION shop.discount_rate(integer) IS 'Part of the price let off; 0 for strangers';

GRANT EXECUTE ON FUNCTION shop.discount_rate(integer) TO shop_app;
