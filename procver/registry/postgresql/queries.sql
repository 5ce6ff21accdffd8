-- Every statement of the registry. Each takes one JSON document, $1.

-- name: upgrades
SELECT max(number) FROM procver.upgrade WHERE $1::jsonb IS NOT NULL

-- name: project
SELECT p.id, p.dialect, p.default_schema, p.generation + coalesce(l.generation, 0), p.last_release, p.trials,
       p.generation, l.lanes
FROM procver.project p
LEFT JOIN LATERAL (SELECT sum(l.generation)::bigint AS generation, json_object_agg(l.number, l.generation) AS lanes
                   FROM procver.lane l WHERE l.project_id = p.id) l ON true
WHERE p.name = $1::jsonb ->> 'project'

-- name: versions
SELECT v.name, v.number, v.id, v.kind, v.fingerprint, v.shape, v.source_digest, v.schema, v.leaf, v.physical, v.state,
       v.condemned_at, v.quarantined_at, v.requires, s.id IS NOT NULL AS found, coalesce(s.moved, false)
FROM procver.version v
JOIN procver.project p ON p.id = v.project_id
LEFT JOIN procver.standing((SELECT o.id FROM procver.project o WHERE o.name = $1::jsonb ->> 'project')) s ON s.id = v.id
WHERE p.name = $1::jsonb ->> 'project'

-- name: releases
SELECT r.name, r.id, r.number, r.content, r.published_at, r.published_by, r.activated_at, r.retired_at, r.heard_until,
       coalesce(r.default_schema, p.default_schema)
FROM procver.release r
JOIN procver.project p ON p.id = r.project_id
WHERE p.name = $1::jsonb ->> 'project'
ORDER BY r.number

-- name: instances
SELECT i.name, i.release_id, i.declared_at, i.last_seen_at, i.left_at, i.returned_at
FROM procver.instance i
JOIN procver.project p ON p.id = i.project_id
WHERE p.name = $1::jsonb ->> 'project'
ORDER BY i.name, i.release_id

-- name: channels
SELECT c.name, c.release_id, c.changed_at, c.changed_by
FROM procver.channel c
JOIN procver.project p ON p.id = c.project_id
WHERE p.name = $1::jsonb ->> 'project'
ORDER BY c.name

-- name: memberships
SELECT m.version_id, m.since, m.until
FROM procver.membership m
JOIN procver.project p ON p.id = m.project_id
WHERE p.name = $1::jsonb ->> 'project'

-- name: now
SELECT now() WHERE $1::jsonb IS NOT NULL

-- name: taken
-- Physical names that exist in the catalog, and for a routine each overload. Needs no registry: publish asks before it
-- makes one.
SELECT x.schema, x.leaf, t.what, t.part
FROM jsonb_to_recordset($1::jsonb -> 'names') AS x(schema text, leaf text, routine boolean)
JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
CROSS JOIN LATERAL (
    SELECT 'routine' AS what, '(' || pg_catalog.oidvectortypes(c.proargtypes) || ')' AS part FROM pg_catalog.pg_proc c
    WHERE x.routine AND c.proname = x.leaf AND c.pronamespace = n.oid
    UNION
    SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                          WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' ELSE 'relation' END, ''
    FROM pg_catalog.pg_class c
    WHERE NOT x.routine AND c.relname = x.leaf AND c.relnamespace = n.oid
    UNION
    SELECT 'type', '' FROM pg_catalog.pg_type c
    WHERE NOT x.routine AND c.typname = x.leaf AND c.typnamespace = n.oid AND c.typrelid = 0
) t

-- name: parts
-- Parts of versions in the catalog: a row for each overload, or one for a relation.
SELECT p.id, p.schema, p.leaf, p.part
FROM procver.parts((
    SELECT jsonb_agg(jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind, 'id', v.id))
    FROM procver.version v
    WHERE v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)), false) p

-- name: strangers
-- Of versions: objects that carry their names and are not their own, another object in the place of one or an overload made by hand, as
-- type and identity; and the parts that are lost.
WITH asked AS MATERIALIZED (
    SELECT v.id, v.schema, v.leaf, v.kind IN ('function', 'procedure') AS routine, v.identity, n.oid AS namespace
    FROM procver.version v
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = v.schema
    WHERE v.state <> 'dropped' AND v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)
), own AS MATERIALIZED (
    SELECT o.id, o.objid, o.part
    FROM procver.own((SELECT p.id FROM procver.project p WHERE p.name = $1::jsonb ->> 'project')) o
), there AS (
    SELECT a.id, 'pg_catalog.pg_proc'::regclass::oid AS classid, c.oid AS objid
    FROM asked a JOIN pg_catalog.pg_proc c ON c.proname = a.leaf AND c.pronamespace = a.namespace
    WHERE a.routine
    UNION ALL
    SELECT a.id, 'pg_catalog.pg_class'::regclass::oid, c.oid
    FROM asked a JOIN pg_catalog.pg_class c ON c.relname = a.leaf AND c.relnamespace = a.namespace
    WHERE NOT a.routine
    UNION ALL
    SELECT a.id, 'pg_catalog.pg_type'::regclass::oid, c.oid
    FROM asked a JOIN pg_catalog.pg_type c ON c.typname = a.leaf AND c.typnamespace = a.namespace AND c.typrelid = 0
    WHERE NOT a.routine
)
SELECT t.id, i.type, CASE t.classid WHEN 'pg_catalog.pg_proc'::regclass THEN t.objid::regprocedure::text ELSE i.identity END
FROM there t
CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.classid, t.objid, 0) i
WHERE i.identity IS NOT NULL AND NOT EXISTS (SELECT FROM own o WHERE o.id = t.id AND o.objid = t.objid)
UNION ALL
SELECT a.id, NULL, k.part
FROM asked a CROSS JOIN LATERAL unnest(a.identity) k
WHERE NOT EXISTS (SELECT FROM own o WHERE o.id = a.id AND o.part = k.part)
ORDER BY 1, 2, 3

