-- The registry: what procver published into this database, and what still needs it.
-- Everything that writes goes through procver.hold: one writer per project at a time.
-- A batch that begins with "-- only: sqlserver" or "-- only: babelfish" is for that server alone.
-- No filtered index, no indexed view, no XML method: a publication may run with QUOTED_IDENTIFIER OFF.
-- Names are compared as Python compares them (BIN2) where they are keys of ours, and as the database compares
-- them where they name what the catalog holds.

CREATE TABLE procver.project (
    id              int IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    name            nvarchar(100) COLLATE Latin1_General_100_BIN2 NOT NULL UNIQUE,
    dialect         varchar(20) DEFAULT 'mssql' NOT NULL,
    default_schema  nvarchar(128) NOT NULL,
    -- counts every committed change of this project: a plan made at one generation is refused at another
    generation      bigint DEFAULT 0 NOT NULL,
    -- the number of the newest release; see procver.membership
    last_release    bigint DEFAULT 0 NOT NULL
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
    created_at      datetime2(6) DEFAULT SYSUTCDATETIME() NOT NULL,
    created_by      nvarchar(128) DEFAULT ORIGINAL_LOGIN() NOT NULL,
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
    published_at    datetime2(6) DEFAULT SYSUTCDATETIME() NOT NULL,
    published_by    nvarchar(128) DEFAULT ORIGINAL_LOGIN() NOT NULL,
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
    changed_at      datetime2(6) DEFAULT SYSUTCDATETIME() NOT NULL,
    changed_by      nvarchar(128) DEFAULT ORIGINAL_LOGIN() NOT NULL,
    PRIMARY KEY (project_id, name)
);
GO
CREATE INDEX channel_target ON procver.channel (release_id);
GO
CREATE TABLE procver.event (
    id              bigint IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project (id),
    [at]            datetime2(6) DEFAULT SYSUTCDATETIME() NOT NULL,
    actor           nvarchar(128) DEFAULT ORIGINAL_LOGIN() NOT NULL,
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
    [at]            datetime2(6) DEFAULT SYSUTCDATETIME() NOT NULL,
    actor           nvarchar(128) DEFAULT ORIGINAL_LOGIN() NOT NULL,
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
-- Whether the catalog has a version now.
CREATE VIEW procver.presence AS
SELECT CAST(COALESCE(CASE kind WHEN 'table_type' THEN TYPE_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf)))
                               ELSE OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) END, 0) AS bit) AS there, id AS version_id
FROM procver.version;
GO
CREATE VIEW procver.dependency AS
SELECT v.id AS version_id, r.id AS requires_id
FROM procver.version AS v
CROSS APPLY OPENJSON(v.requires)
JOIN procver.version AS r ON r.project_id = v.project_id AND r.name = JSON_VALUE(value, '$[0]') COLLATE Latin1_General_100_BIN2
                         AND r.number = CAST(JSON_VALUE(value, '$[1]') AS int);
GO
CREATE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, dialect, default_schema, v.name, kind, v.number AS version, physical, fingerprint
FROM procver.release AS r
JOIN procver.project AS p ON p.id = r.project_id
JOIN procver.membership AS m ON m.project_id = r.project_id AND since <= r.number AND (until IS NULL OR until > r.number)
JOIN procver.version AS v ON v.id = version_id;
GO
-- What an app that follows a channel asks for.
CREATE VIEW procver.channel_release AS
SELECT p.name AS project, c.name AS channel, r.name AS release, r.id AS release_id, changed_at
FROM procver.channel AS c
JOIN procver.project AS p ON p.id = c.project_id
JOIN procver.release AS r ON r.id = c.release_id;
GO
-- Opens the one writing transaction of a project, if nothing was written since its plan was made.
CREATE PROCEDURE procver.hold @project int, @expected bigint, @patience int AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @got int, @resource nvarchar(255) = CONCAT(N'procver:', @project);
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
       OR @instance COLLATE Latin1_General_100_BIN2 LIKE CONCAT(N'%[', NCHAR(1), N'-', NCHAR(31), NCHAR(127), N'-', NCHAR(159), N']%')
    BEGIN
        SET @said = CONCAT(N'''', LEFT(@instance, 200), N''' cannot be an instance name: use 1 to 200 printable characters');
        THROW 51005, @said, 1;
    END;
    -- The project's row is locked by whoever publishes; its name and number never change.
    SELECT @owner = project_id, @target = id
    FROM procver.release
    WHERE name = @release COLLATE Latin1_General_100_BIN2
      AND project_id IN (SELECT id FROM procver.project WITH (NOLOCK)
                         WHERE @project IS NULL OR name = @project COLLATE Latin1_General_100_BIN2);
    SET @matches = @@ROWCOUNT;
    IF @matches <> 1
    BEGIN
        SET @said = CASE @matches
            WHEN 0 THEN CONCAT(N'no release ''', LEFT(@release, 200), N''' of project ''', LEFT(COALESCE(@project, N'(any)'), 100),
                               N''' in this database: publish it here first, or correct the names')
            ELSE CONCAT(N'several projects have a release ''', LEFT(@release, 200), N''': say which project') END;
        THROW 51004, @said, 1;
    END;
    BEGIN TRANSACTION;
    SET @resource = CONCAT(N'procver:beat:', @owner);
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
                SELECT 1 FROM procver.instance AS o
                WHERE o.project_id = i.project_id AND o.name = i.name AND o.release_id <> i.release_id
                  AND o.left_at IS NULL AND o.last_seen_at > i.last_seen_at)
                THEN @now ELSE i.returned_at END,
            last_seen_at = CASE WHEN i.last_seen_at > @now THEN i.last_seen_at ELSE @now END, left_at = NULL
        FROM procver.instance AS i WITH (UPDLOCK, HOLDLOCK)
        WHERE i.project_id = @owner AND i.name = @instance COLLATE Latin1_General_100_BIN2 AND i.release_id = @target;
        IF @@ROWCOUNT = 0
            INSERT procver.instance (project_id, name, release_id, last_seen_at) VALUES (@owner, @instance, @target, @now);
    END;
    UPDATE r SET heard_until = i.last_seen_at
    FROM procver.release AS r
    JOIN procver.instance AS i ON i.release_id = r.id
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
-- Owner, grants and extended properties of objects as data. An entry of "acl" is [grantee, what, grantable]: "what" says
-- DENY where it denies, and ends with the column in brackets where it is for one.
-- only: sqlserver
CREATE FUNCTION procver.privileges(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT p.[schema], p.leaf, p.kind, p.class, p.object_id, CAST(CONCAT(
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
            FROM (VALUES (p.class), (CASE p.class WHEN 1 THEN 2 END)) x (class)  -- an OR would read all properties for each object
            JOIN sys.extended_properties e ON e.class = x.class AND e.major_id = p.major_id
            LEFT JOIN sys.columns c ON e.class = 1 AND e.minor_id > 0 AND c.object_id = e.major_id AND c.column_id = e.minor_id
            LEFT JOIN sys.parameters a ON e.class = 2 AND a.object_id = e.major_id AND a.parameter_id = e.minor_id),
        N']}]') AS nvarchar(max)) AS privileges
    FROM procver.parts(@work) p
);
GO
-- The same, and what a version is, as one hash: its text with every run of blanks as one, and what it was created under; or its
-- columns. NULL where the text may not be read. ALTER and CREATE OR ALTER are stored as CREATE, with other blanks.
-- only: sqlserver
CREATE FUNCTION procver.looks(@work nvarchar(max)) RETURNS TABLE AS RETURN (
    SELECT q.[schema], q.leaf, q.kind, CASE q.class WHEN 6 THEN HASHBYTES('SHA2_256', (
               SELECT STRING_AGG(CAST(CONCAT(
                          c.name COLLATE Latin1_General_100_BIN2, N' ',
                          TYPE_NAME(c.user_type_id) COLLATE Latin1_General_100_BIN2, N' ', c.max_length, N' ', c.precision,
                          N' ', c.scale, N' ', c.is_nullable, c.is_identity, c.is_computed, N' ',
                          c.collation_name COLLATE Latin1_General_100_BIN2) AS nvarchar(max)), N',')
                      WITHIN GROUP (ORDER BY c.column_id)
               FROM sys.columns c WHERE c.object_id = q.object_id))
           ELSE (
               SELECT HASHBYTES('SHA2_256', CAST(CONCAT(
                   REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(m.definition COLLATE Latin1_General_100_BIN2,
                       NCHAR(13), N' '), NCHAR(10), N' '), NCHAR(9), N' '),
                       N' ', NCHAR(1) + NCHAR(2)), NCHAR(2) + NCHAR(1), N''), NCHAR(1) + NCHAR(2), N' '),
                   N'|', m.uses_quoted_identifier, m.uses_ansi_nulls, m.is_schema_bound, m.is_recompiled, N'|',
                   CASE WHEN m.execute_as_principal_id = -2 THEN N'OWNER'
                        ELSE USER_NAME(m.execute_as_principal_id) END COLLATE Latin1_General_100_BIN2) AS nvarchar(max)))
               FROM sys.sql_modules m WHERE m.object_id = q.object_id AND m.definition IS NOT NULL)
           END AS digest, q.privileges
    FROM procver.privileges(@work) q
);
GO
-- The same on Babelfish, by the catalog of its PostgreSQL. What it reads, it reads anew in each session, a token at a time, and what
-- could go on in several ways for long takes it seconds: so these are views, which it keeps read, of few and simple words, and
-- the functions on them are short.
-- only: babelfish
CREATE VIEW procver.thing AS
SELECT CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS sort, CASE prokind WHEN 'p' THEN 'P' ELSE 'FN' END AS type,
       'OBJECT::' AS prefix, 1 AS class, oid AS id, oid AS object_id, pronamespace AS place
FROM pg_catalog.pg_proc
UNION ALL
SELECT 'view', 'V', 'OBJECT::', 1, oid, oid, relnamespace FROM pg_catalog.pg_class WHERE relkind = 'v'
UNION ALL
SELECT 'table_type', 'TT', 'TYPE::', 6, oid, typrelid, typnamespace FROM pg_catalog.pg_type WHERE typrelid <> 0;
GO
-- only: babelfish
CREATE VIEW procver.digest AS
SELECT HASHBYTES('SHA2_256', regexp_replace(tsql_get_functiondef(oid), '[ \r\n\t]+' COLLATE Latin1_General_100_BIN2, ' ', 1, 0)) AS digest,
       1 AS class, oid AS id
FROM pg_catalog.pg_proc
UNION ALL
SELECT HASHBYTES('SHA2_256', regexp_replace(definition, '[ \r\n\t]+' COLLATE Latin1_General_100_BIN2, ' ', 1, 0)), 1, c.oid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
JOIN sys.babelfish_namespace_ext AS e ON e.nspname = n.nspname
JOIN sys.babelfish_view_def AS d ON d.dbid = e.dbid AND schema_name = orig_name AND object_name = relname
WHERE relkind = 'v'
UNION ALL
SELECT HASHBYTES('SHA2_256', (SELECT STRING_AGG(CONCAT(CAST(attname AS nvarchar(128)), ' ', format_type(atttypid, atttypmod), ' ', CAST(attcollation AS bigint),
                                                       CASE CAST(attnotnull AS int) WHEN 1 THEN 't' ELSE 'f' END, CAST(attidentity AS nvarchar(1)), CAST(attgenerated AS nvarchar(1))), ',') WITHIN GROUP (ORDER BY attnum)
                              FROM pg_catalog.pg_attribute WHERE attrelid = typrelid AND attnum > 0)), 6, oid
FROM pg_catalog.pg_type WHERE typrelid <> 0;
GO
-- only: babelfish
CREATE VIEW procver.acl AS
SELECT NULL AS part, 1 AS usual, oid AS id, proacl AS acl, proowner AS owner FROM pg_catalog.pg_proc
UNION ALL
SELECT NULL, 0, oid, relacl, relowner FROM pg_catalog.pg_class
UNION ALL
SELECT CONCAT(' (', QUOTENAME(CAST(attname AS nvarchar(128))), ')'), 0, attrelid, attacl, 0 FROM pg_catalog.pg_attribute;
GO
-- only: babelfish
CREATE VIEW procver.given AS
SELECT CAST(json_build_array(orig_username, CONCAT(privilege_type, part), is_grantable) AS nvarchar(max)) AS said, id
FROM procver.acl
CROSS APPLY aclexplode(acl)
LEFT JOIN sys.babelfish_authid_user_ext ON rolname = pg_get_userbyid(grantee)
WHERE grantee <> owner AND (grantee = 0 OR orig_username IS NOT NULL);
GO
-- only: babelfish
CREATE VIEW procver.property AS
SELECT CAST(CASE WHEN minor_id = 0 THEN json_build_array(name, value) ELSE json_build_array(name, value, 'COLUMN', COL_NAME(major_id, minor_id)) END AS nvarchar(max)) AS said, major_id, class
FROM sys.extended_properties;
GO
-- only: babelfish
CREATE VIEW procver.held AS
SELECT CONCAT('[{"part":"","owner":"', STRING_ESCAPE(USER_NAME(nspowner), 'json'), '","own":null,"acl":[',
              (SELECT STRING_AGG(said, ',') WITHIN GROUP (ORDER BY said) FROM procver.given AS g WHERE g.id = object_id),
              '],"properties":[',
              (SELECT STRING_AGG(said, ',') WITHIN GROUP (ORDER BY said) FROM procver.property AS e WHERE e.major_id = t.id AND e.class = t.class),
              ']}]') AS privileges, nspowner AS owner_id, t.*
FROM procver.thing AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = place;
GO
-- only: babelfish
CREATE FUNCTION procver.parts(@work nvarchar(max)) RETURNS TABLE AS RETURN
SELECT CONCAT(prefix, QUOTENAME([schema]), '.', QUOTENAME(leaf)) AS thing, [schema], leaf, kind, class, id AS major_id, object_id,
       type, NULL AS principal_id, owner_id
FROM OPENJSON(@work) WITH ([schema] nvarchar(128), leaf nvarchar(128), kind varchar(20)) AS x
JOIN procver.held ON sort = kind AND id = CASE kind
    WHEN 'table_type' THEN TYPE_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf)))
    ELSE OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) END;
GO
-- only: babelfish
CREATE FUNCTION procver.privileges(@work nvarchar(max)) RETURNS TABLE AS RETURN
SELECT (SELECT privileges FROM procver.held AS h WHERE h.id = p.major_id AND h.class = p.class) AS privileges, [schema], leaf, kind
FROM procver.parts(@work) AS p;
GO
-- only: babelfish
CREATE FUNCTION procver.looks(@work nvarchar(max)) RETURNS TABLE AS RETURN
SELECT (SELECT digest FROM procver.digest AS d WHERE d.id = p.major_id AND d.class = p.class) AS digest,
       (SELECT privileges FROM procver.held AS h WHERE h.id = p.major_id AND h.class = p.class) AS privileges, [schema], leaf, kind
FROM procver.parts(@work) AS p;
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
