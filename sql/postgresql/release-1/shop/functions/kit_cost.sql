-- What the parts of a kit cost together; the other half of shop.thing_cost. NULL if there are none.
CREATE OR REPLACE FUNCTION shop.kit_cost(kit integer)
RETURNS numeric
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
    RETURN (
        SELECT sum(part.quantity * shop.thing_cost(part.part_id))
        FROM shop.kit_parts AS part
        WHERE part.kit_id = kit
    );
END
$$;

REVOKE ALL ON FUNCTION shop.kit_cost(integer) FROM PUBLIC;
