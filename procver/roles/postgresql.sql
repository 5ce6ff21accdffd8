-- Three roles for project <project> on PostgreSQL, made by `procver init --roles`. docs/roles.md tells what each may do, and why.
--
-- Run it in the target database, as a superuser or as one that may create roles and owns the schemas:
--
--     psql "$URL" -v ON_ERROR_STOP=1 --single-transaction -f procver-roles.sql
--
-- once before the first publication, and again after it and after every upgrade of procver, when there are tables to grant
-- on. It may be run at any time, and takes nothing away but what an earlier script gave the collector.
--
-- It reads catalogs, and nothing that the publisher owns: whoever runs it would run the publisher's functions with its own rights.

SET search_path = pg_catalog, pg_temp;
SET standard_conforming_strings = on;

DO $$
DECLARE
    item text;
BEGIN
    FOREACH item IN ARRAY ARRAY['<publisher>', '<collector>', '<app>'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = item) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', item);
        END IF;
    END LOOP;
    -- Only a member can make a role the owner of something.
    IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
        GRANT <publisher> TO CURRENT_USER;
    END IF;
END $$;

-- The publisher owns the registry, and all versions: it needs no right on the database, and none on any other schema.
CREATE SCHEMA IF NOT EXISTS procver AUTHORIZATION <publisher>;
DO $$
DECLARE
    item text;
BEGIN
    -- A registry that somebody else made before there were roles.
    IF (SELECT n.nspowner <> r.oid FROM pg_catalog.pg_namespace n, pg_catalog.pg_roles r
        WHERE n.nspname = 'procver' AND r.rolname = '<publisher>') THEN
        ALTER SCHEMA procver OWNER TO <publisher>;
    END IF;
    FOR item IN
        SELECT format('ALTER %s %s OWNER TO %I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass, r.rolname)
        FROM pg_catalog.pg_class c, pg_catalog.pg_roles r
        WHERE c.relnamespace = 'procver'::regnamespace AND c.relkind IN ('r', 'v') AND r.rolname = '<publisher>' AND c.relowner <> r.oid
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, r.rolname)
        FROM pg_catalog.pg_proc p, pg_catalog.pg_roles r
        WHERE p.pronamespace = 'procver'::regnamespace AND r.rolname = '<publisher>' AND p.proowner <> r.oid
    LOOP
        EXECUTE item;
    END LOOP;
END $$;

-- each schema
GRANT USAGE, CREATE ON SCHEMA <schema> TO <publisher>;
GRANT USAGE ON SCHEMA <schema> TO <app>;
-- end

-- Views, and functions that are SECURITY DEFINER, act with the rights of their owner. Give the publisher what they read and
-- write, for example:
-- each schema
--     GRANT SELECT ON ALL TABLES IN SCHEMA <schema> TO <publisher>;
-- end

GRANT USAGE ON SCHEMA procver TO <collector>, <app>;
DO $$
DECLARE
    item text;
BEGIN
    IF to_regclass('procver.event') IS NULL THEN
        RAISE NOTICE 'there is no registry yet: run this script again after the first procver publish';
        RETURN;
    END IF;

    IF to_regprocedure('procver.drop_versions(json)') IS NULL THEN
        RAISE NOTICE 'the registry is older than this script: run it again after the next procver publish';
        RETURN;
    END IF;

    -- The collector reads everything, and writes and drops through functions that check what they are asked for.
    GRANT SELECT ON ALL TABLES IN SCHEMA procver TO <collector>;
    REVOKE UPDATE (generation) ON procver.project FROM <collector>;
    REVOKE UPDATE (state, condemned_at, quarantined_at, dropped_at, privileges) ON procver.version FROM <collector>;
    REVOKE UPDATE (heard_until) ON procver.release FROM <collector>;
    REVOKE DELETE ON procver.instance FROM <collector>;
    REVOKE INSERT (project_id, action, subject, detail) ON procver.event FROM <collector>;
    REVOKE INSERT (project_id, dropped, condemned, kept), UPDATE ON procver.collection FROM <collector>;
    REVOKE INSERT, UPDATE, DELETE ON procver.usage FROM <collector>;
    GRANT EXECUTE ON FUNCTION procver.hold, procver.log, procver.condemn, procver.spare, procver.keep_privileges,
                              procver.drop_versions, procver.drop_part, procver.require_silence, procver.forget_instances,
                              procver.note_collection, procver.sample TO <collector>;

    -- The app reads its mapping and says that it is alive. What it may call, [grants] in procver.toml or the sources say.
    GRANT SELECT ON procver.mapping, procver.channel_release TO <app>;
    GRANT EXECUTE ON FUNCTION procver.beat, procver.lacking TO <app>;

    -- Members of the app's role alone report for the project's instances. To write this into a table of the publisher's must run nothing that
    -- the publisher made: no trigger, rule, check or index expression, and no type of its own.
    LOCK TABLE ONLY procver.project IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = 'procver.project'::regclass AND (c.relkind <> 'r' OR c.relhasrules))
       OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = 'procver.project'::regclass AND NOT t.tgisinternal)
       OR EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = 'procver.project'::regclass AND c.contype = 'c')
       OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = 'procver.project'::regclass
                  AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL))
       OR EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                  WHERE a.attrelid = 'procver.project'::regclass AND a.attnum > 0 AND NOT a.attisdropped
                    AND (a.attgenerated <> '' OR t.typnamespace <> 'pg_catalog'::regnamespace)) THEN
        RAISE WARNING 'procver.project was changed by hand: let the publisher set app_role in it to %', '<app>';
    ELSE
        UPDATE procver.project SET app_role = '<app>' WHERE name = '<project>' AND app_role IS DISTINCT FROM '<app>';
        IF NOT FOUND AND NOT EXISTS (SELECT FROM procver.project WHERE name = '<project>') THEN
            RAISE NOTICE 'the project has published nothing yet: run this script again after that';
        END IF;
    END IF;
END $$;
RESET search_path;
RESET standard_conforming_strings;

-- The logins, one for each job. What the first creates shall belong to the role, not to the login:
--     CREATE ROLE deploy LOGIN PASSWORD '...' IN ROLE <publisher>;
--     ALTER ROLE deploy IN DATABASE shop SET role = '<publisher>';
--     CREATE ROLE cleanup LOGIN PASSWORD '...' IN ROLE <collector>;
--     CREATE ROLE web LOGIN PASSWORD '...' IN ROLE <app>;
