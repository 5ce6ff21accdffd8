-- Rights, ownership and releases: what registry 1 left unguarded.

-- == rights: data written by one role is never executed by a more privileged one

-- Privileges become statements again when a version is restored or followed by another one. So the procedures that read them from
-- the catalog seal them, and `carry` takes nothing without its seal.
ALTER TABLE procver.version ADD privileges_seal varbinary(32) NULL;
GO
CREATE FUNCTION procver.seal_of(@project int, @number int, @name nvarchar(540), @privileges nvarchar(max)) RETURNS varbinary(32) AS
BEGIN
    RETURN HASHBYTES('SHA2_256', CAST(CONCAT(@project, N':', @number, N':', @name, N':', @privileges) AS nvarchar(max)));
END;
GO
-- The privileges that GRANT and DENY know on an object or type.
CREATE FUNCTION procver.is_privilege(@word nvarchar(128)) RETURNS bit AS
BEGIN
    RETURN CASE WHEN @word IN (N'EXECUTE', N'SELECT', N'INSERT', N'UPDATE', N'DELETE', N'REFERENCES', N'ALTER', N'CONTROL', N'RECEIVE',
                               N'TAKE OWNERSHIP', N'UNMASK', N'VIEW CHANGE TRACKING', N'VIEW DEFINITION', N'VIEW SECURITY DEFINITION')
                THEN 1 ELSE 0 END;
END;
GO
-- Privileges that registry 1 kept are sealed as they are: `carry` takes only privileges from it, and names of principals in brackets.
UPDATE procver.version SET privileges_seal = procver.seal_of(project_id, number, name, privileges)
WHERE privileges IS NOT NULL AND ISJSON(privileges) = 1;
GO
UPDATE procver.version SET privileges = N'[]', privileges_seal = NULL WHERE ISJSON(privileges) = 0;
GO
UPDATE procver.event SET detail = CONCAT(N'{"detail":"', STRING_ESCAPE(detail, 'json'), N'"}')
WHERE ISJSON(detail) = 0 OR LEFT(LTRIM(detail), 1) <> N'{';
GO
ALTER TABLE procver.event ADD CONSTRAINT event_detail CHECK (ISJSON(detail) = 1);
GO
-- A role that only collects writes no table of the registry but procver.usage. It executes these procedures, which reach the tables by
-- ownership chaining, and check what they are asked for.
CREATE PROCEDURE procver.require_unneeded @ids nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @needed nvarchar(540) = (
        SELECT MIN(v.physical)
        FROM OPENJSON(@ids) AS e
        JOIN procver.version AS v ON v.id = CAST(e.value AS bigint)
        JOIN procver.membership AS m ON m.version_id = v.id
        JOIN procver.release AS r ON r.project_id = v.project_id AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
        WHERE (r.activated_at IS NOT NULL AND r.retired_at IS NULL)
           OR EXISTS (SELECT 1 FROM procver.channel AS c WHERE c.release_id = r.id));
    IF @needed IS NOT NULL
    BEGIN
        DECLARE @said nvarchar(2000) = CONCAT(N'permission denied to collect ', @needed, N': a live release needs it');
        THROW 51006, @said, 1;
    END;
END;
GO
CREATE PROCEDURE procver.log @project int, @action nvarchar(30), @subject nvarchar(600), @detail nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    IF @action NOT IN (N'condemn', N'quarantine', N'spare', N'drop', N'retire')
       AND COALESCE(HAS_PERMS_BY_NAME(N'procver.event', N'OBJECT', N'INSERT'), 0) = 0
        THROW 51006, N'permission denied to log this action', 1;
    DECLARE @last bigint = COALESCE((SELECT MAX(id) FROM procver.event WHERE project_id = @project), 0), @count bigint;
    INSERT procver.event (project_id, action, subject, detail) VALUES (@project, @action, @subject, @detail);
    SET @count = (SELECT COUNT(*) FROM procver.event WHERE project_id = @project AND id > @last);
    EXEC procver.require_rows N'event', 1, @count;
