#!/usr/bin/env bash
# Starts and stops a Postgres server of a test's own: in a folder of its own, on a socket there, with no port and no password.
#
#   postgres.sh start FOLDER    makes a database cluster below FOLDER and waits until it answers on FOLDER/.s.PGSQL.5432
#   postgres.sh stop FOLDER     ends it as a crash would and waits until it is gone
#
# Postgres refuses to run as root: there it runs as the user `postgres` that the Debian package makes. Durability is as in
# production (fsync and synchronous_commit are on) unless TOLLHOUSE_POSTGRES_OPTIONS says otherwise.
set -euo pipefail

verb=${1:?start or stop} folder=${2:?a folder}
data=$folder/data

# Debian keeps the programs beside their version.
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[[ -n $programs ]] || programs=$(dirname -- "$(readlink -f -- "$(command -v initdb || command -v postgres || echo /nowhere/postgres)")")
[[ -x $programs/initdb ]] || { echo "postgres.sh: no Postgres server here; install the package postgresql" >&2; exit 1; }

# as COMMAND…: runs it as somebody who may run Postgres.
as() {
    if [[ $(id -u) == 0 ]]; then
        setpriv --reuid=postgres --regid=postgres --init-groups -- env -C "$folder" HOME="$folder" "$@"
    else
        "$@"
    fi
}

case $verb in
    start)
        mkdir -p "$folder"
        if [[ $(id -u) == 0 ]]; then chown postgres: "$folder"; fi
        chmod 755 "$folder"
        as "$programs/initdb" --pgdata="$data" --username=tollhouse --auth=trust --encoding=UTF8 --locale=C \
            --no-instructions >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }
        as "$programs/pg_ctl" start --wait --timeout=60 --silent --pgdata="$data" --log="$data/server.log" \
            --options="-c listen_addresses='' -c unix_socket_directories='$folder' -c max_connections=200 ${TOLLHOUSE_POSTGRES_OPTIONS:-}" \
            >/dev/null 2>&1 </dev/null || { cat "$data/server.log" >&2; exit 1; }
        ;;
    stop)
        as "$programs/pg_ctl" stop --wait --mode=immediate --silent --pgdata="$data" >/dev/null 2>&1 || true
        ;;
    *)
        echo "postgres.sh: start or stop, not $verb" >&2
        exit 2
        ;;
esac
