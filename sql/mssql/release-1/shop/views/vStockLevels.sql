-- How much of each thing there is, all warehouses together.
--
-- Things without a row in shop.Stock are listed too, with zeros: a search for what has run out
-- would otherwise miss exactly those that were never bought.
CREATE VIEW shop.vStockLevels
AS
SELECT
    t.ThingId,
    COALESCE(SUM(s.Quantity), 0) AS OnHand,
    COALESCE(SUM(s.Damaged), 0) AS Damaged,
    COALESCE(SUM(s.Quantity - s.Damaged), 0) AS Available
FROM shop.Things AS t
LEFT JOIN shop.Stock AS s ON s.ThingId = t.ThingId
GROUP BY t.ThingId;
GO

GRANT SELECT ON shop.vStockLevels TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per thing; Available is what may be sold',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vStockLevels';
GO
