-- The way from the root to a category: 'Home > Kitchen > Tea'. NULL for an unknown category.
CREATE FUNCTION shop.fnCategoryPath (@CategoryId int)
RETURNS nvarchar(400)
AS
BEGIN
    DECLARE @ParentId int, @Name nvarchar(40);

    SELECT @ParentId = c.ParentId, @Name = c.Name
    FROM shop.Categories AS c
    WHERE c.CategoryId = @CategoryId;

    IF @ParentId IS NULL
        RETURN @Name;
    RETURN shop.fnCategoryPath(@ParentId) + N' > ' + @Name;
END
GO

GRANT EXECUTE ON shop.fnCategoryPath TO shop_app;
GO
