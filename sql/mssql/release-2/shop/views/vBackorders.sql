-- What was sold more often than it was there, for the buyer's list.
CREATE VIEW shop.vBackorders
AS
SELECT l.ThingId, l.Name, s.Reserved, -l.Available AS Missing
FROM shop.vThingListing AS l
JOIN shop.vStockLevels AS s ON s.ThingId = l.ThingId
WHERE l.Available < 0;
GO

GRANT SELECT ON shop.vBackorders TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'Things of which more is ordered than there is',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vBackorders';
GO
