#!/bin/sh
# Lays a release of the sample over the project, publishes it, and keeps its mapping for its app.
#
# usage: publish.sh RELEASE
set -eu
release=$1
sample=${SAMPLE:-/sample}/release-$release
mapping=release-$release.json

if [ -f "$mapping" ]; then
    # Started again: the sources have moved on, so go back to what was published then.
    procver release activate "$release" --restore --instance "app-$release"
    exit 0
fi

cp -R "$sample/." .
if [ -f REMOVED ]; then
    grep -v '^#' REMOVED | while IFS= read -r file; do rm -f "$file"; done
    rm REMOVED
fi

procver publish --release "$release"
procver release activate "$release" --instance "app-$release"
cp procver.map.json "$mapping"
