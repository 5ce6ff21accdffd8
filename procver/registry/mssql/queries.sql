-- Every statement of the registry. Each takes one JSON document, its only parameter. A name with a server in brackets
-- is for that server alone; a statement may have two names. Columns whose name ends with _json come back as data.
-- JSON inside JSON is taken out by JSON_QUERY: of OPENJSON's own columns "AS JSON" Babelfish hands on 4,000 characters.

-- name: upgrades
DECLARE @a nvarchar(max) = ?;
SELECT MAX(number) FROM procver.upgrade WHERE @a IS NOT NULL

-- name: project
-- Holds the row until the read is over: writers of the project wait, so all that is read is of one generation.
DECLARE @a nvarchar(max) = ?;
SELECT id, dialect, default_schema, generation, last_release, trials
FROM procver.project WITH (ROWLOCK, HOLDLOCK)
WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2

-- name: versions
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT id FROM procver.project WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2);
SELECT name, number, v.id, kind, fingerprint, shape, source_digest, [schema], leaf, physical, state, condemned_at, quarantined_at,
       requires AS requires_json, CAST(COALESCE(o.id, 0) AS bit) AS there, CAST(COALESCE(moved, 0) AS bit) AS moved
FROM procver.version AS v
LEFT JOIN procver.own(@project) AS o ON o.id = v.id
WHERE project_id = @project

-- name: releases
DECLARE @a nvarchar(max) = ?;
SELECT r.name, r.id, number, content, published_at, published_by, activated_at, retired_at, heard_until,
       COALESCE(r.default_schema, p.default_schema) AS default_schema
FROM procver.release AS r
JOIN procver.project AS p ON p.id = project_id
WHERE p.name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2
ORDER BY number

-- name: instances
DECLARE @a nvarchar(max) = ?;
SELECT name, release_id, declared_at, last_seen_at, left_at, returned_at
FROM procver.instance
WHERE project_id = (SELECT id FROM procver.project WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2)
ORDER BY name, release_id

-- name: channels
DECLARE @a nvarchar(max) = ?;
SELECT name, release_id, changed_at, changed_by
FROM procver.channel
WHERE project_id = (SELECT id FROM procver.project WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2)
ORDER BY name

-- name: memberships
DECLARE @a nvarchar(max) = ?;
SELECT version_id, since, until
FROM procver.membership
WHERE project_id = (SELECT id FROM procver.project WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2)

-- name: now
DECLARE @a nvarchar(max) = ?;
SELECT CAST(SYSUTCDATETIME() AS datetime2(6)) WHERE @a IS NOT NULL

-- name: taken
-- Which of the physical names exist in the catalog. Needs no registry: publish asks before it makes one.
DECLARE @a nvarchar(max) = ?;
SELECT [schema], leaf, LOWER(REPLACE(type_desc, '_', ' ')), ''
FROM OPENJSON(@a, '$.names') WITH ([schema] nvarchar(128), leaf nvarchar(128))
JOIN sys.objects ON object_id = OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf)))
UNION ALL
SELECT [schema], leaf, 'type', ''
FROM OPENJSON(@a, '$.names') WITH ([schema] nvarchar(128), leaf nvarchar(128), routine bit)
WHERE routine = 0 AND TYPE_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) IS NOT NULL
      AND OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) IS NULL

-- name: parts
-- Versions that the catalog has; the last column is for dialects with overloads.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT MIN(project_id) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
SELECT v.id, [schema], leaf, ''
FROM procver.version AS v
JOIN procver.own(@project) AS o ON o.id = v.id
WHERE v.id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids'))

-- name: strangers
-- Objects that carry the name of a version and are not its own, as kind and name.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT id FROM procver.project WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2);
SELECT v.id, CASE RTRIM(x.type) WHEN 'P' THEN 'procedure' WHEN 'V' THEN 'view' WHEN 'FN' THEN 'function' WHEN 'IF' THEN 'function'
                                WHEN 'TF' THEN 'function' WHEN 'U' THEN 'table' ELSE LOWER(REPLACE(x.type_desc, '_', ' ')) END, physical
FROM procver.version AS v
JOIN procver.presence ON version_id = v.id
JOIN sys.objects AS x ON x.object_id = found_id
WHERE state <> 'dropped' AND kind <> 'table_type' AND v.id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids'))
  AND v.id NOT IN (SELECT o.id FROM procver.own(@project) AS o)
UNION ALL
SELECT v.id, 'table type', physical
FROM procver.version AS v
JOIN procver.presence ON version_id = v.id
WHERE state <> 'dropped' AND kind = 'table_type' AND found_id IS NOT NULL AND v.id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids'))
  AND v.id NOT IN (SELECT o.id FROM procver.own(@project) AS o)

-- name: recognise
-- Versions that were found by their digests are found by their ids from now on.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT MIN(project_id) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
UPDATE v SET catalog_id = o.found_id
FROM procver.version AS v
JOIN procver.own(@project) AS o ON o.id = v.id
WHERE moved = 1 AND v.id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids'))

-- name: owners
-- Which project published what has these physical names, and as what.
DECLARE @a nvarchar(max) = ?;
SELECT DISTINCT p.name, v.name, v.number
FROM OPENJSON(@a, '$.names') WITH ([schema] nvarchar(128), leaf nvarchar(128)) x
JOIN procver.version v ON v.[schema] = x.[schema] AND v.leaf = x.leaf AND v.state <> 'dropped'
JOIN procver.project p ON p.id = v.project_id

-- name: overloads
-- T-SQL knows none.

-- name: missing_schemas
DECLARE @a nvarchar(max) = ?;
SELECT DISTINCT [schema]
FROM OPENJSON(@a, '$.names') WITH ([schema] nvarchar(128))
WHERE SCHEMA_ID([schema]) IS NULL

-- name: missing_roles
DECLARE @a nvarchar(max) = ?;
SELECT e.value FROM OPENJSON(@a, '$.roles') e WHERE e.value <> N'public' AND DATABASE_PRINCIPAL_ID(CAST(e.value AS nvarchar(128))) IS NULL

-- name: unsettable (sqlserver)
-- Owners that new versions are to have, of objects in the catalog or by name, and that this login cannot give them. Needs no registry.
DECLARE @a nvarchar(max) = ?;
SELECT a.at,
       CASE WHEN p.principal_id IS NULL THEN 'principal' WHEN p.type = 'R' THEN 'alter' ELSE 'impersonate' END,
       QUOTENAME(COALESCE(p.name, a.role)), QUOTENAME(USER_NAME()), QUOTENAME(a.[schema])
FROM (
    SELECT x.at, x.[schema], x.role
    FROM OPENJSON(@a, '$.owners') WITH (at int, [schema] nvarchar(128), role nvarchar(128)) x WHERE x.role IS NOT NULL
    UNION ALL
    SELECT x.at, x.[schema], USER_NAME(o.principal_id)
    FROM OPENJSON(@a, '$.owners') WITH (at int, [schema] nvarchar(128), [like] nvarchar(128)) x
    JOIN sys.objects o ON o.object_id = OBJECT_ID(QUOTENAME(x.[schema]) + N'.' + QUOTENAME(x.[like])) AND o.principal_id IS NOT NULL
) a
LEFT JOIN sys.database_principals p ON p.principal_id = DATABASE_PRINCIPAL_ID(a.role)
WHERE p.principal_id IS NULL
OR p.principal_id <> DATABASE_PRINCIPAL_ID() AND CASE
    WHEN p.type = 'R' THEN CASE WHEN IS_MEMBER(p.name) = 1 OR HAS_PERMS_BY_NAME(QUOTENAME(p.name), 'ROLE', 'ALTER') = 1 THEN 1 ELSE 0 END
    ELSE COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(p.name), 'USER', 'IMPERSONATE'), 1) END = 0
ORDER BY a.at

-- name: unsettable (babelfish)
-- Babelfish changes no owner.

-- name: unsettable_kept
-- An owner that the registry keeps is passed over where it cannot be given.

-- name: signatures (sqlserver)
-- By what objects are signed: how to sign another one, as text with {name} in it. Needs no registry.
DECLARE @a nvarchar(max) = ?;
SELECT x.[schema], x.leaf,
       N'ADD ' + CASE WHEN LEFT(s.crypt_type, 1) = 'C' THEN N'COUNTER ' ELSE N'' END + N'SIGNATURE TO {name} BY '
       + COALESCE(N'CERTIFICATE ' + QUOTENAME(c.name), N'ASYMMETRIC KEY ' + QUOTENAME(k.name), N'the same certificate or key')
