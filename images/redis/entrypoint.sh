#!/bin/sh
# Becomes the server as its own user, or another command, as the official image's script does.
set -eu

# Arguments alone are meant for the server; another command runs as it is.
if [ "${1#-}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" != redis-server ]; then exec "$@"; fi
shift
# Not on the loopback interface alone, and the password is what the arguments say.
exec setpriv --reuid=redis --regid=redis --init-groups redis-server --protected-mode no "$@"
