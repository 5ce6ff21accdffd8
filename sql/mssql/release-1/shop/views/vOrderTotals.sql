-- Orders with what they come to.
CREATE VIEW shop.vOrderTotals
AS
SELECT
    o.OrderId,
    o.CustomerId,
    o.PlacedOn,
    o.Status,
    COUNT(*) AS Lines,
    -- Rounded once, at the end: rounding each line makes the total differ from the invoice.
    CAST(ROUND(SUM(i.Quantity * i.UnitPrice) * (1 - o.Discount), 2) AS decimal(12, 2)) AS Total
FROM shop.Orders AS o
JOIN shop.OrderItems AS i ON i.OrderId = o.OrderId
GROUP BY o.OrderId, o.CustomerId, o.PlacedOn, o.Status, o.Discount;
GO

GRANT SELECT ON shop.vOrderTotals TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per order that has lines',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vOrderTotals';
GO