FROM OPENJSON(@a, '$.names') WITH ([schema] nvarchar(128), leaf nvarchar(128)) x
JOIN sys.crypt_properties s ON s.class = 1 AND s.major_id = OBJECT_ID(QUOTENAME(x.[schema]) + N'.' + QUOTENAME(x.leaf))
LEFT JOIN sys.certificates c ON c.thumbprint = s.thumbprint
LEFT JOIN sys.asymmetric_keys k ON k.thumbprint = s.thumbprint

-- name: signatures (babelfish)
-- Babelfish signs nothing.

-- name: unmanaged_namesakes
-- Objects that carry the logical name itself: what the team had before procver, whose grants the first version takes over.
DECLARE @a nvarchar(max) = ?;
DECLARE @names nvarchar(max) = JSON_QUERY(@a, '$.names');
SELECT DISTINCT [schema], leaf, kind FROM procver.parts(@names)

-- name: definitions
DECLARE @a nvarchar(max) = ?;
SELECT v.id, v.definition AS definition_json, v.privileges AS privileges_json, v.kind, v.[schema], v.leaf, v.physical, v.name, v.number,
       v.source_path, v.seal, CASE WHEN v.privileges IS NULL OR v.privileges_seal = procver.seal_of(v.project_id, v.number, v.name, v.privileges) THEN 1 ELSE 0 END AS sealed
FROM procver.version AS v
WHERE v.id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids'))

-- name: drops
-- How to drop each version that the catalog still has. The INSTEAD OF triggers that its source made come before a view:
-- SQL Server would drop them with it, Babelfish refuses to drop the view. What has a version's name and is not its own stays.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT MIN(project_id) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
SELECT q.id, q.sql FROM (
SELECT v.id, 1 AS place, N'DROP TRIGGER ' + QUOTENAME(v.[schema]) + N'.' + QUOTENAME(o.name) AS sql
FROM procver.own(@project) w
JOIN procver.version v ON v.id = w.id
JOIN sys.objects o ON o.parent_object_id = w.found_id AND RTRIM(o.type) = 'TR'
WHERE v.kind = 'view' AND CHARINDEX(LOWER(o.name) COLLATE Latin1_General_100_BIN2, LOWER(v.definition)) > 0
  AND v.id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.ids') e)
UNION ALL
SELECT v.id, 2,
       N'DROP ' + CASE v.kind WHEN 'procedure' THEN N'PROCEDURE ' WHEN 'view' THEN N'VIEW '
                              WHEN 'function' THEN N'FUNCTION ' ELSE N'TYPE ' END
       + QUOTENAME(v.[schema]) + N'.' + QUOTENAME(v.leaf)
FROM procver.own(@project) w
JOIN procver.version v ON v.id = w.id
WHERE v.id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.ids') e)
) q
ORDER BY q.id, q.place

-- name: dependents (sqlserver)
-- What in the database holds on to a version and is no version of the same project, by the catalog. A row without an id says
-- what could not be known.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT MIN(project_id) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
DECLARE @managed TABLE (object_id int NOT NULL PRIMARY KEY);
DECLARE @target TABLE (id bigint NOT NULL PRIMARY KEY, class tinyint NOT NULL, major_id int NOT NULL,
                       [schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, made nvarchar(max) NULL);
INSERT @target
SELECT v.id, CASE v.kind WHEN 'table_type' THEN 6 ELSE 1 END, w.found_id, v.[schema], v.leaf,
       CASE v.kind WHEN 'view' THEN LOWER(v.definition) END
FROM procver.own(@project) w JOIN procver.version v ON v.id = w.id;
INSERT @managed SELECT t.major_id FROM @target t WHERE t.class = 1;
DELETE FROM @target WHERE id NOT IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.ids') e);
-- To read this view takes a grant of its own (manual, "sys.sql_expression_dependencies").
DECLARE @blind bit = CASE HAS_PERMS_BY_NAME(N'sys.sql_expression_dependencies', N'OBJECT', N'SELECT') WHEN 0 THEN 1 ELSE 0 END;
DECLARE @user TABLE (id bigint NOT NULL, object_id int NOT NULL);
IF @blind = 0
    INSERT @user
    SELECT t.id, d.referencing_id
    FROM @target t
    JOIN sys.sql_expression_dependencies d ON d.referenced_class = t.class AND d.referenced_id = t.major_id
    WHERE d.referencing_class = 1
    UNION
    SELECT t.id, d.referencing_id
    FROM @target t
    JOIN sys.sql_expression_dependencies d
      ON d.referenced_entity_name COLLATE DATABASE_DEFAULT = t.leaf COLLATE DATABASE_DEFAULT
    WHERE d.referencing_class = 1 AND d.referenced_id IS NULL AND d.referenced_server_name IS NULL
      AND COALESCE(d.referenced_database_name, DB_NAME()) COLLATE DATABASE_DEFAULT = DB_NAME() COLLATE DATABASE_DEFAULT
      AND COALESCE(d.referenced_schema_name, t.[schema]) COLLATE DATABASE_DEFAULT = t.[schema] COLLATE DATABASE_DEFAULT
    OPTION (RECOMPILE);  -- or it would search all dependencies for each version
INSERT @user
SELECT t.id, a.object_id
FROM @target t JOIN sys.parameters a ON t.class = 6 AND a.user_type_id = t.major_id
UNION
SELECT t.id, s.object_id
FROM @target t JOIN sys.synonyms s ON t.class = 1 AND OBJECT_ID(s.base_object_name) = t.major_id
UNION
SELECT t.id, q.object_id
FROM @target t JOIN sys.service_queues q ON t.class = 1 AND OBJECT_ID(q.activation_procedure) = t.major_id;
SELECT u.id, LOWER(REPLACE(o.type_desc, '_', ' ')) COLLATE DATABASE_DEFAULT + N' '
             + COALESCE(SCHEMA_NAME(o.schema_id) COLLATE DATABASE_DEFAULT + N'.', N'') + o.name COLLATE DATABASE_DEFAULT
             + COALESCE(N' on ' + OBJECT_NAME(NULLIF(o.parent_object_id, 0)) COLLATE DATABASE_DEFAULT, N'')
FROM (SELECT DISTINCT id, object_id FROM @user) u
JOIN @target t ON t.id = u.id
JOIN sys.objects o ON o.object_id = u.object_id
WHERE o.object_id NOT IN (SELECT object_id FROM @managed)
  AND COALESCE(SCHEMA_NAME(o.schema_id), N'') <> N'procver' AND o.is_ms_shipped = 0
  AND NOT (t.class = 1 AND (o.object_id = t.major_id
                            OR (o.parent_object_id = t.major_id AND CHARINDEX(LOWER(o.name) COLLATE Latin1_General_100_BIN2, COALESCE(t.made, N'')) > 0)))
UNION ALL
SELECT NULL, N'this login may not see all of the database: VIEW DEFINITION on it is missing'
WHERE COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'VIEW DEFINITION'), 0) = 0
UNION ALL
SELECT NULL, N'this login may not see what depends on what: SELECT on sys.sql_expression_dependencies is missing'
WHERE @blind = 1

-- name: dependents (babelfish)
-- Babelfish keeps no sys.sql_expression_dependencies. What its PostgreSQL tracks (a view that reads a view), it refuses to drop.

-- name: texts
-- What has a text and is neither a version of the same projects nor a trigger that the source of one made on it: dynamic SQL is
-- in there. A trigger of the database is no object. What has taken a version's name does not mention that version by its own name.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT MIN(project_id) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
DECLARE @managed TABLE (object_id int NOT NULL PRIMARY KEY, id bigint NOT NULL);
INSERT @managed SELECT w.found_id, w.id
FROM procver.own(@project) w JOIN procver.version v ON v.id = w.id WHERE v.kind <> 'table_type';
SELECT LOWER(REPLACE(o.type_desc, N'_', N' ')) COLLATE DATABASE_DEFAULT + N' '
       + COALESCE(SCHEMA_NAME(o.schema_id) COLLATE DATABASE_DEFAULT + N'.', N'') + o.name COLLATE DATABASE_DEFAULT
       + COALESCE(N' on ' + OBJECT_NAME(NULLIF(o.parent_object_id, 0)) COLLATE DATABASE_DEFAULT, N''), CASE WHEN s.leaf IS NULL THEN m.definition ELSE REPLACE(m.definition, s.leaf, N'') END
