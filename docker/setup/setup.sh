#!/bin/bash
# Makes database, logins, tables and roles, once; may be run again at any time.
set -euo pipefail

# The password comes from SQLCMDPASSWORD, where no list of processes shows it. -I: QUOTED_IDENTIFIER
# ON, which sqlcmd alone leaves off. -b: stop at the first error. -C: this server signed its
# certificate itself.
sqlcmd() {
    /opt/mssql-tools18/bin/sqlcmd -S sqlserver -U sa -C -I -b "$@"
}

sqlcmd -i /setup/logins.sql

there=$(sqlcmd -d shop -h -1 -W -Q "SET NOCOUNT ON; SELECT COUNT(*) FROM sys.schemas WHERE name = 'shop'")
if [ "$there" = 0 ]; then
    # What a migration tool would do.
    for migration in /migrations/*.sql; do
        echo "$migration"
        sqlcmd -d shop -i "$migration"
    done
fi

sqlcmd -d shop -i /setup/roles.sql
echo "the database is ready"
