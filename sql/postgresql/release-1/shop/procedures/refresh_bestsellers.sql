-- Brings the bestsellers up to date while they are being read; run it every hour. Each release
-- refreshes its own: call it through the mapping of the release that is to see new figures.
--
-- Runs as its owner, because only the owner of a materialized view may refresh it.
CREATE OR REPLACE PROCEDURE shop.refresh_bestsellers()
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    REFRESH MATERIALIZED VIEW CONCURRENTLY shop.bestsellers;
END
$$;

COMMENT ON PROCEDURE shop.refresh_bestsellers() IS 'For the hourly job';

REVOKE ALL ON PROCEDURE shop.refresh_bestsellers() FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE shop.refresh_bestsellers() TO shop_app;
