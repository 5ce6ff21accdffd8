-- What publishing and collecting need, and nothing more: no db_owner, no db_ddladmin.

IF DATABASE_PRINCIPAL_ID(N'procver_publisher') IS NULL
    CREATE ROLE procver_publisher;
GO

-- The registry: a schema of its own, which belongs to the login that makes it.
GRANT CREATE SCHEMA, CREATE TABLE TO procver_publisher;
-- The versions. CONTROL on their schema is what GRANT, ALTER AUTHORIZATION and DROP ask for.
GRANT CREATE VIEW, CREATE PROCEDURE, CREATE FUNCTION, CREATE TYPE TO procver_publisher;
GRANT CONTROL ON SCHEMA::shop TO procver_publisher;
-- gc looks through all of the database for whoever still uses a version.
GRANT VIEW DEFINITION TO procver_publisher;
GRANT SELECT ON sys.sql_expression_dependencies TO procver_publisher;
GO

ALTER ROLE procver_publisher ADD MEMBER procver;
-- The application: what the sources grant to shop_app.
ALTER ROLE shop_app ADD MEMBER shop_web;
GO
-- A login sees only what it has a right on, and Resolver.verify looks for all of its release.
GRANT VIEW DEFINITION ON SCHEMA::shop TO shop_app;
GO
