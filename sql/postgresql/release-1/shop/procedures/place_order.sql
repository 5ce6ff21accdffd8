-- Orders one thing for a customer at today's price, if there is enough of it.
--
-- Runs as its owner: the application may place orders, but not write to the tables itself.
CREATE OR REPLACE PROCEDURE shop.place_order(
    customer integer,
    thing integer,
    quantity integer,
    INOUT placed integer DEFAULT NULL
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    listing shop.thing_listing%ROWTYPE;
BEGIN
    -- Two customers may want the last piece at once: the second waits here for the first.
    PERFORM FROM shop.things AS t WHERE t.thing_id = thing FOR UPDATE;

    SELECT l.* INTO listing FROM shop.thing_listing AS l WHERE l.thing_id = thing;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'thing % is not for sale', thing USING ERRCODE = 'no_data_found';
    END IF;
    IF listing.available < quantity THEN
        RAISE EXCEPTION 'only % of % available, % wanted', listing.available, listing.name, quantity
            USING ERRCODE = 'check_violation', HINT = 'Order fewer.';
    END IF;

    INSERT INTO shop.orders (customer_id, discount)
    VALUES (customer, shop.discount_rate(customer))
    RETURNING order_id INTO placed;

    INSERT INTO shop.order_lines (order_id, thing_id, quantity, unit_price)
    VALUES (placed, thing, place_order.quantity, listing.price);
END
$$;

COMMENT ON PROCEDURE shop.place_order(integer, integer, integer, integer)
    IS 'Orders a thing; placed returns the number of the order';

REVOKE ALL ON PROCEDURE shop.place_order(integer, integer, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE shop.place_order(integer, integer, integer, integer) TO shop_app;
