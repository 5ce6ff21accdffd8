-- Rights, ownership and releases: what registry 1 left unguarded.

-- == rights: data written by one role is never executed by a more privileged one


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
-- `x::text = ANY ((ARRAY['a'::varchar])::text[])`.
CREATE FUNCTION procver.portable(definition text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT pg_catalog.translate(pg_catalog.regexp_replace(definition,
        '::(?:"[^"]*"|\w+)(?:\.(?:"[^"]*"|\w+))?(?: varying| precision)?(?:\(\d+(?:,\d+)?\))?(?: with(?:out)? time zone)?(?:\[\])*',
        '', 'g'), E'() \n', '')
$$;

-- What a catalog holds of managed objects: [{"schema", "leaf", "kind"}] in, one row per overload or relation out. With the
-- "id" of a version, only what is its own. The grants are those in force: "never granted" and "granted by default" read alike.
-- Every setting that changes how an expression is deparsed is pinned.
ALTER FUNCTION procver.parts(jsonb) RENAME TO former_parts;
CREATE FUNCTION procver.parts(work jsonb)
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
               i.major || to_hex(hashtextextended(concat_ws('|', p.prosrc, procver.portable(pg_get_function_sqlbody(p.oid)),
                   procver.portable(pg_get_expr(p.proargdefaults, 0)), l.lanname, p.prokind, p.prosecdef, p.proleakproof,
                   p.proisstrict, p.proretset, p.provolatile, p.proparallel, p.procost, p.prorows, p.proconfig::text,
                   format_type(p.prorettype, NULL), p.proargnames::text, p.proargmodes::text) COLLATE "C", 0)) AS digest,
               i.id, p.prokind AS sort, p.proargtypes AS types,
               hashtextextended(concat_ws('|', format_type(p.prorettype, NULL), p.proretset, p.proargnames::text,
                   p.proargmodes::text) COLLATE "C", 0) AS signature,
               hashtextextended(concat_ws('|', p.prosrc, p.prosqlbody::text, p.proargdefaults::text, p.prolang, p.prokind,
                   p.prosecdef, p.proleakproof, p.proisstrict, p.proretset, p.provolatile, p.proparallel, p.procost, p.prorows,
                   p.proconfig::text, p.prorettype, p.proargnames::text, p.proargmodes::text) COLLATE "C", 0) AS local,
               i.identity, i.major
        FROM item i
        JOIN pg_catalog.pg_proc p ON p.proname = i.leaf AND p.pronamespace = i.namespace
        JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE (i.kind = 'procedure' AND p.prokind = 'p') OR (i.kind = 'function' AND p.prokind IN ('f', 'w'))
        UNION ALL
        SELECT i.schema, i.leaf, i.kind, c.oid, '', c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)),
               i.major || to_hex(hashtextextended(concat_ws('|', c.relkind, o.options, a.columns,
                   procver.portable(pg_get_viewdef(c.oid))) COLLATE "C", 0)),
               i.id, c.relkind, '', hashtextextended(a.columns COLLATE "C", 0),
               hashtextextended(concat_ws('|', c.oid, c.relkind, o.options, a.names, r.ev_action::text) COLLATE "C", 0),
               i.identity, i.major
        FROM item i
        JOIN pg_catalog.pg_class c ON c.relname = i.leaf AND c.relnamespace = i.namespace
        LEFT JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
        CROSS JOIN LATERAL (
            SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum) AS columns,
                   string_agg(a.attname, ',' ORDER BY a.attnum) AS names
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
        ) a
        CROSS JOIN LATERAL (SELECT string_agg(o, ',' ORDER BY o) AS options FROM unnest(c.reloptions) o) o
        WHERE i.kind IN ('view', 'materialized_view') AND c.relkind = CASE i.kind WHEN 'view' THEN 'v' ELSE 'm' END::"char"
    )
    SELECT f.schema, f.leaf, f.kind, f.objid, f.part, f.owner, f.acl, f.digest, f.id, f.sort, f.types, f.signature, f.local
    FROM found f
    WHERE f.id IS NULL OR EXISTS (
        SELECT FROM unnest(f.identity) k
        WHERE k.sort = f.sort
          AND (k.objid = f.objid AND (k.part = f.part OR k.types = f.types)
               OR k.part = f.part AND (k.digest = f.digest
                                       OR k.signature = f.signature AND NOT starts_with(k.digest, f.major))))
$$;

-- What the registry holds of versions that were there before: their identity is filled where the catalog's object has the digest that
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
           q.view AND split_part(i.digest, ':', 1)::bigint < 'procver.version'::regclass::oid::bigint AS older
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

