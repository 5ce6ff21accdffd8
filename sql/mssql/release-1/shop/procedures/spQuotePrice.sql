-- What so many pieces of a thing would cost a customer today. Always one row, or an error.
CREATE PROCEDURE shop.spQuotePrice
    @CustomerId int,
    @ThingId    int,
    @Quantity   int
AS
SET NOCOUNT ON;

DECLARE @Price decimal(10, 2), @Discount decimal(3, 2) = shop.fnDiscountRate(@CustomerId);

SELECT @Price = p.Price FROM shop.vCurrentPrices AS p WHERE p.ThingId = @ThingId;
IF @Price IS NULL
    THROW 50404, N'this thing is not for sale', 1;

SELECT
    @Price AS UnitPrice,
    @Discount AS Discount,
    CAST(ROUND(@Quantity * @Price * (1 - @Discount), 2) AS decimal(12, 2)) AS Total;
GO

GRANT EXECUTE ON shop.spQuotePrice TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'A price before it is ordered',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'PROCEDURE', @level1name = N'spQuotePrice';
GO
