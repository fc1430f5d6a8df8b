#!/usr/bin/env bash
# Builds Pebble, the test server of Let's Encrypt, into the test cache and prints the folder that it and its name server are in.
#
#   tests/tools/pebble.sh      builds when it is not there yet (a minute); a second call answers at once
#
# From the Go registry, in the versions that tests/tools/pebble/go.sum pins: `pebble`, an ACME authority that refuses nonces and
# fails on purpose, and `pebble-challtestsrv`, which answers its questions for names. Needs go.
set -euo pipefail

version=2.10.1
cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
here=$(dirname "$(readlink -f "$0")")
folder=$cache/pebble-$version
log=$cache/pebble-$version.log

if [[ -x $folder/pebble ]]; then
    echo "$folder"
    exit 0
fi
command -v go >/dev/null || { echo "pebble.sh: go is missing; it is needed to build Pebble" >&2; exit 1; }

mkdir -p "$cache"
# One build at a time: who comes second waits for the first and finds its programs.
exec 9>"$cache/pebble-$version.lock"
flock 9
if [[ -x $folder/pebble ]]; then
    echo "$folder"
    exit 0
fi

work=$(mktemp -d "$cache/pebble.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here"/pebble/* "$work"
mkdir "$work/bin"
# go.sum says what is trusted, without asking anybody else.
if ! (cd "$work" && GOFLAGS=-mod=readonly nice -n 10 go build -buildvcs=false -trimpath -ldflags '-s -w' -p 2 -o bin/ \
    github.com/letsencrypt/pebble/v2/cmd/pebble github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv) >"$log" 2>&1
then
    echo "pebble.sh: building Pebble $version failed; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
rm -rf "$folder"
mv "$work/bin" "$folder"
echo "$folder"
