-- A price as it is printed. The oldest piece of code of the shop, which is why it wants double
-- quotes for its strings: a module keeps the setting it was created with for ever.
SET QUOTED_IDENTIFIER OFF
GO
SET ANSI_NULLS ON
GO
CREATE FUNCTION shop.fnPriceTag (@Amount decimal(10, 2))
RETURNS nvarchar(30)
AS
BEGIN
    RETURN "EUR " + CONVERT(nvarchar(20), @Amount)
END
GO
SET QUOTED_IDENTIFIER ON
GO

GRANT EXECUTE ON shop.fnPriceTag TO shop_app
GO
