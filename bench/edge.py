#!/usr/bin/env python3
"""The edge against nginx: the same files, the same server behind it and the same streams through TLS, side by side.

    cargo build --release -p tollhouse -p tollhouse-load
    bench/edge.py --rounds 3 --seconds 4

All have core 0, one after the other in each round; load and servers have core 1. nginx has one worker and no access log,
a second one writes its log (`combined`). The edge writes a record of each request into its journal, and indexes it, on the
same core; a second one (`records: failures`) does not. Each speaks TLS 1.3 with one P-256 certificate. Needs nginx, wrk,
openssl.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import ssl
import statistics
import subprocess
import tempfile
import time

from rig import LOAD_CORE, ROOT, cpu_seconds, free_port, memory_bytes, need, pinned, row, start_nginx, stop, table, wait_for

HOST = "localhost"
CONNECTIONS = 8
HELD = 400
# Names with a hash, as a build makes them.
FILES = {"small-4f2a9c1b.css": 1024, "large-9c1b4f2a.js": 65536}
DONE = (
    'done = function(s, l, r) io.write(string.format("RESULT %d %d %d %d\\n", s.requests, s.duration, l:percentile(99),'
    " s.errors.status + s.errors.read + s.errors.timeout)) end\n"
)


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
        + ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )


def start_edge(directory, files, back, drip, program, plain=None, records="all"):
    port, root = free_port(), directory / f"edge-{records}"
    root.mkdir()
    config = {
        "data_dir": f"{root}/data",
        "listen": f"127.0.0.1:{free_port()}",
        "upstreams": {"demo": {"kind": "demo"}},
        "limits": {"per_address": 100_000},
        "edge": {
            "https": f"127.0.0.1:{port}",
            **({"http": f"127.0.0.1:{plain}"} if plain else {}),
            "sites": {
                HOST: {
                    "tls": {"cert": f"{directory}/cert.pem", "key": f"{directory}/key.pem"},
                    "headers": "off",
                    "records": records,
                    "routes": [
                        {"path": "/files/", "to": f"dir:{files}"},
                        {"path": "/v1/", "to": f"http://127.0.0.1:{drip}"},
                        {"path": "/", "to": f"http://127.0.0.1:{back}"},
                    ],
                }
            },
        },
    }
    (root / "tollhouse.yaml").write_text(json.dumps(config))
    with (root / "stderr").open("w") as log:
        process = pinned(0, [program, "up", "--config", root / "tollhouse.yaml"], stderr=log)
    wait_for(port)
    return process, port


def start_peer(directory, files, back, drip, plain=None, name="nginx", log=None):
    port = free_port()
    proxy = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;"
    body = (
        f"upstream back {{ server 127.0.0.1:{back}; keepalive 64; }} upstream drip {{ server 127.0.0.1:{drip}; keepalive 64; }}"
        + (f" server {{ listen 127.0.0.1:{plain} backlog=8192; return 301 https://$host$request_uri; }}" if plain else "")
        + f" server {{ listen 127.0.0.1:{port} ssl backlog=8192; server_name {HOST};"
        f" ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off;"
        + (f" access_log {log} combined;" if log else "")
        + f" location /files/ {{ alias {files}/; add_header Cache-Control 'public, max-age=31536000, immutable'; }}"
        f" location /v1/ {{ proxy_pass http://drip; proxy_buffering off; proxy_read_timeout 600s; {proxy} }}"
        f" location / {{ proxy_pass http://back; proxy_buffering off; {proxy} }} }}"
    )
    return start_nginx(directory, name, port, body, 0), port


def wrk(directory, process, port, path, seconds, is_new):
    """Load for so long; requests a second, CPU time of each, p99. `is_new`: with a connection, and so a handshake, of its own."""
    script = directory / "ask.lua"
    script.write_text(('wrk.headers["Connection"] = "close"\n' if is_new else "") + DONE)
    before = cpu_seconds(process.pid)
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, f"https://{HOST}:{port}{path}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    requests, micros, p99, errors = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+)", out).groups())
    if errors or not requests:
        raise SystemExit(f"port {port} {path}: {errors} errors in {requests} requests\n{out}")
    return {"rate": requests / (micros / 1e6), "cpu_us": (cpu_seconds(process.pid) - before) / requests * 1e6, "p99_ms": p99 / 1000}


def held(process, port, request=None):
    """Memory of a connection that is held open, in bytes; with a request, of a stream under way."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # What the first ones cost once is no part of it.
    warm = [connect(context, port, request) for _ in range(20)]
    time.sleep(1)
    before = memory_bytes(process.pid)
    connections = [connect(context, port, request) for _ in range(HELD)]
    time.sleep(2)
    after = memory_bytes(process.pid)
    for connection in warm + connections:
        connection.close()
    time.sleep(1)
    return (after - before) / HELD


