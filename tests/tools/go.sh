# What the scripts share that build a Go program for the tests: source it, then call go_program.
# From the Go registry, in the versions that go.sum beside each names; nothing else is trusted or asked.

cache=${TOLLHOUSE_CACHE:-$HOME/.cache/tollhouse-test}
tools=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# go_program NAME RESULT PACKAGE…: builds the packages of tests/tools/NAME into the folder RESULT of the test cache, unless it is
# there, and prints its path. A second call answers at once; one that comes while the first builds waits for it.
go_program() {
    local name=$1 result=$cache/$2 log=$cache/$2.log work
    shift 2
    if [[ ! -d $result ]]; then
        command -v go >/dev/null || { echo "$name: go is missing; it is needed to build it" >&2; return 1; }
        mkdir -p "$cache"
        exec 9>"$result.lock"
        flock 9
    fi
    if [[ ! -d $result ]]; then
        work=$(mktemp -d "$cache/$name.XXXXXX")
        trap "rm -rf '$work'" EXIT
        cp "$tools/$name"/* "$work"
        mkdir "$work/bin"
        if ! (cd "$work" && GOFLAGS=-mod=readonly nice -n 10 \
            go build -buildvcs=false -trimpath -ldflags '-s -w' -p 2 -o bin/ "$@") >"$log" 2>&1
        then
            echo "$name: building $2 failed; the end of $log:" >&2
            tail -n 40 "$log" >&2
            return 1
        fi
        mv "$work/bin" "$result"
    fi
    echo "$result"
}
