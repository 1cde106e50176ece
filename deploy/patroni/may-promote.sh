#!/bin/sh
# Patroni asks before it makes a primary of the target. Not while the other region has one whose term is not older; and not where nobody can say so,
# unless a person has decided it: "sluice region failover" sets sluice.alone_from_term. What comes back from the dead finds here that others have
# taken over, or waits until it hears.
set -eu
export PGPASSWORD="$SLUICE_DB_PASSWORD" PGCONNECT_TIMEOUT=2

# Role, term, and the term from which on this region may go on alone.
ask() {
  psql --no-psqlrc --quiet --tuples-only --no-align --field-separator ' ' --set ON_ERROR_STOP=1 --dbname "$1" <<'SQL'
set statement_timeout = '2s';
select to_regclass('sluice.regions') is not null as known \gset
\if :known
select coalesce(max(term), 0) as term from sluice.regions \gset
\else
\set term 0
\endif
select case when pg_is_in_recovery() then 'standby' else 'primary' end, :term, coalesce(nullif(current_setting('sluice.alone_from_term', true), ''), 'never');
SQL
}

refuse() {
  echo "The target is not made a primary here: $1 \"sluice region status\" says more." >&2
  exit 1
}

# Who knows nothing of himself (a server that is slow or full) may not conclude anything from that.
here=$(ask postgres://etl@0.0.0.0:5432/sluice) || refuse "its own server cannot be asked for its term."
read -r _ own alone <<EOF
$here
EOF
case $own in '' | *[!0-9]*) refuse "its own server gives no term: $here" ;; esac
read -r role theirs _ <<EOF
$(ask postgres://etl@haproxy1:5453,haproxy2:5453/sluice 2>/dev/null || echo unreachable 0 -)
EOF

case $theirs in '' | *[!0-9]*) role=unreachable ;; esac

case $role in
  primary) [ "$theirs" -lt "$own" ] || refuse "the other region has one, of term $theirs; this one's is $own." ;;
  standby) [ "$theirs" -le "$own" ] || refuse "the other region has a newer term, $theirs; this one's is $own." ;;
  *) [ "$alone" = "$own" ] || refuse "the other region cannot be asked whether it has taken over; this one's term is $own. If it is lost: sluice region failover, with this region." ;;
esac
