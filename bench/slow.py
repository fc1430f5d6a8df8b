#!/usr/bin/env python3
"""Slow clients at the edge and at nginx: slowhttptest's header, body and read modes, what each client costs, and how a good one fares.

    cargo build --release -p tollhouse
    bench/slow.py --clients 5000

The server has core 0; slowhttptest (several, at a lower priority), the good client, who looks and the server behind have core 1. As root,
the good client comes first there whenever it has an answer (SCHED_FIFO): otherwise its times are those of a core shared with attackers. Memory is what the
whole program has resident when most clients were held, less what it had before the first, divided by them. The good client, a process of
its own, asks for a file of 1 KiB through TLS on one connection, again and again. Needs nginx, slowhttptest, openssl, and a hard limit on
open files of three for each client.

Three limits of ours would end the attack early. `limits.per_address` (256) is raised, since all clients come from 127.0.0.1; the number of
connections is two fifths of the files that may be open, hence the hard limit. That heads have ten seconds, and bodies that stall too, is
left as it is: so that all are held at once, slowhttptest has to connect them within a few seconds.
"""

import argparse
import contextlib
import multiprocessing
import os
import pathlib
import resource
import socket
import ssl
import subprocess
import tempfile
import time

from edge import HOST, certificate, start_edge, start_peer
from rig import LOAD_CORE, ROOT, family, free_port, need, resident_bytes, start_nginx, stop

SMALL, LARGE = "small-4f2a9c1b.css", "huge-9c1b4f2a.bin"
SMALL_BYTES = 1024
LARGE_BYTES = 16 * 1024 * 1024
# slowhttptest's words for each way to be slow; a read is one of the smallest windows.
HEADS = ["-H", "-i", "5", "-x", "24"]
BODIES = ["-B", "-i", "5", "-s", "100000", "-x", "10"]
READS = ["-X", "-w", "512", "-y", "1024", "-n", "10", "-z", "16", "-k", "1"]
# Each of them looks at all of its connections again and again: several with a part of the clients get further than one with all.
ATTACKERS = 5


def behave(port, over, told):
    """A client that behaves: tells of its requests their number, median and 99th percentile in milliseconds, and what went wrong."""
    os.sched_setaffinity(0, {LOAD_CORE})
    # Its own wait for the core is nothing that the server does.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=HOST)
    request = f"GET /files/{SMALL} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    times, failure = [], None
    try:
        while not over.wait(0.005):
            begun, received = time.perf_counter(), 0
            connection.sendall(request)
            while received < SMALL_BYTES:
                piece = connection.recv(65536)
                if not piece:
                    raise ConnectionError("closed")
                received += len(piece)
            times.append((time.perf_counter() - begun) * 1e3)
    except OSError as error:
        failure = str(error)
    times = sorted(times) or [float("nan")]
    told.send((len(times), times[len(times) // 2], times[len(times) * 99 // 100], failure))


def sockets(*processes):
    """Files that they have open, as long as they run."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            total += sum(len(os.listdir(f"/proc/{one}/fd")) for one in family(process.pid))
    return total


def slow(process, port, mode, url, clients, seconds):
    """Memory of each client and of how many, and the good client's requests, median and p99."""
    spawning = multiprocessing.get_context("spawn")
    over, (hears, told) = spawning.Event(), spawning.Pipe(duplex=False)
    good = spawning.Process(target=behave, args=(port, over, told))
    good.start()
    # What the first requests cost once is no client's.
    time.sleep(4)
    before, open_before, most = resident_bytes(process.pid), sockets(process), (0, 0)
    each = clients // ATTACKERS
    command = ["nice", "-n", "10", "taskset", "-c", LOAD_CORE, "slowhttptest", *mode, "-c", each, "-r", max(each // 4, 10), "-l", seconds, "-p", "5", "-u", url]
    attacks = [subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(ATTACKERS)]
    while any(attack.poll() is None for attack in attacks):
        held = min(sockets(process) - open_before, sockets(*attacks))
        # What a client costs is looked at when nearly all are there: the same number of them then weighs the most.
        if held >= most[0] * 0.98:
            most = (max(held, most[0]), max(resident_bytes(process.pid) - before, most[1] if held < most[0] else 0))
        time.sleep(0.3)
    over.set()
    asked, median, p99, failure = hears.recv()
    good.join()
    if failure:
        print(f"the good client failed: {failure}")
    return most[1] / max(most[0], 1), most[0], asked, median, p99


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/tollhouse")
    options.add_argument("--clients", type=int, default=5000)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--only", default="", help="modes whose name holds this")
    options.add_argument("--alone", action="store_true", help="without nginx")
    args = options.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    need("nginx", "slowhttptest", "openssl", "taskset")
    allow_files(3 * args.clients + 1_000)
    # To count 10,000 open files takes milliseconds, too.
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="slow-") as folder:
        pathlib.Path(folder).chmod(0o755)
        measure(args, pathlib.Path(folder))


def allow_files(wanted):
    """Lets this process, and those that it starts, open so many files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted and hard != resource.RLIM_INFINITY:
        raise SystemExit(f"so many clients need {wanted} open files, and {hard} are allowed: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(args, directory):
    certificate(directory)
    files = directory / "files"
    files.mkdir()
    (files / SMALL).write_bytes(b"x" * SMALL_BYTES)
    (files / LARGE).write_bytes(os.urandom(LARGE_BYTES))
    back, drip = free_port(), free_port()
    # One that wants the whole of a form before it answers: an answer at once would let its client go.
    form = f"location /form {{ proxy_pass http://127.0.0.1:{back}/{SMALL}; client_body_timeout 600s; }}"
    behind = start_nginx(directory, "back", back, f"server {{ listen 127.0.0.1:{back} backlog=8192; client_max_body_size 0; root {files}; {form} }}", LOAD_CORE)
    modes = {
        "heads, without TLS": (HEADS, "plain", "/"),
        "heads": (HEADS, "tls", "/"),
        "bodies, to a server behind": (BODIES, "tls", "/form"),
        "reads of a file": (READS, "tls", f"/files/{LARGE}"),
        "reads of a server behind": (READS, "tls", f"/{LARGE}"),
    }
    print(f"| {args.clients} clients, slow in | | KiB a client (of most held) | good client: requests | median, ms | p99, ms |\n|---|---|---|---|---|---|")
    for name, (mode, kind, path) in modes.items():
        if args.only not in name:
            continue
        for who, start in (("tollhouse", start_edge), ("nginx", start_peer)):
            if who == "nginx" and args.alone:
                continue
            # A program that has held nothing before: what others have left behind would be used again.
            own = directory / f"{who}-{name.replace(' ', '-')}"
            own.mkdir()
            own.chmod(0o755)
            for file in ("cert.pem", "key.pem"):
                (own / file).write_bytes((directory / file).read_bytes())
            plain = free_port()
            process, port = start(own, files, back, drip, *((args.program,) if who == "tollhouse" else ()), plain=plain)
            try:
                scheme, at = ("http", plain) if kind == "plain" else ("https", port)
                cost, held, asked, median, p99 = slow(process, port, mode, f"{scheme}://{HOST}:{at}{path}", args.clients, args.seconds)
                print(f"| {name} | {who} | {cost / 1024:.1f} ({held}) | {asked} | {median:.2f} | {p99:.2f} |", flush=True)
            finally:
                stop(process)
    stop(behind)


if __name__ == "__main__":
    main()
