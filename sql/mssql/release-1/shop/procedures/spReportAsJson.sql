-- Every row of a report as JSON, for the export button.
--
-- The caller names the report: by hand by its logical name, in the application by what its mapping
-- says (procs['shop.vCustomerOverview']). The text of this procedure never mentions one, so it has
-- to say which ones must be there as long as it is:
--
-- procver: requires shop.vCustomerOverview, shop.vOrderTotals
--
-- It runs with the caller's rights, so it shows nothing that the caller could not select anyway.
CREATE PROCEDURE shop.spReportAsJson
    @Report nvarchar(300)
AS
SET NOCOUNT ON;

DECLARE @View nvarchar(300) = QUOTENAME(PARSENAME(@Report, 2)) + N'.' + QUOTENAME(PARSENAME(@Report, 1));
IF NOT EXISTS (SELECT 1 FROM sys.views AS v WHERE v.object_id = OBJECT_ID(@View))
    THROW 50404, N'there is no such report', 1;

-- As one value: a bare FOR JSON comes in pieces of 2033 characters.
DECLARE @Query nvarchar(max) =
    N'SELECT (SELECT * FROM ' + @View + N' AS r ORDER BY 1 FOR JSON PATH) AS Report';
EXEC sys.sp_executesql @Query;
GO

GRANT EXECUTE ON shop.spReportAsJson TO shop_app;
GO
