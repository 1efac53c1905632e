#!/bin/sh
# Runs the server with the given arguments, like the official image, whose entry point is the server itself.
exec /bin/prometheus "$@"
