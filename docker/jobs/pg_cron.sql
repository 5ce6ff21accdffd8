-- pg_cron runs SQL, and only SQL: it cannot run procver, and what may be dropped is decided by procver alone, from its configuration and what
-- it finds. So this is no cleanup job. It is the watchman in the database for a cleanup job that runs elsewhere: a job that fails, and so shows
-- in cron.job_run_details and the server's log, when gc has not finished for two days, or when something that nothing needs grows old.
-- Run it in pg_cron's database; the user needs the collector's rights (docs/roles.md),
-- and should not be a superuser: what it reads belongs to the publisher. The last line shows what it said.
SELECT cron.schedule_in_database('procver-watch', '7 * * * *', $job$
    DO $watch$
    DECLARE
        late text;
    BEGIN
        SET LOCAL search_path = pg_catalog, pg_temp;
        SELECT string_agg(p.name, ', ') INTO late
        FROM procver.project p
        LEFT JOIN procver.collection c ON c.project_id = p.id
        WHERE coalesce(c.at, '-infinity') < now() - interval '2 days';
        IF late IS NOT NULL THEN
            RAISE EXCEPTION 'procver gc --apply has not finished for two days: %', late;
        END IF;
        SELECT string_agg(v.physical, ', ') INTO late
        FROM procver.version v
        WHERE v.state = 'condemned' AND v.condemned_at < now() - interval '30 days';
        IF late IS NOT NULL THEN
            RAISE EXCEPTION 'condemned for a month and still there: %', late;
        END IF;
    END $watch$
$job$, 'shop');

-- SELECT start_time, status, return_message FROM cron.job_run_details ORDER BY runid DESC LIMIT 10;
