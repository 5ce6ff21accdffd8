-- What the parts of a kit cost together; the other half of shop.fnThingCost. NULL if there are none.
CREATE FUNCTION shop.fnKitCost (@KitId int)
RETURNS decimal(10, 2)
AS
BEGIN
    RETURN (
        SELECT SUM(p.Quantity * shop.fnThingCost(p.PartId))
        FROM shop.KitParts AS p
        WHERE p.KitId = @KitId
    );
END
GO
