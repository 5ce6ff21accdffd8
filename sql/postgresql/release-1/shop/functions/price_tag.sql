-- A price as it is printed. PostgreSQL takes these for two functions of one name; they are one
-- object here, and move together.
CREATE OR REPLACE FUNCTION shop.price_tag(amount numeric)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $$
    SELECT 'EUR ' || to_char(price_tag.amount, 'FM999999990.00');
$$;

-- The same for a row of the listing, for the labels on the shelf.
CREATE OR REPLACE FUNCTION shop.price_tag(listing shop.thing_listing)
RETURNS text
LANGUAGE sql
STABLE
AS $$
    SELECT (listing).name || ': ' || shop.price_tag((listing).price)
        || CASE WHEN (listing).available > 0 THEN '' ELSE ' (sold out)' END;
$$;

COMMENT ON FUNCTION shop.price_tag(numeric) IS 'An amount of money as text';
COMMENT ON FUNCTION shop.price_tag(shop.thing_listing) IS 'The label on the shelf';

GRANT EXECUTE ON FUNCTION shop.price_tag(numeric) TO shop_app;
GRANT EXECUTE ON FUNCTION shop.price_tag(shop.thing_listing) TO shop_app;
