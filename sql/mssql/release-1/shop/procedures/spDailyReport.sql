-- One row of figures for the mail that goes out every morning.
--
-- Written so that it can be run again and again since SQL Server 2005: make a stub if there is
-- nothing yet, then ALTER it, which keeps the grants.
IF OBJECT_ID(N'shop.spDailyReport', N'P') IS NULL
    EXEC (N'CREATE PROCEDURE shop.spDailyReport AS RETURN 0')
GO
ALTER PROCEDURE shop.spDailyReport
AS
SET NOCOUNT ON;

-- INSERT ... EXEC fails as soon as the other procedure answers with other columns.
DECLARE @Found TABLE (
    ThingId int, Name nvarchar(60), Category nvarchar(400), Price decimal(10, 2), Available int
);
DECLARE @Value TABLE (ThingId int, Name nvarchar(60), OnHand int, Value decimal(12, 2));

INSERT @Found EXEC shop.spFindAllThings @Minimum = 1;
INSERT @Value EXEC shop.spStockValue;

SELECT
    (SELECT COUNT(*) FROM @Found) AS ThingsForSale,
    (SELECT SUM(f.Available) FROM @Found AS f) AS Available,
    (SELECT SUM(v.Value) FROM @Value AS v) AS StockValue;
GO
GRANT EXECUTE ON shop.spDailyReport TO shop_app
GO