-- name: recognise
-- Versions that were found by their digests, as after a dump, are found by their OIDs from now on.
UPDATE procver.version v
SET identity = ARRAY(
    SELECT CASE WHEN n.objid IS NULL OR n.objid = k.objid THEN k ELSE n END
    FROM unnest(v.identity) k LEFT JOIN unnest(l.identity) n ON n.part = k.part)
FROM procver.looks((
    SELECT jsonb_agg(jsonb_build_object('schema', x.schema, 'leaf', x.leaf, 'kind', x.kind, 'id', x.id)) FROM procver.version x
    WHERE x.state <> 'dropped' AND x.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e))) l
WHERE v.id = l.id

-- name: owners
-- Which project published what has these physical names, and as what.
SELECT DISTINCT p.name, v.name, v.number
FROM jsonb_to_recordset($1::jsonb -> 'names') AS x(schema text, leaf text)
JOIN procver.version v ON v.schema = x.schema AND v.leaf = x.leaf AND v.state <> 'dropped'
JOIN procver.project p ON p.id = v.project_id

-- name: overloads
-- Routines that carry logical names, each with the types of its arguments, but for trigger functions: nothing calls them by name.
-- Needs no registry.
SELECT x.schema, x.leaf, i.type, p.oid::regprocedure::text,
       ARRAY(SELECT format_type(t.oid, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS t(oid, place) ORDER BY t.place)
FROM jsonb_to_recordset($1::jsonb -> 'names') AS x(schema text, leaf text)
JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
JOIN pg_catalog.pg_proc p ON p.proname = x.leaf AND p.pronamespace = n.oid
CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_proc'::regclass, p.oid, 0) i
WHERE p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
ORDER BY 4

-- name: missing_schemas
SELECT DISTINCT x.schema
FROM jsonb_to_recordset($1::jsonb -> 'names') AS x(schema text)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = x.schema)

-- name: missing_roles
SELECT r FROM jsonb_array_elements_text($1::jsonb -> 'roles') r
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles x WHERE x.rolname = r)

-- name: unsettable
-- Owners that new versions are to have, of objects in the catalog or by name, and that this login cannot give them. Needs no registry.
WITH login AS (
    SELECT r.rolname, r.rolsuper, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END AS right
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
), asked AS (
    SELECT x.at, x.schema, x.role
    FROM jsonb_to_recordset($1::jsonb -> 'owners') AS x(at int, schema text, role text)
    WHERE x.role IS NOT NULL
    UNION
    SELECT x.at, x.schema, pg_get_userbyid(o.owner)
    FROM jsonb_to_recordset($1::jsonb -> 'owners') AS x(at int, schema text, "like" text, routine boolean)
    JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
    CROSS JOIN LATERAL (
        SELECT p.proowner AS owner FROM pg_catalog.pg_proc p
        WHERE x.routine AND p.pronamespace = n.oid AND p.proname = x."like"
        UNION ALL
        SELECT c.relowner FROM pg_catalog.pg_class c
        WHERE NOT x.routine AND c.relnamespace = n.oid AND c.relname = x."like" AND c.relkind IN ('v', 'm')
    ) o
)
SELECT a.at,
       CASE WHEN r.oid IS NULL THEN 'missing' WHEN NOT pg_has_role(r.oid, 'MEMBER') THEN 'member'
            WHEN NOT pg_has_role(r.oid, l.right) THEN 'set' ELSE 'create' END,
       quote_ident(a.role), quote_ident(l.rolname), quote_ident(a.schema)
FROM asked a CROSS JOIN login l
LEFT JOIN pg_catalog.pg_roles r ON r.rolname = a.role
WHERE a.role <> l.rolname
AND (r.oid IS NULL OR NOT l.rolsuper AND NOT (pg_has_role(r.oid, l.right)
    AND has_schema_privilege(r.oid, (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = a.schema), 'CREATE')))
