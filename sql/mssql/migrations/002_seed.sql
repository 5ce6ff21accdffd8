-- Enough data for every view and procedure to have something to say. All dates but one are in the
-- past, so results do not depend on the day they are asked for.

INSERT shop.Categories (CategoryId, ParentId, Name) VALUES
    (1, NULL, N'Home'),
    (2, 1,    N'Kitchen'),
    (3, 2,    N'Tea'),
    (4, 1,    N'Lighting'),
    (5, NULL, N'Garden'),
    (6, NULL, N'Gifts');

INSERT shop.Things (ThingId, CategoryId, Name, PurchaseCost) VALUES
    (1, 3, N'Teapot',        15.00),
    (2, 3, N'Cup',            3.20),
    (3, 4, N'Desk lamp',     22.50),
    (4, 5, N'Watering can',   9.75),
    (5, 3, N'Breakfast set',  NULL),
    (6, 6, N'Gift box',       NULL),
    (7, 4, N'Candle',         1.90);

-- A gift box holds a breakfast set, which is a kit itself.
INSERT shop.KitParts (KitId, PartId, Quantity) VALUES
    (5, 1, 1),
    (5, 2, 4),
    (6, 5, 1),
    (6, 7, 2);

INSERT shop.Prices (ThingId, ValidFrom, Price) VALUES
    (1, '20250101', 35.00),
    (1, '20260215', 39.00),
    (1, '20990101', 99.00),   -- announced, not yet valid
    (2, '20250101',  8.50),
    (3, '20250101', 59.90),
    (4, '20250101', 24.00),
    (5, '20250101', 65.00),
    (5, '20260215', 68.00),
    (6, '20250101', 89.00),
    (7, '20250101',  6.40);

INSERT shop.Stock (ThingId, Warehouse, Quantity, Damaged) VALUES
    (1, N'north',  12, 0),
    (1, N'south',  18, 2),
    (2, N'north', 140, 0),
    (2, N'south', 100, 0),
    (3, N'north',  20, 0),
    (3, N'south',   5, 0),
    (4, N'north',   8, 0),
    (5, N'south',  24, 0),
    (6, N'south',   3, 0),
    (7, N'north',  60, 5);

INSERT shop.Customers (CustomerId, Name) VALUES
    (1, N'Ada'),
    (2, N'Ben'),
    (3, N'Cleo'),
    (4, N'Dora');

-- Orders 5 to 7 are open: their things still lie on the shelf, but they are spoken for. Release 1
-- does not know that, which is how ten watering cans were sold out of eight.
SET IDENTITY_INSERT shop.Orders ON;

INSERT shop.Orders (OrderId, CustomerId, PlacedOn, Status, Discount) VALUES
    (1, 1, '20260112', N'shipped',   0),
    (2, 2, '20260120', N'shipped',   0),
    (3, 1, '20260203', N'shipped',   0.10),
    (4, 3, '20260214', N'cancelled', 0),
    (5, 2, '20260302', N'open',      0.05),
    (6, 3, '20260305', N'open',      0),
    (7, 1, '20260309', N'open',      0.10);

SET IDENTITY_INSERT shop.Orders OFF;

INSERT shop.OrderItems (OrderId, ThingId, Quantity, UnitPrice) VALUES
    (1, 3, 20, 59.90),
    (2, 5,  4, 65.00),
    (2, 7,  6,  6.40),
    (3, 2, 10,  8.50),
    (3, 1,  2, 35.00),
    (4, 6,  1, 89.00),
    (5, 3,  6, 59.90),
    (5, 6,  2, 89.00),
    (6, 4,  6, 24.00),
    (6, 5,  5, 68.00),
    (7, 4,  4, 24.00),
    (7, 7, 30,  6.40),
    (7, 1,  4, 39.00),
    (7, 6,  2, 89.00);
GO
