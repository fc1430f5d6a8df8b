#!/usr/bin/env bash
# Builds llama.cpp with its Python server into the test cache and prints the path of the Python that runs it.
#
#   tests/tools/llama.sh             build when it is not there yet (a quarter of an hour); a second call answers at once
#
#   $(tests/tools/llama.sh) -m llama_cpp.server --model tiny.gguf --port 8000
#
# Built from source, for any x86-64 or arm64, without the instructions that only this machine has. Needs gcc, g++ and
# python3 (with venv); cmake and ninja come as Python packages.
set -euo pipefail

version=0.3.36 # of llama-cpp-python

cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
place=$cache/llama-$version
mkdir -p "$place"
# One build at a time: who comes second waits for the first.
exec 9>"$place/lock"
flock 9

if [[ ! -e $place/venv/ready ]]; then
    rm -rf "$place/venv"
    python3 -m venv "$place/venv"
    if ! CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) CMAKE_ARGS=-DGGML_NATIVE=OFF nice -n 10 "$place/venv/bin/pip" install --quiet --disable-pip-version-check \
        "llama-cpp-python[server]==$version" >"$place/build.log" 2>&1; then
        echo "llama.sh: building llama.cpp $version failed; the end of $place/build.log:" >&2
        tail -n 40 "$place/build.log" >&2
        exit 1
    fi
    touch "$place/venv/ready"
fi
ln -sfn "$place/venv" "$cache/llama"
echo "$cache/llama/bin/python"
