#!/usr/bin/env bash
# Builds h2spec, which tries whether a server keeps to HTTP/2's rules, into the test cache and prints the path of its program.
#
#   tests/tools/h2spec.sh      builds when it is not there yet (half a minute); a second call answers at once
#
# From the Go registry, in the versions that tests/tools/h2spec/go.sum pins. Needs go.
set -euo pipefail

version=2.2.1
cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
here=$(dirname "$(readlink -f "$0")")
program=$cache/h2spec-$version
log=$cache/h2spec-$version.log

if [[ -x $program ]]; then
    echo "$program"
    exit 0
fi
command -v go >/dev/null || { echo "h2spec.sh: go is missing; it is needed to build h2spec" >&2; exit 1; }

mkdir -p "$cache"
# One build at a time: who comes second waits for the first and finds its program.
exec 9>"$cache/h2spec-$version.lock"
flock 9
if [[ -x $program ]]; then
    echo "$program"
    exit 0
fi

work=$(mktemp -d "$cache/h2spec.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here"/h2spec/* "$work"
# go.sum says what is trusted, without asking anybody else.
if ! (cd "$work" && GOFLAGS=-mod=readonly nice -n 10 go build -buildvcs=false -trimpath -ldflags '-s -w' -p 2 -o h2spec \
    github.com/summerwind/h2spec/cmd/h2spec) >"$log" 2>&1
then
    echo "h2spec.sh: building h2spec $version failed; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
mv "$work/h2spec" "$program"
echo "$program"
