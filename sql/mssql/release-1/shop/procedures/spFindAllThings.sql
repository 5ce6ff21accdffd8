-- Things of which at least so many can be had at once, by name: what the search page shows.
CREATE PROCEDURE shop.spFindAllThings
    @Minimum int
AS
SET NOCOUNT ON;

SELECT f.ThingId, f.Name, f.Category, f.Price, f.Available
FROM shop.fnThingsOver(@Minimum) AS f
ORDER BY f.Name;
GO

GRANT EXECUTE ON shop.spFindAllThings TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'Things for sale, with at least @Minimum available',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'PROCEDURE', @level1name = N'spFindAllThings';
GO
