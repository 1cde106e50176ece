#!/bin/sh
# Roles and databases of a new cluster. Patroni runs it once, with a connection string of the superuser.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
  --set temporal_password="$TEMPORAL_DB_PASSWORD" --set sluice_password="$SLUICE_DB_PASSWORD" --dbname "$1" <<'SQL'
create role temporal login password :'temporal_password';
create database temporal owner temporal;
create database temporal_visibility owner temporal;
-- Not called as the ledger's schema, which the role would find before all others.
create role etl login password :'sluice_password';
create database sluice owner etl;
SQL
