#!/bin/sh
# The scheduled cleanup job: what gc no longer has a reason to keep, it drops.
set -u
trap 'exit 0' TERM INT

while :; do
    # A failure is not the end: the next run goes on where this one stopped.
    procver gc --apply || echo "gc failed with status $?; next try in ${CLEANUP_INTERVAL} s" >&2
    procver release list
    sleep "$CLEANUP_INTERVAL" &
    wait $!
done