def connect(context, port, request):
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=HOST)
    if request:
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200"), "the stream began"
    return connection


def stream_request():
    body = b'{"model":"m","messages":[{"role":"user","content":"Say hello."}],"stream":true}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/tollhouse")
    options.add_argument("--load", type=pathlib.Path, default=ROOT / "target/release/tollhouse-load")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=4)
    args = options.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    need("nginx", "wrk", "openssl", "taskset")
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        # nginx' worker is another user.
        pathlib.Path(folder).chmod(0o755)
        measure(args, pathlib.Path(folder))


def measure(args, directory):
    certificate(directory)
    files = directory / "files"
    files.mkdir()
    for name, length in FILES.items():
        (files / name).write_bytes(os.urandom(length // 2).hex().encode())
    back, drip = free_port(), free_port()
    text = "x" * 200
    started = [start_nginx(directory, "back", back, f"server {{ listen 127.0.0.1:{back} backlog=8192; location / {{ return 200 '{text}'; }} }}", LOAD_CORE)]
    started.append(pinned(LOAD_CORE, [args.load, "serve", "--port", drip, "--tokens", 100_000, "--pause-ms", 1000]))
    wait_for(drip)
    small, large = (f"/files/{name}" for name in FILES)
    runs = {
        "static, 1 KiB": (small, False),
        "static, 64 KiB": (large, False),
        "proxied": ("/page", False),
        "handshake and a static file of 1 KiB": (small, True),
    }
    try:
        edge, nginx = start_edge(directory, files, back, drip, args.program), start_peer(directory, files, back, drip)
        silent = start_edge(directory, files, back, drip, args.program, records="failures")
        logging = start_peer(directory, files, back, drip, name="nginx-logging", log=directory / "access.log")
        started += [edge[0], silent[0], nginx[0], logging[0]]
        of = {"nginx": nginx, "nginx with a log": logging, "edge": edge, "edge without records": silent}
        # Before any load: what a load has left behind is used again, and would count as nothing.
        memory = {
            what: {who: held(process, port, request) for who, (process, port) in (("nginx", nginx), ("edge", edge))}
            for what, request in (("an idle TLS connection", None), ("a stream", stream_request()))
        }
        figures = {name: {who: [] for who in of} for name in runs}
        for process, port in of.values():
            wrk(directory, process, port, small, 1, False)
        for _ in range(args.rounds):
            for name, (path, is_new) in runs.items():
                for who, (process, port) in of.items():
                    figures[name][who].append(wrk(directory, process, port, path, args.seconds, is_new))
    finally:
        for process in reversed(started):
            stop(process)
    show(args, figures, memory)


def show(args, figures, memory):
    goals = {
        ("static, 1 KiB", "rate"): "≥ 0.6",
        ("static, 64 KiB", "rate"): "≥ 0.6",
        ("proxied", "cpu_us"): "≤ 1.5",
        ("handshake and a static file of 1 KiB", "rate"): "≥ 0.8",
    }
    table(f"The edge and nginx ({args.rounds} rounds of {args.seconds} s, {CONNECTIONS} connections, TLS 1.3)")
    for name, of in figures.items():
        for key, what, form in (("rate", "requests/s", "{:.0f}"), ("cpu_us", "CPU of each, µs", "{:.1f}"), ("p99_ms", "p99, ms", "{:.2f}")):
            for who, runs in of.items():
                print(row(f"{name}: {what}, {who}", [one[key] for one in runs], form))
            goal = goals.get((name, key))
            for who, peer in (("edge", "nginx"), ("edge", "nginx with a log"), ("edge without records", "nginx")):
                ratios = [ours[key] / theirs[key] for ours, theirs in zip(of[who], of[peer], strict=True) if theirs[key]]
                print(row(f"**{name}: {what}, {who} ÷ {peer}**" + (f" (goal {goal})" if goal else ""), ratios or [float("nan")]))
    print(f"\n### Memory of what is held open ({HELD} each)\n\n| | nginx, KB | edge, KB | edge ÷ nginx |\n|---|---|---|---|")
    for what, of in memory.items():
        print(f"| {what} | {of['nginx'] / 1000:.1f} | {of['edge'] / 1000:.1f} | {of['edge'] / max(of['nginx'], 1):.2f} |")
    proxied = statistics.median(one["cpu_us"] for one in figures["proxied"]["edge"])
    print(f"\nA proxied request costs the edge {proxied:.0f} µs of CPU, its record included.")


if __name__ == "__main__":
    main()