FROM sys.sql_modules m
JOIN sys.objects o ON o.object_id = m.object_id
LEFT JOIN (SELECT w.found_id, v.leaf FROM procver.version v JOIN procver.presence w ON w.version_id = v.id
           WHERE v.project_id = @project AND v.state <> 'dropped' AND v.kind <> 'table_type') s ON s.found_id = m.object_id
WHERE m.definition IS NOT NULL AND m.object_id NOT IN (SELECT object_id FROM @managed)
  AND COALESCE(SCHEMA_NAME(o.schema_id), N'') <> N'procver' AND o.is_ms_shipped = 0
  AND NOT EXISTS (SELECT 1 FROM @managed g JOIN procver.version v ON v.id = g.id
                  WHERE g.object_id = o.parent_object_id AND v.kind = 'view'
                    AND CHARINDEX(LOWER(o.name) COLLATE Latin1_General_100_BIN2, LOWER(v.definition) COLLATE Latin1_General_100_BIN2) > 0)
UNION ALL
SELECT N'database trigger ' + g.name COLLATE DATABASE_DEFAULT, m.definition
FROM sys.triggers g
JOIN sys.sql_modules m ON m.object_id = g.object_id
WHERE g.parent_class = 0 AND g.is_ms_shipped = 0 AND m.definition IS NOT NULL

-- name: table_texts (sqlserver)
-- The catalog tracks them.

-- name: table_texts (babelfish)
-- The checks, defaults and computed columns of tables, which no catalog tracks there. Its PostgreSQL has those of all databases in
-- one catalog; of a table that others are dropping the definition cannot be told, so it is asked for our own alone.
DECLARE @a nvarchar(max) = ?;
SELECT LOWER(REPLACE(type_desc, N'_', N' ')) + N' ' + COALESCE(SCHEMA_NAME(schema_id) + N'.', N'') + name, text
FROM (SELECT conrelid AS id, CASE WHEN contype = 'c' AND OBJECT_NAME(conrelid) IS NOT NULL THEN pg_get_constraintdef(oid) END AS text
      FROM pg_catalog.pg_constraint
      UNION ALL
      SELECT adrelid, CASE WHEN OBJECT_NAME(adrelid) IS NOT NULL THEN pg_get_expr(adbin, adrelid) END FROM pg_catalog.pg_attrdef) AS x
JOIN sys.objects ON object_id = id
WHERE @a IS NOT NULL AND text IS NOT NULL AND COALESCE(SCHEMA_NAME(schema_id), N'') <> N'procver' AND is_ms_shipped = 0

-- name: usage, sample (sqlserver)
-- When versions were called, by the server's statistics of now and earlier samples; asked without ids, these become a sample. A row
-- without an id is a remark. A plan that was thrown away takes its statistics with it (manual, "sys.dm_exec_procedure_stats").
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
-- A login that may not see the statistics is told so below.
SET XACT_ABORT OFF;
DECLARE @now datetime2(6) = SYSUTCDATETIME(), @remark nvarchar(2000);
DECLARE @count TABLE (object_id int NOT NULL PRIMARY KEY, calls bigint NOT NULL, last_at datetime2(6) NOT NULL);
BEGIN TRY
    INSERT @count
    EXEC sys.sp_executesql N'
        SELECT s.object_id, SUM(s.execution_count), MAX(s.last_execution_time)
        FROM (SELECT object_id, execution_count, last_execution_time FROM sys.dm_exec_procedure_stats
              WHERE database_id = DB_ID()
              UNION ALL
              SELECT object_id, execution_count, last_execution_time FROM sys.dm_exec_function_stats
              WHERE database_id = DB_ID()) s
        GROUP BY s.object_id';
END TRY
BEGIN CATCH
    SET @remark = N'calls cannot be counted here: ' + ERROR_MESSAGE();
END CATCH;
-- The statistics are in the server's local time; its offset is a multiple of a quarter of an hour.
DECLARE @offset int = CAST(ROUND(DATEDIFF(second, SYSDATETIME(), SYSUTCDATETIME()) / 900.0, 0) AS int) * 900;
DECLARE @seen TABLE (version_id bigint NOT NULL PRIMARY KEY, calls bigint NULL, last_called_at datetime2(6) NULL);
INSERT @seen
SELECT v.id, c.calls,
       CASE WHEN c.last_at IS NULL OR u.last_called_at > DATEADD(second, @offset, c.last_at) THEN u.last_called_at
            ELSE DATEADD(second, @offset, c.last_at) END
FROM procver.version v
JOIN procver.project p ON p.id = v.project_id
LEFT JOIN procver.usage u ON u.version_id = v.id
LEFT JOIN @count c ON c.object_id = OBJECT_ID(QUOTENAME(v.[schema]) + N'.' + QUOTENAME(v.leaf))
WHERE p.name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2
  AND v.state <> 'dropped' AND v.kind IN ('procedure', 'function');
IF JSON_QUERY(@a, '$.ids') IS NULL
BEGIN
    DELETE FROM procver.usage
    WHERE version_id NOT IN (SELECT v.id FROM procver.version v WHERE v.state <> 'dropped');
    UPDATE u SET calls = s.calls, called_since = s.last_called_at, last_called_at = s.last_called_at, sampled_at = @now
    FROM procver.usage u
    JOIN @seen s ON s.version_id = u.version_id
    WHERE s.calls IS NOT NULL;
    INSERT procver.usage (version_id, source, calls, called_since, last_called_at, sampled_at)
    SELECT s.version_id, 'sys.dm_exec_procedure_stats', s.calls, s.last_called_at, s.last_called_at, @now
    FROM @seen s
    WHERE s.calls IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM procver.usage u WITH (UPDLOCK, HOLDLOCK) WHERE u.version_id = s.version_id);
END;
SELECT s.version_id, s.last_called_at AS called_since, s.last_called_at, NULL AS remark
FROM @seen s
WHERE s.last_called_at IS NOT NULL
  AND s.version_id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.ids') e)
UNION ALL
SELECT NULL, NULL, NULL, @remark WHERE @remark IS NOT NULL

-- name: usage, sample (babelfish)
-- The same on Babelfish, which has none of these views: by the counters of its PostgreSQL. One that differs from its sample tells
-- of calls since then, one that was set back too.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @now datetime2(6) = SYSUTCDATETIME();
DECLARE @seen TABLE (version_id bigint NOT NULL PRIMARY KEY, calls bigint NOT NULL, called_since datetime2(6) NULL,
                     last_called_at datetime2(6) NULL);
INSERT @seen
SELECT c.id, c.calls,
       CASE WHEN c.calls NOT IN (0, u.calls) THEN u.sampled_at ELSE u.called_since END,
       CASE WHEN c.calls NOT IN (0, u.calls) THEN @now ELSE u.last_called_at END
FROM (SELECT v.id,
             COALESCE(pg_catalog.pg_stat_get_function_calls(OBJECT_ID(QUOTENAME(v.[schema]) + N'.' + QUOTENAME(v.leaf))), 0) AS calls
      FROM procver.version v
      JOIN procver.project p ON p.id = v.project_id
      WHERE p.name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2
        AND v.state <> 'dropped' AND v.kind IN ('procedure', 'function')) c
LEFT JOIN procver.usage u ON u.version_id = c.id;
IF JSON_QUERY(@a, '$.ids') IS NULL
BEGIN
    DELETE FROM procver.usage
    WHERE version_id NOT IN (SELECT v.id FROM procver.version v WHERE v.state <> 'dropped');
    UPDATE u SET calls = s.calls, called_since = s.called_since, last_called_at = s.last_called_at, sampled_at = @now
    FROM procver.usage u
    JOIN @seen s ON s.version_id = u.version_id;
    INSERT procver.usage (version_id, source, calls, called_since, last_called_at, sampled_at)
    SELECT s.version_id, 'pg_stat_user_functions', s.calls, s.called_since, s.last_called_at, @now
    FROM @seen s
    WHERE NOT EXISTS (SELECT 1 FROM procver.usage u WHERE u.version_id = s.version_id);
END;
SELECT s.version_id, s.called_since, s.last_called_at, NULL AS remark
FROM @seen s
WHERE s.last_called_at IS NOT NULL
  AND s.version_id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.ids') e)
