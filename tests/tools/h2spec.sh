#!/usr/bin/env bash
# Builds h2spec, which tries whether a server keeps to HTTP/2's rules, into the test cache and prints the path of its program.
#
#   tests/tools/h2spec.sh      builds when it is not there yet (half a minute)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/go.sh"

folder=$(go_program h2spec h2spec-2.2.1-bin github.com/summerwind/h2spec/cmd/h2spec)
echo "$folder/h2spec"
