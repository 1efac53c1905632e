#!/bin/bash
# Writes PgBouncer's configuration from variables and then runs PgBouncer.
# Variables: DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, AUTH_TYPE, POOL_MODE, ADMIN_USERS, MAX_CLIENT_CONN,
# DEFAULT_POOL_SIZE, MAX_PREPARED_STATEMENTS, LISTEN_PORT.
set -euo pipefail

if [ "${1:-pgbouncer}" != pgbouncer ]; then exec "$@"; fi

: "${DB_HOST:?set DB_HOST}" "${DB_PASSWORD:?set DB_PASSWORD}"
user="${DB_USER:-postgres}"
mkdir -p /etc/pgbouncer
# With scram-sha-256 PgBouncer itself logs in at the server, which requires the plain password.
printf '"%s" "%s"\n' "${user//\"/\"\"}" "${DB_PASSWORD//\"/\"\"}" > /etc/pgbouncer/userlist.txt
cat > /etc/pgbouncer/pgbouncer.ini << END
[databases]
* = host=$DB_HOST port=${DB_PORT:-5432}
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = ${LISTEN_PORT:-5432}
unix_socket_dir =
auth_file = /etc/pgbouncer/userlist.txt
auth_type = ${AUTH_TYPE:-scram-sha-256}
admin_users = ${ADMIN_USERS:-postgres}
pool_mode = ${POOL_MODE:-session}
max_client_conn = ${MAX_CLIENT_CONN:-100}
default_pool_size = ${DEFAULT_POOL_SIZE:-20}
max_prepared_statements = ${MAX_PREPARED_STATEMENTS:-200}
ignore_startup_parameters = extra_float_digits
END
chown -R postgres: /etc/pgbouncer
exec setpriv --reuid=postgres --regid=postgres --init-groups pgbouncer /etc/pgbouncer/pgbouncer.ini
