#!/bin/sh
# Writes .env beside this file, with random passwords.
set -eu
cd "$(dirname "$0")"

if [ "${1:-}" != --accept-eula ]; then
    echo "usage: $0 --accept-eula" >&2
    echo "You accept Microsoft's licence terms for SQL Server and its ODBC driver: see .env.example." >&2
    exit 2
fi
if [ -e .env ]; then
    echo "docker/.env is there already: the databases were made with its passwords." >&2
    exit 1
fi

umask 077
while IFS= read -r line; do
    case $line in
        ACCEPT_EULA=) echo "ACCEPT_EULA=Y" ;;
        *_PASSWORD=) echo "${line}Pw-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" ;;
        *) echo "$line" ;;
    esac
done < .env.example > .env.new
mv .env.new .env
echo "wrote docker/.env"
