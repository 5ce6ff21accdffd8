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

-- What registry 1 kept is sealed as it is, where it holds nothing but privileges.
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

-- Carries privileges over to new objects. Each item of `work` names its target {"schema", "leaf", "kind"} and what it takes:
-- those kept of a "version", by its id, or "like" (an object to copy from), "exactly" ([[grantee, privilege, grantable], ...]) in
-- place of the grants of these, and whether to take all of it, "wholly", comments that are there already included.
CREATE OR REPLACE FUNCTION procver.carry(work jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item record;
    given jsonb;
BEGIN
    FOR item IN SELECT * FROM jsonb_to_recordset(work) AS x(target jsonb, version bigint, "like" jsonb, exactly jsonb, wholly boolean) LOOP
        given := NULL;
        IF item.version IS NOT NULL THEN
            given := procver.kept_privileges(item.version);
        ELSIF item."like" IS NOT NULL THEN
            SELECT p.privileges INTO given FROM procver.looks(jsonb_build_array(item."like")) p;
        END IF;
        IF given IS NOT NULL OR item.exactly IS NOT NULL THEN
            PERFORM procver.grant_as(item.target, given, item.exactly, coalesce(item.wholly, false));
        END IF;
    END LOOP;
END $$;

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
BEGIN
    IF action NOT IN ('condemn', 'quarantine', 'spare', 'drop', 'retire')
       AND NOT has_any_column_privilege(procver.caller(), 'procver.event', 'INSERT') THEN
        RAISE EXCEPTION 'permission denied to log: %', quote_literal(action) USING ERRCODE = '42501';
    END IF;
    INSERT INTO procver.event (project_id, action, subject, detail)
    VALUES (log.project, log.action, log.subject, CASE jsonb_typeof(log.detail) WHEN 'null' THEN NULL ELSE log.detail END);
END $$;

CREATE FUNCTION procver.condemn(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM procver.require_unneeded(ids, NULL, true);
    UPDATE procver.version v SET state = 'condemned', condemned_at = now() WHERE v.state = 'present' AND v.id = ANY (ids);
END $$;

-- Takes versions out of the condemned. What is in quarantine has to get back what was taken from it, which only an owner can do.
CREATE FUNCTION procver.spare(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM procver.version v WHERE v.id = ANY (ids) AND v.quarantined_at IS NOT NULL)
       AND NOT has_column_privilege(procver.caller(), 'procver.version', 'quarantined_at', 'UPDATE') THEN
        RAISE EXCEPTION 'permission denied to take versions out of quarantine' USING ERRCODE = '42501';
    END IF;
    UPDATE procver.version v SET state = 'present', condemned_at = NULL, quarantined_at = NULL
    WHERE v.state = 'condemned' AND v.id = ANY (ids);
END $$;

-- Keeps, right before drops, what a later restore gives back. What is in quarantine has its privileges kept already.
CREATE FUNCTION procver.keep_privileges(ids bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE procver.version v
    SET privileges = q.privileges, privileges_seal = procver.seal_of(v.project_id, v.name, v.number, q.privileges)
    FROM procver.looks((
        SELECT jsonb_agg(jsonb_build_object('schema', x.schema, 'leaf', x.leaf, 'kind', x.kind)) FROM procver.version x
        WHERE x.id = ANY (ids) AND x.state = 'condemned' AND x.quarantined_at IS NULL)) q
    WHERE v.schema = q.schema AND v.leaf = q.leaf AND v.state = 'condemned' AND v.quarantined_at IS NULL AND v.id = ANY (ids)
$$;

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
    )
    SELECT count(*) INTO marked FROM dropped;
    IF marked <> cardinality(ids) THEN
        RAISE EXCEPTION 'permission denied to drop versions that are not condemned' USING ERRCODE = '42501';
    END IF;
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
    CROSS JOIN LATERAL procver.parts(jsonb_build_array(jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind))) p
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


-- == releases: what a mapping and a membership are checked against

-- Whether a retired release may be discarded here: a shared staging database. Set by the first publication alone.
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
BEGIN
    DELETE FROM procver.release r
    WHERE r.id = forget_release.release AND (forget_release.trial OR (r.activated_at IS NULL AND r.heard_until IS NULL));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the release was used meanwhile' USING ERRCODE = 'PV001';
    END IF;
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

-- Whether the caller is a member of the role, or of the registry's owner. A role that does not exist has no members.
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