END;
GO
CREATE PROCEDURE procver.condemn @ids nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    EXEC procver.require_unneeded @ids;
    UPDATE procver.version SET state = 'condemned', condemned_at = SYSUTCDATETIME()
    WHERE state = 'present' AND id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e);
    DECLARE @expected bigint = (SELECT COUNT(*) FROM OPENJSON(@ids)),
            @count bigint = (SELECT COUNT(*) FROM procver.version WHERE state = 'condemned' AND id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e));
    EXEC procver.require_rows N'version', @expected, @count;
END;
GO
-- Takes versions out of the condemned. What is in quarantine has to get back what was taken from it, which only an owner can do.
CREATE PROCEDURE procver.spare @ids nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    IF COALESCE(HAS_PERMS_BY_NAME(N'procver.version', N'OBJECT', N'UPDATE'), 0) = 0
       AND EXISTS (SELECT 1 FROM procver.version AS v
                   WHERE v.quarantined_at IS NOT NULL AND v.id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e))
        THROW 51006, N'permission denied to take versions out of quarantine', 1;
    UPDATE procver.version SET state = 'present', condemned_at = NULL, quarantined_at = NULL
    WHERE state = 'condemned' AND id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e);
    DECLARE @expected bigint = (SELECT COUNT(*) FROM OPENJSON(@ids)),
            @count bigint = (SELECT COUNT(*) FROM procver.version WHERE state = 'present' AND id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e));
    EXEC procver.require_rows N'version', @expected, @count;
END;
GO
-- Keeps, right before drops, what a later restore gives back. What is in quarantine has its privileges kept already.
CREATE PROCEDURE procver.keep_privileges @ids nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @work nvarchar(max) = (
        SELECT v.[schema], v.leaf, v.kind FROM procver.version AS v
        WHERE v.state = 'condemned' AND v.quarantined_at IS NULL AND v.id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e)
        FOR JSON PATH);
    DECLARE @found TABLE ([schema] nvarchar(128) NOT NULL, leaf nvarchar(128) NOT NULL, kind varchar(20) NOT NULL,
                          privileges nvarchar(max) NULL);
    INSERT @found SELECT q.[schema], q.leaf, q.kind, q.privileges FROM procver.privileges(@work) AS q;
    UPDATE v SET privileges = f.privileges, privileges_seal = procver.seal_of(v.project_id, v.number, v.name, f.privileges)
    FROM procver.version AS v
    JOIN @found AS f ON f.[schema] = v.[schema] AND f.leaf = v.leaf AND f.kind = v.kind
    WHERE f.privileges IS NOT NULL AND v.state = 'condemned' AND v.quarantined_at IS NULL
      AND v.id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e);
END;
GO
-- Beside its privileges, how a version is signed that is about to be dropped: no text brings a signature back.
-- only: sqlserver
CREATE PROCEDURE procver.keep_signatures @ids nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    UPDATE v SET privileges = w.privileges, privileges_seal = procver.seal_of(v.project_id, v.number, v.name, w.privileges)
    FROM procver.version AS v
    CROSS APPLY (
        SELECT N'[' + STRING_AGG(N'"' + STRING_ESCAPE(CAST(
                   N'ADD ' + CASE WHEN LEFT(s.crypt_type, 1) = 'C' THEN N'COUNTER ' ELSE N'' END + N'SIGNATURE TO {name} BY '
                   + COALESCE(N'CERTIFICATE ' + QUOTENAME(c.name), N'ASYMMETRIC KEY ' + QUOTENAME(k.name), N'the same certificate or key')
                   AS nvarchar(max)), 'json') + N'"', N',') + N']' AS signed
        FROM sys.crypt_properties AS s
        LEFT JOIN sys.certificates AS c ON c.thumbprint = s.thumbprint
        LEFT JOIN sys.asymmetric_keys AS k ON k.thumbprint = s.thumbprint
        WHERE s.class = 1 AND s.major_id = OBJECT_ID(QUOTENAME(v.[schema]) + N'.' + QUOTENAME(v.leaf))) AS q
    CROSS APPLY (SELECT JSON_MODIFY(v.privileges, '$[0].signed', JSON_QUERY(q.signed)) AS privileges) AS w
    WHERE q.signed IS NOT NULL AND v.privileges IS NOT NULL AND v.state = 'condemned'
      AND v.privileges_seal = procver.seal_of(v.project_id, v.number, v.name, v.privileges)
      AND v.id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e);
