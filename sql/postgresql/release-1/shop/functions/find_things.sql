-- Things of which at least so many can be had at once, by name.
--
-- Returns the row type of the listing, so a column added there arrives here without a second edit.
CREATE OR REPLACE FUNCTION shop.find_things(minimum integer)
RETURNS SETOF shop.thing_listing
LANGUAGE sql
STABLE
AS $$
    SELECT l.*
    FROM shop.thing_listing AS l
    WHERE l.available >= find_things.minimum
    ORDER BY l.name;
$$;

COMMENT ON FUNCTION shop.find_things(integer) IS 'Things for sale, with at least minimum available';

GRANT EXECUTE ON FUNCTION shop.find_things(integer) TO shop_app;
