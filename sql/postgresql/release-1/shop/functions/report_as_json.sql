-- Every row of a report as JSON, for the export button.
--
-- The caller names the report: in psql by its logical name, in the application by what its mapping
-- says (procs['shop.customer_overview']). The text of this function never mentions one, so it has
-- to say which ones must be there as long as it is:
--
-- procver: requires shop.customer_overview, shop.order_totals
--
-- It runs with the caller's rights, so it shows nothing that the caller could not select anyway.
CREATE OR REPLACE FUNCTION shop.report_as_json(report regclass)
RETURNS SETOF jsonb
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
    -- A regclass prints as a quoted, qualified name: %s is safe, and %I would quote it twice.
    RETURN QUERY EXECUTE format('SELECT to_jsonb(r) FROM %s AS r ORDER BY r', report);
END
$$;

COMMENT ON FUNCTION shop.report_as_json(regclass) IS 'The rows of a report, one JSON object each';

GRANT EXECUTE ON FUNCTION shop.report_as_json(regclass) TO shop_app;
