-- The way from the root to a category: 'Home > Kitchen > Tea'. NULL for an unknown category.
CREATE OR REPLACE FUNCTION shop.category_path(category_id integer)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    category shop.categories%ROWTYPE;
BEGIN
    SELECT c.* INTO category
    FROM shop.categories AS c
    WHERE c.category_id = category_path.category_id;

    IF category.parent_id IS NULL THEN
        RETURN category.name;
    END IF;
    RETURN shop.category_path(category.parent_id) || ' > ' || category.name;
END
$$;

COMMENT ON FUNCTION shop.category_path(integer) IS 'Names from the root to the category';

GRANT EXECUTE ON FUNCTION shop.category_path(integer) TO shop_app;
