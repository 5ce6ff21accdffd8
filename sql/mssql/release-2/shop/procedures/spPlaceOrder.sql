-- Orders things for a customer at today's prices, if there is enough of each: all lines or none.
--
-- The application may not write to the tables itself. It needs no right on them either: procedure
-- and tables have one owner, so the server asks only for the right to call the procedure.
CREATE PROCEDURE shop.spPlaceOrder
    @CustomerId int,
    @Lines      shop.OrderLines READONLY,
    @OrderId    int OUTPUT
AS
SET NOCOUNT, XACT_ABORT ON;

DECLARE @Held int, @Problem nvarchar(200);

BEGIN TRANSACTION;

-- Two customers may want the last piece at once: the second waits here for the first.
SELECT @Held = COUNT(*)
FROM shop.Things AS t WITH (UPDLOCK, HOLDLOCK)
JOIN @Lines AS w ON w.ThingId = t.ThingId;

SELECT TOP (1) @Problem =
    CASE
        WHEN l.ThingId IS NULL THEN CONCAT(N'thing ', w.ThingId, N' is not for sale')
        ELSE CONCAT(N'only ', l.Available, N' of ', l.Name, N' available, ', w.Quantity, N' wanted')
    END
FROM @Lines AS w
LEFT JOIN shop.vThingListing AS l ON l.ThingId = w.ThingId
WHERE l.ThingId IS NULL OR l.Available < w.Quantity
ORDER BY w.ThingId;
IF @Problem IS NOT NULL
    THROW 50409, @Problem, 1;

INSERT shop.Orders (CustomerId, Discount)
VALUES (@CustomerId, shop.fnDiscountRate(@CustomerId));
SET @OrderId = SCOPE_IDENTITY();

INSERT shop.OrderItems (OrderId, ThingId, Quantity, UnitPrice, GiftNote)
SELECT @OrderId, w.ThingId, w.Quantity, l.Price, w.GiftNote
FROM @Lines AS w
JOIN shop.vThingListing AS l ON l.ThingId = w.ThingId;

COMMIT TRANSACTION;
GO

GRANT EXECUTE ON shop.spPlaceOrder TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'Orders things; @OrderId returns the number of the order',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'PROCEDURE', @level1name = N'spPlaceOrder';
GO