ORDER BY a.at

-- name: unsettable_kept
-- The same of owners that the registry keeps; those that no longer exist are passed over.
WITH login AS (
    SELECT r.rolname, r.rolsuper, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END AS right
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
)
SELECT DISTINCT x.at,
       CASE WHEN NOT pg_has_role(r.oid, 'MEMBER') THEN 'member' WHEN NOT pg_has_role(r.oid, l.right) THEN 'set' ELSE 'create' END,
       quote_ident(r.rolname), quote_ident(l.rolname), quote_ident(x.schema)
FROM jsonb_to_recordset($1::jsonb -> 'owners') AS x(at int, schema text, kept bigint)
JOIN procver.version v ON v.id = x.kept
CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(v.privileges) WHEN 'array' THEN v.privileges END) g
CROSS JOIN login l
JOIN pg_catalog.pg_roles r ON r.rolname = g ->> 'owner' AND r.rolname <> l.rolname
WHERE NOT l.rolsuper AND NOT (pg_has_role(r.oid, l.right)
    AND has_schema_privilege(r.oid, (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = x.schema), 'CREATE'))
ORDER BY 1

-- name: signatures
-- PostgreSQL signs nothing.
SELECT NULL, NULL, NULL WHERE $1::text IS NULL

-- name: unmanaged_namesakes
-- Objects that carry the logical name itself: what the team had before procver, whose grants the first version takes over.
SELECT DISTINCT p.schema, p.leaf, p.kind FROM procver.parts($1::jsonb -> 'names', false) p

-- name: definitions
SELECT v.id, v.definition, v.privileges, v.kind, v.schema, v.leaf, v.physical, v.name, v.number, v.source_path,
       v.seal, v.privileges IS NULL OR coalesce(v.privileges_seal = procver.seal_of(v.project_id, v.name, v.number, v.privileges), false)
FROM procver.version v
WHERE v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)

-- name: drops
-- How to drop each version, one row per overload; the catalog knows the argument types. Who does not own it, and not its
-- schema either, goes through the registry's owner. What is there under its name and is not its own stays.
SELECT p.id, CASE WHEN pg_has_role(p.owner, 'USAGE') OR pg_has_role(n.nspowner, 'USAGE')
                  THEN format('DROP %s %I.%I', upper(replace(p.kind, '_', ' ')), p.schema, p.leaf)
                       || CASE p.part WHEN '' THEN '' ELSE '(' || a.arguments || ')' END
                  ELSE format('SELECT procver.drop_part(%s, %L)', p.id, coalesce(a.arguments, '')) END
FROM procver.parts((
    SELECT jsonb_agg(jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind, 'id', v.id))
    FROM procver.version v
    WHERE v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)), false) p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schema
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.part <> '' THEN pg_catalog.pg_get_function_identity_arguments(p.objid) END AS arguments) a

-- name: dependents
-- Objects in the catalog that hold on to a version and that are no version of the same project, nor a part of one: an index, a trigger, a
-- rule or a default of one of its views.
WITH asked AS MATERIALIZED (
    SELECT v.id, v.project_id FROM procver.version v
    WHERE v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)
), own AS MATERIALIZED (
    SELECT o.id, p.project_id, o.objid, o.kind IN ('function', 'procedure') AS routine
    FROM (SELECT DISTINCT project_id FROM asked) p
    CROSS JOIN LATERAL procver.own(p.project_id) o
), ours AS MATERIALIZED (
    SELECT o.id, o.project_id, CASE WHEN o.routine THEN 'pg_catalog.pg_proc' ELSE 'pg_catalog.pg_class' END::regclass::oid AS classid, o.objid
    FROM own o
    UNION ALL  -- a view's row type, and the array of that
    SELECT o.id, o.project_id, 'pg_catalog.pg_type'::regclass::oid, t.objid
    FROM own o
    JOIN pg_catalog.pg_type r ON r.typrelid = o.objid
    CROSS JOIN LATERAL (VALUES (r.oid), (r.typarray)) t(objid)
    WHERE NOT o.routine AND t.objid <> 0
), target AS MATERIALIZED (
    SELECT o.* FROM ours o WHERE o.id IN (SELECT id FROM asked)
), holder AS MATERIALIZED (  -- a view holds on to something through its rule
    SELECT t.id, t.project_id, coalesce(r.ev_class, f.adrelid, g.tgrelid, i.indrelid, p.polrelid, nullif(c.conrelid, 0)) AS container,
           CASE WHEN r.rulename = '_RETURN' THEN r.ev_class ELSE d.objid END AS objid,
           CASE WHEN r.rulename = '_RETURN' THEN 'pg_catalog.pg_class'::regclass::oid ELSE d.classid END AS classid,
           CASE WHEN r.rulename = '_RETURN' THEN 0 ELSE d.objsubid END AS objsubid
    FROM target t
    JOIN pg_catalog.pg_depend d ON d.refclassid = t.classid AND d.refobjid = t.objid AND d.deptype = 'n'
    LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND f.oid = d.objid
    LEFT JOIN pg_catalog.pg_trigger g ON d.classid = 'pg_catalog.pg_trigger'::regclass AND g.oid = d.objid
    LEFT JOIN pg_catalog.pg_index i ON d.classid = 'pg_catalog.pg_class'::regclass AND i.indexrelid = d.objid
    LEFT JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = d.objid
    LEFT JOIN pg_catalog.pg_constraint c ON d.classid = 'pg_catalog.pg_constraint'::regclass AND c.oid = d.objid
)
SELECT DISTINCT h.id, pg_catalog.pg_describe_object(h.classid, h.objid, h.objsubid)
FROM holder h
WHERE NOT EXISTS (SELECT FROM ours o WHERE o.project_id = h.project_id AND o.classid = h.classid AND o.objid = h.objid)
  AND NOT EXISTS (SELECT FROM ours o
                  WHERE o.project_id = h.project_id AND o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = h.container)

