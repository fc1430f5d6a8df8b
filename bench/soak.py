#!/usr/bin/env python3
"""Soaks a house: traffic, reloads, rotations, restarts and kills of its processes, while memory, descriptors and threads are watched.

    cargo build --release -p tollhouse
    bench/soak.py                          # three minutes
    bench/soak.py --hours 12 --binary target/debug/tollhouse

Flat is: in the last quarter of the time, the median of memory is at most a tenth above that of the second quarter, and of descriptors
and threads there are at most five more. Exit status 1 where that is not so, or where a request failed.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

CLIENTS = 4
RELOAD_S, KILL_S, LOOK_S = 5, 3, 1
GROWTH, MORE = 1.10, 5


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def configure(path, data, port, turn):
    """Each turn changes something that is put in force without a restart, and one process."""
    path.write_text(
        json.dumps(
            {
                "service": "soak",
                "listen": f"127.0.0.1:{port}",
                "data_dir": str(data),
                "upstreams": {"demo": {"kind": "demo"}},
                "access": {"auth": "off"},
                "queue": {"depth": 200 + turn % 7},
                "logging": {"rotate": {"size": "256KiB"}, "keep": {"bytes": "16MiB"}},
                "supervise": {
                    "steady": {"command": ["sleep", "100000"], "delay": "100ms", "pause_after": "off"},
                    "talker": {"command": ["sh", "-c", "while :; do echo I talk; sleep 0.05; done"], "delay": "100ms", "pause_after": "off"},
                    "changed": {"command": ["sleep", str(90000 + turn)], "delay": "100ms", "pause_after": "off"},
                },
            }
        )
    )


def look(pid):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "memory": int(status["VmRSS"].split()[0]) * 1024,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
    }


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end between the two looks.
        with contextlib.suppress(FileNotFoundError):
            found += map(int, (task / "children").read_text().split())
    return found


def chat(base):
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
    request = urllib.request.Request(f"{base}/v1/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def soak(binary, seconds):
    with tempfile.TemporaryDirectory() as folder:
        folder, port = Path(folder), free_port()
        config, data = folder / "tollhouse.yaml", folder / "data"
        configure(config, data, port, 0)
        house = subprocess.Popen([binary, "up", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stop, done, failed, lock = threading.Event(), [0], [], threading.Lock()

        def client():
            while not stop.is_set():
                try:
                    chat(f"http://127.0.0.1:{port}")
                    with lock:
                        done[0] += 1
                except OSError as error:
                    failed.append(repr(error))
                    time.sleep(0.1)

        samples, began, turns, kills = [], time.monotonic(), 0, 0
        try:
            while time.monotonic() - began < 30:
                try:
                    chat(f"http://127.0.0.1:{port}")
                    break
                except OSError:
                    time.sleep(0.1)
            clients = [threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)]
            for one in clients:
                one.start()
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                time.sleep(LOOK_S)
                samples.append((passed, look(house.pid)))
                if passed // RELOAD_S >= turns + 1:
                    turns += 1
                    configure(config, data, port, turns)
                    house.send_signal(signal.SIGHUP)
                if passed // KILL_S >= kills + 1 and (own := children(house.pid)):
                    kills += 1
                    # It may have ended by itself meanwhile.
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(own[kills % len(own)], signal.SIGKILL)
            stop.set()
            for one in clients:
                one.join(90)
        finally:
            house.terminate()
            house.wait(90)
        rotated = len(list((data / "journal").glob("*-*.log*")))
        return samples, done[0], failed, turns, kills, rotated


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default="target/release/tollhouse")
    options.add_argument("--minutes", type=float, default=3)
    options.add_argument("--hours", type=float)
    wanted = options.parse_args()
    seconds = wanted.hours * 3600 if wanted.hours else wanted.minutes * 60
    samples, done, failed, turns, kills, rotated = soak(wanted.binary, seconds)
    print(f"{seconds:.0f} s: {done} chats, {len(failed)} failed, {turns} reloads, {kills} kills, {rotated} closed journal files kept")
    flat = not failed
    for name in ("memory", "descriptors", "threads"):
        quarter = lambda which: [one[name] for passed, one in samples if which <= passed / seconds * 4 < which + 1]
        early, late = statistics.median(quarter(1)), statistics.median(quarter(3))
        is_flat = late <= early * GROWTH if name == "memory" else late <= early + MORE
        flat = flat and is_flat
        unit = 2**20 if name == "memory" else 1
        print(f"| {name}{' (MiB)' if unit > 1 else ''} | {early / unit:.1f} | {late / unit:.1f} | {'flat' if is_flat else 'grows'} |")
    print("\n".join(failed[:5]))
    sys.exit(0 if flat else 1)


if __name__ == "__main__":
    main()
