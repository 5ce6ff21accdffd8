-- What a customer sees of a thing. The catalogue page, the search and the order form all read
-- this view, so that they can never disagree about a price or about what is in stock.
CREATE VIEW shop.vThingListing
AS
SELECT
    t.ThingId,
    t.Name,
    shop.fnCategoryPath(t.CategoryId) AS Category,
    vCurrentPrices.Price,
    vStockLevels.Available
FROM shop.Things AS t
-- An inner join on purpose: a thing without a price is not for sale yet.
JOIN shop.vCurrentPrices ON vCurrentPrices.ThingId = t.ThingId
JOIN shop.vStockLevels ON vStockLevels.ThingId = t.ThingId;
GO

GRANT SELECT ON shop.vThingListing TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per thing for sale',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vThingListing';
GO
