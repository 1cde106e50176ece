#!/bin/sh
# Roles and databases of a new cluster: of Temporal, of the target, or of both, as there are passwords for them. Patroni runs it once, with a
# connection string of the superuser.
set -eu
# It stands in connection URLs as it is; said before there is a database that has it.
case "${SLUICE_DB_PASSWORD:-}" in
  *[!A-Za-z0-9_-]*)
    echo "SLUICE_DB_PASSWORD has other characters than letters, digits, _ and -, and it stands in URLs: make one with openssl rand -hex 18" >&2
    exit 1
    ;;
esac

run() {
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$1" --dbname "$2"
}

if [ -n "${TEMPORAL_DB_PASSWORD:-}" ]; then
  run "$TEMPORAL_DB_PASSWORD" "$1" <<'SQL'
create role temporal login password :'password';
create database temporal owner temporal;
create database temporal_visibility owner temporal;
SQL
fi

if [ -n "${SLUICE_DB_PASSWORD:-}" ]; then
  run "$SLUICE_DB_PASSWORD" "$1" <<'SQL'
-- Not called as the ledger's schema, which the role would find before all others.
create role etl login password :'password';
create database sluice owner etl;
SQL
fi
