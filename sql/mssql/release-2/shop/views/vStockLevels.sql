-- How much of each thing there is, all warehouses together.
--
-- Things without a row in shop.Stock are listed too, with zeros: a search for what has run out
-- would otherwise miss exactly those that were never bought.
--
-- What open orders wait for still lies on the shelf, but is not available any more. Below zero
-- means that more was sold than there is.
CREATE VIEW shop.vStockLevels
AS
WITH Shelf AS (
    SELECT s.ThingId, SUM(s.Quantity) AS Quantity, SUM(s.Damaged) AS Damaged
    FROM shop.Stock AS s
    GROUP BY s.ThingId
), Waiting AS (
    SELECT i.ThingId, SUM(i.Quantity) AS Quantity
    FROM shop.OrderItems AS i
    JOIN shop.Orders AS o ON o.OrderId = i.OrderId
    WHERE o.Status = N'open'
    GROUP BY i.ThingId
)
SELECT
    t.ThingId,
    COALESCE(Shelf.Quantity, 0) AS OnHand,
    COALESCE(Shelf.Damaged, 0) AS Damaged,
    COALESCE(Waiting.Quantity, 0) AS Reserved,
    COALESCE(Shelf.Quantity - Shelf.Damaged, 0) - COALESCE(Waiting.Quantity, 0) AS Available
FROM shop.Things AS t
LEFT JOIN Shelf ON Shelf.ThingId = t.ThingId
LEFT JOIN Waiting ON Waiting.ThingId = t.ThingId;
GO

GRANT SELECT ON shop.vStockLevels TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per thing; Available is what may be sold',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vStockLevels';
GO
