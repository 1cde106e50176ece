#!/bin/sh
# Patroni asks before it makes a primary of the target: not while the other region has one whose term is not older. What comes back from the
# dead finds here that others have taken over.
set -eu
export PGPASSWORD="$SLUICE_DB_PASSWORD" PGCONNECT_TIMEOUT=2

term() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "$1" <<'SQL'
select to_regclass('sluice.regions') is not null as known \gset
\if :known
set statement_timeout = '2s';
select coalesce(max(term), 0) from sluice.regions;
\else
select 0;
\endif
SQL
}

# Where none answers as the primary, none is in the way.
theirs=$(term postgres://etl@haproxy1:5452,haproxy2:5452/sluice 2>/dev/null) || exit 0
own=$(term postgres://etl@0.0.0.0:5432/sluice)
if [ "$theirs" -ge "$own" ]; then
  echo "The target is not made a primary here: the other region has one, of term $theirs; this one's is $own. \"sluice region status\" says more." >&2
  exit 1
fi