-- name: texts
-- Texts in which a version may be named that pg_depend knows nothing of: bodies, and strings in any expression. Not of versions of the
-- same projects, and what belongs to these, nor of extensions and the system.
WITH asked AS MATERIALIZED (
    SELECT DISTINCT v.project_id FROM procver.version v
    WHERE v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)
), ours AS MATERIALIZED (
    SELECT o.objid, o.kind IN ('function', 'procedure') AS routine FROM asked a CROSS JOIN LATERAL procver.own(a.project_id) o
), place AS MATERIALIZED (
    SELECT n.oid FROM pg_catalog.pg_namespace n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'procver', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'
), relation AS MATERIALIZED (
    SELECT c.oid, c.relkind FROM pg_catalog.pg_class c
    JOIN place n ON n.oid = c.relnamespace
    WHERE c.oid NOT IN (SELECT o.objid FROM ours o WHERE NOT o.routine)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), found AS (
    SELECT 'pg_catalog.pg_proc'::regclass AS classid, p.oid AS objid, concat_ws(' ', p.prosrc, pg_catalog.pg_get_function_sqlbody(p.oid),
        pg_catalog.pg_get_expr(p.proargdefaults, 0), p.proconfig::text) AS said
    FROM pg_catalog.pg_proc p
    JOIN place n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('internal', 'c') AND p.oid NOT IN (SELECT o.objid FROM ours o WHERE o.routine)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, r.oid, pg_catalog.pg_get_viewdef(r.oid) FROM relation r WHERE r.relkind IN ('v', 'm')
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::regclass, p.oid, concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_catalog.pg_policy p JOIN relation r ON r.oid = p.polrelid
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, a.oid, pg_catalog.pg_get_expr(a.adbin, a.adrelid)
    FROM pg_catalog.pg_attrdef a JOIN relation r ON r.oid = a.adrelid
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, c.oid, pg_catalog.pg_get_constraintdef(c.oid)
    FROM pg_catalog.pg_constraint c JOIN place n ON n.oid = c.connamespace WHERE c.contype = 'c'
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM pg_catalog.pg_index i JOIN relation r ON r.oid = i.indrelid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, g.oid, pg_catalog.pg_get_triggerdef(g.oid)
    FROM pg_catalog.pg_trigger g JOIN relation r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::regclass, w.oid, pg_catalog.pg_get_ruledef(w.oid)
    FROM pg_catalog.pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
)
SELECT pg_catalog.pg_describe_object(f.classid, f.objid, 0), f.said FROM found f WHERE f.said <> ''
UNION ALL
SELECT 'the settings of ' || coalesce('role ' || r.rolname, 'database ' || d.datname), s.setconfig::text
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = 0 OR d.datname = current_database()
UNION ALL  -- of pg_cron, where this role may read its table
SELECT 'a job of pg_cron', pg_catalog.query_to_xml('SELECT j.command FROM cron.job j', false, false, '')::text
WHERE EXISTS (
    SELECT FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_cron'
    WHERE n.nspname = 'cron' AND c.relname = 'job' AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'))

-- name: table_texts
-- pg_depend tracks them.
SELECT NULL, NULL WHERE $1::text IS NULL

-- name: usage
-- When versions were called, by the server's counters and earlier samples. A row without an id is a remark.
SELECT c.version_id, c.called_since, c.last_called_at, NULL
FROM procver.calls c
WHERE c.last_called_at IS NOT NULL AND c.version_id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)
UNION ALL
SELECT NULL, NULL, NULL, 'calls of functions are not counted here: track_functions is none'
WHERE current_setting('track_functions') = 'none'
  AND NOT EXISTS (SELECT FROM procver.calls c
                  JOIN procver.project p ON p.id = c.project_id
                  WHERE p.name = $1::jsonb ->> 'project' AND c.calls > 0)

-- name: sample
SELECT procver.sample($1::jsonb ->> 'project')