UNION ALL
SELECT NULL, NULL, NULL, N'calls are not counted here: track_functions is none'
WHERE pg_catalog.current_setting('track_functions') = N'none' AND NOT EXISTS (SELECT 1 FROM @seen s WHERE s.calls > 0)

-- name: catalog
-- Versions as the catalog holds them now, beside their state right after creation.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT MIN(project_id) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
DECLARE @work nvarchar(max) = (
    SELECT [schema], leaf, kind FROM procver.version AS v
    JOIN procver.own(@project) AS o ON o.id = v.id
    WHERE v.id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')) FOR JSON PATH);
SELECT id, v.digest, q.digest AS digest_now,
       CASE WHEN v.privileges_seal = procver.seal_of(v.project_id, v.number, v.name, v.privileges) THEN v.privileges END AS privileges_json,
       q.privileges AS now_json
FROM procver.version AS v
LEFT JOIN procver.looks(@work) AS q ON q.[schema] = v.[schema] AND q.leaf = v.leaf AND q.kind = v.kind
WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids'))

-- name: enter_project
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
INSERT procver.project (name, default_schema, trials)
SELECT JSON_VALUE(@a, '$.project'), JSON_VALUE(@a, '$.default_schema'), CASE JSON_VALUE(@a, '$.trials') WHEN N'true' THEN 1 ELSE 0 END
WHERE NOT EXISTS (SELECT 1 FROM procver.project p WITH (UPDLOCK, HOLDLOCK)
                  WHERE p.name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2)

-- name: carries (sqlserver)
-- Not worth a question.

-- name: carries (babelfish)
-- How many of these objects have grants, and how many extended properties there are: reading `carry` takes Babelfish seconds in
-- each session, and mostly there is nothing to carry.
DECLARE @a nvarchar(max) = ?;
SELECT COUNT(*), (SELECT COUNT(*) FROM sys.extended_properties)
FROM OPENJSON(@a) WITH ([schema] nvarchar(128), leaf nvarchar(128))
JOIN procver.acl ON id = OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf)))
WHERE cardinality(acl) > usual

-- name: carry
-- Owner and grants of new objects. Each item names its target {"schema", "leaf", "kind"} and where these come from: those kept of a "version", by its id, or "like" (an object to copy from), with the grants replaced by "exactly" ([[grantee, privilege,
-- grantable], ...]) where that is there. A new object has no grants, so only what is restored "wholly", after what follows its
-- definition, may have to lose some, and its owner. Principals that no longer exist, and those no one may grant to, are passed
-- over. The owner comes first: changing it takes all grants away (manual, "ALTER AUTHORIZATION"). What is "closed" is denied to
-- all as well, as a grant on its schema would open it again; Babelfish knows no DENY.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @damaged nvarchar(2000) = (
    SELECT MIN(v.physical) FROM OPENJSON(@a) j JOIN procver.version v ON v.id = CAST(JSON_VALUE(j.value, '$.version') AS bigint)
    WHERE v.privileges IS NOT NULL AND (v.privileges_seal IS NULL OR v.privileges_seal <> procver.seal_of(v.project_id, v.number, v.name, v.privileges)));
IF @damaged IS NOT NULL
BEGIN
    SET @damaged = CONCAT(N'the registry''s privileges of ', @damaged, N' are not those that procver read from the catalog');
    THROW 51006, @damaged, 1;
END;
DECLARE @denied nvarchar(max) = CASE WHEN SERVERPROPERTY('BabelfishVersion') IS NULL
    THEN N'[[null,"DENY EXECUTE",false],[null,"DENY SELECT",false],[null,"DENY INSERT",false],[null,"DENY UPDATE",false],'
         + N'[null,"DENY DELETE",false]]' END;
DECLARE @targets nvarchar(max) = (
    SELECT N'[' + STRING_AGG(JSON_QUERY(i.value, '$.target'), N',') + N']' FROM OPENJSON(@a) i);
DECLARE @likes nvarchar(max) = (
    SELECT N'[' + STRING_AGG(JSON_QUERY(i.value, '$.like'), N',') + N']' FROM OPENJSON(@a) i);
