-- What has to be taken from the shelves for an order, kits taken apart.
CREATE PROCEDURE shop.spPickList
    @OrderId int
AS
SET NOCOUNT ON;

SELECT k.ThingId, k.Name, SUM(i.Quantity * k.Quantity) AS Quantity
FROM shop.OrderItems AS i
CROSS APPLY shop.fnKitContents(i.ThingId) AS k
WHERE i.OrderId = @OrderId
GROUP BY k.ThingId, k.Name
ORDER BY k.ThingId;
GO

GRANT EXECUTE ON shop.spPickList TO shop_app;
GO
