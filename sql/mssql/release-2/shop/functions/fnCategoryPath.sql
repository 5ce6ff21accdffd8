-- The way from the root to a category: 'Home > Kitchen > Tea'. NULL for an unknown category.
--
-- One call per level. That is plenty for a tree three levels deep; a recursive query would save
-- the calls and cost the reader more than it saves.
CREATE FUNCTION shop.fnCategoryPath
(
    @CategoryId int
)
RETURNS nvarchar(400)
AS
BEGIN
    DECLARE @ParentId int, @Name nvarchar(40);

    SELECT @ParentId = c.ParentId,
           @Name = c.Name
    FROM shop.Categories AS c
    WHERE c.CategoryId = @CategoryId;

    -- No parent, or no such category at all: then the name is NULL as well.
    IF @ParentId IS NULL
        RETURN @Name;

    RETURN shop.fnCategoryPath(@ParentId)
        + N' > '
        + @Name;
END
GO

GRANT EXECUTE ON shop.fnCategoryPath TO shop_app;
GO
