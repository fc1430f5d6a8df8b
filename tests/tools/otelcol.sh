#!/usr/bin/env bash
# Builds the OpenTelemetry Collector, with the parts that otelcol/main.go names, into the test cache and prints the path of its
# program.
#
#   tests/tools/otelcol.sh      builds when it is not there yet (three minutes)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/go.sh"

# Another main.go is another program.
folder=$(go_program otelcol "otelcol-0.140.0-$(cat "$tools"/otelcol/* | sha256sum | cut -c1-16)-bin" .)
echo "$folder/collector"
