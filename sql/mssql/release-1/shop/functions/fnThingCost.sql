-- What one piece of a thing costs the shop: its purchase cost, or that of the parts of a kit.
--
-- shop.fnKitCost calls back for each part, since a part may be a kit again. NULL if unknown.
-- What the shop pays is nobody's business, so there is no grant: only the shop's own code may ask.
CREATE FUNCTION shop.fnThingCost (@ThingId int)
RETURNS decimal(10, 2)
AS
BEGIN
    DECLARE @Cost decimal(10, 2);

    SELECT @Cost = t.PurchaseCost FROM shop.Things AS t WHERE t.ThingId = @ThingId;

    IF @Cost IS NULL
        SET @Cost = shop.fnKitCost(@ThingId);
    RETURN @Cost;
END
GO
