-- What was sold most, with what is left of it.
--
-- NOEXPAND: without it only the dearer editions of the server use the index of shop.vSales.
CREATE VIEW shop.vBestsellers
AS
SELECT
    l.ThingId,
    l.Name,
    l.Category,
    s.Sold,
    CAST(s.Revenue AS decimal(12, 2)) AS Revenue,
    l.Available
FROM shop.vSales AS s WITH (NOEXPAND)
JOIN shop.vThingListing AS l ON l.ThingId = s.ThingId;
GO

GRANT SELECT ON shop.vBestsellers TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'One row per thing that was ever shipped',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'VIEW', @level1name = N'vBestsellers';
GO
