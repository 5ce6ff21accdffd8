-- The price of each thing today.
--
-- shop.Prices keeps what was asked before and what is announced for later; nobody but this view
-- should have to know how to pick among them.
CREATE VIEW shop.vCurrentPrices
AS
SELECT t.ThingId, newest.Price, newest.ValidFrom AS Since
FROM shop.Things AS t
CROSS APPLY (
    SELECT TOP (1) p.Price, p.ValidFrom
    FROM shop.Prices AS p
    WHERE p.ThingId = t.ThingId AND p.ValidFrom <= CAST(GETDATE() AS date)
    ORDER BY p.ValidFrom DESC
) AS newest;
GO

GRANT SELECT ON shop.vCurrentPrices TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per thing that has a price today',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vCurrentPrices';
GO