-- name: catalog
-- Versions as the catalog holds them now, beside their state right after creation. A definition is as it was if each part is, by
-- what is stored (renaming a column that a view reads changes how it reads, and nothing else) or by how it reads (a dump
-- keeps that). Another major version of the server may put the same definition into other words: nothing is compared then.
WITH item AS MATERIALIZED (
    SELECT v.id, v.schema, v.leaf, v.kind, v.digest, v.identity,
           CASE WHEN v.privileges_seal = procver.seal_of(v.project_id, v.name, v.number, v.privileges) THEN v.privileges END AS privileges
    FROM procver.version v
    WHERE v.id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)
), work AS MATERIALIZED (
    SELECT coalesce(jsonb_agg(jsonb_build_object('schema', schema, 'leaf', leaf, 'kind', kind, 'id', id)), '[]') AS work FROM item
)
SELECT i.id, i.digest,
       CASE WHEN EXISTS (
           SELECT FROM unnest(i.identity) k
           JOIN unnest(c.identity) n ON n.objid = k.objid OR n.part = k.part
           WHERE n.local <> k.local AND n.digest <> k.digest AND split_part(n.digest, ':', 1) = split_part(k.digest, ':', 1))
            THEN 'altered, ' || c.digest WHEN c.digest IS NOT NULL THEN i.digest END,
       i.privileges, c.privileges
FROM item i
LEFT JOIN procver.looks((SELECT work FROM work)) c ON c.id = i.id

-- name: enter_project
INSERT INTO procver.project (name, default_schema, trials)
SELECT $1::jsonb ->> 'project', $1::jsonb ->> 'default_schema', ($1::jsonb ->> 'trials')::boolean
ON CONFLICT (name) DO NOTHING

-- name: hold
SELECT set_config('lock_timeout', $1::jsonb ->> 'queue_timeout', true), procver.require_plain(),
       procver.hold(($1::jsonb ->> 'project_id')::int, ($1::jsonb ->> 'expected')::bigint),
       set_config('lock_timeout', $1::jsonb ->> 'lock_timeout', true),
       set_config('procver.search_path', $1::jsonb ->> 'search_path', true),
       set_config('client_min_messages', 'warning', true)

-- name: hold_lane
SELECT set_config('lock_timeout', $1::jsonb ->> 'queue_timeout', true), procver.require_plain(),
       procver.hold_lane(($1::jsonb ->> 'project_id')::int, ($1::jsonb ->> 'expected')::bigint,
                         ($1::jsonb ->> 'lane')::int, ($1::jsonb ->> 'in_lane')::bigint),
       set_config('lock_timeout', $1::jsonb ->> 'lock_timeout', true),
       set_config('procver.search_path', $1::jsonb ->> 'search_path', true),
       set_config('client_min_messages', 'warning', true)

-- name: carry
SELECT procver.carry($1::jsonb)

-- name: add_versions
-- Ids ascend in the order of creation: that is how the members of a cycle are dropped and come back.
WITH item AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset($1::json) AS (
        project_id int, name text, kind text, number int, fingerprint text, shape text, source_digest text, source_path text,
        schema text, leaf text, physical text, definition json, seal text, requires json)) WITH ORDINALITY AS x(
        project_id, name, kind, number, fingerprint, shape, source_digest, source_path,
        schema, leaf, physical, definition, seal, requires, place)
), work AS MATERIALIZED (
    SELECT jsonb_agg(jsonb_build_object('schema', schema, 'leaf', leaf, 'kind', kind)) AS work FROM item
), written AS (
    INSERT INTO procver.version (project_id, name, kind, number, fingerprint, shape, source_digest, source_path, schema, leaf,
                                 physical, definition, seal, requires, state, digest, privileges,
                                 privileges_seal, identity)
    SELECT i.project_id, i.name, i.kind, i.number, i.fingerprint, i.shape, i.source_digest, i.source_path,
           i.schema, i.leaf, i.physical, i.definition, i.seal, i.requires, 'present',
           c.digest, c.privileges, procver.seal_of(i.project_id, i.name, i.number, c.privileges), c.identity
    FROM item i
    LEFT JOIN procver.looks((SELECT work FROM work)) c ON c.schema = i.schema AND c.leaf = i.leaf
    ORDER BY i.place
    ON CONFLICT (project_id, name, number) DO UPDATE
    SET state = 'present', condemned_at = NULL, quarantined_at = NULL, dropped_at = NULL, digest = excluded.digest, privileges = excluded.privileges,
        privileges_seal = excluded.privileges_seal, identity = excluded.identity
    RETURNING 1
)
SELECT procver.require_rows('version', (SELECT count(*) FROM item), (SELECT count(*) FROM written))

-- name: require_present
SELECT procver.require_present(($1::jsonb ->> 'project_id')::int, $1::jsonb -> 'versions')

