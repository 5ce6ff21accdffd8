-- Customers with what they have bought so far.
CREATE VIEW shop.vCustomerOverview
AS
SELECT
    c.CustomerId,
    c.Name,
    COUNT(o.OrderId) AS Orders,
    -- Only what was shipped: an open order can still be cancelled, and discounts hang on this sum.
    CAST(SUM(CASE WHEN o.Status = N'shipped' THEN o.Total ELSE 0 END) AS decimal(12, 2)) AS Spent,
    MAX(o.PlacedOn) AS LastOrder
FROM shop.Customers AS c
LEFT JOIN shop.vOrderTotals AS o ON o.CustomerId = c.CustomerId AND o.Status <> N'cancelled'
GROUP BY c.CustomerId, c.Name;
GO

GRANT SELECT ON shop.vCustomerOverview TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per customer, those without orders included',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vCustomerOverview';
GO
