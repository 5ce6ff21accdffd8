-- The way from the root to a category: 'Home > Kitchen > Tea'. NULL for an unknown category.
--
-- One call per level. That is plenty for a tree three levels deep; a recursive query would save
-- the calls and cost the reader more than it saves.
CREATE OR REPLACE FUNCTION shop.category_path(category_id integer)
    RETURNS text
    LANGUAGE plpgsql
    STABLE
AS $$
DECLARE
    category shop.categories%ROWTYPE;
BEGIN
    SELECT c.*
    INTO category
    FROM shop.categories AS c
    WHERE c.category_id = category_path.category_id;

    -- No parent, or no such category at all: then the name is NULL as well.
    IF category.parent_id IS NULL THEN
        RETURN category.name;
    END IF;

    RETURN shop.category_path(category.parent_id)
        || ' > '
        || category.name;
END
$$;

COMMENT ON FUNCTION shop.category_path(integer) IS 'Names from the root to the category';

GRANT EXECUTE ON FUNCTION shop.category_path(integer) TO shop_app;
