-- What so many pieces of a thing would cost a customer today. Always one row, or an error.
--
-- Taxes depend on where the parcel goes, so the country has to be said: a default would quote the
-- wrong price to whoever forgets it.
CREATE PROCEDURE shop.spQuotePrice
    @CustomerId int,
    @ThingId    int,
    @Quantity   int,
    @Country    nchar(2)
AS
SET NOCOUNT ON;

DECLARE
    @Price decimal(10, 2),
    @Discount decimal(3, 2) = shop.fnDiscountRate(@CustomerId),
    @Rate decimal(4, 3) = (SELECT t.Rate FROM shop.TaxRates AS t WHERE t.Country = @Country),
    @Net decimal(12, 2);

SELECT @Price = p.Price FROM shop.vCurrentPrices AS p WHERE p.ThingId = @ThingId;
IF @Price IS NULL
    THROW 50404, N'this thing is not for sale', 1;
IF @Rate IS NULL
    THROW 50404, N'there is no tax rate for this country', 1;

SET @Net = ROUND(@Quantity * @Price * (1 - @Discount), 2);

SELECT
    @Price AS UnitPrice,
    @Discount AS Discount,
    @Net AS Net,
    CAST(ROUND(@Net * @Rate, 2) AS decimal(12, 2)) AS Tax,
    @Net + CAST(ROUND(@Net * @Rate, 2) AS decimal(12, 2)) AS Gross;
GO

GRANT EXECUTE ON shop.spQuotePrice TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description',
    @value = N'A price before it is ordered, with the taxes of the country it goes to',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'PROCEDURE', @level1name = N'spQuotePrice';
GO
