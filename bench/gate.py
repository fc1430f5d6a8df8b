#!/usr/bin/env python3
"""Measures the gate against nginx and other gateways: same model server, same load, same core, one run.

  cargo build --release -p tollhouse -p tollhouse-load && bench/gate.py       all parts, about five minutes
  bench/gate.py --only requests --rounds 5 --seconds 8                        quieter figures of one part
  bench/gate.py --only requests --peers litellm portkey sglang                beside others, installed by bench/peers.py

Needs nginx, wrk and taskset. The proxy under test runs alone on core 0, the load and the model server on core 1. The model
server is nginx with a fixed answer (for requests) or `tollhouse-load serve` (for streams). Rounds alternate between the
proxies, so that a machine whose speed drifts drifts for both; medians and ranges are printed, as Markdown tables.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import peers
from rig import (
    ASK,
    LOAD_CORE,
    PROXY_CORE,
    ROOT,
    cpu_seconds,
    free_port,
    memory_bytes,
    need,
    pinned,
    row,
    start_model,
    start_proxy,
    start_tollhouse,
    stop,
    table,
    wait_for,
)

CONNECTIONS = 8
# Streams of the second part: users, tokens of a stream, time between two of them.
USERS, TOKENS, PAUSE_MS = 200, 64, 10
# APIs of the client and kinds of the server whose translation is compared with passing through.
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}
ASKED = {
    "openai": ASK,
    "anthropic": {**ASK, "max_tokens": 100},
    "ollama": {**ASK, "stream": False},
}
PAIRS = [
    ("openai", "openai"),
    ("openai", "ollama"),
    ("openai", "anthropic"),
    ("ollama", "ollama"),
    ("ollama", "openai"),
]
PAIRS += [("anthropic", "openai"), ("anthropic", "ollama"), ("anthropic", "anthropic")]


def wrk(directory, port, seconds, key, api="openai", headers=()):
    """Load for so long; what came of it."""
    script = directory / "ask.lua"
    fields = {"Content-Type": "application/json", "Authorization": f"Bearer {key}", **dict(headers)}
    script.write_text(
        'wrk.method = "POST"\n'
        + "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in fields.items())
        + f"wrk.body = {json.dumps(json.dumps(ASKED[api]))}\n"
        'done = function(s, l, r) io.write(string.format("RESULT %d %d %d %d %d\\n", s.requests, s.duration,'
        " l:percentile(50), l:percentile(99), s.errors.status + s.errors.read + s.errors.timeout)) end\n"
    )
    address = f"http://127.0.0.1:{port}{PATHS[api]}"
    command = [
        "taskset",
        "-c",
        str(LOAD_CORE),
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        script,
        address,
    ]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    requests, micros, p50, p99, errors = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
    if errors:
        raise SystemExit(f"port {port}: {errors} errors")
    return {"requests": requests, "rate": requests / (micros / 1e6), "p50_ms": p50 / 1000, "p99_ms": p99 / 1000}


def loaded(process, directory, port, seconds, *asked):
    """As `wrk`, with the CPU time of a request in microseconds."""
    before = cpu_seconds(process.pid)
    result = wrk(directory, port, seconds, *asked)
    return {**result, "cpu_us": (cpu_seconds(process.pid) - before) / result["requests"] * 1e6}


def requests_part(directory, args):
    """Requests that are not streamed: nginx bare, tollhouse with everything on, others as they are."""
    model_port, proxy_port = free_port(), free_port()
    started = [start_model(directory, "model", model_port)]
    try:
        proxy = start_proxy(directory, "proxy", proxy_port, model_port)
        house, house_port, key = start_tollhouse(directory, "house", model_port, args.program)
        started += [proxy, house]
        targets = {"nginx": (proxy, proxy_port, "x", {}), "tollhouse": (house, house_port, key, {})}
        for name in args.peers:
            process, port, headers = peers.start_peer(name, directory, model_port)
            started.append(process)
            targets[name] = (process, port, peers.KEY, headers)
        figures = {name: [] for name in ["direct", *targets]}
        for _, port, key_of, headers in targets.values():
            wrk(directory, port, 2, key_of, "openai", headers)
        for _ in range(args.rounds):
            figures["direct"].append(wrk(directory, model_port, args.seconds, "x"))
            for name, (process, port, key_of, headers) in targets.items():
                figures[name].append(loaded(process, directory, port, args.seconds, key_of, "openai", headers))
    finally:
        for process in reversed(started):
            stop(process)
    size = len(json.dumps(ASK))
    table(f"Requests, not streamed ({args.rounds} rounds of {args.seconds} s, {CONNECTIONS} connections, {size} bytes)")
    for name, results in figures.items():
        print(row(f"{name}: requests/s", [result["rate"] for result in results], "{:.0f}"))
    for name in targets:
        both = list(zip(figures[name], figures["direct"], strict=True))
        print(row(f"{name}: added p50, ms", [ours["p50_ms"] - direct["p50_ms"] for ours, direct in both], "{:.3f}"))
        print(row(f"{name}: added p99, ms", [ours["p99_ms"] - direct["p99_ms"] for ours, direct in both], "{:.3f}"))
        print(row(f"{name}: CPU per request, µs", [ours["cpu_us"] for ours, _ in both], "{:.1f}"))
    for name in list(targets)[1:]:
        ratio = [ours["cpu_us"] / bare["cpu_us"] for ours, bare in zip(figures[name], figures["nginx"], strict=True)]
        print(row(f"CPU per request, {name} ÷ nginx" + (" (goal ≤ 2)" if name == "tollhouse" else ""), ratio))


def translation_part(directory, args):
    """What it costs to say an answer in another API than the one it came in."""
    started, houses = [], {}
    try:
        for kind in PATHS:
            port = free_port()
            started.append(start_model(directory, f"model-{kind}", port, kind))
            house, house_port, key = start_tollhouse(directory, f"house-{kind}", port, args.program, kind)
            started.append(house)
            houses[kind] = (house, house_port, key)
        figures = {pair: [] for pair in PAIRS}
        for api, kind in PAIRS:
            _, port, key = houses[kind]
            wrk(directory, port, 1, key, api)
        for _ in range(args.rounds):
            for api, kind in PAIRS:
                process, port, key = houses[kind]
                figures[api, kind].append(loaded(process, directory, port, args.seconds, key, api)["cpu_us"])
    finally:
        for process in reversed(started):
            stop(process)
    table("Translation, client's API → server's, CPU per request against passing OpenAI through (goal ≤ 1.15)")
    bare = figures["openai", "openai"]
    print(row("openai → openai, µs", bare, "{:.1f}"))
    for pair in PAIRS[1:]:
        ratio = [ours / through for ours, through in zip(figures[pair], bare, strict=True)]
        print(row(" → ".join(pair), ratio))


def start_drip(args, port, tokens, pause_ms):
    command = [args.load, "serve", "--port", port, "--tokens", tokens, "--pause-ms", pause_ms]
    process = pinned(LOAD_CORE, command)
    wait_for(port)
    return process


def users_part(directory, args):
    """Many users who read streams: CPU per stream, and how much later the first token comes."""
    model_port, proxy_port = free_port(), free_port()
    started = [start_drip(args, model_port, TOKENS, PAUSE_MS)]
    try:
        proxy = start_proxy(directory, "users-proxy", proxy_port, model_port)
        house, house_port, key = start_tollhouse(directory, "users-house", model_port, args.program)
        started += [proxy, house]
        targets = {"direct": (None, model_port, "x"), "nginx": (proxy, proxy_port, "x")}
        targets["tollhouse"] = (house, house_port, key)
        figures = {name: [] for name in targets}
        for _ in range(args.rounds):
            for name, (process, port, key_of) in targets.items():
                before = cpu_seconds(process.pid) if process else 0
                users = ["--users", USERS, "--seconds", args.seconds]
                command = [args.load, "users", "--port", port, "--key", key_of, *users]
                done = pinned(LOAD_CORE, command, stdout=subprocess.PIPE, text=True)
                seen = json.loads(done.communicate()[0])
                if seen["errors"]:
                    raise SystemExit(f"{name}: {seen}")
                spent = cpu_seconds(process.pid) - before if process else 0
                figures[name].append({**seen, "cpu_ms": spent / seen["streams"] * 1000})
    finally:
        for process in reversed(started):
            stop(process)
    table(
        f"{USERS} users, streams of {TOKENS} tokens, one each {PAUSE_MS} ms ({args.rounds} rounds of {args.seconds} s)"
    )
    for name, results in figures.items():
        print(row(f"{name}: streams", [result["streams"] for result in results], "{:.0f}"))
    for name in list(targets)[1:]:
        print(row(f"{name}: CPU per stream, ms", [result["cpu_ms"] for result in figures[name]], "{:.3f}"))
        for share in ("p50", "p99"):
            both = zip(figures[name], figures["direct"], strict=True)
            added = [ours[f"ttft_{share}_ms"] - direct[f"ttft_{share}_ms"] for ours, direct in both]
            print(row(f"{name}: added to the first token, {share}, ms", added, "{:.3f}"))
    both = zip(figures["tollhouse"], figures["nginx"], strict=True)
    print(
        row("CPU per stream, tollhouse ÷ nginx (goal ≤ 1.0)", [ours["cpu_ms"] / bare["cpu_ms"] for ours, bare in both])
    )


def held(args, process, port, key, count):
    """Memory of the proxy without and with so many open streams."""
    empty = memory_bytes(process.pid)
    command = [args.load, "hold", "--port", port, "--key", key, "--count", count]
    holder = pinned(LOAD_CORE, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if holder.stdout.readline().strip() != "ready":
            raise SystemExit(f"port {port}: {count} streams could not be opened")
        time.sleep(1)  # what the last openings left behind is given back
        return empty, memory_bytes(process.pid)
    finally:
        holder.stdin.close()
        holder.wait()


def memory_part(directory, args):
    """Memory of open streams; each count in a house and an nginx of its own, which have held nothing before."""
    model_port = free_port()
    model = start_drip(args, model_port, 600, 500)
    print("\n### Memory per open stream (proportional set size, first time each count is reached; goal ≤ 16 KiB)\n")
    print("| streams | nginx, KiB | tollhouse, KiB |\n|---|---|---|")
    try:
        for count in args.streams:
            cells = []
            for name in ("nginx", "tollhouse"):
                if name == "nginx":
                    port, key = free_port(), "x"
                    process = start_proxy(directory, f"hold-proxy-{count}", port, model_port)
                else:
                    process, port, key = start_tollhouse(directory, f"hold-{count}", model_port, args.program)
                try:
                    held(args, process, port, key, 1)  # what is set up once is not counted for each
                    empty, full = held(args, process, port, key, count)
                    cells.append((full - empty) / count / 1024)
                finally:
                    stop(process)
            print(f"| {count} | {cells[0]:.1f} | {cells[1]:.1f} |")
    finally:
        stop(model)


def start_part(directory, args):
    """From the start of the process to its first answer, and what it uses when nobody asks."""
    model_port = free_port()
    model = start_model(directory, "start-model", model_port)
    firsts, house = [], None
    try:
        root = directory / "start"
        house, port, key = start_tollhouse(directory, "start", model_port, args.program)
        stop(house)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(ASK).encode(), headers
        )
        for number in range(args.rounds):
            began = time.monotonic()
            command = [args.program, "up", "--config", root / "tollhouse.yaml"]
            house = pinned(PROXY_CORE, command, stderr=subprocess.DEVNULL)
            while not answered(asked):
                time.sleep(0.001)
            firsts.append((time.monotonic() - began) * 1000)
            if number + 1 < args.rounds:
                stop(house)
        time.sleep(3)
        before, began = cpu_seconds(house.pid), time.monotonic()
        time.sleep(20)
        idle_cpu = (cpu_seconds(house.pid) - before) / (time.monotonic() - began) * 100
        idle_memory = memory_bytes(house.pid) / 2**20
    finally:
        if house:
            stop(house)
        stop(model)
    table("Start and idling")
    print(row("start to first answered request, ms (goal ≤ 50)", firsts, "{:.0f}"))
    print(f"| idle memory, MiB (goal ≤ 25) | {idle_memory:.1f} | one reading |")
    print(f"| idle CPU, % of a core over 20 s (goal ≤ 0.3) | {idle_cpu:.2f} | one reading |")


def answered(request):
    try:
        urllib.request.urlopen(request, timeout=5).read()
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError:
        return False
    return True


PARTS = {
    "requests": requests_part,
    "translation": translation_part,
    "users": users_part,
    "memory": memory_part,
    "start": start_part,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/release/tollhouse")
    parser.add_argument("--load", default=ROOT / "target/release/tollhouse-load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="*", default=[1000, 5000])
    parser.add_argument("--peers", nargs="*", choices=peers.PEERS, default=[], metavar="PEER")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    args = parser.parse_args()
    need("nginx", "wrk", "taskset")
    most = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory() as name:
        for part in args.only:
            PARTS[part](pathlib.Path(name), args)


if __name__ == "__main__":
    main()
