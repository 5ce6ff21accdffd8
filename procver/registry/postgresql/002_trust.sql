-- Rights, ownership and releases: what registry 1 left unguarded.

-- == rights: data written by one role is never executed by a more privileged one

-- Every function of registry 1 gets a path of its own, but for procver.execute, which runs definitions under the project's: it
-- is made anew below, in words that need no path. Views are made anew, so that their operators are those of pg_catalog.
DO $$
DECLARE
    item text;
BEGIN
    FOR item IN
        SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'procver'::pg_catalog.regnamespace AND p.proname <> 'execute' AND pg_catalog.pg_has_role(p.proowner, 'USAGE')
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', item);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION procver.execute(statements json) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    statement pg_catalog.text;
BEGIN
    FOR statement IN SELECT pg_catalog.json_array_elements_text(statements) LOOP
        EXECUTE statement;
    END LOOP;
END $$;

CREATE OR REPLACE VIEW procver.calls AS
SELECT v.project_id, v.id AS version_id, n.calls,
       CASE WHEN n.calls NOT IN (0, u.calls) THEN u.sampled_at ELSE u.called_since END AS called_since,
       CASE WHEN n.calls NOT IN (0, u.calls) THEN statement_timestamp() ELSE u.last_called_at END AS last_called_at
FROM procver.version v
CROSS JOIN LATERAL (
    SELECT coalesce(sum(pg_catalog.pg_stat_get_function_calls(p.oid)), 0)::bigint AS calls
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proname = v.leaf AND n.nspname = v.schema
) n
LEFT JOIN procver.usage u ON u.version_id = v.id
WHERE v.state <> 'dropped' AND v.kind IN ('function', 'procedure');

CREATE OR REPLACE VIEW procver.dependency AS
SELECT v.id AS version_id, r.id AS requires_id
FROM procver.version v
CROSS JOIN LATERAL json_array_elements(v.requires) e
JOIN procver.version r ON r.project_id = v.project_id AND r.name = e ->> 0 AND r.number = (e ->> 1)::int;

CREATE OR REPLACE VIEW procver.channel_release AS
SELECT p.name AS project, c.name AS channel, r.name AS release, r.id AS release_id, c.changed_at
FROM procver.channel c
JOIN procver.project p ON p.id = c.project_id
JOIN procver.release r ON r.id = c.release_id;

-- Times that no client can read, and details of another shape, stop every command that meets them.
UPDATE procver.version SET condemned_at = now() WHERE condemned_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.version SET quarantined_at = now() WHERE quarantined_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.version SET dropped_at = now() WHERE dropped_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.release SET heard_until = now() WHERE heard_until NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.collection SET at = now() WHERE at NOT BETWEEN '0001-01-03' AND '9999-12-29';
DELETE FROM procver.usage
WHERE called_since NOT BETWEEN '0001-01-03' AND '9999-12-29' OR last_called_at NOT BETWEEN '0001-01-03' AND '9999-12-29'
   OR sampled_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.version SET privileges = jsonb_build_array(jsonb_build_object('unreadable', privileges)) WHERE jsonb_typeof(privileges) <> 'array';
