-- What a customer wants, line by line: the application fills it and passes it to shop.spPlaceOrder.
--
-- A table type can't be altered, and its columns go by position. So a type and the procedures that
-- take it have to change together, for each release on its own.
CREATE TYPE shop.OrderLines AS TABLE (
    ThingId  int NOT NULL PRIMARY KEY,
    Quantity int NOT NULL CHECK (Quantity > 0),
    GiftNote nvarchar(200) NULL
);
GO

-- The right to call the procedure is not enough: whoever declares a variable of the type needs this.
GRANT EXECUTE ON TYPE::shop.OrderLines TO shop_app;
GO

EXEC sys.sp_addextendedproperty
    @name = N'MS_Description', @value = N'The lines of an order that is being placed',
    @level0type = N'SCHEMA', @level0name = N'shop',
    @level1type = N'TYPE', @level1name = N'OrderLines';
GO
