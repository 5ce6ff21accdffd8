-- What one piece of a thing costs the shop: its purchase cost, or that of the parts of a kit.
--
-- shop.kit_cost calls back for each part, since a part may be a kit again. NULL if unknown.
CREATE OR REPLACE FUNCTION shop.thing_cost(thing integer)
RETURNS numeric
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    cost numeric;
BEGIN
    SELECT t.purchase_cost INTO cost FROM shop.things AS t WHERE t.thing_id = thing;
    RETURN coalesce(cost, shop.kit_cost(thing));
END
$$;

-- What the shop pays is nobody's business: only shop.stock_value, which runs as its owner, may ask.
REVOKE ALL ON FUNCTION shop.thing_cost(integer) FROM PUBLIC;