UPDATE procver.event SET detail = jsonb_build_object('detail', detail) WHERE jsonb_typeof(detail) <> 'object';
ALTER TABLE procver.version
    ADD CONSTRAINT version_created CHECK (created_at BETWEEN '0001-01-03' AND '9999-12-29') NOT VALID,
    ADD CONSTRAINT version_condemned CHECK (condemned_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT version_quarantined CHECK (quarantined_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT version_dropped CHECK (dropped_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT version_privileges CHECK (jsonb_typeof(privileges) = 'array'),
    ADD CONSTRAINT version_definition CHECK (json_typeof(definition) = 'array') NOT VALID,
    ADD CONSTRAINT version_requires CHECK (json_typeof(requires) = 'array') NOT VALID;
ALTER TABLE procver.release
    ADD CONSTRAINT release_published CHECK (published_at BETWEEN '0001-01-03' AND '9999-12-29') NOT VALID,
    ADD CONSTRAINT release_activated CHECK (activated_at BETWEEN '0001-01-03' AND '9999-12-29') NOT VALID,
    ADD CONSTRAINT release_retired CHECK (retired_at BETWEEN '0001-01-03' AND '9999-12-29') NOT VALID,
    ADD CONSTRAINT release_heard CHECK (heard_until BETWEEN '0001-01-03' AND '9999-12-29');
ALTER TABLE procver.collection
    ADD CONSTRAINT collection_time CHECK (at BETWEEN '0001-01-03' AND '9999-12-29');
ALTER TABLE procver.usage
    ADD CONSTRAINT usage_called_since CHECK (called_since BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT usage_last_called CHECK (last_called_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT usage_sampled CHECK (sampled_at BETWEEN '0001-01-03' AND '9999-12-29');
ALTER TABLE procver.event
    ADD CONSTRAINT event_time CHECK (at BETWEEN '0001-01-03' AND '9999-12-29') NOT VALID,
    ADD CONSTRAINT event_detail CHECK (jsonb_typeof(detail) = 'object');

-- Privileges become statements again when a version is restored or followed by another one. So the functions that read them from
-- the catalog seal them, and procver.kept_privileges gives out nothing without its seal.
ALTER TABLE procver.version ADD COLUMN privileges_seal text;

-- A body behind RETURN is bound once, when it is made: no path changes its meaning, and it can be inlined.
CREATE FUNCTION procver.seal_of(project int, name text, number int, privileges jsonb) RETURNS text
LANGUAGE sql STABLE
RETURN CASE WHEN privileges IS NOT NULL
            THEN encode(sha256(convert_to(jsonb_build_array(project, name, number, privileges)::text, 'UTF8')), 'hex') END;

CREATE FUNCTION procver.is_privilege(word text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN coalesce(word IN ('EXECUTE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'), false);

-- Privileges that registry 1 kept are sealed as they are, where it holds nothing but privileges.
UPDATE procver.version v SET privileges_seal = procver.seal_of(v.project_id, v.name, v.number, v.privileges)
WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(v.privileges) p
                  WHERE jsonb_typeof(p -> 'owner') IS DISTINCT FROM 'string' OR jsonb_typeof(p -> 'part') IS DISTINCT FROM 'string')
  AND NOT EXISTS (SELECT FROM jsonb_path_query(v.privileges, 'lax $[*].acl[*][1]') w WHERE NOT procver.is_privilege(w #>> '{}'))
  AND NOT EXISTS (SELECT FROM jsonb_path_query(v.privileges, 'lax $[*].columns.*.acl[*][1]') w WHERE NOT procver.is_privilege(w #>> '{}'));

-- Returns what is kept of a version, if it is what procver itself read from the catalog.
CREATE FUNCTION procver.kept_privileges(version bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept record;
BEGIN
    SELECT v.physical, v.privileges, v.privileges_seal = procver.seal_of(v.project_id, v.name, v.number, v.privileges) AS sealed INTO kept
    FROM procver.version v WHERE v.id = kept_privileges.version;
    IF kept.privileges IS NOT NULL AND kept.sealed IS NOT TRUE THEN
        RAISE EXCEPTION 'the registry''s privileges of % are not those that procver read from the catalog', kept.physical
            USING ERRCODE = 'PV006', HINT = 'somebody changed procver.version by hand: bring that row back from a backup of the database';
    END IF;
    RETURN kept.privileges;
END $$;

-- Makes the grants on one thing exactly `wanted` ([[grantee, privilege, grantable], ...]), `thing` being the
-- text that follows ON. Roles that no longer exist are passed over; a word that is no privilege is refused.
CREATE OR REPLACE FUNCTION procver.set_acl(thing text, owner oid, acl aclitem[], wanted jsonb, columns text DEFAULT '')
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT DISTINCT a.grantee FROM pg_catalog.aclexplode(acl) a WHERE a.grantee <> owner
    LOOP
        EXECUTE format('REVOKE ALL %s ON %s FROM %s', columns, thing,
            CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(item.grantee)) END);
    END LOOP;
    FOR item IN
        SELECT w ->> 0 AS grantee, string_agg(format('%s %s', w ->> 1, columns), ', ' ORDER BY w ->> 1) AS privileges,
               (w ->> 2)::boolean AS grantable, bool_and(procver.is_privilege(w ->> 1)) AS known
        FROM jsonb_array_elements(CASE jsonb_typeof(wanted) WHEN 'array' THEN wanted ELSE '[]' END) w
        WHERE w ->> 0 IS NULL
           OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w ->> 0 AND r.oid <> owner)
        GROUP BY w ->> 0, (w ->> 2)::boolean
    LOOP
        IF item.known IS NOT TRUE THEN
            RAISE EXCEPTION 'not a privilege on %: %', thing, quote_literal(item.privileges) USING ERRCODE = 'PV006';
        END IF;
        EXECUTE format('GRANT %s ON %s TO %s%s', item.privileges, thing, coalesce(quote_ident(item.grantee), 'PUBLIC'),
            CASE WHEN item.grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;

-- Carries privileges over to objects. Each item of `work` names its target {"schema", "leaf", "kind"} and what it takes: those
-- kept of a "version", by its id, or "like" (an object to copy from); "exactly" ([[grantee, privilege, grantable], ...]) takes the
-- place of the grants of these. An overload that they do not know takes what all of the others have. A comment that is there
-- already stays, unless the object is to be "wholly" as given: a restored one. The catalog is read once for all items.
CREATE OR REPLACE FUNCTION procver.carry(work jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    source jsonb;
    thing text;
    word text;
    item record;
BEGIN
    FOR part IN
        WITH item AS MATERIALIZED (
            SELECT * FROM ROWS FROM (jsonb_to_recordset(work) AS (
                target jsonb, version bigint, "like" jsonb, exactly jsonb, wholly boolean)) WITH ORDINALITY AS x(
                target, version, "like", exactly, wholly, place)
        ), found AS MATERIALIZED (
            SELECT p.*, count(*) OVER (PARTITION BY p.schema, p.leaf, p.kind, p.id) AS parts
            FROM procver.parts((SELECT jsonb_agg(i.target) FROM item i), false) p
        ), model AS MATERIALIZED (
            SELECT * FROM procver.looks((
                SELECT jsonb_agg(DISTINCT i."like") FROM item i WHERE i.version IS NULL AND i."like" IS NOT NULL), false)
        )
        SELECT f.schema, f.leaf, f.kind, f.part, f.objid, f.owner, f.acl, f.parts, i.target, i.exactly,
               coalesce(i.wholly, false) AS wholly,
               CASE WHEN i.version IS NULL THEN m.privileges ELSE procver.kept_privileges(i.version) END AS given
        FROM item i
        JOIN found f ON f.schema = i.target ->> 'schema' AND f.leaf = i.target ->> 'leaf' AND f.kind = i.target ->> 'kind'
                    AND f.id IS NOT DISTINCT FROM (i.target ->> 'id')::bigint
        LEFT JOIN model m ON m.schema = i."like" ->> 'schema' AND m.leaf = i."like" ->> 'leaf'
                         AND m.id IS NOT DISTINCT FROM (i."like" ->> 'id')::bigint
        ORDER BY i.place, f.part
    LOOP
        source := (SELECT g FROM jsonb_array_elements(part.given) g WHERE g ->> 'part' = part.part);
        IF source IS NULL THEN
            source := procver.common(part.given);
            IF part.parts > 1 THEN
                source := source - 'comment';
            END IF;
        END IF;
        CONTINUE WHEN source IS NULL AND part.exactly IS NULL;
        IF part.part = '' THEN
            word := CASE part.kind WHEN 'materialized_view' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END;
            thing := format('%I.%I', part.schema, part.leaf);
        ELSE
            word := upper(part.kind);
            thing := part.objid::regprocedure::text;
        END IF;
        IF pg_catalog.pg_get_userbyid(part.owner) <> source ->> 'owner'
           AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = source ->> 'owner') THEN
            EXECUTE format('ALTER %s %s OWNER TO %I', word, thing, source ->> 'owner');
            SELECT p.owner, p.acl INTO part.owner, part.acl
            FROM procver.parts(jsonb_build_array(part.target), false) p WHERE p.objid = part.objid;
        END IF;
        PERFORM procver.set_acl(CASE part.part WHEN '' THEN thing ELSE word || ' ' || thing END,
                                part.owner, part.acl, coalesce(part.exactly, source -> 'acl'));
        PERFORM procver.set_comment(word || ' ' || thing, source ->> 'comment', part.wholly,
            pg_catalog.obj_description(part.objid, CASE part.part WHEN '' THEN 'pg_class' ELSE 'pg_proc' END));
        FOR item IN
            SELECT a.attname, a.attacl, c.value, pg_catalog.col_description(a.attrelid, a.attnum) AS comment
            FROM pg_catalog.pg_attribute a
            LEFT JOIN jsonb_each(CASE jsonb_typeof(source -> 'columns') WHEN 'object' THEN source -> 'columns' ELSE '{}' END) c
                   ON c.key = a.attname
            WHERE part.part = '' AND a.attrelid = part.objid AND a.attnum > 0 AND NOT a.attisdropped
              AND (c.key IS NOT NULL OR part.wholly)
        LOOP
            PERFORM procver.set_acl(thing, part.owner, item.attacl, CASE WHEN part.exactly IS NULL THEN item.value -> 'acl' END,
                                    format('(%I)', item.attname));
            PERFORM procver.set_comment(format('COLUMN %s.%I', thing, item.attname), item.value ->> 'comment', part.wholly, item.comment);
        END LOOP;
    END LOOP;
END $$;
DROP FUNCTION procver.grant_as(jsonb, jsonb, jsonb, boolean);

-- A role that only collects writes no table of the registry. It calls the functions below, which act as the registry's owner, and
-- check what they are asked for. procver.caller is who that is, whoever the function acts as.
CREATE FUNCTION procver.caller() RETURNS name
LANGUAGE sql STABLE
RETURN CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END;

-- Refuses versions that live releases need: those that are activated and not retired, that a channel points to, where an instance
-- was declared and nothing speaks against it, or was heard from within `heard`. `deeply` follows what these versions refer to.
CREATE FUNCTION procver.require_unneeded(ids bigint[], heard interval, deeply boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    live bigint[] := ARRAY(
        SELECT r.id FROM procver.release r
        WHERE r.activated_at IS NOT NULL AND r.retired_at IS NULL
          AND r.project_id IN (SELECT v.project_id FROM procver.version v WHERE v.id = ANY (ids))
        UNION ALL
        SELECT c.release_id FROM procver.channel c
        UNION ALL
        SELECT i.release_id FROM procver.instance i WHERE i.left_at IS NULL AND i.last_seen_at > clock_timestamp() - heard
        UNION ALL
        SELECT i.release_id FROM procver.instance i
        WHERE i.declared_at IS NOT NULL AND (i.last_seen_at IS NULL OR i.left_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM procver.instance o
                          WHERE o.project_id = i.project_id AND o.name = i.name AND o.release_id <> i.release_id
                            AND o.last_seen_at > i.declared_at));
    needed text;
BEGIN
    IF cardinality(live) = 0 THEN
        RETURN;
    END IF;
    IF deeply THEN
        WITH RECURSIVE needed AS (
            SELECT m.version_id AS id
            FROM procver.release r
            JOIN procver.membership m ON m.project_id = r.project_id AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
            WHERE r.id = ANY (live)
            UNION
            SELECT d.requires_id FROM needed n JOIN procver.dependency d ON d.version_id = n.id
        )
        SELECT min(v.physical) INTO needed FROM needed n JOIN procver.version v ON v.id = n.id WHERE n.id = ANY (ids);
    ELSE
        SELECT min(v.physical) INTO needed
        FROM procver.membership m
        JOIN procver.version v ON v.id = m.version_id
        JOIN procver.release r ON r.project_id = m.project_id AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
        WHERE m.version_id = ANY (ids) AND r.id = ANY (live);
    END IF;
    IF needed IS NOT NULL THEN
        RAISE EXCEPTION 'permission denied to collect %: a live release needs it', needed USING ERRCODE = '42501';
    END IF;
END $$;

ALTER FUNCTION procver.hold(int, bigint) SECURITY DEFINER;

CREATE FUNCTION procver.log(project int, action text, subject text, detail jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written bigint;
BEGIN
    IF action NOT IN ('condemn', 'quarantine', 'spare', 'drop', 'retire')
       AND NOT has_any_column_privilege(procver.caller(), 'procver.event', 'INSERT') THEN
        RAISE EXCEPTION 'permission denied to log: %', quote_literal(action) USING ERRCODE = '42501';
    END IF;
    INSERT INTO procver.event (project_id, action, subject, detail)
    VALUES (log.project, log.action, log.subject, CASE jsonb_typeof(log.detail) WHEN 'null' THEN NULL ELSE log.detail END);
    GET DIAGNOSTICS written = ROW_COUNT;
    PERFORM procver.require_rows('event', 1, written);
END $$;

CREATE FUNCTION procver.condemn(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written bigint;
BEGIN
    PERFORM procver.require_unneeded(ids, NULL, true);
    UPDATE procver.version v SET state = 'condemned', condemned_at = now() WHERE v.state = 'present' AND v.id = ANY (ids);
    GET DIAGNOSTICS written = ROW_COUNT;
    PERFORM procver.require_rows('version', cardinality(ids), written);
END $$;

-- Takes versions out of the condemned. What is in quarantine has to get back what was taken from it, which only an owner can do.
CREATE FUNCTION procver.spare(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written bigint;
BEGIN
    IF EXISTS (SELECT FROM procver.version v WHERE v.id = ANY (ids) AND v.quarantined_at IS NOT NULL)
       AND NOT has_column_privilege(procver.caller(), 'procver.version', 'quarantined_at', 'UPDATE') THEN
        RAISE EXCEPTION 'permission denied to take versions out of quarantine' USING ERRCODE = '42501';
    END IF;
    UPDATE procver.version v SET state = 'present', condemned_at = NULL, quarantined_at = NULL
    WHERE v.state = 'condemned' AND v.id = ANY (ids);
    GET DIAGNOSTICS written = ROW_COUNT;
    PERFORM procver.require_rows('version', cardinality(ids), written);
END $$;

-- Keeps, right before drops, what a later restore gives back. What is in quarantine has its privileges kept already.
CREATE FUNCTION procver.keep_privileges(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE procver.version v
    SET privileges = q.privileges, privileges_seal = procver.seal_of(v.project_id, v.name, v.number, q.privileges)
    FROM unnest(ids) w(id)
    JOIN procver.looks((
        SELECT jsonb_agg(jsonb_build_object('schema', x.schema, 'leaf', x.leaf, 'kind', x.kind, 'id', x.id)) FROM procver.version x
        WHERE x.id = ANY (ids) AND x.state = 'condemned' AND x.quarantined_at IS NULL), false) q ON q.id = w.id
    WHERE v.id = w.id AND v.state = 'condemned' AND v.quarantined_at IS NULL;
END $$;

-- Puts condemned versions in quarantine: keeps what is granted on them now. The caller then takes it away, which only an owner can.
CREATE FUNCTION procver.quarantine(ids bigint[]) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT procver.keep_privileges(ids);
    UPDATE procver.version v SET quarantined_at = clock_timestamp()
    WHERE v.state = 'condemned' AND v.quarantined_at IS NULL AND v.id = ANY (ids);
$$;

-- Marks condemned versions as dropped, [{"id", "why", "evidence"}, ...], with a line for each in the audit trail. Their DROPs come
-- next, in the same transaction.
CREATE FUNCTION procver.drop_versions(work json) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT x.id FROM json_to_recordset(work) AS x(id bigint));
    marked bigint;
    written bigint;
BEGIN
    PERFORM procver.require_unneeded(ids, NULL, false);
    WITH item AS MATERIALIZED (
        SELECT x.*, row_number() OVER () AS place FROM json_to_recordset(work) AS x(id bigint, why text, evidence text)
    ), dropped AS (
        UPDATE procver.version v
        SET state = 'dropped', condemned_at = NULL, quarantined_at = NULL, dropped_at = clock_timestamp()
        FROM item i
        WHERE v.id = i.id AND v.state = 'condemned'
        RETURNING v.project_id, v.physical, i.why, i.evidence, i.place
    ), told AS (
        INSERT INTO procver.event (project_id, action, subject, detail)
        SELECT project_id, 'drop', physical, jsonb_build_object('why', why, 'evidence', evidence) FROM dropped ORDER BY place
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM dropped), (SELECT count(*) FROM told) INTO marked, written;
    IF marked <> cardinality(ids) THEN
        RAISE EXCEPTION 'permission denied to drop versions that are not condemned' USING ERRCODE = '42501';
    END IF;
    PERFORM procver.require_rows('event', marked, written);
END $$;

-- Drops one overload (or, without arguments, the view) of a version, as the registry's owner: a role that may collect need not own
-- what it collects. No live release may need it, whatever its state is said to be; procver.drop_versions has looked, where this
-- transaction marked it. The arguments are only compared, never executed.
CREATE OR REPLACE FUNCTION procver.drop_part(version bigint, arguments text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    statement text;
    marked boolean;
BEGIN
    SELECT format('DROP %s %s', upper(replace(p.kind, '_', ' ')),
                  CASE p.part WHEN '' THEN format('%I.%I', p.schema, p.leaf)
                              ELSE format('%I.%I(%s)', p.schema, p.leaf, pg_get_function_identity_arguments(p.objid)) END),
           v.state = 'dropped' AND v.xmin = pg_current_xact_id()::xid
    INTO statement, marked
    FROM procver.version v
    CROSS JOIN LATERAL procver.parts(jsonb_build_array(jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind,
                                                                 'id', v.id)), false) p
    WHERE v.id = drop_part.version AND v.state <> 'present'
      AND (p.part = '' OR pg_get_function_identity_arguments(p.objid) = arguments);
    IF statement IS NULL THEN
        RAISE EXCEPTION 'permission denied to drop version %: it is not condemned', version USING ERRCODE = '42501';
    END IF;
    PERFORM procver.require_unneeded(ARRAY[version], '5 minutes', NOT marked);
    EXECUTE statement;
END $$;

-- Forgets instances that nobody declared and that were silent for twice as long as counts: each start of an app may bring a new
-- name. A role that only collects cannot make one that beats look dead.
CREATE FUNCTION procver.forget_instances(project int, idle interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    silence interval := 2 * idle;
BEGIN
    IF NOT has_table_privilege(procver.caller(), 'procver.instance', 'DELETE') THEN
        silence := greatest(silence, interval '15 minutes');
    END IF;
    WITH gone AS (
        DELETE FROM procver.instance i
        WHERE i.project_id = forget_instances.project AND i.declared_at IS NULL AND i.last_seen_at < now() - silence
        RETURNING i.release_id, i.last_seen_at
    )
    UPDATE procver.release r SET heard_until = greatest(r.heard_until, g.last_seen_at)
    FROM (SELECT release_id, max(last_seen_at) AS last_seen_at FROM gone GROUP BY release_id) g
    WHERE r.id = g.release_id;
END $$;

CREATE FUNCTION procver.note_collection(project int, dropped int, condemned int, kept int) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO procver.collection (project_id, dropped, condemned, kept) VALUES (project, dropped, condemned, kept)
    ON CONFLICT (project_id) DO UPDATE
    SET at = clock_timestamp(), actor = session_user, client = host(inet_client_addr()),
        dropped = excluded.dropped, condemned = excluded.condemned, kept = excluded.kept
$$;

-- Keeps what the server counts now.
CREATE FUNCTION procver.sample(project text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM procver.usage u
    WHERE NOT EXISTS (SELECT FROM procver.version v WHERE v.id = u.version_id AND v.state <> 'dropped');
    INSERT INTO procver.usage (version_id, source, calls, called_since, last_called_at, sampled_at)
    SELECT c.version_id, 'pg_stat_user_functions', c.calls, c.called_since, c.last_called_at, statement_timestamp()
    FROM procver.calls c
    WHERE c.project_id = (SELECT p.id FROM procver.project p WHERE p.name = sample.project)
    ORDER BY c.version_id
    ON CONFLICT (version_id) DO UPDATE
    SET calls = excluded.calls, called_since = excluded.called_since, last_called_at = excluded.last_called_at,
        sampled_at = excluded.sampled_at;
$$;

REVOKE ALL ON FUNCTION procver.hold, procver.log, procver.condemn, procver.spare, procver.keep_privileges, procver.drop_versions,
                       procver.drop_part, procver.forget_instances, procver.note_collection, procver.sample FROM PUBLIC;

-- Whoever collected until now goes on by these functions, and writes no table any more.
DO $$
DECLARE
    collector text;
BEGIN
    FOR collector IN
        SELECT DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee))
        FROM (SELECT p.proacl AS acl FROM pg_catalog.pg_proc p WHERE p.oid = 'procver.drop_part(bigint, text)'::pg_catalog.regprocedure
              UNION ALL
              SELECT c.relacl FROM pg_catalog.pg_class c WHERE c.oid = 'procver.project'::pg_catalog.regclass) o
        CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
        WHERE a.grantee <> 0 AND a.privilege_type IN ('EXECUTE', 'UPDATE')
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION procver.hold, procver.log, procver.condemn, procver.spare, procver.keep_privileges,'
            ' procver.drop_versions, procver.forget_instances, procver.note_collection, procver.sample TO %s', collector);
    END LOOP;
    FOR collector IN
        SELECT DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee))
        FROM pg_catalog.pg_proc p
        CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) a
        WHERE p.oid = 'procver.drop_part(bigint, text)'::pg_catalog.regprocedure AND a.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE pg_catalog.format('REVOKE UPDATE (generation) ON procver.project FROM %s', collector);
        EXECUTE pg_catalog.format('REVOKE UPDATE (state, condemned_at, quarantined_at, dropped_at, privileges) ON procver.version FROM %s', collector);
        EXECUTE pg_catalog.format('REVOKE UPDATE (heard_until) ON procver.release FROM %s', collector);
        EXECUTE pg_catalog.format('REVOKE DELETE ON procver.instance FROM %s', collector);
        EXECUTE pg_catalog.format('REVOKE INSERT (project_id, action, subject, detail) ON procver.event FROM %s', collector);
        EXECUTE pg_catalog.format('REVOKE INSERT (project_id, dropped, condemned, kept), UPDATE ON procver.collection FROM %s', collector);
        EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE ON procver.usage FROM %s', collector);
    END LOOP;
    FOR collector IN
        SELECT DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee))
        FROM pg_catalog.pg_attribute t
        CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a
        WHERE t.attrelid = 'procver.version'::pg_catalog.regclass AND t.attname = 'privileges' AND a.grantee <> 0
    LOOP
        EXECUTE pg_catalog.format('REVOKE UPDATE (privileges) ON procver.version FROM %s', collector);
    END LOOP;
END $$;


-- == ownership: which objects of the catalog are versions of ours

-- One part of a version as the catalog had it at its creation: the relation, or one overload of a routine. A part that is there now is
-- the version's own if name, kind and arguments are these, and OID or digest as well: so what a dump brought back is, and what
-- somebody made by hand is not.
-- `types`, `local` and the OID belong to this database; `signature` and `digest` survive a dump. The digest begins with the server's
-- major version, as another one may deparse the same definition otherwise: then `signature` (columns, or result) counts in its place.
-- They look for what somebody did without thinking of procver, not for an attack on the hash: 64 bits of a fast one.
CREATE TYPE procver.part AS (part text, sort "char", objid oid, types oidvector, signature bigint, local bigint, digest text);
ALTER TABLE procver.version ADD COLUMN identity procver.part[];

-- A deparsed definition without what PostgreSQL words otherwise once it has been dumped and restored: casts and parentheses, as in
-- `x::text = ANY ((ARRAY['a'::varchar])::text[])`. One replace() after another is much faster than translate(), and indentation goes first.
CREATE FUNCTION procver.portable(definition text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN replace(replace(replace(replace(replace(
    regexp_replace(definition,
        '::(?:"[^"]*"|\w+)(?:\.(?:"[^"]*"|\w+))?(?: varying| precision)?(?:\(\d+(?:,\d+)?\))?(?: with(?:out)? time zone)?(?:\[\])*',
        '', 'g'),
    E'\n        ', ''), ' ', ''), '(', ''), ')', ''), E'\n', '');

-- Managed objects as the catalog holds them: [{"schema", "leaf", "kind"}] in, one row per overload or relation out. With the
-- "id" of a version, only what is its own. The grants are those in force: "never granted" and "granted by default" read alike.
-- Every setting that changes how an expression is deparsed is pinned. Without `digests`, which cost the
-- most, they are made only where OIDs differ from those at creation, as after a dump.
ALTER FUNCTION procver.parts(jsonb) RENAME TO former_parts;
CREATE FUNCTION procver.parts(work jsonb, digests boolean DEFAULT true)
RETURNS TABLE (schema text, leaf text, kind text, objid oid, part text, owner oid, acl aclitem[], digest text,
               id bigint, sort "char", types oidvector, signature bigint, local bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
SET extra_float_digits = 1 SET bytea_output = 'hex' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET lc_monetary = 'C'
AS $$
    WITH item AS MATERIALIZED (
        SELECT n.oid AS namespace, x.schema, x.leaf, x.kind, x.id, v.identity,
               current_setting('server_version_num')::int / 10000 || ':' AS major
        FROM jsonb_to_recordset(work) AS x(schema text, leaf text, kind text, id bigint)
        JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
        LEFT JOIN procver.version v ON v.id = x.id
    ), found AS (
        SELECT i.schema, i.leaf, i.kind, p.oid AS objid, '(' || oidvectortypes(p.proargtypes) || ')' AS part, p.proowner AS owner,
               coalesce(p.proacl, acldefault('f', p.proowner)) AS acl,
               CASE WHEN parts.digests OR NOT s.same THEN
                   i.major || to_hex(hashtextextended(concat_ws('|', p.prosrc, procver.portable(pg_get_function_sqlbody(p.oid)),
                       procver.portable(pg_get_expr(p.proargdefaults, 0)), l.lanname, p.prokind, p.prosecdef, p.proleakproof,
                       p.proisstrict, p.proretset, p.provolatile, p.proparallel, p.procost, p.prorows, p.proconfig::text,
                       format_type(p.prorettype, NULL), p.proargnames::text, p.proargmodes::text) COLLATE "C", 0))
               END AS digest,
               i.id, p.prokind AS sort, p.proargtypes AS types,
               hashtextextended(concat_ws('|', format_type(p.prorettype, NULL), p.proretset, p.proargnames::text,
                   p.proargmodes::text) COLLATE "C", 0) AS signature,
               hashtextextended(concat_ws('|', p.prosrc, p.prosqlbody::text, p.proargdefaults::text, p.prolang, p.prokind,
                   p.prosecdef, p.proleakproof, p.proisstrict, p.proretset, p.provolatile, p.proparallel, p.procost, p.prorows,
                   p.proconfig::text, p.prorettype, p.proargnames::text, p.proargmodes::text) COLLATE "C", 0) AS local,
               i.identity, i.major, s.same
        FROM item i
        JOIN pg_catalog.pg_proc p ON p.proname = i.leaf AND p.pronamespace = i.namespace
        JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        CROSS JOIN LATERAL (
            SELECT i.id IS NULL OR EXISTS (
                SELECT FROM unnest(i.identity) k WHERE k.sort = p.prokind AND k.objid = p.oid
                AND (k.types = p.proargtypes OR k.part = '(' || oidvectortypes(p.proargtypes) || ')')) AS same
        ) s
        WHERE (i.kind = 'procedure' AND p.prokind = 'p') OR (i.kind = 'function' AND p.prokind IN ('f', 'w'))
        UNION ALL
        SELECT i.schema, i.leaf, i.kind, c.oid, '', c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)),
               CASE WHEN parts.digests OR NOT s.same THEN
                   i.major || to_hex(hashtextextended(concat_ws('|', c.relkind, o.options, a.columns,
                       procver.portable(pg_get_viewdef(c.oid))) COLLATE "C", 0))
               END,
               i.id, c.relkind, '', hashtextextended(a.columns COLLATE "C", 0),
               CASE WHEN parts.digests THEN
                   hashtextextended(concat_ws('|', c.oid, c.relkind, o.options, a.names, r.ev_action::text) COLLATE "C", 0)
               END,
               i.identity, i.major, s.same
        FROM item i
        JOIN pg_catalog.pg_class c ON c.relname = i.leaf AND c.relnamespace = i.namespace
        LEFT JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
        CROSS JOIN LATERAL (
            SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum) AS columns,
                   string_agg(a.attname, ',' ORDER BY a.attnum) AS names
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
        ) a
        CROSS JOIN LATERAL (SELECT string_agg(o, ',' ORDER BY o) AS options FROM unnest(c.reloptions) o) o
        CROSS JOIN LATERAL (
            SELECT i.id IS NULL OR EXISTS (SELECT FROM unnest(i.identity) k WHERE k.sort = c.relkind AND k.objid = c.oid AND k.part = '') AS same
        ) s
        WHERE i.kind IN ('view', 'materialized_view') AND c.relkind = CASE i.kind WHEN 'view' THEN 'v' ELSE 'm' END::"char"
    )
    SELECT f.schema, f.leaf, f.kind, f.objid, f.part, f.owner, f.acl, f.digest, f.id, f.sort, f.types, f.signature, f.local
    FROM found f
    WHERE f.same OR EXISTS (
        SELECT FROM unnest(f.identity) k
        WHERE k.sort = f.sort AND k.part = f.part
          AND (k.digest = f.digest OR k.signature = f.signature AND NOT starts_with(k.digest, f.major)))
$$;

-- Versions of registry 1: their identity is filled where the catalog's object has the digest that
-- was stored at creation. Digests of views began with their OID. A view with the same OID and another rule was altered: it stays ours,
-- and `verify` says so. Where no view has kept its OID the database came out of a dump, and where the server's major version is
-- another one nothing can be compared: those are taken as they are. All others are obstacles: docs/operations.md says what to do.
WITH item AS MATERIALIZED (
    SELECT v.id, v.schema, v.leaf, v.kind, split_part(v.digest, ':', 1) AS major, substr(v.digest, strpos(v.digest, ':') + 1) AS digest
    FROM procver.version v WHERE v.state <> 'dropped' AND v.digest IS NOT NULL
), work AS MATERIALIZED (
    SELECT jsonb_agg(jsonb_build_object('schema', i.schema, 'leaf', i.leaf, 'kind', i.kind)) AS work FROM item i
), former AS MATERIALIZED (
    SELECT p.schema, p.leaf, p.kind, string_agg(p.digest, ',' ORDER BY p.part) AS digest
    FROM procver.former_parts((SELECT work FROM work)) p GROUP BY p.schema, p.leaf, p.kind
), now AS MATERIALIZED (
    SELECT p.schema, p.leaf, p.kind, string_agg(p.digest, ',' ORDER BY p.part) AS digest,
           array_agg((p.part, p.sort, p.objid, p.types, p.signature, p.local, p.digest)::procver.part ORDER BY p.part) AS identity
    FROM procver.parts((SELECT work FROM work)) p GROUP BY p.schema, p.leaf, p.kind
), pair AS MATERIALIZED (
    SELECT i.id, n.identity, n.digest, f.digest = i.digest AS same, q.view, q.view AND split_part(f.digest, ':', 1) = split_part(i.digest, ':', 1) AS stays,
           i.major <> (current_setting('server_version_num')::int / 10000)::text AS other_major,
           q.view AND CASE WHEN i.digest ~ '^[0-9]{1,10}:' THEN split_part(i.digest, ':', 1)::bigint END < 'procver.version'::regclass::oid::bigint AS older
    FROM item i
    JOIN former f ON f.schema = i.schema AND f.leaf = i.leaf AND f.kind = i.kind
    JOIN now n ON n.schema = i.schema AND n.leaf = i.leaf AND n.kind = i.kind
    CROSS JOIN LATERAL (SELECT i.kind IN ('view', 'materialized_view') AS view) q
), dump AS MATERIALIZED (
    SELECT NOT bool_or(p.stays) AND (count(*) > 1 OR bool_or(p.older)) AS restored FROM pair p WHERE p.view
)
UPDATE procver.version v
SET digest = p.digest,
    identity = CASE WHEN p.same OR p.other_major OR NOT p.stays THEN p.identity
                    ELSE ARRAY(SELECT (k.part, k.sort, k.objid, k.types, k.signature, 0, split_part(k.digest, ':', 1) || ':')::procver.part
                               FROM unnest(p.identity) k) END
FROM pair p
WHERE v.id = p.id AND (p.same OR p.other_major OR p.stays OR p.view AND (SELECT d.restored FROM dump d));
DROP FUNCTION procver.former_parts(jsonb);

-- Objects as the catalog describes them: a digest of their definition; owner, grants and comments as data, which `procver.carry` puts
-- back; and what `procver.version.identity` keeps.
DROP FUNCTION procver.looks(jsonb);
CREATE FUNCTION procver.looks(work jsonb, digests boolean DEFAULT true)
RETURNS TABLE (schema text, leaf text, digest text, privileges jsonb, id bigint, identity procver.part[])
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH part AS MATERIALIZED (
        SELECT p.*, d.description FROM procver.parts(work, digests) p
        LEFT JOIN pg_catalog.pg_description d ON d.objoid = p.objid AND d.objsubid = 0
             AND d.classoid = CASE p.part WHEN '' THEN 'pg_catalog.pg_class' ELSE 'pg_catalog.pg_proc' END::regclass
    ), acl AS MATERIALIZED (  -- most objects have the same grants
        SELECT a.acl, procver.acl_json(a.acl) AS exploded FROM (SELECT DISTINCT acl FROM part) a
    ), columns AS (
        SELECT c.objid, jsonb_object_agg(c.attname, jsonb_build_object('comment', c.description, 'acl', procver.acl_json(c.attacl))) AS columns
        FROM (SELECT p.objid, a.attname, a.attacl, d.description
              FROM part p
              JOIN pg_catalog.pg_attribute a ON a.attrelid = p.objid AND a.attnum > 0 AND NOT a.attisdropped
              LEFT JOIN pg_catalog.pg_description d ON d.objoid = p.objid AND d.objsubid = a.attnum
                   AND d.classoid = 'pg_catalog.pg_class'::regclass
                   AND EXISTS (SELECT FROM pg_catalog.pg_description e WHERE e.objoid = p.objid AND e.objsubid > 0)
              WHERE p.part = '' AND (a.attacl IS NOT NULL OR d.description IS NOT NULL)) c
        GROUP BY c.objid
    )
    SELECT p.schema, p.leaf, string_agg(p.digest, ',' ORDER BY p.part), jsonb_agg(jsonb_build_object(
        'part', p.part, 'owner', pg_catalog.pg_get_userbyid(p.owner), 'comment', p.description,
        'acl', a.exploded, 'columns', c.columns) ORDER BY p.part), p.id,
        array_agg((p.part, p.sort, p.objid, p.types, p.signature, p.local, p.digest)::procver.part ORDER BY p.part)
    FROM part p
    JOIN acl a ON a.acl = p.acl
    LEFT JOIN columns c ON c.objid = p.objid
    GROUP BY p.schema, p.leaf, p.id
$$;

-- The parts of a project's versions that the catalog has, by their OIDs; where these are others, as after a dump, by their digests.
-- `expected` is how many a version has; `moved` says that not all were found by their OIDs. Of all versions, or of those with `ids`.
CREATE FUNCTION procver.own(project int, ids bigint[] DEFAULT NULL)
RETURNS TABLE (id bigint, kind text, part text, objid oid, expected int, moved boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH part AS MATERIALIZED (
        SELECT v.id, v.schema, v.leaf, v.kind, k.part, cardinality(v.identity) AS expected, coalesce(p.oid, c.oid) AS objid
        FROM procver.version v
        CROSS JOIN LATERAL unnest(v.identity) k
        LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = v.schema
        LEFT JOIN pg_catalog.pg_proc p ON k.part <> '' AND p.oid = k.objid AND p.proname = v.leaf AND p.pronamespace = n.oid
                                      AND p.prokind = k.sort AND p.proargtypes = k.types
        LEFT JOIN pg_catalog.pg_class c ON k.part = '' AND c.oid = k.objid AND c.relname = v.leaf AND c.relnamespace = n.oid
                                       AND c.relkind = k.sort
        WHERE v.project_id = own.project AND v.state <> 'dropped' AND (own.ids IS NULL OR v.id IN (SELECT unnest(own.ids)))
    ), doubtful AS MATERIALIZED (
        SELECT DISTINCT p.id, p.schema, p.leaf, p.kind, p.expected FROM part p WHERE p.objid IS NULL
    )
    SELECT p.id, p.kind, p.part, p.objid, p.expected, false
    FROM part p WHERE NOT EXISTS (SELECT FROM doubtful d WHERE d.id = p.id)
    UNION ALL
    SELECT p.id, p.kind, p.part, p.objid, d.expected, true
    FROM procver.parts((
        SELECT jsonb_agg(jsonb_build_object('schema', d.schema, 'leaf', d.leaf, 'kind', d.kind, 'id', d.id)) FROM doubtful d), false) p
    JOIN doubtful d ON d.id = p.id
$$;

-- The versions of a project of which every part is there; all, or those with `ids`.
CREATE FUNCTION procver.standing(project int, ids bigint[] DEFAULT NULL) RETURNS TABLE (id bigint, moved boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT o.id, bool_or(o.moved)
    FROM procver.own(standing.project, standing.ids) o GROUP BY o.id, o.expected HAVING count(*) = o.expected
$$;

-- For an app that starts: which of the versions in its mapping ([{"at", "schema", "leaf"}]) are not wholly there, of those that were
-- published here. Whoever may read the mapping may execute it.
CREATE FUNCTION procver.lacking(wanted json) RETURNS TABLE (place int)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH item AS MATERIALIZED (
        SELECT w."at", v.id, v.project_id
        FROM json_to_recordset(wanted) AS w("at" int, schema text, leaf text)
        JOIN procver.version v ON v.schema = w.schema AND v.leaf = w.leaf
    ), standing AS MATERIALIZED (
        SELECT s.id FROM (SELECT i.project_id, array_agg(i.id) AS ids FROM item i GROUP BY i.project_id) p
        CROSS JOIN LATERAL procver.standing(p.project_id, p.ids) s
    )
    SELECT i."at" FROM item i LEFT JOIN standing s ON s.id = i.id GROUP BY i."at" HAVING count(s.id) = 0
$$;
REVOKE ALL ON FUNCTION procver.lacking FROM PUBLIC;
DO $$
DECLARE
    reader text;
BEGIN
    FOR reader IN
        SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
        FROM pg_catalog.pg_class c
        CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
        WHERE c.oid = 'procver.mapping'::pg_catalog.regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION procver.lacking TO %s', reader);
    END LOOP;
END $$;

-- The last look before a release is recorded: every version of it ([{"name", "number", "physical"}]) must be in the catalog.
DROP FUNCTION procver.require_present(jsonb);
CREATE FUNCTION procver.require_present(project int, versions jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    WITH wanted AS MATERIALIZED (
        SELECT x.physical, v.id FROM jsonb_to_recordset(versions) AS x(name text, number int, physical text)
        LEFT JOIN procver.version v ON v.project_id = require_present.project AND v.name = x.name AND v.number = x.number
    ), standing AS MATERIALIZED (
        SELECT s.id FROM procver.standing(require_present.project, ARRAY(SELECT w.id FROM wanted w)) s
    )
    SELECT string_agg(w.physical, ', ') INTO missing
    FROM wanted w WHERE NOT EXISTS (SELECT FROM standing s WHERE s.id = w.id);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'versions vanished while they were published: %', missing USING ERRCODE = 'PV001';
    END IF;
END $$;

-- A trigger may keep rows from being written without an error.
CREATE FUNCTION procver.require_rows(written text, expected bigint, count bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF count IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '% of % row(s) were written to procver.%', count, expected, written
            USING ERRCODE = 'PV008', HINT = format('a trigger on procver.%s keeps them out: drop it, then run the same command again', written);
    END IF;
END $$;

-- A rule would take the place of what procver writes.
CREATE FUNCTION procver.require_plain() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rule record;
BEGIN
    SELECT r.rulename, c.relname INTO rule
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
    WHERE c.relhasrules AND c.oid = ANY (ARRAY[
        'procver.project', 'procver.lane', 'procver.version', 'procver.release', 'procver.membership', 'procver.instance',
        'procver.channel', 'procver.event', 'procver.collection', 'procver.usage']::regclass[])
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rule % on procver.% changes what is written', rule.rulename, rule.relname
            USING ERRCODE = 'PV008', HINT = format('DROP RULE %I ON procver.%I, then run the same command again', rule.rulename, rule.relname);
    END IF;
END $$;

-- == releases: what a mapping and a membership are checked against

-- True where retired releases may be discarded: a shared staging database. Set by the first publication alone.
ALTER TABLE procver.project ADD COLUMN trials boolean NOT NULL DEFAULT false;

-- The schema that a bare name means in the release's mapping; null: that of its project, for a release of registry 1.
ALTER TABLE procver.release ADD COLUMN default_schema text;

-- Made anew for its operators too. "digest" is procver.release.content: SHA-256, in hex, over the lines of all objects in order,
-- each of name, NUL, version, NUL, fingerprint and LF. A mapping with the same digest holds the same versions.
CREATE OR REPLACE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, p.dialect, coalesce(r.default_schema, p.default_schema) AS default_schema,
       v.name, v.kind, v.number AS version, v.physical, v.fingerprint, r.content AS digest
FROM procver.release r
JOIN procver.project p ON p.id = r.project_id
JOIN procver.membership m ON m.project_id = r.project_id
                         AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
JOIN procver.version v ON v.id = m.version_id;

-- Deletes a release, if it is a trial or was never used; an instance may have come and gone since it was looked at.
CREATE FUNCTION procver.forget_release(release bigint, trial boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written bigint;
BEGIN
    PERFORM FROM procver.release r
    WHERE r.id = forget_release.release AND (forget_release.trial OR (r.activated_at IS NULL AND r.heard_until IS NULL))
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the release was used meanwhile' USING ERRCODE = 'PV001';
    END IF;
    DELETE FROM procver.release r WHERE r.id = forget_release.release;
    GET DIAGNOSTICS written = ROW_COUNT;
    PERFORM procver.require_rows('release', 1, written);
END $$;


-- == instances: who may report for which project

UPDATE procver.instance SET declared_at = now() WHERE declared_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.instance SET last_seen_at = now() WHERE last_seen_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.instance SET left_at = now() WHERE left_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
UPDATE procver.instance SET returned_at = now() WHERE returned_at NOT BETWEEN '0001-01-03' AND '9999-12-29';
ALTER TABLE procver.instance
    ADD CONSTRAINT instance_declared CHECK (declared_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT instance_seen CHECK (last_seen_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT instance_left CHECK (left_at BETWEEN '0001-01-03' AND '9999-12-29'),
    ADD CONSTRAINT instance_returned CHECK (returned_at BETWEEN '0001-01-03' AND '9999-12-29');

-- The role whose members may report for the project's instances; null: whoever may execute procver.beat.
ALTER TABLE procver.project ADD COLUMN app_role text;

-- True for a member of the role, or of the registry's owner. A role that does not exist has no members.
CREATE FUNCTION procver.may_report(app_role text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT app_role IS NULL
        OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = app_role AND pg_has_role(procver.caller(), r.oid, 'MEMBER'))
        OR EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = 'procver' AND pg_has_role(procver.caller(), n.nspowner, 'MEMBER'))
$$;

-- As in registry 1, but for members of the project's role alone.
CREATE OR REPLACE FUNCTION procver.beat(project text, release text, instance text, leaving boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'                         -- longer than a drop waits, see procver.require_silence
AS $$
DECLARE
    target record;
    moved timestamptz := clock_timestamp() - interval '15 minutes';
BEGIN
    -- Where the server knows no encoding it compares bytes, and those from 80 to 9f are parts of letters.
    IF btrim(coalesce(instance, '')) = '' OR length(instance) > 200
       OR instance ~ (CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN '[\u0001-\u001f\u007f]|\u00c2[\u0080-\u009f]'
                                                              ELSE '[\u0001-\u001f\u007f-\u009f]' END) THEN
        RAISE EXCEPTION '% cannot be an instance name', coalesce(quote_literal(left(instance, 200)), 'null')
            USING ERRCODE = 'PV005', HINT = 'use 1 to 200 printable characters, such as a host name: web-1';
    END IF;
    SELECT count(*) AS matches, min(r.project_id) AS project_id, min(r.id) AS id, min(p.name) AS project, min(p.app_role) AS app_role INTO target
    FROM procver.release r
    JOIN procver.project p ON p.id = r.project_id
    WHERE r.name = beat.release AND (beat.project IS NULL OR p.name = beat.project);
    IF target.matches > 1 THEN
        RAISE EXCEPTION 'several projects have a release %', quote_literal(release)
            USING ERRCODE = 'PV004', HINT = 'say which project';
    ELSIF target.matches = 0 THEN
        RAISE EXCEPTION 'no release % of project % in this database', quote_literal(coalesce(release, '')), coalesce(quote_literal(project), '(any)')
            USING ERRCODE = 'PV004', HINT = 'publish it here first, or correct the names: procver release list';
    END IF;
    IF NOT procver.may_report(target.app_role) THEN
        RAISE EXCEPTION 'permission denied to report for project %: % is not a member of role %',
                quote_literal(target.project), quote_ident(procver.caller()), quote_ident(target.app_role)
            USING ERRCODE = '42501', HINT = format('GRANT %I TO %I', target.app_role, procver.caller());
    END IF;
    IF leaving THEN
        DELETE FROM procver.instance i
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = target.id AND i.declared_at IS NULL;
        UPDATE procver.instance i SET left_at = clock_timestamp(), returned_at = NULL
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = target.id AND i.last_seen_at IS NOT NULL;
        -- The table of instances first, then the release: in the order of all that also listens. Whoever holds the release
        -- now is not waited for: another goodbye says the same.
        UPDATE procver.release r SET heard_until = clock_timestamp()
        WHERE r.id IN (SELECT s.id FROM procver.release s WHERE s.id = target.id FOR NO KEY UPDATE SKIP LOCKED);
    ELSE
        INSERT INTO procver.instance AS i (project_id, name, release_id, last_seen_at)
        VALUES (target.project_id, beat.instance, target.id, clock_timestamp())
        ON CONFLICT (project_id, name, release_id) DO UPDATE
        SET returned_at = CASE WHEN EXISTS (
                SELECT FROM procver.instance o
                WHERE o.project_id = i.project_id AND o.name = i.name AND o.release_id <> i.release_id
                  AND o.left_at IS NULL AND o.last_seen_at > i.last_seen_at)
                THEN clock_timestamp() ELSE i.returned_at END,
            last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at), left_at = NULL;
    END IF;
    -- Two that were given the same name must not wait for each other in a circle.
    WITH former AS (
        SELECT i.release_id FROM procver.instance i
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id <> target.id
          AND i.left_at IS NULL AND i.last_seen_at < moved
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM procver.instance i USING former f
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = f.release_id AND i.declared_at IS NULL
        RETURNING i.release_id, i.last_seen_at
    ), heard AS (
        UPDATE procver.release r SET heard_until = greatest(r.heard_until, g.last_seen_at)
        FROM gone g
        WHERE r.id = g.release_id AND r.id IN (
            SELECT s.id FROM procver.release s WHERE s.id IN (SELECT f.release_id FROM former f) FOR NO KEY UPDATE SKIP LOCKED)
    )
    UPDATE procver.instance i SET left_at = i.last_seen_at, returned_at = NULL
    FROM former f
    WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = f.release_id AND i.declared_at IS NOT NULL;
END $$;
