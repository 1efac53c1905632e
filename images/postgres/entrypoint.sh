#!/bin/bash
# Creates the cluster at the first start and then runs the server, like the official image's script.
# Variables: POSTGRES_PASSWORD (or POSTGRES_HOST_AUTH_METHOD=trust), POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS, PGDATA.
set -euo pipefail

# Bare arguments are for the server; another command runs unchanged.
if [ "${1:-}" = "" ] || [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi

export PGDATA="${PGDATA:-/var/lib/postgresql/$(cat /etc/postgresql-major)/docker}"
user="${POSTGRES_USER:-postgres}"

# The server refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown postgres: "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$BASH_SOURCE" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
        echo "Error: Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD." >&2
        exit 1
    fi
    # initdb reads the password from a file, and an empty one means none.
    initdb --username="$user" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-none}") \
        --auth-local=trust --auth-host=trust --no-sync ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"

    # No client can connect over TCP before the set-up is complete.
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -c fsync=off" -w start
    database="${POSTGRES_DB:-$user}"
    if [ "$database" != postgres ]; then
        psql --username "$user" --dbname postgres --set db="$database" <<< 'CREATE DATABASE :"db"'
    fi
    pg_ctl -D "$PGDATA" -m fast -w stop
    echo
    echo 'PostgreSQL init process complete; ready for start up.'
    echo
fi
exec "$@"
