#!/bin/sh
# Becomes HAProxy in the foreground, or another command, as the official image's script does.
set -eu

# Arguments alone are meant for HAProxy; another command runs as it is.
if [ "${1#-}" != "$1" ]; then set -- haproxy "$@"; fi
if [ "$1" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
