#!/usr/bin/env bash
# Fetches Prometheus and promtool into the test cache and prints the folder that both are in.
#
#   tests/tools/prometheus.sh      fetches when they are not there yet; a second call answers at once
#
# From Debian's package of the same name, 19 MB, unpacked and not installed: no service is started, nothing else is pulled in.
set -euo pipefail

cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
folder=$cache/prometheus
bin=$folder/usr/bin

if [[ -x $bin/promtool ]]; then
    echo "$bin"
    exit 0
fi
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "prometheus.sh: $tool is missing; it is needed to fetch Prometheus" >&2; exit 1; }
done

mkdir -p "$cache"
# One at a time: who comes second waits for the first and finds the folder.
exec 9>"$cache/prometheus.lock"
flock 9
if [[ -x $bin/promtool ]]; then
    echo "$bin"
    exit 0
fi

log=$cache/prometheus.log
work=$(mktemp -d "$cache/prometheus.XXXXXX")
trap 'rm -rf "$work"' EXIT
# The lists of packages may never have been fetched on this machine.
if ! (cd "$work" && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }) >"$log" 2>&1; then
    echo "prometheus.sh: fetching Debian's package failed; the end of $log:" >&2
    tail -n 20 "$log" >&2
    exit 1
fi
dpkg-deb --extract "$work"/prometheus_*.deb "$work/unpacked"
rm -rf "$folder"
mv "$work/unpacked" "$folder"
echo "$bin"
