#!/bin/bash
# Creates the data directory at the first start and then runs the server, like the official image's script.
# Variables: MARIADB_ROOT_PASSWORD, MARIADB_ROOT_HOST, MARIADB_DATABASE, MARIADB_USER, MARIADB_PASSWORD.
set -euo pipefail

# Bare arguments are for the server; another command runs unchanged.
if [ "${1:-}" = "" ] || [ "${1#-}" != "$1" ]; then set -- mariadbd "$@"; fi
if [ "$1" != mariadbd ] && [ "$1" != mysqld ]; then exec "$@"; fi
shift

data=/var/lib/mysql
if [ "$(id -u)" = 0 ]; then
    chown mysql: "$data"
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$BASH_SOURCE" mariadbd "$@"
fi

# The given arguments come last and override these.
server=(mariadbd --datadir="$data" --bind-address=0.0.0.0 --skip-name-resolve --socket=/var/run/mysqld/mysqld.sock)

quoted() { printf "'%s'" "$(printf %s "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }

if [ ! -d "$data/mysql" ]; then
    if [ -z "${MARIADB_ROOT_PASSWORD:-}" ]; then
        echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified: set MARIADB_ROOT_PASSWORD" >&2
        exit 1
    fi
    echo "[Note] [Entrypoint]: Initializing database files" >&2
    mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve >&2
    setup="$(mktemp)"
    {
        # These users have no password.
        echo "DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';"
        echo "EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ''root''@''', @@hostname, '''');"
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$MARIADB_ROOT_PASSWORD");"
        host="${MARIADB_ROOT_HOST-%}"
        if [ -n "$host" ] && [ "$host" != localhost ]; then
            echo "CREATE USER 'root'@$(quoted "$host") IDENTIFIED BY $(quoted "$MARIADB_ROOT_PASSWORD");"
            echo "GRANT ALL ON *.* TO 'root'@$(quoted "$host") WITH GRANT OPTION;"
        fi
        if [ -n "${MARIADB_DATABASE:-}" ]; then echo "CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;"; fi
        if [ -n "${MARIADB_USER:-}" ]; then
            echo "CREATE USER $(quoted "$MARIADB_USER")@'%' IDENTIFIED BY $(quoted "${MARIADB_PASSWORD:-}");"
            if [ -n "${MARIADB_DATABASE:-}" ]; then
                echo "GRANT ALL ON \`$MARIADB_DATABASE\`.* TO $(quoted "$MARIADB_USER")@'%';"
            fi
        fi
    } > "$setup"
    # Runs before the server listens, so no client can connect before the password is set.
    set -- --init-file="$setup" "$@"
    echo "[Note] [Entrypoint]: MariaDB init process done. Ready for start up." >&2
fi
exec "${server[@]}" "$@"
