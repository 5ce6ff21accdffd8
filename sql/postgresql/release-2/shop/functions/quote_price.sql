-- What so many pieces of a thing would cost a customer today. Always one row, or an error.
--
-- Taxes depend on where the parcel goes, so the country has to be said: a default would quote the
-- wrong price to whoever forgets it.
CREATE OR REPLACE FUNCTION shop.quote_price(
    customer integer,
    thing integer,
    quantity integer,
    country text
)
RETURNS TABLE (unit_price numeric, discount numeric, net numeric, tax numeric, gross numeric)
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    today shop.current_prices%ROWTYPE;
    rate numeric;
BEGIN
    SELECT p.* INTO today FROM shop.current_prices AS p WHERE p.thing_id = thing;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'thing % is not for sale', thing USING ERRCODE = 'no_data_found';
    END IF;

    SELECT t.rate INTO rate FROM shop.tax_rates AS t WHERE t.country = quote_price.country;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no tax rate for country %', country USING ERRCODE = 'no_data_found';
    END IF;

    unit_price := today.price;
    discount := shop.discount_rate(customer);
    net := round(quantity * unit_price * (1 - discount), 2);
    tax := round(net * rate, 2);
    gross := net + tax;
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION shop.quote_price(integer, integer, integer, text)
    IS 'A price before it is ordered, with the taxes of the country it goes to';

GRANT EXECUTE ON FUNCTION shop.quote_price(integer, integer, integer, text) TO shop_app;
