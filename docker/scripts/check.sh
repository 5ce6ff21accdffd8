#!/bin/sh
# Waits until the cycle is complete: release 1's versions are gone, release 2's as published.
set -eu

tries=60
until procver why shop.spFindAllThings_1 | grep -q 'dropped$'; do
    tries=$((tries - 1))
    if [ "$tries" = 0 ]; then
        echo "release 1's versions were not collected" >&2
        exit 1
    fi
    sleep 5
done
procver release list
procver verify
