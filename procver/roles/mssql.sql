-- Three roles for project <project> on SQL Server, made by `procver init --roles`. docs/roles.md tells what each may do, and why.
--
-- Run it in the target database, as db_owner:
--
--     sqlcmd -S server -d database -I -b -i procver-roles.sql
--
-- once before the first publication, and again after it and after every upgrade of procver, when there are tables to grant
-- on. It may be run at any time, and takes nothing away but what an earlier script gave the collector.
--
-- It executes nothing that the publisher owns: whoever runs it would run that with its own rights.

SET NOCOUNT ON;
IF DATABASE_PRINCIPAL_ID(N'<publisher>') IS NULL CREATE ROLE <publisher>;
IF DATABASE_PRINCIPAL_ID(N'<collector>') IS NULL CREATE ROLE <collector>;
IF DATABASE_PRINCIPAL_ID(N'<app>') IS NULL CREATE ROLE <app>;
GO
-- The publisher owns the registry's schema: it needs no CREATE SCHEMA.
IF SCHEMA_ID(N'procver') IS NULL
    EXEC(N'CREATE SCHEMA procver AUTHORIZATION <publisher>');
ELSE IF (SELECT principal_id FROM sys.schemas WHERE name = N'procver') <> DATABASE_PRINCIPAL_ID(N'<publisher>')
    ALTER AUTHORIZATION ON SCHEMA::procver TO <publisher>;
GO
GRANT CREATE TABLE, CREATE VIEW, CREATE PROCEDURE, CREATE FUNCTION, CREATE TYPE TO <publisher>;
GO
-- gc looks through the whole database for whoever still uses a version.
GRANT VIEW DEFINITION TO <publisher>;
GRANT VIEW DEFINITION TO <collector>;
GO
-- Only db_owner may read this view of the catalog, unless it is granted.
GRANT SELECT ON sys.sql_expression_dependencies TO <publisher>;
GRANT SELECT ON sys.sql_expression_dependencies TO <collector>;
GO
-- each schema
-- CONTROL is what GRANT, ALTER AUTHORIZATION and DROP ask for.
GRANT CONTROL ON SCHEMA::<schema> TO <publisher>;
-- DROP asks for ALTER. Without CREATE on the database it creates nothing, but it reaches every object of this schema: keep tables in another.
GRANT ALTER ON SCHEMA::<schema> TO <collector>;
-- A login sees only what it has a right on, and Resolver.verify looks for all of its release.
GRANT VIEW DEFINITION ON SCHEMA::<schema> TO <app>;
GO
-- end
-- Optional: execution statistics as evidence. In master for VIEW SERVER STATE, here from SQL Server 2022 on:
--     GRANT VIEW DATABASE PERFORMANCE STATE TO <collector>;

GRANT SELECT ON SCHEMA::procver TO <collector>;
GO
IF OBJECT_ID(N'procver.event') IS NULL
    PRINT N'there is no registry yet: run this script again after the first procver publish';
ELSE IF OBJECT_ID(N'procver.drop_versions') IS NULL
    PRINT N'the registry is older than this script: run it again after the next procver publish';
ELSE
BEGIN
    -- The collector reads everything, and writes through procedures that check what they are asked for: these reach the tables, as
    -- they have one owner.
    REVOKE UPDATE ON procver.version (state, condemned_at, quarantined_at, dropped_at, privileges) FROM <collector>;
    REVOKE UPDATE ON procver.release (heard_until) FROM <collector>;
    REVOKE DELETE ON procver.instance FROM <collector>;
    REVOKE INSERT ON procver.event FROM <collector>;
    REVOKE INSERT, UPDATE ON procver.collection FROM <collector>;
    GRANT EXECUTE ON procver.hold TO <collector>;
    GRANT EXECUTE ON procver.log TO <collector>;
    GRANT EXECUTE ON procver.condemn TO <collector>;
    GRANT EXECUTE ON procver.spare TO <collector>;
    GRANT EXECUTE ON procver.keep_privileges TO <collector>;
    GRANT EXECUTE ON procver.keep_signatures TO <collector>;
    GRANT EXECUTE ON procver.drop_versions TO <collector>;
    GRANT EXECUTE ON procver.forget_instances TO <collector>;
    GRANT EXECUTE ON procver.note_collection TO <collector>;
    -- What the server's statistics said: no more than evidence.
    GRANT INSERT, UPDATE, DELETE ON procver.usage TO <collector>;
    -- The app reads its mapping and says that it is alive. What it may call, [grants] in procver.toml or the sources say.
    GRANT SELECT ON procver.mapping TO <app>;
    GRANT SELECT ON procver.channel_release TO <app>;
    GRANT EXECUTE ON procver.beat TO <app>;
END;
GO
-- Members of the app's role alone report for the project's instances. A trigger of the publisher's on this table would run with the rights of
-- whoever runs this script; while the table is locked nobody makes one.
IF COL_LENGTH(N'procver.project', N'app_role') IS NOT NULL
    EXEC sys.sp_executesql N'
    SET XACT_ABORT ON;
    BEGIN TRANSACTION;
    DECLARE @held int = (SELECT COUNT(*) FROM procver.project WITH (TABLOCKX, HOLDLOCK));
    IF EXISTS (SELECT 1 FROM sys.objects WHERE object_id = OBJECT_ID(N''procver.project'') AND type <> ''U'')
       OR EXISTS (SELECT 1 FROM sys.triggers WHERE parent_id = OBJECT_ID(N''procver.project''))
       OR EXISTS (SELECT 1 FROM sys.check_constraints WHERE parent_object_id = OBJECT_ID(N''procver.project''))
       OR EXISTS (SELECT 1 FROM sys.columns WHERE object_id = OBJECT_ID(N''procver.project'') AND is_computed = 1)
        PRINT N''procver.project was changed by hand: let the publisher set app_role in it'';
    ELSE
        UPDATE procver.project SET app_role = @app WHERE name = @project COLLATE Latin1_General_100_BIN2;
    COMMIT TRANSACTION;', N'@app nvarchar(128), @project nvarchar(100)', @app = N'<app>', @project = N'<project>';
GO
-- The logins, one for each job:
--     CREATE USER deploy FOR LOGIN deploy;   ALTER ROLE <publisher> ADD MEMBER deploy;
--     CREATE USER cleanup FOR LOGIN cleanup; ALTER ROLE <collector> ADD MEMBER cleanup;
--     CREATE USER web FOR LOGIN web;         ALTER ROLE <app> ADD MEMBER web;
