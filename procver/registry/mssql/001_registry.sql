-- The registry: what procver published into this database, and what still needs it.
-- Everything that writes goes through procver.hold: one writer per project at a time.
-- A batch that begins with "-- only: sqlserver" or "-- only: babelfish" is for that server alone.
-- No filtered index, no indexed view, no XML method: a publication may run with QUOTED_IDENTIFIER OFF.
-- Names are compared as Python compares them (BIN2) where they are keys of ours, and as the database compares
-- them where they name what the catalog holds.

CREATE TABLE procver.project (
    id              int IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    name            nvarchar(100) COLLATE Latin1_General_100_BIN2 NOT NULL UNIQUE,
    dialect         varchar(20) NOT NULL DEFAULT 'mssql',
    default_schema  nvarchar(128) NOT NULL,
    -- counts every committed change of this project: a plan made at one generation is refused at another
    generation      bigint NOT NULL DEFAULT 0,
    -- the number of the newest release; see procver.membership
    last_release    bigint NOT NULL DEFAULT 0
);
GO
CREATE TABLE procver.version (
    id              bigint IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project (id),
    name            nvarchar(540) COLLATE Latin1_General_100_BIN2 NOT NULL,    -- logical name, as in procver.lock
    kind            varchar(20) NOT NULL,
    number          int NOT NULL CHECK (number > 0),
    fingerprint     varchar(100) NOT NULL,
    shape           varchar(100) NOT NULL,      -- hash of its own text alone: tells "changed" from "dependency"
    source_digest   varchar(100) NOT NULL,      -- hash of the file: tells a cosmetic change
    source_path     nvarchar(2000) NOT NULL,
    [schema]        nvarchar(128) NOT NULL,     -- physical name, unquoted
    leaf            nvarchar(128) NOT NULL,
    physical        nvarchar(540) NOT NULL,     -- physical name, quoted where needed
    definition      nvarchar(max) NOT NULL,     -- [[text, role], ...] as sent
    seal            varchar(100) NOT NULL,      -- hash of fingerprint and definition: what a restore checks
    requires        nvarchar(max) NOT NULL,     -- [[name, number], ...] of the versions that it refers to
    state           varchar(10) NOT NULL CHECK (state IN ('present', 'condemned', 'dropped')),
    digest          varbinary(32) NULL,         -- what the catalog said right after its creation
    privileges      nvarchar(max) NULL,         -- owner, grants and properties: after creation; before its drop
    created_at      datetime2(6) NOT NULL DEFAULT SYSUTCDATETIME(),
    created_by      nvarchar(128) NOT NULL DEFAULT ORIGINAL_LOGIN(),
    condemned_at    datetime2(6) NULL,
    quarantined_at  datetime2(6) NULL,          -- since when nobody but its owner may use it
    dropped_at      datetime2(6) NULL,
    CONSTRAINT version_number UNIQUE NONCLUSTERED (project_id, name, number)
);
GO
CREATE INDEX version_physical ON procver.version ([schema], leaf);
GO
CREATE TABLE procver.release (
    id              bigint IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project (id),
    name            nvarchar(200) COLLATE Latin1_General_100_BIN2 NOT NULL,
    number          bigint NOT NULL,            -- its place in the order of publication
    content         varchar(100) NOT NULL,      -- hash of its versions: same name, same content is a no-op
    published_at    datetime2(6) NOT NULL DEFAULT SYSUTCDATETIME(),
    published_by    nvarchar(128) NOT NULL DEFAULT ORIGINAL_LOGIN(),
    activated_at    datetime2(6) NULL,
    retired_at      datetime2(6) NULL,
    heard_until     datetime2(6) NULL,          -- the last heartbeat of instances that are on it no longer
    CONSTRAINT release_name UNIQUE (project_id, name),
    CONSTRAINT release_number UNIQUE (project_id, number)
);
GO
-- A version belongs to every release whose number lies in [since, until): the registry grows with what
-- changes from one release to the next, not with releases times objects.
CREATE TABLE procver.membership (
    project_id      int NOT NULL REFERENCES procver.project (id),
    version_id      bigint NOT NULL REFERENCES procver.version (id),
    since           bigint NOT NULL,
    until           bigint NULL,
    PRIMARY KEY (version_id, since)
);
GO
CREATE INDEX membership_project ON procver.membership (project_id, until);
GO
-- Where copies of the app run: what people declare and what heartbeats show, kept apart. One row for each release that an
-- instance was declared on or heard from. A heartbeat is the only change of the registry that does not go through procver.hold,
-- and so this table refers to no project: that row is locked by whoever publishes.
CREATE TABLE procver.instance (
    project_id      int NOT NULL,
    name            nvarchar(200) COLLATE Latin1_General_100_BIN2 NOT NULL,
    release_id      bigint NOT NULL REFERENCES procver.release (id),
    declared_at     datetime2(6) NULL,          -- `release activate --instance`
    last_seen_at    datetime2(6) NULL,          -- its last heartbeat; NULL: none yet
    left_at         datetime2(6) NULL,          -- when it said goodbye, or was last heard from before it moved on
    returned_at     datetime2(6) NULL,          -- when it was last heard from again after it had been heard from elsewhere
    PRIMARY KEY (project_id, name, release_id)
);
GO
CREATE INDEX instance_release ON procver.instance (release_id);
GO
-- A name under which apps that follow it find the release to run. Only an active release is pointed to.
CREATE TABLE procver.channel (
    project_id      int NOT NULL REFERENCES procver.project (id),
    name            nvarchar(200) COLLATE Latin1_General_100_BIN2 NOT NULL,
    release_id      bigint NOT NULL REFERENCES procver.release (id),
    changed_at      datetime2(6) NOT NULL DEFAULT SYSUTCDATETIME(),
    changed_by      nvarchar(128) NOT NULL DEFAULT ORIGINAL_LOGIN(),
    PRIMARY KEY (project_id, name)
);
GO
CREATE INDEX channel_target ON procver.channel (release_id);
GO
CREATE TABLE procver.event (
    id              bigint IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project (id),
    [at]            datetime2(6) NOT NULL DEFAULT SYSUTCDATETIME(),
    actor           nvarchar(128) NOT NULL DEFAULT ORIGINAL_LOGIN(),
    client          nvarchar(128) NULL DEFAULT HOST_NAME(),
    action          varchar(30) NOT NULL,
    subject         nvarchar(600) NOT NULL,
    detail          nvarchar(max) NULL
);
GO
CREATE INDEX event_project ON procver.event (project_id, id);
GO
CREATE INDEX event_time ON procver.event (project_id, [at]);
GO
CREATE INDEX event_subject ON procver.event (project_id, subject);
GO
-- The last run of `gc --apply`: a run that found nothing leaves no event, but this. No plan depends on it.
CREATE TABLE procver.collection (
    project_id      int NOT NULL PRIMARY KEY REFERENCES procver.project (id),
    [at]            datetime2(6) NOT NULL DEFAULT SYSUTCDATETIME(),
    actor           nvarchar(128) NOT NULL DEFAULT ORIGINAL_LOGIN(),
    client          nvarchar(128) NULL DEFAULT HOST_NAME(),
    dropped         int NOT NULL,
    condemned       int NOT NULL,
    kept            int NOT NULL
);
GO
-- How often versions were called, as the server's statistics said when they were sampled. The last call that is known of came
-- after called_since, or then, and not after last_called_at. No foreign key: a sample waits for nobody, and is tidied up by the
-- next.
CREATE TABLE procver.usage (
    version_id      bigint NOT NULL PRIMARY KEY,
    source          varchar(40) NOT NULL,
    calls           bigint NOT NULL,
    called_since    datetime2(6) NULL,
    last_called_at  datetime2(6) NULL,
    sampled_at      datetime2(6) NOT NULL
);
GO
CREATE VIEW procver.dependency AS
SELECT v.id AS version_id, r.id AS requires_id
FROM procver.version v
CROSS APPLY OPENJSON(v.requires) e
JOIN procver.version r ON r.project_id = v.project_id
                      AND r.name = JSON_VALUE(e.value, '$[0]') COLLATE Latin1_General_100_BIN2
                      AND r.number = CAST(JSON_VALUE(e.value, '$[1]') AS int);
