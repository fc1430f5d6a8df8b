#!/usr/bin/env python3
"""Measures the gate against nginx: same model server, same load, same core, one run.

  cargo build --release -p tollhouse && bench/gate.py            # all parts, about three minutes
  bench/gate.py --rounds 5 --seconds 8                           # quieter figures

Needs nginx, wrk and taskset. The proxy under test runs alone on core 0, the load and the model server on core 1. The model
server is nginx with a fixed answer (for requests) or `stream_server` below (for streams). Rounds alternate between the
proxies, so that a machine whose speed drifts drifts for both; medians and ranges are printed, as a Markdown table.
"""
import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello, how can I help you today?"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
})
ASK = {"model": "m", "messages": [{"role": "user", "content": "Say hello."}]}


MODELS = '{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"x"}]}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, path="/", seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.005)
    raise SystemExit(f"nothing listens on port {port}")


def pinned(core, command, **options):
    return subprocess.Popen(["taskset", "-c", str(core), *command], **options)


def family(pid):
    """The process and its children (nginx has a worker)."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        children = f.read().split()
    return [pid] + [p for child in children for p in family(int(child))]


def cpu_seconds(pid):
    total = 0
    for p in family(pid):
        fields = pathlib.Path(f"/proc/{p}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_bytes(pid):
    """Proportional set size of the process and its children."""
    total = 0
    for p in family(pid):
        text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text(encoding="ascii")
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
    return total


def stop(process):
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()
    process.wait()


def start_nginx(directory, name, port, body, core):
    root = directory / name
    (root / "logs").mkdir(parents=True)
    temp = "".join(f"{kind}_temp_path {root}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (root / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;"
        f"worker_rlimit_nofile 65536; events {{ worker_connections 16384; }}"
        f"http {{ access_log off; keepalive_requests 10000000; {temp} {body} }}")
    process = pinned(core, ["nginx", "-p", str(root), "-c", str(root / "nginx.conf")], stderr=subprocess.DEVNULL)
    wait_for(port)
    return process


def start_model(directory, name, port):
    """A model server that answers every chat with the same text, at once."""
    places = "".join(f"location {path} {{ default_type application/json; return 200 '{body}'; }}"
                     for path, body in (("= /v1/models", MODELS), ("/", ANSWER)))
    return start_nginx(directory, name, port, f"server {{ listen 127.0.0.1:{port}; {places} }}", 1)


def start_tollhouse(directory, name, upstream, core, program):
    root = directory / name
    root.mkdir()
    port = free_port()
    (root / "tollhouse.yaml").write_text(
        f"data_dir: {root}/data\nlisten: 127.0.0.1:{port}\n"
        f"upstreams: {{up: {{kind: openai, url: 'http://127.0.0.1:{upstream}/v1'}}}}\n"
        "access: {rate_limit: {requests: 1000000000, per: 1s}}\n")
    config = ["--config", str(root / "tollhouse.yaml")]
    key = subprocess.run([program, "key", "create", "--name", "bench", "--json", *config], check=True, capture_output=True, text=True)
    process = pinned(core, [program, "up", *config], stderr=open(root / "stderr", "w", encoding="utf-8"))
    wait_for(port)
    return process, port, json.loads(key.stdout)["key"]


def wrk(port, key, seconds, connections, directory):
    script = directory / "ask.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "Bearer {key}"\nwrk.body = {json.dumps(json.dumps(ASK))}\n'
        'done = function(s, l, r) io.write(string.format("RESULT %d %d %d %d %d\\n", s.requests, s.duration,'
        ' l:percentile(50), l:percentile(99), s.errors.status + s.errors.read + s.errors.timeout)) end\n')
    out = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/v1/chat/completions"],
        check=True, capture_output=True, text=True).stdout
    requests, micros, p50, p99, errors = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
    return {"requests": requests, "rate": requests / (micros / 1e6), "p50_ms": p50 / 1000, "p99_ms": p99 / 1000, "errors": errors}


def row(label, values, form="{:.2f}"):
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"| {label} | {form.format(mid)} | {form.format(low)} – {form.format(high)} |"


def requests_part(directory, program, rounds, seconds):
    model_port, proxy_port = free_port(), free_port()
    model = start_model(directory, "model", model_port)
    proxy = start_nginx(directory, "proxy", proxy_port,
                        f"upstream m {{ server 127.0.0.1:{model_port}; keepalive 64; }} server {{ listen 127.0.0.1:{proxy_port};"
                        " location / { proxy_pass http://m; proxy_http_version 1.1; proxy_set_header Connection ''; } }", 0)
    house, house_port, key = start_tollhouse(directory, "house", model_port, 0, program)
    targets = {"direct": (None, model_port), "nginx": (proxy, proxy_port), "tollhouse": (house, house_port)}
    figures = {name: [] for name in targets}
    try:
        for name, (_, port) in targets.items():
            wrk(port, key, 2, 8, directory)
        for _ in range(rounds):
            for name, (process, port) in targets.items():
                before = cpu_seconds(process.pid) if process else 0
                result = wrk(port, key, seconds, 8, directory)
                if process:
                    result["cpu_us"] = (cpu_seconds(process.pid) - before) / result["requests"] * 1e6
                if result["errors"]:
                    raise SystemExit(f"{name}: {result['errors']} errors")
                figures[name].append(result)
    finally:
        for process in (house, proxy, model):
            stop(process)
    print(f"\n### Requests, not streamed ({rounds} rounds of {seconds} s, 8 connections, body of {len(json.dumps(ASK))} bytes)\n")
    print("| | median | range |\n|---|---|---|")
    for name, results in figures.items():
        print(row(f"{name}: requests/s", [r["rate"] for r in results], "{:.0f}"))
    for name in ("nginx", "tollhouse"):
        print(row(f"{name}: added p50, ms", [r["p50_ms"] - d["p50_ms"] for r, d in zip(figures[name], figures["direct"])], "{:.3f}"))
        print(row(f"{name}: added p99, ms", [r["p99_ms"] - d["p99_ms"] for r, d in zip(figures[name], figures["direct"])], "{:.3f}"))
        print(row(f"{name}: CPU per request, µs", [r["cpu_us"] for r in figures[name]], "{:.1f}"))
    ratio = [t["cpu_us"] / n["cpu_us"] for t, n in zip(figures["tollhouse"], figures["nginx"])]
    print(row("CPU per request, tollhouse ÷ nginx (goal ≤ 2)", ratio))


async def stream_server(port, tokens, pause):
    """A model server that streams `tokens` chunks, one every `pause` seconds."""
    def chunk(delta, reason=None):
        body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        data = b"data: " + json.dumps(body).encode() + b"\n\n"
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    word, last = chunk({"content": " word"}), chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.I)
                if length:
                    await reader.readexactly(int(length[1]))
                if b"/models" in head.split(b"\r\n", 1)[0]:
                    body = b'{"object":"list","data":[{"id":"m","object":"model"}]}'
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + chunk({"role": "assistant", "content": ""}))
                for _ in range(tokens):
                    await asyncio.sleep(pause)
                    if writer.is_closing():
                        return
                    writer.write(word)
                writer.write(last)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=8192)
    async with server:
        await server.serve_forever()


async def hold_streams(port, key, count, pid):
    """Opens `count` streams, waits until each has sent its first chunk, and reads the memory of the proxy."""
    body = json.dumps({**ASK, "stream": True}).encode()
    ask = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
           f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(ask)
        await reader.readuntil(b"data: ")
        return writer

    empty = memory_bytes(pid)
    writers = []
    for begin in range(0, count, 100):
        writers += await asyncio.gather(*(one() for _ in range(begin, min(begin + 100, count))))
    await asyncio.sleep(1)
    full = memory_bytes(pid)
    for writer in writers:
        writer.close()
    return empty, full


def streams_part(directory, program, counts):
    model_port, proxy_port = free_port(), free_port()
    model = pinned(1, [sys.executable, __file__, "--serve-streams", str(model_port)])
    wait_for(model_port)
    proxy = start_nginx(directory, "stream-proxy", proxy_port,
                        f"server {{ listen 127.0.0.1:{proxy_port} backlog=8192; location / {{ proxy_pass http://127.0.0.1:{model_port}; proxy_http_version 1.1;"
                        " proxy_buffering off; proxy_read_timeout 600s; } }", 0)
    print("\n### Memory per open stream (proportional set size, first time each count is reached)\n")
    print("| streams | nginx, KiB | tollhouse, KiB |\n|---|---|---|")
    try:
        for count in counts:
            cells = []
            for name in ("nginx", "tollhouse"):
                if name == "nginx":
                    process, port, key = proxy, proxy_port, "x"
                else:
                    process, port, key = start_tollhouse(directory, f"house-{count}", model_port, 0, program)
                try:
                    # One stream first: what is set up once is not counted for each.
                    asyncio.run(hold_streams(port, key, 1, process.pid))
                    empty, full = asyncio.run(hold_streams(port, key, count, process.pid))
                    cells.append((full - empty) / count / 1024)
                finally:
                    if name == "tollhouse":
                        stop(process)
            print(f"| {count} | {cells[0]:.1f} | {cells[1]:.1f} |")
    finally:
        stop(proxy)
        stop(model)


def start_part(directory, program, rounds):
    model_port = free_port()
    model = start_model(directory, "start-model", model_port)
    firsts = []
    try:
        root = directory / "start"
        house, port, key = start_tollhouse(directory, "start", model_port, 0, program)
        stop(house)
        for _ in range(rounds):
            began = time.monotonic()
            house = pinned(0, [program, "up", "--config", str(root / "tollhouse.yaml")], stderr=subprocess.DEVNULL)
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(ASK).encode(),
                                             {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
            while True:
                try:
                    urllib.request.urlopen(request, timeout=5).read()
                    break
                except urllib.error.URLError as error:
                    if isinstance(error, urllib.error.HTTPError):
                        raise
                    time.sleep(0.001)
            firsts.append((time.monotonic() - began) * 1000)
            if len(firsts) < rounds:
                stop(house)
        time.sleep(3)
        before, began = cpu_seconds(house.pid), time.monotonic()
        time.sleep(20)
        idle_cpu = (cpu_seconds(house.pid) - before) / (time.monotonic() - began) * 100
        idle_memory = memory_bytes(house.pid) / 2**20
        stop(house)
    finally:
        stop(model)
    print("\n### Start and idling\n\n| | median | range |\n|---|---|---|")
    print(row("start to first answered request, ms (goal ≤ 50)", firsts, "{:.0f}"))
    print(f"| idle memory, MiB (goal ≤ 25) | {idle_memory:.1f} | one reading |")
    print(f"| idle CPU, % of a core over 20 s (goal ≤ 0.3) | {idle_cpu:.2f} | one reading |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(HERE.parent / "target/release/tollhouse"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="*", default=[1000])
    parser.add_argument("--only", choices=["requests", "streams", "start"])
    parser.add_argument("--serve-streams", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    if args.serve_streams:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(stream_server(args.serve_streams, 600, 0.5))
        return
    for tool in ("nginx", "wrk", "taskset"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is not installed")
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        if args.only in (None, "requests"):
            requests_part(directory, args.program, args.rounds, args.seconds)
        if args.only in (None, "streams"):
            streams_part(directory, args.program, args.streams)
        if args.only in (None, "start"):
            start_part(directory, args.program, args.rounds)


if __name__ == "__main__":
    main()
