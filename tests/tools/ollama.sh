#!/usr/bin/env bash
# Builds the real Ollama server from its Go module into the test cache and prints the path of the binary.
#
#   tests/tools/ollama.sh            build when it is not there yet; a second call answers at once
#
# The module leaves out three C headers (nlohmann/json, miniaudio, stb_image); the source package of llama-cpp-python
# carries the same ones, so the compiler is pointed there. Needs go, gcc, g++ and python3 (with venv).
# Quiet and at low priority, because the Rust build runs beside it; what it printed is shown when it fails.
set -euo pipefail

version=0.17.4
headers=0.3.36 # of llama-cpp-python

cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
binary=$cache/ollama-$version/ollama
log=$cache/ollama-$version/build.log

if [[ -x $binary ]]; then
    echo "$binary"
    exit 0
fi

for tool in go gcc g++ python3; do
    command -v "$tool" >/dev/null || { echo "ollama.sh: $tool is missing; it is needed to build Ollama" >&2; exit 1; }
done

mkdir -p "$cache/ollama-$version"
# One build at a time: who comes second waits for the first and finds its binary.
exec 9>"$cache/ollama-$version/lock"
flock 9
if [[ -x $binary ]]; then
    echo "$binary"
    exit 0
fi

work=$(mktemp -d "$cache/ollama-$version/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

build() {
    set -euo pipefail
    python3 -m venv "$work/venv"
    # Only this one from source: `:all:` would mean the tools that pip needs to look into it, too, down to cmake itself.
    "$work/venv/bin/pip" download --quiet --no-deps --no-binary llama-cpp-python -d "$work" "llama-cpp-python==$headers"
    tar -xzf "$work/llama_cpp_python-$headers.tar.gz" -C "$work"
    CPATH="$work/llama_cpp_python-$headers/vendor/llama.cpp/vendor" GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
        GOBIN="$work/bin" nice -n 10 go install -p 2 \
        -ldflags "-s -w -X github.com/ollama/ollama/version.Version=$version" "github.com/ollama/ollama@v$version"
    mv "$work/bin/ollama" "$binary"
}

# A subshell of its own, because `set -e` does not reach into a function called in a condition.
if ! bash -c "$(declare -f build); work=$work headers=$headers version=$version binary=$binary; build" >"$log" 2>&1; then
    echo "ollama.sh: building Ollama $version failed; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
echo "$binary"