END;
GO
-- Puts condemned versions in quarantine: keeps what is granted on them now. The caller then takes it away, which only an owner can;
-- so a role that only collects gets no right to execute this.
CREATE PROCEDURE procver.quarantine @ids nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    EXEC procver.keep_privileges @ids;
    UPDATE procver.version SET quarantined_at = SYSUTCDATETIME()
    WHERE state = 'condemned' AND quarantined_at IS NULL AND id IN (SELECT CAST(e.value AS bigint) FROM OPENJSON(@ids) AS e);
END;
GO
-- Marks condemned versions as dropped, [{"id", "why", "evidence"}, ...], with a line for each in the audit trail.
CREATE PROCEDURE procver.drop_versions @work nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @item TABLE (place int NOT NULL PRIMARY KEY, id bigint NOT NULL, why nvarchar(max) NULL, evidence nvarchar(max) NULL);
    INSERT @item SELECT CAST(e.[key] AS int), CAST(JSON_VALUE(e.value, '$.id') AS bigint), JSON_VALUE(e.value, '$.why'),
                        JSON_VALUE(e.value, '$.evidence')
    FROM OPENJSON(@work) AS e;
    DECLARE @ids nvarchar(max) = (SELECT CONCAT(N'[', STRING_AGG(CAST(i.id AS nvarchar(max)), N','), N']') FROM @item AS i);
    EXEC procver.require_unneeded @ids;
    UPDATE procver.version SET state = 'dropped', condemned_at = NULL, quarantined_at = NULL, dropped_at = SYSUTCDATETIME()
    WHERE state = 'condemned' AND id IN (SELECT i.id FROM @item AS i);
    IF @@ROWCOUNT <> (SELECT COUNT(DISTINCT i.id) FROM @item AS i)
        THROW 51006, N'permission denied to drop versions that are not condemned', 1;
    DECLARE @expected bigint = (SELECT COUNT(*) FROM @item),
            @count bigint = (SELECT COUNT(*) FROM procver.version WHERE state = 'dropped' AND id IN (SELECT i.id FROM @item AS i));
    EXEC procver.require_rows N'version', @expected, @count;
    INSERT procver.event (project_id, action, subject, detail)
    SELECT v.project_id, 'drop', v.physical, (SELECT i.why, i.evidence FOR JSON PATH, WITHOUT_ARRAY_WRAPPER)
    FROM @item AS i JOIN procver.version AS v ON v.id = i.id
    ORDER BY i.place;
END;
GO
-- Forgets instances that nobody declared and that were silent for @silence seconds: each start of an app may bring a new name. A role
-- that only collects cannot make one that beats look dead.
CREATE PROCEDURE procver.forget_instances @project int, @silence bigint AS
BEGIN
    SET NOCOUNT ON;
    IF @silence < 900 AND COALESCE(HAS_PERMS_BY_NAME(N'procver.instance', N'OBJECT', N'DELETE'), 0) = 0
        SET @silence = 900;
    DECLARE @before datetime2(6) = DATEADD(second, -(@silence % 86400), DATEADD(day, -(@silence / 86400), SYSUTCDATETIME()));
    UPDATE r SET heard_until = g.last_seen_at
    FROM procver.release AS r
    JOIN (SELECT i.release_id, MAX(i.last_seen_at) AS last_seen_at FROM procver.instance AS i
          WHERE i.project_id = @project AND i.declared_at IS NULL AND i.last_seen_at < @before GROUP BY i.release_id) AS g
      ON g.release_id = r.id
    WHERE r.heard_until IS NULL OR r.heard_until < g.last_seen_at;
    DELETE FROM procver.instance WHERE project_id = @project AND declared_at IS NULL AND last_seen_at < @before;
END;
GO
CREATE PROCEDURE procver.note_collection @project int, @dropped int, @condemned int, @kept int AS
BEGIN
    SET NOCOUNT ON;
    UPDATE procver.collection SET [at] = SYSUTCDATETIME(), actor = ORIGINAL_LOGIN(), client = HOST_NAME(),
           dropped = @dropped, condemned = @condemned, kept = @kept
    WHERE project_id = @project;
    INSERT procver.collection (project_id, dropped, condemned, kept)
    SELECT @project, @dropped, @condemned, @kept
    WHERE NOT EXISTS (SELECT 1 FROM procver.collection AS c WITH (UPDLOCK, HOLDLOCK) WHERE c.project_id = @project);
END;
GO
-- Whoever collected until now goes on by these procedures.
-- only: sqlserver
DECLARE @sql nvarchar(max) = (
    SELECT STRING_AGG(CAST(CONCAT(
        N'REVOKE UPDATE ON procver.version (state, condemned_at, quarantined_at, dropped_at, privileges) FROM ', c.name,
        N'; REVOKE UPDATE ON procver.release (heard_until) FROM ', c.name, N'; REVOKE DELETE ON procver.instance FROM ', c.name,
        N'; REVOKE INSERT ON procver.event FROM ', c.name, N'; REVOKE INSERT, UPDATE ON procver.collection FROM ', c.name,
        N'; GRANT EXECUTE ON procver.log TO ', c.name, N'; GRANT EXECUTE ON procver.condemn TO ', c.name,
        N'; GRANT EXECUTE ON procver.spare TO ', c.name, N'; GRANT EXECUTE ON procver.keep_privileges TO ', c.name,
        N'; GRANT EXECUTE ON procver.keep_signatures TO ', c.name, N'; GRANT EXECUTE ON procver.drop_versions TO ', c.name,
        N'; GRANT EXECUTE ON procver.forget_instances TO ', c.name, N'; GRANT EXECUTE ON procver.note_collection TO ', c.name) AS nvarchar(max)), N'; ')
    FROM (SELECT DISTINCT QUOTENAME(USER_NAME(p.grantee_principal_id)) AS name
          FROM sys.database_permissions AS p
          WHERE p.class = 1 AND p.major_id = OBJECT_ID(N'procver.version') AND p.type = 'UP' AND p.state IN ('G', 'W')
            AND p.minor_id = COLUMNPROPERTY(OBJECT_ID(N'procver.version'), 'privileges', 'ColumnId')) AS c);
IF @sql IS NOT NULL EXEC sys.sp_executesql @sql;
GO


-- == ownership: which objects of the catalog are versions of ours

-- The catalog's id of an object or type that procver created. What carries a version's name is its own if the id is this
-- one, or if the digest is that of its creation, as in a database that was brought elsewhere. All else was made by hand.
ALTER TABLE procver.version ADD catalog_id int NULL;
GO
DROP VIEW procver.presence;
GO
-- The id of the object that carries a version's name now.
CREATE VIEW procver.presence AS
SELECT CASE kind WHEN 'table_type' THEN TYPE_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf)))
                 ELSE OBJECT_ID(CONCAT(QUOTENAME([schema]), '.', QUOTENAME(leaf))) END AS found_id, catalog_id, id AS version_id
FROM procver.version;
GO
-- Versions that were there before: what has the digest that was stored at its creation. All others are obstacles: docs/operations.md says
-- what to do.
DECLARE @work nvarchar(max) = (SELECT [schema], leaf, kind FROM procver.version WHERE state <> 'dropped' FOR JSON PATH);
UPDATE v SET catalog_id = found_id
FROM procver.version AS v
JOIN procver.presence ON version_id = v.id
JOIN procver.looks(@work) AS q ON q.[schema] = v.[schema] AND q.leaf = v.leaf AND q.kind = v.kind
WHERE v.state <> 'dropped' AND (v.digest IS NULL OR q.digest = v.digest);
GO
-- The versions of a project that the catalog has, and under which ids; "moved" are those that only their digests tell.
CREATE FUNCTION procver.own(@project int) RETURNS TABLE AS RETURN
SELECT 0 AS moved, v.id, found_id
FROM procver.version AS v
JOIN procver.presence AS p ON version_id = v.id
WHERE project_id = @project AND state <> 'dropped' AND found_id = p.catalog_id
UNION ALL
SELECT 1, v.id, found_id
FROM procver.version AS v
JOIN procver.presence AS p ON version_id = v.id
CROSS APPLY procver.looks(CONCAT('[{"schema":"', STRING_ESCAPE([schema], 'json'), '","leaf":"', STRING_ESCAPE(leaf, 'json'), '","kind":"', kind, '"}]')) AS q
WHERE project_id = @project AND state <> 'dropped' AND found_id <> p.catalog_id AND q.digest = v.digest;
GO
-- A trigger may keep rows from being written without an error.
CREATE PROCEDURE procver.require_rows @table nvarchar(128), @expected bigint, @count bigint AS
BEGIN
    IF @count <> @expected
    BEGIN
        DECLARE @said nvarchar(2000) = CONCAT(@count, N' of ', @expected, N' row(s) were written to procver.', @table,
                                              N': a trigger on it keeps them out');
        THROW 51008, @said, 1;
    END;
END;
GO

-- == releases: what a mapping and a membership are checked against

-- True where retired releases may be discarded: a shared staging database. Set by the first publication alone.
ALTER TABLE procver.project ADD trials bit DEFAULT 0 NOT NULL;
GO
-- The schema that a bare name means in the release's mapping; NULL: that of its project, for a release of registry 1.
ALTER TABLE procver.release ADD default_schema nvarchar(128) NULL;
GO
-- "digest" is procver.release.content: SHA-256, in hex, over the lines of all objects in order, each of name, NUL, version, NUL,
-- fingerprint and LF. A mapping with the same digest holds the same versions.
-- only: sqlserver
ALTER VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, dialect, COALESCE(r.default_schema, p.default_schema) AS default_schema,
       v.name, kind, v.number AS version, physical, fingerprint, content AS digest
FROM procver.release AS r
JOIN procver.project AS p ON p.id = r.project_id
JOIN procver.membership AS m ON m.project_id = r.project_id AND since <= r.number AND (until IS NULL OR until > r.number)
JOIN procver.version AS v ON v.id = version_id;
GO
-- only: babelfish
DROP VIEW procver.mapping;
GO
-- only: babelfish
CREATE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, dialect, COALESCE(r.default_schema, p.default_schema) AS default_schema,
       v.name, kind, v.number AS version, physical, fingerprint, content AS digest
FROM procver.release AS r
JOIN procver.project AS p ON p.id = r.project_id
JOIN procver.membership AS m ON m.project_id = r.project_id AND since <= r.number AND (until IS NULL OR until > r.number)
JOIN procver.version AS v ON v.id = version_id;
GO


-- == instances: who may report for which project

-- The role whose members may report for the project's instances; NULL: whoever may execute procver.beat.
ALTER TABLE procver.project ADD app_role nvarchar(128) NULL;
GO
-- As in registry 1, but for members of the project's role alone, and for whoever may write the table itself.
ALTER PROCEDURE procver.beat
    @project nvarchar(4000), @release nvarchar(4000), @instance nvarchar(4000), @leaving bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 5000;
    DECLARE @matches int, @owner int, @target bigint, @got int, @said nvarchar(2000), @role nvarchar(128), @resource nvarchar(255),
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
    SELECT @role = app_role, @said = name FROM procver.project WITH (NOLOCK) WHERE id = @owner;
    IF @role IS NOT NULL AND COALESCE(IS_ROLEMEMBER(@role), 0) <> 1 AND COALESCE(IS_ROLEMEMBER(N'db_owner'), 0) <> 1
       AND COALESCE(HAS_PERMS_BY_NAME(N'procver.instance', N'OBJECT', N'INSERT'), 0) <> 1
    BEGIN
        SET @said = CONCAT(N'permission denied to report for project ''', @said, N''': ', USER_NAME(), N' is not a member of role ', @role);
        THROW 51007, @said, 1;
    END;
    BEGIN TRANSACTION;
    SET @resource = CONCAT(N'procver:beat:', @owner);
    EXEC @got = sys.sp_getapplock @Resource = @resource, @LockMode = N'Shared', @LockOwner = N'Transaction', @LockTimeout = 5000;
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