-- name: add_release
WITH project AS (
    UPDATE procver.project SET last_release = ($1::jsonb ->> 'number')::bigint
    WHERE id = ($1::jsonb ->> 'project_id')::int
    RETURNING 1
), wanted AS MATERIALIZED (
    SELECT v.id
    FROM jsonb_to_recordset($1::jsonb -> 'added') AS x(name text, number int)
    JOIN procver.version v ON v.project_id = ($1::jsonb ->> 'project_id')::int AND v.name = x.name AND v.number = x.number
), closed AS (
    UPDATE procver.membership m SET until = ($1::jsonb ->> 'number')::bigint
    WHERE m.until IS NULL AND m.version_id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'removed') e)
    RETURNING 1
), opened AS (
    INSERT INTO procver.membership (project_id, version_id, since)
    SELECT ($1::jsonb ->> 'project_id')::int, w.id, ($1::jsonb ->> 'number')::bigint FROM wanted w
    RETURNING 1
)
SELECT procver.require_rows('project', 1, (SELECT count(*) FROM project)),
       procver.require_rows('membership', jsonb_array_length($1::jsonb -> 'added'), (SELECT count(*) FROM opened)),
       procver.require_rows('membership', jsonb_array_length($1::jsonb -> 'removed'), (SELECT count(*) FROM closed))

-- name: insert_release
-- One that is replaced stays the same row: what is known of its life is not lost.
WITH written AS (
    INSERT INTO procver.release (project_id, name, number, content, default_schema)
    VALUES (($1::jsonb ->> 'project_id')::int, $1::jsonb ->> 'release', ($1::jsonb ->> 'number')::bigint, $1::jsonb ->> 'content',
            $1::jsonb ->> 'default_schema')
    ON CONFLICT (project_id, name) DO UPDATE
    SET number = excluded.number, content = excluded.content, default_schema = excluded.default_schema,
        published_at = clock_timestamp(), published_by = session_user
    RETURNING 1
)
SELECT procver.require_rows('release', 1, (SELECT count(*) FROM written))

-- name: activate
WITH written AS (
    UPDATE procver.release SET activated_at = coalesce(activated_at, clock_timestamp()), retired_at = NULL
    WHERE id = ($1::jsonb ->> 'release_id')::bigint
    RETURNING 1
)
SELECT procver.require_rows('release', 1, (SELECT count(*) FROM written))

-- name: spare
SELECT procver.spare(ARRAY(SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e))

-- name: retire
WITH written AS (
    UPDATE procver.release SET retired_at = clock_timestamp()
    WHERE id = ($1::jsonb ->> 'release_id')::bigint
    RETURNING 1
)
SELECT procver.require_rows('release', 1, (SELECT count(*) FROM written))

-- name: place_instance
-- Declares an instance to be on a release, and on no other.
WITH about AS (
    SELECT ($1::jsonb ->> 'project_id')::int AS project_id, $1::jsonb ->> 'instance' AS name,
           ($1::jsonb ->> 'release_id')::bigint AS release_id
), forgotten AS (
    DELETE FROM procver.instance i USING about a
    WHERE i.project_id = a.project_id AND i.name = a.name AND i.release_id <> a.release_id
      AND (i.last_seen_at IS NULL OR i.left_at IS NOT NULL)
), undeclared AS (
    UPDATE procver.instance i SET declared_at = NULL FROM about a
    WHERE i.project_id = a.project_id AND i.name = a.name AND i.release_id <> a.release_id
      AND i.last_seen_at IS NOT NULL AND i.left_at IS NULL
), written AS (
    INSERT INTO procver.instance (project_id, name, release_id, declared_at)
    SELECT a.project_id, a.name, a.release_id, clock_timestamp() FROM about a
    ON CONFLICT (project_id, name, release_id) DO UPDATE SET declared_at = excluded.declared_at
    RETURNING 1
)
SELECT procver.require_rows('instance', 1, (SELECT count(*) FROM written))

-- name: remove_instance
-- Takes the declaration back; one that is no longer heard from is forgotten.
WITH about AS MATERIALIZED (
    SELECT i.project_id, i.name, i.release_id, ($1::jsonb ->> 'beats')::boolean AS beats
    FROM procver.instance i
    WHERE i.project_id = ($1::jsonb ->> 'project_id')::int AND i.name = $1::jsonb ->> 'instance'
      AND i.release_id = ($1::jsonb ->> 'release_id')::bigint
), forgotten AS (
    DELETE FROM procver.instance i USING about a
    WHERE i.project_id = a.project_id AND i.name = a.name AND i.release_id = a.release_id AND NOT a.beats
    RETURNING 1
), undeclared AS (
    UPDATE procver.instance i SET declared_at = NULL FROM about a
    WHERE i.project_id = a.project_id AND i.name = a.name AND i.release_id = a.release_id AND a.beats
    RETURNING 1
)
SELECT procver.require_rows('instance', (SELECT count(*) FROM about),
                            (SELECT count(*) FROM forgotten) + (SELECT count(*) FROM undeclared))

