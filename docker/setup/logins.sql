-- The database and its two logins. sqlcmd takes $(NAME) from the environment.

IF DB_ID(N'shop') IS NULL
    CREATE DATABASE shop;
GO

-- ALTER LOGIN on every run: a password that was changed in .env holds from then on.
IF SUSER_ID(N'procver') IS NULL
    CREATE LOGIN procver WITH PASSWORD = N'$(PROCVER_PASSWORD)', DEFAULT_DATABASE = shop;
ELSE
    ALTER LOGIN procver WITH PASSWORD = N'$(PROCVER_PASSWORD)';

IF SUSER_ID(N'shop_web') IS NULL
    CREATE LOGIN shop_web WITH PASSWORD = N'$(SHOP_WEB_PASSWORD)', DEFAULT_DATABASE = shop;
ELSE
    ALTER LOGIN shop_web WITH PASSWORD = N'$(SHOP_WEB_PASSWORD)';
GO

USE shop;
GO

IF USER_ID(N'procver') IS NULL
    CREATE USER procver FOR LOGIN procver WITH DEFAULT_SCHEMA = shop;
IF USER_ID(N'shop_web') IS NULL
    CREATE USER shop_web FOR LOGIN shop_web WITH DEFAULT_SCHEMA = shop;
GO
