-- What so many pieces of a thing would cost a customer today. Always one row, or an error.
CREATE OR REPLACE FUNCTION shop.quote_price(customer integer, thing integer, quantity integer)
RETURNS TABLE (unit_price numeric, discount numeric, total numeric)
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    today shop.current_prices%ROWTYPE;
BEGIN
    SELECT p.* INTO today FROM shop.current_prices AS p WHERE p.thing_id = thing;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'thing % is not for sale', thing USING ERRCODE = 'no_data_found';
    END IF;

    unit_price := today.price;
    discount := shop.discount_rate(customer);
    total := round(quantity * unit_price * (1 - discount), 2);
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION shop.quote_price(integer, integer, integer) IS 'A price before it is ordered';

GRANT EXECUTE ON FUNCTION shop.quote_price(integer, integer, integer) TO shop_app;