-- What the catalog says of objects: a digest of their definition; owner, grants and comments as data, which `procver.grant_as` puts
-- back; and what `procver.version.identity` keeps.
DROP FUNCTION procver.looks(jsonb);
CREATE FUNCTION procver.looks(work jsonb)
RETURNS TABLE (schema text, leaf text, digest text, privileges jsonb, id bigint, identity procver.part[])
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH part AS MATERIALIZED (
        SELECT p.*, d.description FROM procver.parts(work) p
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
-- `expected` is how many a version has; `moved` says that not all were found by their OIDs.
CREATE FUNCTION procver.own(project int)
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
        WHERE v.project_id = own.project AND v.state <> 'dropped'
    ), doubtful AS MATERIALIZED (
        SELECT DISTINCT p.id, p.schema, p.leaf, p.kind, p.expected FROM part p WHERE p.objid IS NULL
    )
    SELECT p.id, p.kind, p.part, p.objid, p.expected, false
    FROM part p WHERE NOT EXISTS (SELECT FROM doubtful d WHERE d.id = p.id)
    UNION ALL
    SELECT p.id, p.kind, p.part, p.objid, d.expected, true
    FROM procver.parts((
        SELECT jsonb_agg(jsonb_build_object('schema', d.schema, 'leaf', d.leaf, 'kind', d.kind, 'id', d.id)) FROM doubtful d)) p
    JOIN doubtful d ON d.id = p.id
$$;

-- The versions of a project of which every part is there.
CREATE FUNCTION procver.standing(project int) RETURNS TABLE (id bigint, moved boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT o.id, bool_or(o.moved)
    FROM procver.own(standing.project) o GROUP BY o.id, o.expected HAVING count(*) = o.expected
$$;

-- For an app that starts: which of the versions in its mapping ([{"at", "schema", "leaf"}]) are not wholly there, of those that were
-- published here. Anybody may execute it: it tells nothing that the catalog does not, and compares what it is given with names.
CREATE FUNCTION procver.lacking(wanted json) RETURNS TABLE (place int)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH item AS MATERIALIZED (
        SELECT w."at", v.id, v.project_id
        FROM json_to_recordset(wanted) AS w("at" int, schema text, leaf text)
        JOIN procver.version v ON v.schema = w.schema AND v.leaf = w.leaf
    ), standing AS MATERIALIZED (
        SELECT s.id FROM (SELECT DISTINCT i.project_id FROM item i) p CROSS JOIN LATERAL procver.standing(p.project_id) s
    )
    SELECT i."at" FROM item i LEFT JOIN standing s ON s.id = i.id GROUP BY i."at" HAVING count(s.id) = 0
$$;

-- The last look before a release is recorded: every version of it ([{"name", "number", "physical"}]) must be in the catalog.
DROP FUNCTION procver.require_present(jsonb);
CREATE FUNCTION procver.require_present(project int, versions jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    SELECT string_agg(x.physical, ', ') INTO missing
    FROM jsonb_to_recordset(versions) AS x(name text, number int, physical text)
    LEFT JOIN procver.version v ON v.project_id = require_present.project AND v.name = x.name AND v.number = x.number
    LEFT JOIN procver.standing(require_present.project) s ON s.id = v.id
    WHERE s.id IS NULL;
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
            USING ERRCODE = 'PV006', HINT = format('a trigger on procver.%s keeps them out: drop it, then run the same command again', written);
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
            USING ERRCODE = 'PV006', HINT = format('DROP RULE %I ON procver.%I, then run the same command again', rule.rulename, rule.relname);
    END IF;
END $$;

-- Drops one part of a version that is condemned or was marked as dropped just now, as the registry's owner: a role that may collect need
-- not own what it collects. The arguments are only compared, never executed.
CREATE OR REPLACE FUNCTION procver.drop_part(version bigint, arguments text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    statement text;
BEGIN
    SELECT format('DROP %s %s', upper(replace(p.kind, '_', ' ')),
                  CASE p.part WHEN '' THEN format('%I.%I', p.schema, p.leaf)
                              ELSE format('%I.%I(%s)', p.schema, p.leaf, pg_get_function_identity_arguments(p.objid)) END)
    INTO statement
    FROM procver.version v
    CROSS JOIN LATERAL procver.parts(jsonb_build_array(
        jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind, 'id', v.id))) p
    WHERE v.id = drop_part.version AND v.state <> 'present'
      AND (p.part = '' OR pg_get_function_identity_arguments(p.objid) = arguments);
    IF statement IS NULL THEN
        RAISE EXCEPTION 'permission denied to drop version %: it is not condemned', version USING ERRCODE = '42501';
    END IF;
    EXECUTE statement;
END $$;

-- == releases: what a mapping and a membership are checked against


-- == instances: who may report for which project
