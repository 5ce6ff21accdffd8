-- Enough data for every view and function to have something to say. All dates but one are in the
-- past, so results do not depend on the day they are asked for.

INSERT INTO shop.categories (category_id, parent_id, name) VALUES
    (1, NULL, 'Home'),
    (2, 1,    'Kitchen'),
    (3, 2,    'Tea'),
    (4, 1,    'Lighting'),
    (5, NULL, 'Garden'),
    (6, NULL, 'Gifts');

INSERT INTO shop.things (thing_id, category_id, name, purchase_cost) VALUES
    (1, 3, 'Teapot',        15.00),
    (2, 3, 'Cup',            3.20),
    (3, 4, 'Desk lamp',     22.50),
    (4, 5, 'Watering can',   9.75),
    (5, 3, 'Breakfast set',  NULL),
    (6, 6, 'Gift box',       NULL),
    (7, 4, 'Candle',         1.90);

-- A gift box holds a breakfast set, which is a kit itself.
INSERT INTO shop.kit_parts (kit_id, part_id, quantity) VALUES
    (5, 1, 1),
    (5, 2, 4),
    (6, 5, 1),
    (6, 7, 2);

INSERT INTO shop.prices (thing_id, valid_from, price) VALUES
    (1, '2025-01-01', 35.00),
    (1, '2026-02-15', 39.00),
    (1, '2099-01-01', 99.00),   -- announced, not yet valid
    (2, '2025-01-01',  8.50),
    (3, '2025-01-01', 59.90),
    (4, '2025-01-01', 24.00),
    (5, '2025-01-01', 65.00),
    (5, '2026-02-15', 68.00),
    (6, '2025-01-01', 89.00),
    (7, '2025-01-01',  6.40);

INSERT INTO shop.stock (thing_id, warehouse, quantity, damaged) VALUES
    (1, 'north',  12, 0),
    (1, 'south',  18, 2),
    (2, 'north', 140, 0),
    (2, 'south', 100, 0),
    (3, 'north',  20, 0),
    (3, 'south',   5, 0),
    (4, 'north',   8, 0),
    (5, 'south',  24, 0),
    (6, 'south',   3, 0),
    (7, 'north',  60, 5);

INSERT INTO shop.customers (customer_id, name) VALUES
    (1, 'Ada'),
    (2, 'Ben'),
    (3, 'Cleo'),
    (4, 'Dora');

-- Orders 5 to 7 are open: their things still lie on the shelf, but they are spoken for. Release 1
-- does not know that, which is how ten watering cans were sold out of eight.
INSERT INTO shop.orders (order_id, customer_id, placed_on, status, discount) VALUES
    (1, 1, '2026-01-12', 'shipped',   0),
    (2, 2, '2026-01-20', 'shipped',   0),
    (3, 1, '2026-02-03', 'shipped',   0.10),
    (4, 3, '2026-02-14', 'cancelled', 0),
    (5, 2, '2026-03-02', 'open',      0.05),
    (6, 3, '2026-03-05', 'open',      0),
    (7, 1, '2026-03-09', 'open',      0.10);

INSERT INTO shop.order_lines (order_id, thing_id, quantity, unit_price) VALUES
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

-- New orders are easy to tell from these, and the first of them always gets the same number.
ALTER TABLE shop.orders ALTER COLUMN order_id RESTART WITH 1001;