-- name: point_channel
WITH written AS (
    INSERT INTO procver.channel (project_id, name, release_id)
    VALUES (($1::jsonb ->> 'project_id')::int, $1::jsonb ->> 'channel', ($1::jsonb ->> 'release_id')::bigint)
    ON CONFLICT (project_id, name) DO UPDATE
    SET release_id = excluded.release_id, changed_at = clock_timestamp(), changed_by = session_user
    RETURNING 1
)
SELECT procver.require_rows('channel', 1, (SELECT count(*) FROM written))

-- name: remove_channel
WITH gone AS (
    DELETE FROM procver.channel
    WHERE project_id = ($1::jsonb ->> 'project_id')::int AND name = $1::jsonb ->> 'channel'
    RETURNING 1
)
SELECT procver.require_rows('channel', 1, (SELECT count(*) FROM gone))

-- name: require_silence
SELECT procver.require_silence(($1::jsonb ->> 'project_id')::int, make_interval(secs => ($1::jsonb ->> 'idle')::double precision),
                               ARRAY(SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'heard') e))

-- name: discard_release
SELECT procver.forget_release(($1::jsonb ->> 'release_id')::bigint, ($1::jsonb ->> 'trial')::boolean)

-- name: forget_versions
-- Only for `release discard`: the numbers become free in this database.
WITH written AS (
    DELETE FROM procver.version WHERE id IN (SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e)
    RETURNING 1
)
SELECT procver.require_rows('version', jsonb_array_length($1::jsonb -> 'ids'), (SELECT count(*) FROM written))

-- name: condemn
SELECT procver.condemn(ARRAY(SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e))

-- name: quarantine
SELECT procver.quarantine(ARRAY(SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e))

-- name: keep_privileges
-- Right before drops.
SELECT procver.keep_privileges(ARRAY(SELECT e::bigint FROM jsonb_array_elements_text($1::jsonb -> 'ids') e))

-- name: keep_signatures
-- PostgreSQL signs nothing.
SELECT NULL WHERE $1::text IS NULL

-- name: drop_versions
-- Beside their DROPs.
SELECT procver.drop_versions($1::json)

-- name: log
SELECT procver.log(($1::jsonb ->> 'project_id')::int, $1::jsonb ->> 'action', $1::jsonb ->> 'subject', $1::jsonb -> 'detail')

-- name: defer_checks
-- For routines that call each other in a cycle: their bodies can be checked only once all of them are there.
SELECT pg_catalog.set_config('check_function_bodies', CASE WHEN pg_catalog.jsonb_extract_path_text($1::pg_catalog.jsonb, 'defer')::pg_catalog.bool
                                                          THEN 'off' ELSE 'on' END, true)

-- name: commit_lightly
-- The commit need not wait for the disk. Commits reach it in order, so one that waits carries all before it.
SELECT set_config('synchronous_commit', 'off', true) WHERE $1::jsonb IS NOT NULL

-- name: check_bodies
-- Runs where definitions do, under the project's search_path: so are the names in bodies looked up.
SELECT CASE WHEN l.lanname OPERATOR(pg_catalog.=) 'sql' THEN pg_catalog.fmgr_sql_validator(p.objid)
            WHEN l.lanname OPERATOR(pg_catalog.=) 'plpgsql' THEN pg_catalog.plpgsql_validator(p.objid) END
FROM procver.parts($1::pg_catalog.jsonb, false) p, pg_catalog.pg_proc c, pg_catalog.pg_language l
WHERE c.oid OPERATOR(pg_catalog.=) p.objid AND l.oid OPERATOR(pg_catalog.=) c.prolang AND p.part OPERATOR(pg_catalog.<>) ''

-- name: execute
-- Runs under the project's search_path.
SELECT procver.execute($1::pg_catalog.json)

-- name: events
-- The audit trail, newest first: what fits all that is asked for, at most "limit" events, older than the one "before".
-- "release" also finds what names it in its detail, "object" what names it among its versions.
SELECT e.at, e.actor, e.client, e.action, e.subject, e.detail, e.id
FROM procver.event e
CROSS JOIN LATERAL (SELECT $1::jsonb AS a) q
WHERE e.project_id = (SELECT p.id FROM procver.project p WHERE p.name = $1::jsonb ->> 'project')
  AND (a ->> 'since' IS NULL OR e.at >= (a ->> 'since' || 'Z')::timestamptz)
  AND (a ->> 'until' IS NULL OR e.at < (a ->> 'until' || 'Z')::timestamptz)
  AND (a ->> 'since_ago' IS NULL OR e.at >= now() - make_interval(secs => (a ->> 'since_ago')::float8))
  AND (a ->> 'until_ago' IS NULL OR e.at < now() - make_interval(secs => (a ->> 'until_ago')::float8))
  AND (a ->> 'actor' IS NULL OR e.actor = a ->> 'actor')
  AND (a -> 'actions' IS NULL OR a -> 'actions' ? e.action)
  AND (a ->> 'object' IS NULL OR e.subject = a ->> 'object'
       OR e.detail @> jsonb_build_object('versions', jsonb_build_array(a ->> 'object')))
  AND (a ->> 'release' IS NULL OR (e.subject = a ->> 'release' AND NOT a -> 'others' ? e.action)
       OR e.detail @> jsonb_build_object('release', a ->> 'release'))
  AND (a ->> 'before' IS NULL OR e.id < (a ->> 'before')::bigint)