GO
CREATE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, p.dialect, p.default_schema,
       v.name, v.kind, v.number AS version, v.physical, v.fingerprint
FROM procver.release r
JOIN procver.project p ON p.id = r.project_id
JOIN procver.membership m ON m.project_id = r.project_id
                         AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
JOIN procver.version v ON v.id = m.version_id;
GO
-- What an app that follows a channel asks for.
CREATE VIEW procver.channel_release AS
SELECT p.name AS project, c.name AS channel, r.name AS release, r.id AS release_id, c.changed_at
FROM procver.channel c
JOIN procver.project p ON p.id = c.project_id
JOIN procver.release r ON r.id = c.release_id;
GO
-- Opens the one writing transaction of a project, if nothing was written since its plan was made.
CREATE PROCEDURE procver.hold @project int, @expected bigint, @patience int AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @got int, @resource nvarchar(255) = N'procver:' + CAST(@project AS nvarchar(20));
    EXEC @got = sp_getapplock @Resource = @resource, @LockMode = N'Exclusive', @LockOwner = N'Transaction',
                              @LockTimeout = @patience;
    IF @got < 0
        THROW 51002, N'another procver command is writing for this project', 1;
    UPDATE procver.project SET generation = generation + 1 WHERE id = @project AND generation = @expected;
    IF @@ROWCOUNT = 0
        THROW 51001, N'the registry was changed by another procver command', 1;
