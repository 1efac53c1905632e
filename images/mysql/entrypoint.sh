#!/bin/bash
# Creates the data directory at the first start and then runs the server, like the official image's script.
# Variables: MYSQL_ROOT_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD.
set -euo pipefail

# Bare arguments are for the server; another command runs unchanged.
if [ "${1:-}" = "" ] || [ "${1#-}" != "$1" ]; then set -- mysqld "$@"; fi
if [ "$1" != mysqld ]; then exec "$@"; fi
shift

data=/var/lib/mysql
if [ "$(id -u)" = 0 ]; then
    chown mysql: "$data"
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$BASH_SOURCE" mysqld "$@"
fi

# The given arguments come last and override these.
server=(mysqld --datadir="$data" --bind-address=0.0.0.0 --mysqlx=0 --secure-file-priv=/var/lib/mysql-files
    --skip-name-resolve --socket=/var/run/mysqld/mysqld.sock --pid-file=/var/run/mysqld/mysqld.pid)

quoted() { printf "'%s'" "$(printf %s "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }

if [ ! -d "$data/mysql" ]; then
    if [ -z "${MYSQL_ROOT_PASSWORD:-}" ]; then
        echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified: set MYSQL_ROOT_PASSWORD" >&2
        exit 1
    fi
    echo "[Note] [Entrypoint]: Initializing database files" >&2
    "${server[@]}" "$@" --initialize-insecure
    setup="$(mktemp)"
    {
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");"
        host="${MYSQL_ROOT_HOST-%}"
        if [ -n "$host" ] && [ "$host" != localhost ]; then
            echo "CREATE USER 'root'@$(quoted "$host") IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");"
            echo "GRANT ALL ON *.* TO 'root'@$(quoted "$host") WITH GRANT OPTION;"
        fi
        if [ -n "${MYSQL_DATABASE:-}" ]; then echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"; fi
        if [ -n "${MYSQL_USER:-}" ]; then
            echo "CREATE USER $(quoted "$MYSQL_USER")@'%' IDENTIFIED BY $(quoted "${MYSQL_PASSWORD:-}");"
            if [ -n "${MYSQL_DATABASE:-}" ]; then
                echo "GRANT ALL ON \`$MYSQL_DATABASE\`.* TO $(quoted "$MYSQL_USER")@'%';"
            fi
        fi
    } > "$setup"
    # Runs before the server listens, so no client can connect before the password is set.
    set -- --init-file="$setup" "$@"
    echo "[Note] [Entrypoint]: MySQL init process done. Ready for start up." >&2
fi
exec "${server[@]}" "$@"
