#!/bin/sh
# Runs the server as its own user, or another command, like the official image's script.
set -eu

# Bare arguments are for the server; another command runs unchanged.
if [ "${1#-}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" != redis-server ]; then exec "$@"; fi
shift
# Not only on the loopback interface; the arguments set the password.
exec setpriv --reuid=redis --regid=redis --init-groups redis-server --protected-mode no "$@"
