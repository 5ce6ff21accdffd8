-- What has to be taken from the shelf for one piece of a thing: kits are taken apart down to things
-- that are bought as they are. A thing that is no kit is its own content.
CREATE FUNCTION shop.fnKitContents (@ThingId int)
RETURNS @Contents TABLE (
    ThingId  int NOT NULL PRIMARY KEY,
    Name     nvarchar(60) NOT NULL,
    Quantity int NOT NULL
)
AS
BEGIN
    WITH Parts AS (
        SELECT p.PartId, p.Quantity
        FROM shop.KitParts AS p
        WHERE p.KitId = @ThingId
        UNION ALL
        SELECT p.PartId, Parts.Quantity * p.Quantity
        FROM Parts
        JOIN shop.KitParts AS p ON p.KitId = Parts.PartId
    )
    INSERT @Contents (ThingId, Name, Quantity)
    SELECT t.ThingId, t.Name, SUM(Parts.Quantity)
    FROM Parts
    JOIN shop.Things AS t ON t.ThingId = Parts.PartId
    WHERE NOT EXISTS (SELECT 1 FROM shop.KitParts AS k WHERE k.KitId = t.ThingId)
    GROUP BY t.ThingId, t.Name;

    IF NOT EXISTS (SELECT 1 FROM @Contents)
        INSERT @Contents (ThingId, Name, Quantity)
        SELECT t.ThingId, t.Name, 1
        FROM shop.Things AS t
        WHERE t.ThingId = @ThingId;

    RETURN;
END
GO
