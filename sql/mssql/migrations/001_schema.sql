-- The tables of the shop. They belong to the migration tool, whichever a team uses; procver never
-- touches them. Run in a database of its own: sqlcmd -I -b -d shop -i migrations/001_schema.sql
-- (-I, because sqlcmd alone still starts with QUOTED_IDENTIFIER OFF.)

CREATE SCHEMA shop;
GO

-- The application's login is a member of it; the grants stand beside what they are for.
CREATE ROLE shop_app;
GO

CREATE TABLE shop.Categories (
    CategoryId int NOT NULL CONSTRAINT PK_Categories PRIMARY KEY,
    ParentId   int NULL CONSTRAINT FK_Categories_Parent REFERENCES shop.Categories (CategoryId),
    Name       nvarchar(40) NOT NULL,
    CONSTRAINT CK_Categories_Parent CHECK (ParentId <> CategoryId)
);

CREATE TABLE shop.Things (
    ThingId      int NOT NULL CONSTRAINT PK_Things PRIMARY KEY,
    CategoryId   int NOT NULL CONSTRAINT FK_Things_Category REFERENCES shop.Categories (CategoryId),
    Name         nvarchar(60) NOT NULL CONSTRAINT UQ_Things_Name UNIQUE,
    -- What the shop pays for it. NULL for a kit: its cost is the cost of its parts.
    PurchaseCost decimal(10, 2) NULL CONSTRAINT CK_Things_Cost CHECK (PurchaseCost >= 0)
);

CREATE TABLE shop.KitParts (
    KitId    int NOT NULL CONSTRAINT FK_KitParts_Kit REFERENCES shop.Things (ThingId),
    PartId   int NOT NULL CONSTRAINT FK_KitParts_Part REFERENCES shop.Things (ThingId),
    Quantity int NOT NULL CONSTRAINT CK_KitParts_Quantity CHECK (Quantity > 0),
    CONSTRAINT PK_KitParts PRIMARY KEY (KitId, PartId),
    CONSTRAINT CK_KitParts_Itself CHECK (PartId <> KitId)
);

CREATE TABLE shop.Prices (
    ThingId   int NOT NULL CONSTRAINT FK_Prices_Thing REFERENCES shop.Things (ThingId),
    ValidFrom date NOT NULL,
    Price     decimal(10, 2) NOT NULL CONSTRAINT CK_Prices_Price CHECK (Price >= 0),
    CONSTRAINT PK_Prices PRIMARY KEY (ThingId, ValidFrom)
);

CREATE TABLE shop.Stock (
    ThingId   int NOT NULL CONSTRAINT FK_Stock_Thing REFERENCES shop.Things (ThingId),
    Warehouse nvarchar(20) NOT NULL,
    Quantity  int NOT NULL CONSTRAINT CK_Stock_Quantity CHECK (Quantity >= 0),
    Damaged   int NOT NULL CONSTRAINT DF_Stock_Damaged DEFAULT 0,
    CONSTRAINT PK_Stock PRIMARY KEY (ThingId, Warehouse),
    CONSTRAINT CK_Stock_Damaged CHECK (Damaged BETWEEN 0 AND Quantity)
);

CREATE TABLE shop.Customers (
    CustomerId int NOT NULL CONSTRAINT PK_Customers PRIMARY KEY,
    Name       nvarchar(40) NOT NULL
);

-- The orders of the seed have numbers below; new ones are easy to tell from them.
CREATE TABLE shop.Orders (
    OrderId    int NOT NULL IDENTITY (1001, 1) CONSTRAINT PK_Orders PRIMARY KEY,
    CustomerId int NOT NULL CONSTRAINT FK_Orders_Customer REFERENCES shop.Customers (CustomerId),
    PlacedOn   date NOT NULL CONSTRAINT DF_Orders_PlacedOn DEFAULT GETDATE(),
    Status     nvarchar(10) NOT NULL CONSTRAINT DF_Orders_Status DEFAULT N'open'
               CONSTRAINT CK_Orders_Status CHECK (Status IN (N'open', N'shipped', N'cancelled')),
    -- The part of the price that was let off when the order was placed: 0.05 is 5 %.
    Discount   decimal(3, 2) NOT NULL CONSTRAINT DF_Orders_Discount DEFAULT 0
               CONSTRAINT CK_Orders_Discount CHECK (Discount BETWEEN 0 AND 1)
);

CREATE TABLE shop.OrderItems (
    OrderId   int NOT NULL CONSTRAINT FK_OrderItems_Order REFERENCES shop.Orders (OrderId),
    ThingId   int NOT NULL CONSTRAINT FK_OrderItems_Thing REFERENCES shop.Things (ThingId),
    Quantity  int NOT NULL CONSTRAINT CK_OrderItems_Quantity CHECK (Quantity > 0),
    -- The price on the day of the order; later price changes must not reach it.
    UnitPrice decimal(10, 2) NOT NULL CONSTRAINT CK_OrderItems_Price CHECK (UnitPrice >= 0),
    CONSTRAINT PK_OrderItems PRIMARY KEY (OrderId, ThingId)
);
GO