END;
GO
-- A heartbeat: "this instance runs this release now"; @leaving says that it no longer does. The app needs no other right than to
-- execute this. @project may be NULL where no two projects have a release of that name. The server's clock alone counts, and a
-- clock that jumps back takes nothing away. Who moves on is still on the earlier release for a quarter of an hour: calls may be under way.
CREATE PROCEDURE procver.beat
    @project nvarchar(4000), @release nvarchar(4000), @instance nvarchar(4000), @leaving bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 5000;
    DECLARE @matches int, @owner int, @target bigint, @got int, @said nvarchar(2000), @resource nvarchar(255),
            @now datetime2(6) = SYSUTCDATETIME();
    DECLARE @moved datetime2(6) = DATEADD(minute, -15, @now);
    IF LEN(LTRIM(COALESCE(@instance, N''))) = 0 OR LEN(@instance) > 200
       OR @instance COLLATE Latin1_General_100_BIN2 LIKE N'%[' + NCHAR(1) + N'-' + NCHAR(31) + NCHAR(127) + N'-' + NCHAR(159) + N']%'
    BEGIN
        SET @said = CONCAT(N'''', LEFT(@instance, 200), N''' cannot be an instance name: use 1 to 200 printable characters');
        THROW 51005, @said, 1;
    END;
    -- The project's row is locked by whoever publishes; its name and number never change.
    SELECT @matches = COUNT(*), @owner = MIN(r.project_id), @target = MIN(r.id)
    FROM procver.release r
    WHERE r.name = @release COLLATE Latin1_General_100_BIN2
      AND r.project_id IN (SELECT p.id FROM procver.project p WITH (NOLOCK)
                           WHERE @project IS NULL OR p.name = @project COLLATE Latin1_General_100_BIN2);
    IF @matches <> 1
    BEGIN
        SET @said = CASE @matches
            WHEN 0 THEN CONCAT(N'no release ''', LEFT(@release, 200), N''' of project ''', LEFT(COALESCE(@project, N'(any)'), 100),
                               N''' in this database: publish it here first, or correct the names')
            ELSE CONCAT(N'several projects have a release ''', LEFT(@release, 200), N''': say which project') END;
        THROW 51004, @said, 1;
    END;
    BEGIN TRANSACTION;
    SET @resource = N'procver:beat:' + CAST(@owner AS nvarchar(20));
    EXEC @got = sp_getapplock @Resource = @resource, @LockMode = N'Shared', @LockOwner = N'Transaction', @LockTimeout = 5000;
    IF @got < 0
        THROW 51002, N'a version is being dropped: try again', 1;
    IF @leaving = 1
    BEGIN
        DELETE FROM procver.instance
        WHERE project_id = @owner AND name = @instance COLLATE Latin1_General_100_BIN2 AND release_id = @target
          AND declared_at IS NULL;
        UPDATE procver.instance SET left_at = SYSUTCDATETIME(), returned_at = NULL
        WHERE project_id = @owner AND name = @instance COLLATE Latin1_General_100_BIN2 AND release_id = @target
          AND last_seen_at IS NOT NULL;
        UPDATE procver.release SET heard_until = SYSUTCDATETIME() WHERE id = @target;
    END
    ELSE
    BEGIN
        SET @now = SYSUTCDATETIME();
        UPDATE i SET
            returned_at = CASE WHEN EXISTS (
                SELECT 1 FROM procver.instance o
                WHERE o.project_id = i.project_id AND o.name = i.name AND o.release_id <> i.release_id
                  AND o.left_at IS NULL AND o.last_seen_at > i.last_seen_at)
                THEN @now ELSE i.returned_at END,
            last_seen_at = CASE WHEN i.last_seen_at > @now THEN i.last_seen_at ELSE @now END, left_at = NULL
        FROM procver.instance i WITH (UPDLOCK, HOLDLOCK)
        WHERE i.project_id = @owner AND i.name = @instance COLLATE Latin1_General_100_BIN2 AND i.release_id = @target;
        IF @@ROWCOUNT = 0
            INSERT procver.instance (project_id, name, release_id, last_seen_at) VALUES (@owner, @instance, @target, @now);
    END;
    UPDATE r SET heard_until = i.last_seen_at
    FROM procver.release r
    JOIN procver.instance i ON i.release_id = r.id
    WHERE i.project_id = @owner AND i.name = @instance COLLATE Latin1_General_100_BIN2 AND i.release_id <> @target
      AND i.declared_at IS NULL AND i.left_at IS NULL AND i.last_seen_at < @moved
      AND (r.heard_until IS NULL OR r.heard_until < i.last_seen_at);
    DELETE FROM procver.instance
    WHERE project_id = @owner AND name = @instance COLLATE Latin1_General_100_BIN2 AND release_id <> @target
      AND declared_at IS NULL AND left_at IS NULL AND last_seen_at < @moved;
    UPDATE procver.instance SET left_at = last_seen_at, returned_at = NULL
    WHERE project_id = @owner AND name = @instance COLLATE Latin1_General_100_BIN2 AND release_id <> @target
      AND declared_at IS NOT NULL AND left_at IS NULL AND last_seen_at < @moved;
    COMMIT TRANSACTION;
END;
GO
-- What the catalog holds of managed objects: [{"schema", "leaf", "kind"}] in, one row for each that is there.
-- "class" and "major_id" are those of sys.database_permissions, "thing" is what follows ON in a GRANT.
-- only: sqlserver
CREATE FUNCTION procver.parts(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT x.[schema], x.leaf, x.kind, 1 AS class, o.object_id AS major_id, o.object_id, CAST(RTRIM(o.type) AS varchar(2)) AS type,
           o.principal_id, COALESCE(o.principal_id, s.principal_id) AS owner_id,
           N'OBJECT::' + QUOTENAME(x.[schema]) + N'.' + QUOTENAME(x.leaf) AS thing
    FROM OPENJSON(@work) WITH ([schema] nvarchar(128), leaf nvarchar(128), kind varchar(20)) x
    JOIN sys.objects o ON o.object_id = OBJECT_ID(QUOTENAME(x.[schema]) + N'.' + QUOTENAME(x.leaf))
    JOIN sys.schemas s ON s.schema_id = o.schema_id
    WHERE x.kind = CASE RTRIM(o.type) WHEN 'P' THEN 'procedure' WHEN 'V' THEN 'view' WHEN 'FN' THEN 'function'
                               WHEN 'IF' THEN 'function' WHEN 'TF' THEN 'function' ELSE '' END
    UNION ALL
    SELECT x.[schema], x.leaf, x.kind, 6, t.user_type_id, t.type_table_object_id, 'TT', t.principal_id,
           COALESCE(t.principal_id, s.principal_id),
           N'TYPE::' + QUOTENAME(x.[schema]) + N'.' + QUOTENAME(x.leaf)
    FROM OPENJSON(@work) WITH ([schema] nvarchar(128), leaf nvarchar(128), kind varchar(20)) x
    JOIN sys.table_types t ON t.user_type_id = TYPE_ID(QUOTENAME(x.[schema]) + N'.' + QUOTENAME(x.leaf))
    JOIN sys.schemas s ON s.schema_id = t.schema_id
    WHERE x.kind = 'table_type'
);
GO
-- The same on Babelfish, by the catalog of its PostgreSQL: each of its own views takes it a second to plan.
-- only: babelfish
CREATE FUNCTION procver.parts(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT x.[schema], x.leaf, x.kind, CASE x.kind WHEN 'table_type' THEN 6 ELSE 1 END AS class, r.id AS major_id,
           r.object_id, r.type, CAST(NULL AS int) AS principal_id, n.nspowner AS owner_id,
           CASE x.kind WHEN 'table_type' THEN N'TYPE::' ELSE N'OBJECT::' END + x.name AS thing
    FROM (SELECT i.[schema], i.leaf, i.kind, QUOTENAME(i.[schema]) + N'.' + QUOTENAME(i.leaf) AS name
          FROM OPENJSON(@work) WITH ([schema] nvarchar(128), leaf nvarchar(128), kind varchar(20)) i) x
    CROSS APPLY (
        SELECT CAST(p.oid AS int) AS id, CAST(p.oid AS int) AS object_id, CASE p.prokind WHEN 'p' THEN 'P' ELSE 'FN' END AS type,
               p.pronamespace AS place
        FROM pg_catalog.pg_proc p
        WHERE p.oid = OBJECT_ID(x.name) AND x.kind = CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END
        UNION ALL
        SELECT CAST(c.oid AS int), CAST(c.oid AS int), 'V', c.relnamespace
        FROM pg_catalog.pg_class c WHERE c.oid = OBJECT_ID(x.name) AND c.relkind = 'v' AND x.kind = 'view'
        UNION ALL
        SELECT CAST(t.oid AS int), CAST(t.typrelid AS int), 'TT', t.typnamespace
        FROM pg_catalog.pg_type t WHERE t.oid = TYPE_ID(x.name) AND t.typrelid <> 0 AND x.kind = 'table_type') r
    JOIN pg_catalog.pg_namespace n ON n.oid = r.place
);
GO
-- What a version is, as one hash: its text with every run of blanks as one, and what it was created under. NULL where
-- the text may not be read. ALTER and CREATE OR ALTER are stored as CREATE, with other blanks.
CREATE FUNCTION procver.digests(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT p.[schema], p.leaf, p.kind, HASHBYTES('SHA2_256', CAST(CONCAT(
               REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(m.definition COLLATE Latin1_General_100_BIN2,
                   NCHAR(13), N' '), NCHAR(10), N' '), NCHAR(9), N' '),
                   N' ', NCHAR(1) + NCHAR(2)), NCHAR(2) + NCHAR(1), N''), NCHAR(1) + NCHAR(2), N' '),
               N'|', m.uses_quoted_identifier, m.uses_ansi_nulls, m.is_schema_bound, m.is_recompiled, N'|',
               CASE WHEN m.execute_as_principal_id = -2 THEN N'OWNER'
                    -- To Babelfish, USER_NAME(NULL) is whoever asks.
                    WHEN m.execute_as_principal_id IS NOT NULL
                    THEN USER_NAME(m.execute_as_principal_id) END COLLATE Latin1_General_100_BIN2) AS nvarchar(max))) AS digest
    FROM procver.parts(@work) p
    JOIN sys.sql_modules m ON m.object_id = p.object_id
    WHERE m.definition IS NOT NULL
    UNION ALL
    SELECT p.[schema], p.leaf, p.kind, HASHBYTES('SHA2_256', (
               SELECT STRING_AGG(CAST(CONCAT(
                          c.name COLLATE Latin1_General_100_BIN2, N' ',
                          TYPE_NAME(c.user_type_id) COLLATE Latin1_General_100_BIN2, N' ', c.max_length, N' ', c.precision,
                          N' ', c.scale, N' ', c.is_nullable, c.is_identity, c.is_computed, N' ',
                          c.collation_name COLLATE Latin1_General_100_BIN2) AS nvarchar(max)), N',')
                      WITHIN GROUP (ORDER BY c.column_id)
               FROM sys.columns c WHERE c.object_id = p.object_id))
    FROM procver.parts(@work) p
    WHERE p.class = 6
);
GO
-- When versions were called, by the server's statistics of now and earlier samples; with "keep" these become a sample. A row
-- without an id is a remark. A plan that was thrown away takes its statistics with it (manual, "sys.dm_exec_procedure_stats").
-- only: sqlserver
CREATE PROCEDURE procver.count_calls @about nvarchar(max), @keep bit AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT OFF;    -- a login that may not see the statistics is told so below
    DECLARE @now datetime2(6) = SYSUTCDATETIME(), @remark nvarchar(2000);
    DECLARE @count TABLE (object_id int NOT NULL PRIMARY KEY, calls bigint NOT NULL, last_at datetime2(6) NOT NULL);
    BEGIN TRY
        INSERT @count
        EXEC sp_executesql N'
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
    WHERE p.name = JSON_VALUE(@about, '$.project') COLLATE Latin1_General_100_BIN2
      AND v.state <> 'dropped' AND v.kind IN ('procedure', 'function');
    IF @keep = 1
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
      AND s.version_id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@about, '$.ids') e)
    UNION ALL
    SELECT NULL, NULL, NULL, @remark WHERE @remark IS NOT NULL;
END;
GO
-- The same on Babelfish, which has none of these views: by the counters of its PostgreSQL. One that differs from its sample tells
-- of calls since then, one that was set back too.
-- only: babelfish
CREATE PROCEDURE procver.count_calls @about nvarchar(max), @keep bit AS
BEGIN
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
          WHERE p.name = JSON_VALUE(@about, '$.project') COLLATE Latin1_General_100_BIN2
            AND v.state <> 'dropped' AND v.kind IN ('procedure', 'function')) c
    LEFT JOIN procver.usage u ON u.version_id = c.id;
    IF @keep = 1
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
      AND s.version_id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@about, '$.ids') e)
    UNION ALL
    SELECT NULL, NULL, NULL, N'calls are not counted here: track_functions is none'
    WHERE pg_catalog.current_setting('track_functions') = N'none' AND NOT EXISTS (SELECT 1 FROM @seen s WHERE s.calls > 0);
END;
GO
-- The extended properties of objects, one row each; "part" and "item" are COLUMN or PARAMETER and its name.
CREATE FUNCTION procver.properties(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT p.[schema], p.leaf, p.kind, e.name, CAST(e.value AS nvarchar(4000)) AS value,
           CASE WHEN c.name IS NOT NULL THEN N'COLUMN' WHEN a.name IS NOT NULL THEN N'PARAMETER' END AS part,
           COALESCE(c.name, a.name) AS item
    FROM procver.parts(@work) p
    JOIN sys.extended_properties e ON e.major_id = p.major_id AND (e.class = p.class OR (e.class = 2 AND p.class = 1))
    LEFT JOIN sys.columns c ON e.class = 1 AND e.minor_id > 0 AND c.object_id = e.major_id AND c.column_id = e.minor_id
    LEFT JOIN sys.all_parameters a ON e.class = 2 AND a.object_id = e.major_id AND a.parameter_id = e.minor_id
);
GO
CREATE FUNCTION procver.literal(@text nvarchar(4000)) RETURNS nvarchar(max) AS
BEGIN
    RETURN COALESCE(N'N''' + REPLACE(CAST(@text AS nvarchar(max)), N'''', N'''''') + N'''', N'NULL');
END;
GO
-- The arguments by which sp_addextendedproperty and sp_dropextendedproperty find a property's owner.
CREATE FUNCTION procver.property_place(
    @schema nvarchar(128), @leaf nvarchar(128), @kind varchar(20), @part nvarchar(20), @item nvarchar(128)
) RETURNS nvarchar(max) AS
BEGIN
    RETURN N'N''SCHEMA'', ' + procver.literal(@schema) + N', N'''
         + CASE @kind WHEN 'procedure' THEN N'PROCEDURE' WHEN 'view' THEN N'VIEW' WHEN 'function' THEN N'FUNCTION'
                      ELSE N'TYPE' END
         + N''', ' + procver.literal(@leaf)
         + CASE WHEN @part IS NULL THEN N'' ELSE N', N''' + @part + N''', ' + procver.literal(@item) END;
END;
GO
-- Owner, grants and extended properties of objects as data. An entry of "acl" is [grantee, what, grantable]: "what" says
-- DENY where it denies, and ends with the column in brackets where it is for one.
-- only: sqlserver
CREATE FUNCTION procver.privileges(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT p.[schema], p.leaf, p.kind, CAST(CONCAT(
        N'[{"part":"","owner":"',
        STRING_ESCAPE(USER_NAME(p.owner_id), 'json') COLLATE DATABASE_DEFAULT,
        N'","own":', CASE WHEN p.principal_id IS NULL THEN N'null'
                          ELSE N'"' + STRING_ESCAPE(USER_NAME(p.principal_id), 'json') COLLATE DATABASE_DEFAULT + N'"' END,
        N',"acl":[', (
            SELECT STRING_AGG(CAST(CONCAT(
                       N'[', CASE WHEN g.grantee_principal_id = 0 THEN N'null'
                                  ELSE N'"' + STRING_ESCAPE(USER_NAME(g.grantee_principal_id), 'json')
                                       COLLATE DATABASE_DEFAULT + N'"' END,
                       N',"', CASE g.state WHEN 'D' THEN N'DENY ' WHEN 'R' THEN N'REVOKE ' ELSE N'' END,
                       g.permission_name COLLATE DATABASE_DEFAULT,
                       CASE WHEN c.name IS NOT NULL
                            THEN N' (' + STRING_ESCAPE(QUOTENAME(c.name), 'json') COLLATE DATABASE_DEFAULT + N')' END,
                       N'",', CASE g.state WHEN 'W' THEN N'true' ELSE N'false' END, N']') AS nvarchar(max)), N',')
                   WITHIN GROUP (ORDER BY g.minor_id, g.grantee_principal_id, g.type)
            FROM sys.database_permissions g
            LEFT JOIN sys.columns c ON g.minor_id > 0 AND c.object_id = g.major_id AND c.column_id = g.minor_id
            WHERE g.class = p.class AND g.major_id = p.major_id),
        N'],"properties":[', (
            SELECT STRING_AGG(CAST(CONCAT(
                       N'["', STRING_ESCAPE(e.name, 'json') COLLATE DATABASE_DEFAULT, N'",',
                       CASE WHEN e.value IS NULL THEN N'null'
                            ELSE N'"' + STRING_ESCAPE(CAST(e.value AS nvarchar(4000)), 'json')
                                 COLLATE DATABASE_DEFAULT + N'"' END,
                       CASE WHEN c.name IS NOT NULL
                            THEN N',"COLUMN","' + STRING_ESCAPE(c.name, 'json') COLLATE DATABASE_DEFAULT + N'"'
                            WHEN a.name IS NOT NULL
                            THEN N',"PARAMETER","' + STRING_ESCAPE(a.name, 'json') COLLATE DATABASE_DEFAULT + N'"' END,
                       N']') AS nvarchar(max)), N',') WITHIN GROUP (ORDER BY e.class, e.minor_id, e.name)
            FROM sys.extended_properties e
            LEFT JOIN sys.columns c ON e.class = 1 AND e.minor_id > 0 AND c.object_id = e.major_id AND c.column_id = e.minor_id
            LEFT JOIN sys.parameters a ON e.class = 2 AND a.object_id = e.major_id AND a.parameter_id = e.minor_id
            WHERE e.major_id = p.major_id AND (e.class = p.class OR (e.class = 2 AND p.class = 1))),
        N']}]') AS nvarchar(max)) AS privileges
    FROM procver.parts(@work) p
);
GO
-- The same on Babelfish, whose sys.database_permissions is empty: grants are read where its PostgreSQL keeps them.
-- only: babelfish
CREATE FUNCTION procver.privileges(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT p.[schema], p.leaf, p.kind, CAST(CONCAT(
        N'[{"part":"","owner":"', STRING_ESCAPE(USER_NAME(p.owner_id), 'json'), N'","own":null,"acl":[', (
            SELECT STRING_AGG(CAST(CONCAT(
                       N'[', CASE WHEN g.grantee = 0 THEN N'null'
                                  ELSE N'"' + STRING_ESCAPE(u.orig_username, 'json') + N'"' END,
                       N',"', g.privilege_type,
                       CASE WHEN g.attname IS NOT NULL THEN N' (' + STRING_ESCAPE(QUOTENAME(g.attname), 'json') + N')' END,
                       N'",', CASE WHEN g.is_grantable = 1 THEN N'true' ELSE N'false' END, N']') AS nvarchar(max)), N',')
                   WITHIN GROUP (ORDER BY g.attname, g.grantee, g.privilege_type)
            FROM (SELECT a.grantee, a.privilege_type, CAST(a.is_grantable AS int) AS is_grantable, NULL AS attname, r.proowner AS owner
                  FROM pg_catalog.pg_proc r CROSS APPLY pg_catalog.aclexplode(r.proacl) a WHERE r.oid = p.object_id
                  UNION ALL
                  SELECT a.grantee, a.privilege_type, CAST(a.is_grantable AS int), NULL, r.relowner
                  FROM pg_catalog.pg_class r CROSS APPLY pg_catalog.aclexplode(r.relacl) a WHERE r.oid = p.object_id
                  UNION ALL
                  SELECT a.grantee, a.privilege_type, CAST(a.is_grantable AS int), CAST(r.attname AS nvarchar(128)), 0
                  FROM pg_catalog.pg_attribute r CROSS APPLY pg_catalog.aclexplode(r.attacl) a
                  WHERE r.attrelid = p.object_id) g
            LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
            LEFT JOIN sys.babelfish_authid_user_ext u ON u.rolname = r.rolname
            WHERE p.class = 1 AND g.grantee <> g.owner AND (g.grantee = 0 OR u.orig_username IS NOT NULL)),
        N'],"properties":[', (
            SELECT STRING_AGG(CAST(CONCAT(
                       N'["', STRING_ESCAPE(e.name, 'json'), N'","', STRING_ESCAPE(CAST(e.value AS nvarchar(4000)), 'json'),
                       N'"', CASE WHEN c.name IS NOT NULL THEN N',"COLUMN","' + STRING_ESCAPE(c.name, 'json') + N'"' END,
                       N']') AS nvarchar(max)), N',') WITHIN GROUP (ORDER BY e.minor_id, e.name)
            FROM sys.extended_properties e
            LEFT JOIN sys.columns c ON e.minor_id > 0 AND c.object_id = e.major_id AND c.column_id = e.minor_id
            WHERE e.class = p.class AND e.major_id = p.major_id),
        N']}]') AS nvarchar(max)) AS privileges
    FROM procver.parts(@work) p
);
GO
-- What of a privilege in [grants] can be given on an object of this type (sys.objects.type, TT for a table type); or NULL.
-- only: sqlserver
CREATE FUNCTION procver.grantable(@type varchar(2), @what nvarchar(128)) RETURNS nvarchar(128) AS
BEGIN
    RETURN CASE
        WHEN @what IN (N'CONTROL', N'TAKE OWNERSHIP', N'VIEW DEFINITION') THEN @what
        WHEN @what = N'ALTER' AND @type <> 'TT' THEN @what
        WHEN @what = N'EXECUTE' AND @type IN ('P', 'FN', 'TT') THEN @what
        WHEN @what = N'REFERENCES' AND @type <> 'P' THEN @what
        WHEN @what IN (N'SELECT', N'INSERT', N'UPDATE', N'DELETE') AND @type IN ('V', 'IF', 'TF') THEN @what
        WHEN @what = N'VIEW CHANGE TRACKING' AND @type = 'V' THEN @what
    END;
END;
GO
-- Babelfish knows EXECUTE for every function, and no privilege on a type.
-- only: babelfish
CREATE FUNCTION procver.grantable(@type varchar(2), @what nvarchar(128)) RETURNS nvarchar(128) AS
BEGIN
    RETURN CASE
        WHEN @type IN ('FN', 'IF', 'TF') AND @what IN (N'EXECUTE', N'SELECT') THEN N'EXECUTE'
        WHEN @type = 'P' AND @what = N'EXECUTE' THEN @what
        WHEN @type = 'V' AND @what IN (N'SELECT', N'INSERT', N'UPDATE', N'DELETE', N'REFERENCES') THEN @what
    END;
END;
