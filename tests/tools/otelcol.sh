#!/usr/bin/env bash
# Builds the OpenTelemetry Collector into the test cache and prints the path of its program.
#
#   tests/tools/otelcol.sh      builds when it is not there yet (three minutes); a second call answers at once
#
# From the Go registry, in the versions that tests/tools/otelcol/go.sum pins, with the parts that main.go there names. Needs go.
set -euo pipefail

version=0.140.0
cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
here=$(dirname "$(readlink -f "$0")")
# Another main.go is another program.
program=$cache/otelcol-$version-$(cat "$here"/otelcol/* | sha256sum | cut -c1-16)
log=$cache/otelcol-$version.log

if [[ -x $program ]]; then
    echo "$program"
    exit 0
fi
command -v go >/dev/null || { echo "otelcol.sh: go is missing; it is needed to build the collector" >&2; exit 1; }

mkdir -p "$cache"
# One build at a time: who comes second waits for the first and finds its program.
exec 9>"$cache/otelcol-$version.lock"
flock 9
if [[ -x $program ]]; then
    echo "$program"
    exit 0
fi

work=$(mktemp -d "$cache/otelcol.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here"/otelcol/* "$work"
# go.sum says what is trusted, without asking anybody else.
if ! (cd "$work" && GOFLAGS=-mod=readonly nice -n 10 go build -buildvcs=false -trimpath -ldflags '-s -w' -p 2 -o otelcol .) >"$log" 2>&1
then
    echo "otelcol.sh: building the collector $version failed; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
mv "$work/otelcol" "$program"
echo "$program"