DECLARE @like TABLE ([schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, kind varchar(20) NOT NULL,
                     privileges nvarchar(max) NULL);
INSERT @like SELECT q.[schema], q.leaf, q.kind, q.privileges FROM procver.privileges(@likes) q;
DECLARE @item TABLE (thing nvarchar(600) NOT NULL, object_id int NOT NULL, type varchar(2) NOT NULL, owner int NULL,
                     own nvarchar(128) NULL, turn nvarchar(300) NULL, acl nvarchar(max) NULL, exactly int NOT NULL);
INSERT @item
SELECT p.thing, p.object_id, p.type, p.owner_id,
       JSON_VALUE(COALESCE(g.given, l.privileges), '$[0].own'),
       CASE WHEN i.wholly = 1 AND p.principal_id IS NOT NULL AND JSON_VALUE(g.given, '$[0].own') IS NULL THEN N'SCHEMA OWNER' END,
       COALESCE(CASE WHEN i.closed = 1 THEN @denied END, g.exactly, JSON_QUERY(COALESCE(g.given, l.privileges), '$[0].acl')),
       CASE WHEN g.exactly IS NULL THEN 0 ELSE 1 END
FROM OPENJSON(@a) j
CROSS APPLY (SELECT (SELECT v.privileges FROM procver.version v WHERE v.id = CAST(JSON_VALUE(j.value, '$.version') AS bigint)) AS given,
                    JSON_QUERY(j.value, '$.exactly') AS exactly) g
CROSS APPLY OPENJSON(j.value) WITH (
    [schema] nvarchar(128) '$.target.schema', leaf nvarchar(128) '$.target.leaf', kind varchar(20) '$.target.kind',
    like_schema nvarchar(128) '$.like.schema', like_leaf nvarchar(128) '$.like.leaf',
    like_kind varchar(20) '$.like.kind', wholly bit, closed bit) i
JOIN procver.parts(@targets) p ON p.[schema] = i.[schema] AND p.leaf = i.leaf AND p.kind = i.kind
LEFT JOIN @like l ON l.[schema] = i.like_schema AND l.leaf = i.like_leaf AND l.kind = i.like_kind;
UPDATE @item SET turn = QUOTENAME(own), owner = DATABASE_PRINCIPAL_ID(own)
WHERE DATABASE_PRINCIPAL_ID(own) IS NOT NULL AND DATABASE_PRINCIPAL_ID(own) <> owner;
DECLARE @sql nvarchar(max) = (
    SELECT STRING_AGG(CAST(N'ALTER AUTHORIZATION ON ' + i.thing + N' TO ' + i.turn AS nvarchar(max)), N'; ')
    FROM @item i WHERE i.turn IS NOT NULL);
IF @sql IS NOT NULL EXEC sys.sp_executesql @sql;
DECLARE @whole nvarchar(max) = (
    SELECT N'[' + STRING_AGG(JSON_QUERY(i.value, '$.target'), N',') + N']'
    FROM OPENJSON(@a) i WHERE JSON_VALUE(i.value, '$.wholly') = N'true');
-- Of a grant on a column both its own and its object's are taken back: Babelfish knows the first and does nothing.
SET @sql = (
    SELECT STRING_AGG(CAST(N'REVOKE ' + k.what + N' ON ' + k.thing + N' FROM ' + QUOTENAME(k.grantee) + N' CASCADE' AS nvarchar(max)), N'; ')
    FROM (SELECT DISTINCT p.thing, w.what,
                 CASE WHEN LEFT(e.value, 5) = N'[null' THEN N'public' ELSE JSON_VALUE(e.value, '$[0]') END
                 COLLATE DATABASE_DEFAULT AS grantee
          FROM procver.privileges(@whole) q
          JOIN procver.parts(@whole) p ON p.[schema] = q.[schema] AND p.leaf = q.leaf AND p.kind = q.kind
          CROSS APPLY OPENJSON(q.privileges, '$[0].acl') e
          CROSS APPLY (SELECT REPLACE(REPLACE(JSON_VALUE(e.value, '$[1]') COLLATE DATABASE_DEFAULT, N'DENY ', N''),
                                      N'REVOKE ', N'') AS what) y
          CROSS APPLY (SELECT y.what UNION SELECT LEFT(y.what, CHARINDEX(N' ([', y.what + N' ([') - 1)) w) k);
IF @sql IS NOT NULL EXEC sys.sp_executesql @sql;
SET @sql = (
    SELECT STRING_AGG(CAST(
               CASE WHEN g.verb = N'' THEN N'GRANT ' ELSE g.verb END + g.what + g.place + N' ON ' + g.thing
               + CASE g.verb WHEN N'REVOKE ' THEN N' FROM ' ELSE N' TO ' END + QUOTENAME(g.grantee)
               + CASE WHEN g.grantable = N'true' AND g.verb = N'' THEN N' WITH GRANT OPTION' ELSE N'' END AS nvarchar(max)), N'; ')
           WITHIN GROUP (ORDER BY CASE g.place WHEN N'' THEN 0 ELSE 1 END, CASE g.verb WHEN N'' THEN 0 ELSE 1 END)
    FROM (SELECT DISTINCT i.thing, i.object_id, i.owner, w.verb, w.place, w.grantee, w.grantable,
                 CASE i.exactly WHEN 1 THEN procver.grantable(i.type, w.what) ELSE w.what END AS what
          FROM @item i
          CROSS APPLY (
              SELECT y.grantee, y.grantable, y.verb, y.place,
                     SUBSTRING(y.said, LEN(y.verb + N'.'), LEN(y.said) - LEN(y.verb + N'.') - LEN(y.place) + 1) AS what
              FROM (SELECT z.grantee, z.grantable, z.said,
                           CASE WHEN LEFT(z.said, 5) = N'DENY ' THEN N'DENY '
                                WHEN LEFT(z.said, 7) = N'REVOKE ' THEN N'REVOKE ' ELSE N'' END AS verb,
                           CASE WHEN CHARINDEX(N' ([', z.said) = 0 THEN N''
                                ELSE SUBSTRING(z.said, CHARINDEX(N' ([', z.said), 300) END AS place
                    FROM (SELECT CASE WHEN LEFT(e.value, 5) = N'[null' THEN N'public' ELSE JSON_VALUE(e.value, '$[0]') END
                                     COLLATE DATABASE_DEFAULT AS grantee,
                                 JSON_VALUE(e.value, '$[1]') COLLATE DATABASE_DEFAULT AS said,
                                 JSON_VALUE(e.value, '$[2]') COLLATE DATABASE_DEFAULT AS grantable
                          FROM OPENJSON(i.acl) e) z) y) w) g
    WHERE procver.is_privilege(g.what) = 1
      AND (g.grantee = N'public'
           OR (g.grantee NOT IN (N'dbo', N'sys', N'INFORMATION_SCHEMA')
               AND DATABASE_PRINCIPAL_ID(g.grantee) NOT IN (COALESCE(g.owner, -1), DATABASE_PRINCIPAL_ID(USER_NAME()))))
      AND (g.place = N'' OR EXISTS (SELECT 1 FROM sys.columns c
                                    WHERE c.object_id = g.object_id
                                      AND N' (' + QUOTENAME(c.name) COLLATE DATABASE_DEFAULT + N')' = g.place)));
IF @sql IS NOT NULL EXEC sys.sp_executesql @sql

-- name: describe
-- Extended properties of the same items, after what follows the definition in the source: what that says has precedence, but
-- for what is restored "wholly", which gets exactly the properties it had.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @likes nvarchar(max) = (
    SELECT N'[' + STRING_AGG(JSON_QUERY(i.value, '$.like'), N',') + N']' FROM OPENJSON(@a) i);
DECLARE @targets nvarchar(max) = (
    SELECT N'[' + STRING_AGG(JSON_QUERY(i.value, '$.target'), N',') + N']' FROM OPENJSON(@a) i);
DECLARE @like TABLE ([schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, kind varchar(20) NOT NULL,
                     properties nvarchar(max) NULL);
INSERT @like SELECT q.[schema], q.leaf, q.kind, JSON_QUERY(q.privileges, '$[0].properties') FROM procver.privileges(@likes) q;
DECLARE @item TABLE ([schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, kind varchar(20) NOT NULL, wholly bit NOT NULL,
                     properties nvarchar(max) NULL);
INSERT @item
SELECT i.[schema], i.leaf, i.kind, COALESCE(i.wholly, 0), COALESCE((SELECT JSON_QUERY(v.privileges, '$[0].properties') FROM procver.version v
                                                              WHERE v.id = CAST(JSON_VALUE(j.value, '$.version') AS bigint)), l.properties)
FROM OPENJSON(@a) j
CROSS APPLY OPENJSON(j.value) WITH (
    [schema] nvarchar(128) '$.target.schema', leaf nvarchar(128) '$.target.leaf', kind varchar(20) '$.target.kind',
    like_schema nvarchar(128) '$.like.schema', like_leaf nvarchar(128) '$.like.leaf',
    like_kind varchar(20) '$.like.kind', wholly bit) i
LEFT JOIN @like l ON l.[schema] = i.like_schema AND l.leaf = i.like_leaf AND l.kind = i.like_kind;
-- "part" and "item" are COLUMN or PARAMETER and its name.
DECLARE @wanted TABLE ([schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, kind varchar(20) NOT NULL, wholly bit NOT NULL,
                       name nvarchar(128) NOT NULL, value nvarchar(4000) NULL, part nvarchar(20) NULL, item nvarchar(128) NULL);
INSERT @wanted
SELECT i.[schema], i.leaf, i.kind, i.wholly, JSON_VALUE(e.value, '$[0]'), JSON_VALUE(e.value, '$[1]'), JSON_VALUE(e.value, '$[2]'),
       JSON_VALUE(e.value, '$[3]')
FROM @item i
CROSS APPLY OPENJSON(i.properties) e;
DECLARE @there TABLE ([schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, kind varchar(20) NOT NULL,
                      name nvarchar(128) NOT NULL, value nvarchar(4000) NULL, part nvarchar(20) NULL, item nvarchar(128) NULL);
INSERT @there
SELECT p.[schema], p.leaf, p.kind, e.name, CAST(e.value AS nvarchar(4000)),
       CASE WHEN c.name IS NOT NULL THEN N'COLUMN' WHEN a.name IS NOT NULL THEN N'PARAMETER' END, COALESCE(c.name, a.name)
FROM procver.parts(@targets) p
JOIN sys.extended_properties e ON e.major_id = p.major_id AND (e.class = p.class OR (e.class = 2 AND p.class = 1))
LEFT JOIN sys.columns c ON e.class = 1 AND e.minor_id > 0 AND c.object_id = e.major_id AND c.column_id = e.minor_id
LEFT JOIN sys.all_parameters a ON e.class = 2 AND a.object_id = e.major_id AND a.parameter_id = e.minor_id;
DECLARE @change TABLE (id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, gone bit NOT NULL, [schema] nvarchar(128) NOT NULL,
                       kind nvarchar(20) NOT NULL, leaf nvarchar(128) NOT NULL, name nvarchar(128) NOT NULL,
                       value nvarchar(4000) NULL, part nvarchar(20) NULL, item nvarchar(128) NULL);
INSERT @change (gone, [schema], kind, leaf, name, part, item)
SELECT 1, h.[schema], h.kind, h.leaf, h.name, h.part, h.item
FROM @there h
JOIN @item i ON i.wholly = 1 AND i.[schema] = h.[schema] AND i.leaf = h.leaf AND i.kind = h.kind
WHERE NOT EXISTS (SELECT 1 FROM @wanted w
                  WHERE w.[schema] = h.[schema] AND w.leaf = h.leaf AND w.kind = h.kind
                    AND w.name = h.name AND COALESCE(w.item, N'') = COALESCE(h.item, N'')
                    AND COALESCE(w.value, N'') = COALESCE(h.value, N'') COLLATE Latin1_General_100_BIN2);
INSERT @change (gone, [schema], kind, leaf, name, value, part, item)
SELECT 0, w.[schema], w.kind, w.leaf, w.name, w.value, w.part, w.item
FROM @wanted w
JOIN procver.parts(@targets) p ON p.[schema] = w.[schema] AND p.leaf = w.leaf AND p.kind = w.kind
WHERE NOT EXISTS (SELECT 1 FROM @there h
                  WHERE h.[schema] = w.[schema] AND h.leaf = w.leaf AND h.kind = w.kind
                    AND h.name = w.name AND COALESCE(h.item, N'') = COALESCE(w.item, N'')
                    AND (w.wholly = 0 OR COALESCE(h.value, N'') = COALESCE(w.value, N'') COLLATE Latin1_General_100_BIN2))
  AND (w.part IS NULL
       OR (w.part = N'COLUMN' AND EXISTS (SELECT 1 FROM sys.columns c
                                          WHERE c.object_id = p.object_id AND c.name COLLATE DATABASE_DEFAULT = w.item))
       OR (w.part = N'PARAMETER' AND EXISTS (SELECT 1 FROM sys.all_parameters a
                                             WHERE a.object_id = p.object_id AND a.name COLLATE DATABASE_DEFAULT = w.item)));
DECLARE @id int = 0, @gone bit, @schema nvarchar(128), @kind nvarchar(20), @leaf nvarchar(128), @name nvarchar(128),
        @value nvarchar(4000), @part nvarchar(20), @of nvarchar(128);
WHILE 1 = 1
BEGIN
    SELECT TOP (1) @id = c.id, @gone = c.gone, @schema = c.[schema], @leaf = c.leaf, @name = c.name, @value = c.value, @part = c.part,
                   @of = c.item, @kind = CASE c.kind WHEN 'table_type' THEN N'TYPE' ELSE UPPER(c.kind) END
    FROM @change c WHERE c.id > @id ORDER BY c.id;
    IF @@ROWCOUNT = 0
        BREAK;
    IF @gone = 1
        EXEC sys.sp_dropextendedproperty @name, N'SCHEMA', @schema, @kind, @leaf, @part, @of;
    ELSE
        EXEC sys.sp_addextendedproperty @name, @value, N'SCHEMA', @schema, @kind, @leaf, @part, @of;
END

-- name: add_versions
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @item TABLE (
    definition nvarchar(max) NOT NULL, requires nvarchar(max) NOT NULL, project_id int NOT NULL,
    name nvarchar(540) COLLATE Latin1_General_100_BIN2 NOT NULL, kind varchar(20) NOT NULL, number int NOT NULL,
    fingerprint varchar(100) NOT NULL, shape varchar(100) NOT NULL, source_digest varchar(100) NOT NULL,
    source_path nvarchar(2000) NOT NULL, [schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL,
    physical nvarchar(540) NOT NULL, seal varchar(100) NOT NULL);
INSERT @item
SELECT JSON_QUERY(value, '$.definition'), JSON_QUERY(value, '$.requires'), project_id, name, kind, number, fingerprint, shape,
       source_digest, source_path, [schema], leaf, physical, seal
FROM OPENJSON(@a)
CROSS APPLY OPENJSON(value) WITH (
    project_id int, name nvarchar(540), kind varchar(20), number int, fingerprint varchar(100), shape varchar(100),
    source_digest varchar(100), source_path nvarchar(2000), [schema] nvarchar(128), leaf nvarchar(128),
    physical nvarchar(540), seal varchar(100));
DECLARE @work nvarchar(max) = (SELECT [schema], leaf, kind FROM @item FOR JSON PATH);
DECLARE @found TABLE (in_schema nvarchar(128) NOT NULL, called nvarchar(128) NOT NULL, sort varchar(20) NOT NULL,
                      digest varbinary(32) NULL, privileges nvarchar(max) NULL, PRIMARY KEY (called, in_schema, sort));
INSERT @found SELECT [schema], leaf, kind, digest, privileges FROM procver.looks(@work);
-- A CREATE without a schema goes where the login's default schema is.
DECLARE @missing nvarchar(540) = (
    SELECT MIN(physical) FROM @item LEFT JOIN @found ON in_schema = [schema] AND called = leaf AND sort = kind WHERE sort IS NULL);
IF @missing IS NOT NULL
BEGIN
    DECLARE @lost nvarchar(2000) = CONCAT(@missing,
        N' is not there after its CREATE: the default schema of this login is ', COALESCE(SCHEMA_NAME(), N'unknown'));
    THROW 51003, @lost, 1;
END;
UPDATE v SET state = 'present', condemned_at = NULL, quarantined_at = NULL, dropped_at = NULL, digest = f.digest, privileges = f.privileges,
       privileges_seal = procver.seal_of(v.project_id, v.number, v.name, f.privileges),
       catalog_id = CASE i.kind WHEN 'table_type' THEN TYPE_ID(CONCAT(QUOTENAME(i.[schema]), '.', QUOTENAME(i.leaf)))
                                 ELSE OBJECT_ID(CONCAT(QUOTENAME(i.[schema]), '.', QUOTENAME(i.leaf))) END
FROM procver.version AS v
JOIN @item AS i ON i.project_id = v.project_id AND i.name = v.name AND i.number = v.number
JOIN @found AS f ON in_schema = i.[schema] AND called = i.leaf AND sort = i.kind;
INSERT procver.version (project_id, name, kind, number, fingerprint, shape, source_digest, source_path, [schema], leaf,
                        physical, definition, seal, requires, state, digest, privileges, privileges_seal, catalog_id)
SELECT project_id, name, kind, number, fingerprint, shape, source_digest, source_path, [schema], leaf,
       physical, definition, seal, requires, 'present', digest, privileges, procver.seal_of(project_id, number, name, privileges),
       CASE kind WHEN 'table_type' THEN TYPE_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) ELSE OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) END
FROM @item AS i
JOIN @found ON in_schema = [schema] AND called = leaf AND sort = kind
WHERE NOT EXISTS (SELECT 1 FROM procver.version AS v
                  WHERE v.project_id = i.project_id AND v.name = i.name AND v.number = i.number);
DECLARE @expected bigint = (SELECT COUNT(*) FROM @item), @count bigint = (
    SELECT COUNT(*) FROM @item AS i
    JOIN procver.version AS v ON v.project_id = i.project_id AND v.name = i.name AND v.number = i.number
    JOIN procver.presence AS p ON version_id = v.id
    WHERE v.state = 'present' AND found_id = p.catalog_id);
EXEC procver.require_rows N'version', @expected, @count

-- name: require_present
-- The last look before a release is recorded: every version of it must be in the catalog.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int);
DECLARE @missing nvarchar(2000) = (
    SELECT LEFT(STRING_AGG(CAST(x.physical AS nvarchar(max)), N', '), 1900)
    FROM OPENJSON(@a, '$.versions') WITH (name nvarchar(540), number int, physical nvarchar(540)) AS x
    LEFT JOIN procver.version AS v ON project_id = @project AND v.name = x.name COLLATE Latin1_General_100_BIN2 AND v.number = x.number
    LEFT JOIN procver.own(@project) AS o ON o.id = v.id
    WHERE o.id IS NULL);
IF @missing IS NOT NULL
BEGIN
    SET @missing = N'versions vanished while they were published: ' + @missing;
    THROW 51001, @missing, 1;
END

-- name: add_release
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int),
        @number bigint = CAST(JSON_VALUE(@a, '$.number') AS bigint);
UPDATE procver.project SET last_release = @number WHERE id = @project;
UPDATE procver.membership SET until = @number
WHERE until IS NULL AND version_id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.removed'));
INSERT procver.membership (project_id, version_id, since)
SELECT @project, id, @number
FROM OPENJSON(@a, '$.added') WITH (name nvarchar(540), number int) AS x
JOIN procver.version AS v ON project_id = @project AND v.name = x.name COLLATE Latin1_General_100_BIN2 AND v.number = x.number;
DECLARE @expected bigint = (SELECT COUNT(*) FROM OPENJSON(@a, '$.added')),
        @count bigint = (SELECT COUNT(*) FROM procver.membership WHERE project_id = @project AND since = @number);
EXEC procver.require_rows N'membership', @expected, @count;
SET @expected = (SELECT COUNT(*) FROM OPENJSON(@a, '$.removed'));
SET @count = (SELECT COUNT(*) FROM procver.membership WHERE project_id = @project AND until = @number);
EXEC procver.require_rows N'membership', @expected, @count;
SET @count = (SELECT COUNT(*) FROM procver.project WHERE id = @project AND last_release = @number);
EXEC procver.require_rows N'project', 1, @count

-- name: insert_release
-- One that is replaced stays the same row: what is known of its life is not lost.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int),
        @number bigint = CAST(JSON_VALUE(@a, '$.number') AS bigint);
UPDATE procver.release
SET number = @number, content = JSON_VALUE(@a, '$.content'), default_schema = JSON_VALUE(@a, '$.default_schema'),
    published_at = SYSUTCDATETIME(), published_by = ORIGINAL_LOGIN()
WHERE project_id = @project AND name = JSON_VALUE(@a, '$.release') COLLATE Latin1_General_100_BIN2;
IF @@ROWCOUNT = 0
    INSERT procver.release (project_id, name, number, content, default_schema)
    SELECT @project, JSON_VALUE(@a, '$.release'), @number, JSON_VALUE(@a, '$.content'), JSON_VALUE(@a, '$.default_schema');
DECLARE @count bigint = (SELECT COUNT(*) FROM procver.release WHERE project_id = @project AND number = @number);
EXEC procver.require_rows N'release', 1, @count

-- name: activate
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
UPDATE procver.release SET activated_at = COALESCE(activated_at, SYSUTCDATETIME()), retired_at = NULL
WHERE id = CAST(JSON_VALUE(@a, '$.release_id') AS bigint);
DECLARE @count bigint = (SELECT COUNT(*) FROM procver.release WHERE id = CAST(JSON_VALUE(@a, '$.release_id') AS bigint) AND activated_at IS NOT NULL AND retired_at IS NULL);
EXEC procver.require_rows N'release', 1, @count

-- name: spare
DECLARE @a nvarchar(max) = ?;
DECLARE @ids nvarchar(max) = JSON_QUERY(@a, '$.ids');
EXEC procver.spare @ids

-- name: retire
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
UPDATE procver.release SET retired_at = SYSUTCDATETIME() WHERE id = CAST(JSON_VALUE(@a, '$.release_id') AS bigint);
DECLARE @count bigint = (SELECT COUNT(*) FROM procver.release WHERE id = CAST(JSON_VALUE(@a, '$.release_id') AS bigint) AND retired_at IS NOT NULL);
EXEC procver.require_rows N'release', 1, @count

-- name: place_instance
-- Declares an instance to be on a release, and on no other.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @name nvarchar(200) = JSON_VALUE(@a, '$.instance'),
        @release bigint = CAST(JSON_VALUE(@a, '$.release_id') AS bigint);
DELETE FROM procver.instance
WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id <> @release
  AND (last_seen_at IS NULL OR left_at IS NOT NULL);
UPDATE procver.instance SET declared_at = NULL
WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id <> @release;
UPDATE procver.instance SET declared_at = SYSUTCDATETIME()
WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id = @release;
IF @@ROWCOUNT = 0
    INSERT procver.instance (project_id, name, release_id, declared_at) VALUES (@project, @name, @release, SYSUTCDATETIME());
DECLARE @count bigint = (SELECT COUNT(*) FROM procver.instance WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id = @release AND declared_at IS NOT NULL);
EXEC procver.require_rows N'instance', 1, @count;
SET @count = (SELECT 1 - COUNT(*) FROM procver.instance WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id <> @release AND declared_at IS NOT NULL);
EXEC procver.require_rows N'instance', 1, @count

-- name: remove_instance
-- Takes the declaration back; one that is no longer heard from is forgotten.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @name nvarchar(200) = JSON_VALUE(@a, '$.instance'),
        @release bigint = CAST(JSON_VALUE(@a, '$.release_id') AS bigint);
IF JSON_VALUE(@a, '$.beats') = N'true'
    UPDATE procver.instance SET declared_at = NULL
    WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id = @release;
ELSE
    DELETE FROM procver.instance
    WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id = @release;
DECLARE @count bigint = (
    SELECT 1 - COUNT(*) FROM procver.instance
    WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id = @release
      AND (JSON_VALUE(@a, '$.beats') <> N'true' OR declared_at IS NOT NULL));
EXEC procver.require_rows N'instance', 1, @count

-- name: point_channel
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @name nvarchar(200) = JSON_VALUE(@a, '$.channel'),
        @release bigint = CAST(JSON_VALUE(@a, '$.release_id') AS bigint);
UPDATE procver.channel SET release_id = @release, changed_at = SYSUTCDATETIME(), changed_by = ORIGINAL_LOGIN()
WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2;
IF @@ROWCOUNT = 0
    INSERT procver.channel (project_id, name, release_id) VALUES (@project, @name, @release);
DECLARE @count bigint = (SELECT COUNT(*) FROM procver.channel WHERE project_id = @project AND name = @name COLLATE Latin1_General_100_BIN2 AND release_id = @release);
EXEC procver.require_rows N'channel', 1, @count

-- name: remove_channel
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DELETE FROM procver.channel
WHERE project_id = CAST(JSON_VALUE(@a, '$.project_id') AS int)
  AND name = JSON_VALUE(@a, '$.channel') COLLATE Latin1_General_100_BIN2;
DECLARE @count bigint = (
    SELECT 1 - COUNT(*) FROM procver.channel
    WHERE project_id = CAST(JSON_VALUE(@a, '$.project_id') AS int)
      AND name = JSON_VALUE(@a, '$.channel') COLLATE Latin1_General_100_BIN2);
EXEC procver.require_rows N'channel', 1, @count

-- name: require_silence
-- The last step of a drop: since the plan was made no instance was heard from on a release that it took for dead. Heartbeats
-- under way are waited for, and later ones wait for the end of this transaction, which is near.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @idle int = CAST(CAST(JSON_VALUE(@a, '$.idle') AS float) AS int),
        @got int;
DECLARE @resource nvarchar(255) = CONCAT(N'procver:beat:', @project);
EXEC @got = sys.sp_getapplock @Resource = @resource, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 3000;
IF @got < 0
    THROW 51002, N'a heartbeat is under way that does not end', 1;
IF EXISTS (SELECT 1 FROM procver.instance i
           WHERE i.project_id = @project AND i.left_at IS NULL AND i.last_seen_at > DATEADD(second, -@idle, SYSUTCDATETIME())
             AND i.release_id NOT IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.heard') e))
    THROW 51001, N'an instance was heard from meanwhile', 1

-- name: discard_release
-- If it is a trial or was never used; an instance may have come and gone since it was looked at.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @release bigint = CAST(JSON_VALUE(@a, '$.release_id') AS bigint);
IF NOT EXISTS (SELECT 1 FROM procver.release WITH (UPDLOCK)
               WHERE id = @release AND (JSON_VALUE(@a, '$.trial') = N'true' OR (activated_at IS NULL AND heard_until IS NULL)))
    THROW 51001, N'the release was used meanwhile', 1;
DELETE FROM procver.instance WHERE release_id = @release;
DELETE FROM procver.release WHERE id = @release;
DECLARE @count bigint = (SELECT 1 - COUNT(*) FROM procver.release WHERE id = @release);
EXEC procver.require_rows N'release', 1, @count

-- name: forget_versions
-- Only for `release discard`: the numbers become free in this database.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @gone TABLE (id bigint NOT NULL PRIMARY KEY);
INSERT @gone SELECT DISTINCT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.ids') e;
DELETE FROM procver.membership WHERE version_id IN (SELECT id FROM @gone);
DELETE FROM procver.version WHERE id IN (SELECT id FROM @gone);
DECLARE @expected bigint = 0, @count bigint = (SELECT COUNT(*) FROM procver.version WHERE id IN (SELECT CAST(value AS bigint) FROM OPENJSON(@a, '$.ids')));
EXEC procver.require_rows N'version', @expected, @count

-- name: condemn
DECLARE @a nvarchar(max) = ?;
DECLARE @ids nvarchar(max) = JSON_QUERY(@a, '$.ids');
EXEC procver.condemn @ids

-- name: quarantine
DECLARE @a nvarchar(max) = ?;
DECLARE @ids nvarchar(max) = JSON_QUERY(@a, '$.ids');
EXEC procver.quarantine @ids

-- name: keep_privileges
-- Right before drops.
DECLARE @a nvarchar(max) = ?;
DECLARE @ids nvarchar(max) = JSON_QUERY(@a, '$.ids');
EXEC procver.keep_privileges @ids

-- name: keep_signatures (sqlserver)
-- Beside them.
DECLARE @a nvarchar(max) = ?;
DECLARE @ids nvarchar(max) = JSON_QUERY(@a, '$.ids');
EXEC procver.keep_signatures @ids

-- name: keep_signatures (babelfish)
-- Babelfish signs nothing.

-- name: drop_versions
-- Beside their DROPs.
DECLARE @a nvarchar(max) = ?;
EXEC procver.drop_versions @a

-- name: log
DECLARE @a nvarchar(max) = ?;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @action nvarchar(30) = JSON_VALUE(@a, '$.action'),
        @subject nvarchar(600) = JSON_VALUE(@a, '$.subject'), @detail nvarchar(max) = JSON_QUERY(@a, '$.detail');
EXEC procver.log @project, @action, @subject, @detail

-- name: defer_checks
-- Nothing to defer: a module may name what does not exist yet (manual, "Deferred Name Resolution").

-- name: commit_lightly
-- Left to the database: DELAYED_DURABILITY is an option of its own there (manual, "Control Transaction Durability").

-- name: check_bodies
-- Nothing was deferred.

-- name: events
-- The audit trail, newest first: what fits all that is asked for, at most "limit" events, older than the one "before".
-- "release" also finds what names it in its detail, "object" what names it among its versions.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = (SELECT p.id FROM procver.project p
                        WHERE p.name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2),
        @since datetime2(6) = CAST(JSON_VALUE(@a, '$.since') AS datetime2(6)),
        @until datetime2(6) = CAST(JSON_VALUE(@a, '$.until') AS datetime2(6)),
        @since_ago bigint = CAST(JSON_VALUE(@a, '$.since_ago') AS bigint),
        @until_ago bigint = CAST(JSON_VALUE(@a, '$.until_ago') AS bigint),
        @actor nvarchar(128) = JSON_VALUE(@a, '$.actor'), @object nvarchar(600) = JSON_VALUE(@a, '$.object'),
        @release nvarchar(600) = JSON_VALUE(@a, '$.release'),
        @before bigint = CAST(JSON_VALUE(@a, '$.before') AS bigint),
        @limit bigint = COALESCE(CAST(JSON_VALUE(@a, '$.limit') AS bigint), 9223372036854775807);
IF @since IS NULL AND @since_ago IS NOT NULL
    SET @since = DATEADD(second, -(@since_ago % 86400), DATEADD(day, -(@since_ago / 86400), SYSUTCDATETIME()));
IF @until IS NULL AND @until_ago IS NOT NULL
    SET @until = DATEADD(second, -(@until_ago % 86400), DATEADD(day, -(@until_ago / 86400), SYSUTCDATETIME()));
SELECT TOP (@limit) e.[at], e.actor, e.client, e.action, e.subject, e.detail AS detail_json, e.id
FROM procver.event e
WHERE e.project_id = @project
  AND (@since IS NULL OR e.[at] >= @since)
  AND (@until IS NULL OR e.[at] < @until)
  AND (@actor IS NULL OR e.actor = @actor)
  AND (JSON_QUERY(@a, '$.actions') IS NULL OR e.action IN (SELECT x.value FROM OPENJSON(@a, '$.actions') x))
  AND (@object IS NULL OR e.subject = @object
       OR EXISTS (SELECT 1 FROM OPENJSON(e.detail, '$.versions') x WHERE x.value = @object))
  AND (@release IS NULL OR JSON_VALUE(e.detail, '$.release') = @release COLLATE Latin1_General_100_BIN2
       OR (e.subject = @release COLLATE Latin1_General_100_BIN2
           AND e.action NOT IN (SELECT x.value FROM OPENJSON(@a, '$.others') x)))
  AND (@before IS NULL OR e.id < @before)
ORDER BY e.id DESC
OPTION (RECOMPILE)

-- name: forget_instances
DECLARE @a nvarchar(max) = ?;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int),
        @silence bigint = CAST(2 * CAST(JSON_VALUE(@a, '$.idle') AS float) AS bigint);
EXEC procver.forget_instances @project, @silence

-- name: note_collection
DECLARE @a nvarchar(max) = ?;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @dropped int = CAST(JSON_VALUE(@a, '$.dropped') AS int),
        @condemned int = CAST(JSON_VALUE(@a, '$.condemned') AS int), @kept int = CAST(JSON_VALUE(@a, '$.kept') AS int);
EXEC procver.note_collection @project, @dropped, @condemned, @kept

-- name: last_collection
DECLARE @a nvarchar(max) = ?;
SELECT c.[at], c.actor, c.client, c.dropped, c.condemned, c.kept
FROM procver.collection c
JOIN procver.project p ON p.id = c.project_id
WHERE p.name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2

-- name: tally
-- Versions by state; and of those that are there, how many nothing needs, and which has been so for longest, since when.
-- Needed is what the releases with the numbers "roots" map to, what "pins" names, and all that these require.
DECLARE @a nvarchar(max) = ?;
SET NOCOUNT ON;
DECLARE @project int = CAST(JSON_VALUE(@a, '$.project_id') AS int), @depth int = 0, @more int;
DECLARE @root TABLE (number bigint NOT NULL PRIMARY KEY);
INSERT @root SELECT DISTINCT CAST(e.value AS bigint) FROM OPENJSON(@a, '$.roots') e;
DECLARE @needed TABLE (id bigint NOT NULL PRIMARY KEY, depth int NOT NULL);
INSERT @needed
SELECT v.id, 0 FROM procver.version v
WHERE v.project_id = @project
  AND (v.physical IN (SELECT e.value FROM OPENJSON(@a, '$.pins') e)
       OR EXISTS (SELECT 1 FROM procver.membership m
                  JOIN @root r ON m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
                  WHERE m.version_id = v.id));
SET @more = @@ROWCOUNT;
WHILE @more > 0
BEGIN
    INSERT @needed
    SELECT DISTINCT d.requires_id, @depth + 1
    FROM @needed n JOIN procver.dependency d ON d.version_id = n.id
    WHERE n.depth = @depth AND NOT EXISTS (SELECT 1 FROM @needed x WHERE x.id = d.requires_id);
    SET @more = @@ROWCOUNT;
    SET @depth = @depth + 1;
END;
-- Many versions share one span of releases.
DECLARE @span TABLE (since bigint NOT NULL, until bigint NOT NULL, ended datetime2(6) NOT NULL, PRIMARY KEY (since, until));
INSERT @span
SELECT s.since, s.until, MAX(COALESCE(r.retired_at, r.published_at))
FROM (SELECT DISTINCT m.since, COALESCE(m.until, 9223372036854775807) AS until
      FROM procver.membership m WHERE m.project_id = @project) s
JOIN procver.release r ON r.project_id = @project AND r.number >= s.since AND r.number < s.until
GROUP BY s.since, s.until;
DECLARE @unneeded TABLE (physical nvarchar(540) NOT NULL, since datetime2(6) NOT NULL);
INSERT @unneeded
SELECT q.physical, CASE WHEN q.ended > q.created_at THEN q.ended ELSE q.created_at END
FROM (SELECT v.physical, v.created_at, MAX(s.ended) AS ended
      FROM procver.version v
      LEFT JOIN procver.membership m ON m.version_id = v.id
      LEFT JOIN @span s ON s.since = m.since AND s.until = COALESCE(m.until, 9223372036854775807)
      WHERE v.project_id = @project AND v.state <> 'dropped' AND NOT EXISTS (SELECT 1 FROM @needed n WHERE n.id = v.id)
      GROUP BY v.id, v.physical, v.created_at) q;
SELECT (SELECT COUNT(*) FROM procver.version v WHERE v.project_id = @project AND v.state = 'present'),
       (SELECT COUNT(*) FROM procver.version v WHERE v.project_id = @project AND v.state = 'condemned'),
       (SELECT COUNT(*) FROM procver.version v WHERE v.project_id = @project AND v.state = 'dropped'),
       (SELECT COUNT(*) FROM @unneeded), o.physical, o.since
FROM (SELECT 1 AS one) one
LEFT JOIN (SELECT TOP (1) u.physical, u.since FROM @unneeded u ORDER BY u.since, u.physical) o ON 1 = 1

-- name: exposures
-- Rights that are wider than they need be: whose procedures a member of db_owner has just executed; whether logins may report for the
-- project's instances that nobody named for it. A one-part name means the schema of its procedure, and then dbo: others are never
-- asked.
DECLARE @a nvarchar(max) = ?;
SELECT 'registry' AS what, name AS subject, USER_NAME(principal_id) AS who
FROM sys.schemas
WHERE name = N'procver' AND principal_id <> 1 AND IS_ROLEMEMBER(N'db_owner') = 1 AND IS_ROLEMEMBER(N'db_owner', USER_NAME(principal_id)) = 0
UNION ALL
SELECT 'heartbeats', name, NULL FROM procver.project
WHERE name = JSON_VALUE(@a, '$.project') COLLATE Latin1_General_100_BIN2 AND app_role IS NULL
  AND EXISTS (SELECT 1 FROM sys.database_permissions WHERE class = 1 AND major_id = OBJECT_ID(N'procver.beat'))