ORDER BY e.id DESC
LIMIT ($1::jsonb ->> 'limit')::bigint

-- name: forget_instances
SELECT procver.forget_instances(($1::jsonb ->> 'project_id')::int, make_interval(secs => ($1::jsonb ->> 'idle')::float8))

-- name: note_collection
SELECT procver.note_collection(x.project_id, x.dropped, x.condemned, x.kept)
FROM jsonb_to_record($1::jsonb) AS x(project_id int, dropped int, condemned int, kept int)

-- name: last_collection
SELECT c.at, c.actor, c.client, c.dropped, c.condemned, c.kept
FROM procver.collection c
JOIN procver.project p ON p.id = c.project_id
WHERE p.name = $1::jsonb ->> 'project'

-- name: tally
-- Versions by state; and of those that are there, how many nothing needs, and which has been so for longest, since when.
-- Needed is what the releases with the numbers "roots" map to, what "pins" names, and all that these require.
WITH RECURSIVE mine AS MATERIALIZED (
    SELECT v.id, v.state, v.physical, v.created_at FROM procver.version v WHERE v.project_id = ($1::jsonb ->> 'project_id')::int
), root AS MATERIALIZED (
    SELECT e::bigint AS number FROM jsonb_array_elements_text($1::jsonb -> 'roots') e
), needed AS (
    SELECT m.version_id AS id FROM procver.membership m
    WHERE m.project_id = ($1::jsonb ->> 'project_id')::int
      AND EXISTS (SELECT FROM root r WHERE m.since <= r.number AND (m.until IS NULL OR m.until > r.number))
    UNION
    SELECT v.id FROM mine v WHERE $1::jsonb -> 'pins' ? v.physical
    UNION
    SELECT d.requires_id FROM needed n JOIN procver.dependency d ON d.version_id = n.id
), span AS MATERIALIZED (  -- many versions share one
    SELECT s.since, s.until, max(coalesce(r.retired_at, r.published_at)) AS ended
    FROM (SELECT DISTINCT m.since, m.until FROM procver.membership m WHERE m.project_id = ($1::jsonb ->> 'project_id')::int) s
    JOIN procver.release r ON r.project_id = ($1::jsonb ->> 'project_id')::int AND r.number >= s.since
                          AND (s.until IS NULL OR r.number < s.until)
    GROUP BY s.since, s.until
), unneeded AS MATERIALIZED (
    SELECT v.physical, greatest(v.created_at, max(s.ended)) AS since
    FROM mine v
    LEFT JOIN procver.membership m ON m.version_id = v.id
    LEFT JOIN span s ON s.since = m.since AND s.until IS NOT DISTINCT FROM m.until
    WHERE v.state <> 'dropped' AND NOT EXISTS (SELECT FROM needed n WHERE n.id = v.id)
    GROUP BY v.id, v.physical, v.created_at
)
SELECT (SELECT count(*) FROM mine WHERE state = 'present'), (SELECT count(*) FROM mine WHERE state = 'condemned'),
       (SELECT count(*) FROM mine WHERE state = 'dropped'), (SELECT count(*) FROM unneeded), o.physical, o.since
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT * FROM unneeded u ORDER BY u.since, u.physical LIMIT 1) o ON true

-- name: exposures
-- Rights that are wider than they need be: schemas in which definitions are looked up and others may create; whose functions a
-- superuser has just executed; whether logins may report for the project's instances that nobody named for it.
SELECT 'schema', x.schema, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END
FROM jsonb_array_elements_text($1::jsonb -> 'schemas') AS x(schema)
JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner AND r.rolsuper IS NOT TRUE AND r.rolname IS DISTINCT FROM current_user
  AND a.grantee NOT IN (SELECT o.nspowner FROM pg_catalog.pg_namespace o WHERE o.nspname = 'procver')
UNION ALL
SELECT 'registry', n.nspname, o.rolname
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner
JOIN pg_catalog.pg_roles me ON me.rolname = current_user
WHERE n.nspname = 'procver' AND me.rolsuper AND NOT o.rolsuper
UNION ALL
SELECT 'heartbeats', p.name, NULL
FROM procver.project p
WHERE p.name = $1::jsonb ->> 'project' AND p.app_role IS NULL
  AND EXISTS (SELECT FROM pg_catalog.pg_proc f
              CROSS JOIN LATERAL pg_catalog.aclexplode(f.proacl) a
              WHERE f.pronamespace = 'procver'::regnamespace AND f.proname = 'beat' AND a.grantee <> f.proowner)
ORDER BY 1, 2, 3
