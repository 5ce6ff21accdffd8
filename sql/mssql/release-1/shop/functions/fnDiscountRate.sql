-- The discount a customer has earned: 0.10 from 1000 on, 0.05 from 250 on, else 0.
CREATE FUNCTION shop.fnDiscountRate (@CustomerId int)
RETURNS decimal(3, 2)
AS
BEGIN
    DECLARE @Rate decimal(3, 2) = 0;

    -- A stranger has no row, so the rate stays what it is.
    SELECT @Rate = CASE WHEN o.Spent >= 1000 THEN 0.10 WHEN o.Spent >= 250 THEN 0.05 ELSE 0 END
    FROM shop.vCustomerOverview AS o
    WHERE o.CustomerId = @CustomerId;

    RETURN @Rate;
END
GO

GRANT EXECUTE ON OBJECT::shop.fnDiscountRate TO shop_app;
GO
