#!/usr/bin/env python3
"""Counts what one request costs, in figures that are the same on every run: instructions, and allocations.

  cargo build --release -p tollhouse && bench/costs.py
  bench/costs.py --functions 40        also the functions that the instructions of a request go to

Needs valgrind and nginx. The program runs under callgrind (instructions) and memcheck (allocations) twice, with a few and
with many requests, one after the other on one connection; the difference is what the further requests cost, and start and
end drop out. Work beside the request (journal, index, timers) is in it, as far as the requests caused it.
"""

import argparse
import collections
import http.client
import json
import pathlib
import re
import signal
import subprocess
import tempfile

from rig import PROXY_CORE, ROOT, free_port, make_key, need, pinned, start_model, stop, wait_for, write_house
from gate import ASKED, PATHS

FEW, MANY = 100, 600
CASES = [("openai", "openai"), ("openai", "ollama"), ("anthropic", "openai")]


def asked(port, key, api, count):
    """So many requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = json.dumps(ASKED[api])
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for _ in range(count):
        connection.request("POST", PATHS[api], body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {data[:300]}")
    connection.close()


def under(tool, directory, name, upstream, kind, api, count, program):
    """Runs the program under a valgrind tool, with so many requests, and gives what the tool said at the end."""
    root, port = write_house(directory, name, upstream, kind)
    key = make_key(program, root)
    out = root / "callgrind.out"
    options = {
        "callgrind": ["--tool=callgrind", f"--callgrind-out-file={out}"],
        "memcheck": ["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"],
    }[tool]
    command = ["valgrind", *options, program, "up", "--config", root / "tollhouse.yaml"]
    process = pinned(PROXY_CORE, command, stderr=subprocess.PIPE, text=True)
    wait_for(port, 120)
    try:
        asked(port, key, api, count)
    finally:
        process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=120)[1]
    return told, out


def instructions(told):
    """Callgrind counts while it runs, and sums up at the end."""
    return int(re.search(r"Collected : (\d+)", told)[1])


def allocations(told):
    found = re.search(r"total heap usage: ([\d,]+) allocs, [\d,]+ frees, ([\d,]+) bytes", told)
    return [int(number.replace(",", "")) for number in found.groups()]


def functions(out):
    """Instructions by function, from callgrind's own reader."""
    told = subprocess.run(
        ["callgrind_annotate", "--threshold=100", out], capture_output=True, text=True, check=True
    ).stdout
    counts = collections.Counter()
    for line in told.splitlines():
        # Lines with an arrow are calls: what they cost stands with the function itself.
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(?![=*<])(.*)", line)
        if found:
            name = re.sub(r"^\S*?:", "", found[2]).partition(" [")[0]
            counts[name] += int(found[1].replace(",", ""))
    counts.pop("PROGRAM TOTALS", None)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/release/tollhouse")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the N functions with most instructions")
    args = parser.parse_args()
    need("valgrind", "callgrind_annotate", "nginx", "taskset")
    further = MANY - FEW
    print("\n### One request, not streamed, counted by valgrind\n")
    print("| client's API → server's | instructions | allocations | bytes allocated |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        models = {}
        try:
            for kind in {kind for _, kind in CASES}:
                port = free_port()
                models[kind] = (start_model(directory, f"model-{kind}", port, kind), port)
            for api, kind in CASES:
                upstream, label = models[kind][1], f"{api}-{kind}"
                runs = {
                    (tool, count): under(
                        tool, directory, f"{label}-{tool}-{count}", upstream, kind, api, count, args.program
                    )
                    for tool in ("callgrind", "memcheck")
                    for count in (FEW, MANY)
                }
                spent = [instructions(runs["callgrind", count][0]) for count in (FEW, MANY)]
                heap = [allocations(runs["memcheck", count][0]) for count in (FEW, MANY)]
                each = [(many - few) / further for few, many in zip(*heap, strict=True)]
                print(f"| {api} → {kind} | {(spent[1] - spent[0]) / further:.0f} | {each[0]:.1f} | {each[1]:.0f} |")
                if args.functions and (api, kind) == CASES[0]:
                    few, many = (functions(runs["callgrind", count][1]) for count in (FEW, MANY))
                    many.subtract(few)
                    shown = [(name, count / further) for name, count in many.most_common(args.functions)]
        finally:
            for model, _ in models.values():
                stop(model)
    if args.functions:
        print(
            "\n### Where the instructions of a request go (OpenAI passed through)\n\n| instructions | function |\n|---|---|"
        )
        for name, count in shown:
            print(f"| {count:.0f} | `{name}` |")


if __name__ == "__main__":
    main()
