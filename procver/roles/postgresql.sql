-- Three roles for project <project> on PostgreSQL, made by `procver init --roles`. docs/roles.md tells what each may do, and why.
--
-- Run it in the target database, as a superuser or as one that may create roles and owns the schemas:
--
--     psql "$URL" -v ON_ERROR_STOP=1 --single-transaction -f procver-roles.sql
--
-- once before the first publication, and again after it and after every upgrade of procver, when there are tables to grant
-- on. It may be run at any time, and takes nothing away.

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

    -- A new version belongs to whom the one before it belongs.
    SELECT string_agg(DISTINCT pg_get_userbyid(o.owner), ', ') INTO item
    FROM procver.version v
    CROSS JOIN LATERAL procver.parts(jsonb_build_array(jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind))) o
    WHERE v.state <> 'dropped' AND pg_get_userbyid(o.owner) <> '<publisher>';
    IF item IS NOT NULL THEN
        RAISE NOTICE 'there are versions that belong to %: docs/roles.md tells how to hand them over', item;
    END IF;

    -- The collector reads everything, writes what gc writes, and drops through procver.drop_part: versions that are condemned,
    -- and nothing else.
    GRANT SELECT ON ALL TABLES IN SCHEMA procver TO <collector>;
    GRANT UPDATE (generation) ON procver.project TO <collector>;
    GRANT UPDATE (state, condemned_at, quarantined_at, dropped_at, privileges) ON procver.version TO <collector>;
    GRANT UPDATE (heard_until) ON procver.release TO <collector>;
    GRANT DELETE ON procver.instance TO <collector>;
    GRANT INSERT (project_id, action, subject, detail) ON procver.event TO <collector>;
    GRANT INSERT (project_id, dropped, condemned, kept), UPDATE ON procver.collection TO <collector>;
    GRANT EXECUTE ON FUNCTION procver.drop_part, procver.require_silence TO <collector>;
    GRANT INSERT, UPDATE, DELETE ON procver.usage TO <collector>;

    -- The app reads its mapping and says that it is alive. What it may call, [grants] in procver.toml or the sources say.
    GRANT SELECT ON procver.mapping, procver.channel_release TO <app>;
    GRANT EXECUTE ON FUNCTION procver.beat TO <app>;
END $$;

-- The logins, one for each job. What the first creates shall belong to the role, not to the login:
--     CREATE ROLE deploy LOGIN PASSWORD '...' IN ROLE <publisher>;
--     ALTER ROLE deploy IN DATABASE shop SET role = '<publisher>';
--     CREATE ROLE cleanup LOGIN PASSWORD '...' IN ROLE <collector>;
--     CREATE ROLE web LOGIN PASSWORD '...' IN ROLE <app>;
