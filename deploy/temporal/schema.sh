#!/bin/sh
# Makes or brings up to date the schema of both databases, which are there already. May be run again.
set -eu
export SQL_PLUGIN=postgres12_pgx SQL_HOST="${DB_ADDRESS%:*}" SQL_PORT="${DB_ADDRESS##*:}" SQL_USER=temporal SQL_PASSWORD="$TEMPORAL_DB_PASSWORD"

prepare() {
  update="temporal-sql-tool --db $1 update-schema --schema-name postgresql/v12/$2"
  # A new database has no version to bring up to date.
  $update 2>/dev/null || { temporal-sql-tool --db "$1" setup-schema -v 0.0 && $update; }
}

prepare temporal temporal
prepare temporal_visibility visibility
