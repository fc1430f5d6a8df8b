#!/usr/bin/env bash
# Builds Pebble, the test server of Let's Encrypt, into the test cache and prints the folder that it and its name server are in:
# `pebble`, an ACME authority that refuses nonces and fails on purpose, and `pebble-challtestsrv`, which answers its questions for
# names.
#
#   tests/tools/pebble.sh      builds when they are not there yet (a minute)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/go.sh"

go_program pebble pebble-2.10.1-bin \
    github.com/letsencrypt/pebble/v2/cmd/pebble github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv
