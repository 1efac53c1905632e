#!/bin/sh
# Runs HAProxy in the foreground, or another command, like the official image's script.
set -eu

# Bare arguments are for HAProxy; another command runs unchanged.
if [ "${1#-}" != "$1" ]; then set -- haproxy "$@"; fi
if [ "$1" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
