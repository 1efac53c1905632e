#!/bin/sh
# Becomes the server, with the arguments given, as the official image's entry point is the server itself.
exec /bin/prometheus "$@"
