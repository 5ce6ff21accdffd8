-- Things of which at least so many can be had at once.
--
-- Inline: the optimizer sees through it as through a view, so a caller may join it freely. It has
-- no grants, since only procedures read it, and those have the same owner.
CREATE FUNCTION shop.fnThingsOver (@Minimum int)
RETURNS TABLE
AS
RETURN
    SELECT l.ThingId, l.Name, l.Category, l.Price, l.Available
    FROM shop.vThingListing AS l
    WHERE l.Available >= @Minimum;
GO
