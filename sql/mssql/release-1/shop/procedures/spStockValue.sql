USE [shop]
GO
/****** Object:  StoredProcedure [shop].[spStockValue]    Script Date: 12.01.2026 09:14:03 ******/
SET ANSI_NULLS ON
GO
SET QUOTED_IDENTIFIER ON
GO
-- =============================================
-- Description:	What the stock has cost, thing by thing, damaged pieces included: the accountant
--              writes those off once a year.
-- =============================================
CREATE PROCEDURE [shop].[spStockValue]
AS
BEGIN
	SET NOCOUNT ON;

	SELECT t.[ThingId], t.[Name], s.[OnHand]
		,CAST(s.[OnHand] * [shop].[fnThingCost](t.[ThingId]) AS decimal(12, 2)) AS [Value]
	FROM [shop].[Things] t
	INNER JOIN [shop].[vStockLevels] s ON s.[ThingId] = t.[ThingId]
	ORDER BY t.[ThingId]
END
GO
GRANT EXECUTE ON [shop].[spStockValue] TO [shop_app]
GO
EXEC sys.sp_addextendedproperty @name=N'MS_Description', @value=N'Value of the stock at purchase cost' , @level0type=N'SCHEMA',@level0name=N'shop', @level1type=N'PROCEDURE',@level1name=N'spStockValue'
GO
