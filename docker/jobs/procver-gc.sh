#!/bin/sh
# The scheduled cleanup of one project: collect, look for drift, write metrics. One run at a time.
#
# usage: procver-gc.sh PROJECT [option of `procver gc`, such as --max 500]
#
# PROCVER_TARGET   where, as everywhere
# PROCVER_METRICS  a file for node_exporter's textfile collector; not set: none
# PROCVER_LOCK     the lock file [PROJECT/.procver/gc.lock]
# PROCVER_PAUSE    seconds before it tries again to reach the database [60]
#
# Exit status: 0 done, or another run is under way; 1 there is drift; 2 wrong configuration; 3 the database could not be
# reached, three times; 4 a conflict.
set -u

if [ $# -lt 1 ]; then
    echo "usage: procver-gc.sh PROJECT [option of procver gc ...]" >&2
    exit 2
fi
project=$1
shift

# Two runs at once do no harm, they only wait for each other: so without flock it goes on.
if command -v flock >/dev/null; then
    lock=${PROCVER_LOCK:-$project/.procver/gc.lock}
    mkdir -p "$(dirname "$lock")" && exec 9>"$lock" || exit 2
    if ! flock -n 9; then
        echo "another run is still under way" >&2
        exit 0
    fi
fi

for try in 1 2 3; do
    procver gc --apply -C "$project" "$@"
    status=$?
    # What one run did is done; the next goes on from there.
    [ "$status" -eq 3 ] && [ "$try" -lt 3 ] || break
    echo "try $try: trying again in ${PROCVER_PAUSE:-60} s" >&2
    sleep "${PROCVER_PAUSE:-60}"
done

if [ "$status" -eq 0 ]; then
    procver verify -C "$project"
    status=$?
fi
if [ -n "${PROCVER_METRICS:-}" ] && [ "$status" -le 1 ]; then
    procver status -C "$project" --format prometheus -o "$PROCVER_METRICS" || status=$?
fi

case $status in
    0) ;;
    1) echo "the database is not as it was published: see the findings above" >&2 ;;
    3) echo "the database refused or could not be reached; the next run goes on" >&2 ;;
    *) echo "somebody has to look: procver ended with status $status" >&2 ;;
esac
exit "$status"
