#!/usr/bin/env bash
# Builds a sender of events out of the library that Filebeat sends with (lumber/main.go) into the test cache and prints the path
# of its program.
#
#   tests/tools/lumber.sh      builds when it is not there yet (seconds)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/go.sh"

# Another main.go is another program.
folder=$(go_program lumber "lumber-0.1.0-$(cat "$tools"/lumber/* | sha256sum | cut -c1-16)-bin" .)
echo "$folder/lumber"
