#!/usr/bin/env bash
# Fetches a real Elasticsearch or OpenSearch server into the test cache and prints the folder that it is in.
#
#   tests/tools/elastic.sh elasticsearch|opensearch      fetches when it is not there yet; a second call answers at once
#
# Both are the servers' own distributions for integration tests, from the Maven registry: the whole engine with few
# modules. Needs java 17, mvn and unzip. They refuse to run as root, so the folder is made readable for everybody.
set -euo pipefail

name=${1:-}
case $name in
    elasticsearch) version=8.19.21 group=org.elasticsearch.distribution.integ-test-zip ;;
    opensearch) version=2.19.6 group=org.opensearch.distribution.integ-test-zip ;;
    *) echo "usage: elastic.sh elasticsearch|opensearch" >&2; exit 2 ;;
esac

cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
home=$cache/$name-$version
log=$cache/$name-$version.log

if [[ -e $home/bin/$name ]]; then
    echo "$home"
    exit 0
fi
for tool in java mvn unzip; do
    command -v "$tool" >/dev/null || { echo "elastic.sh: $tool is missing; it is needed to fetch $name" >&2; exit 1; }
done

mkdir -p "$cache"
# One at a time: who comes second waits for the first and finds its folder.
exec 9>"$cache/$name-$version.lock"
flock 9
if [[ -e $home/bin/$name ]]; then
    echo "$home"
    exit 0
fi

work=$(mktemp -d "$cache/$name.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() {
    set -euo pipefail
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
        -Dartifact="$group:$name:$version:zip" -DoutputDirectory="$work"
    unzip -q "$work/$name-$version.zip" -d "$work"
    mv "$work/$name-$version" "$home"
}

if ! bash -c "$(declare -f fetch); work=$work group=$group name=$name version=$version home=$home; fetch" >"$log" 2>&1
then
    echo "elastic.sh: fetching $name $version failed; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
echo "$home"
