#!/usr/bin/env bash
# Fetches GreenMail, a real mail server with mailboxes to read back, into the test cache and prints the path of its archive.
#
#   tests/tools/greenmail.sh      fetches when it is not there yet; a second call answers at once
#
# From the Maven registry, 10 MB. Needs java and mvn.
set -euo pipefail

version=2.1.3
cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
archive=$cache/greenmail-standalone-$version.jar
log=$cache/greenmail-$version.log

if [[ -e $archive ]]; then
    echo "$archive"
    exit 0
fi
for tool in java mvn; do
    command -v "$tool" >/dev/null || { echo "greenmail.sh: $tool is missing; it is needed to fetch GreenMail" >&2; exit 1; }
done

mkdir -p "$cache"
# One at a time: who comes second waits for the first and finds its archive.
exec 9>"$cache/greenmail-$version.lock"
flock 9
if [[ -e $archive ]]; then
    echo "$archive"
    exit 0
fi

work=$(mktemp -d "$cache/greenmail.XXXXXX")
trap 'rm -rf "$work"' EXIT
if ! mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact="com.icegreen:greenmail-standalone:$version" -DoutputDirectory="$work" >"$log" 2>&1
then
    echo "greenmail.sh: fetching GreenMail $version failed; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
mv "$work/greenmail-standalone-$version.jar" "$archive"
echo "$archive"
