#!/usr/bin/env python3
"""Soaks a house: traffic, reloads, rotations, restarts and kills of its processes, while memory, descriptors and threads are watched.

    cargo build --release -p tollhouse
    bench/soak.py                          # three minutes
    bench/soak.py --hours 12 --binary target/debug/tollhouse

Flat is: in the last quarter of the time, the median of memory is at most a tenth above that of the second quarter (the first one is for
what is filled once), and of descriptors and threads there are at most five more. Exit status 1 where that is not so, where a request
failed, where the house has ended, where a process that was killed was not started again, or where one is left that nobody waits for.
"""

import argparse
import contextlib
import http.client
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
# Killed every few seconds, they would soon wait for minutes.
RESTART = {"delay": "100ms", "delay_max": "1s", "pause_after": "off"}


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
                    "steady": {"command": ["sleep", "100000"], **RESTART},
                    "talker": {"command": ["sh", "-c", "while :; do echo I talk; sleep 0.05; done"], **RESTART},
                    "changed": {"command": ["sleep", str(90000 + turn)], **RESTART},
                },
            }
        )
    )


def look(house):
    """What it has now; the end of the soak where it has ended."""
    if (status := house.poll()) is not None:
        sys.exit(f"the house has ended with {status}")
    told = dict(line.split(":", 1) for line in Path(f"/proc/{house.pid}/status").read_text().splitlines())
    return {
        "memory": int(told["VmRSS"].split()[0]) * 1024,
        "descriptors": len(os.listdir(f"/proc/{house.pid}/fd")),
        "threads": int(told["Threads"]),
    }


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end between the two looks.
        with contextlib.suppress(FileNotFoundError):
            found += map(int, (task / "children").read_text().split())
    return found


def is_zombie(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def process_of(child):
    """Which of the processes it is; none while it is being started, or when it has ended."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if words[0] == "sh":
            return "talker"
        if words[0] == "sleep":
            return "steady" if words[1] == "100000" else "changed"
    return None


class Traffic:
    """Clients that ask one chat after the other, until they are to stop."""

    def __init__(self, base):
        self.base, self.stop, self.lock = base, threading.Event(), threading.Lock()
        self.done, self.failures, self.failed = 0, 0, []
        self.clients = [threading.Thread(target=self.client, daemon=True) for _ in range(CLIENTS)]

    def chat(self):
        body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
        request = urllib.request.Request(f"{self.base}/v1/chat/completions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def client(self):
        while not self.stop.is_set():
            try:
                self.chat()
                with self.lock:
                    self.done += 1
            except (OSError, http.client.HTTPException) as error:
                with self.lock:
                    self.failures += 1
                    self.failed = [*self.failed[-4:], repr(error)]
                time.sleep(0.1)

    def begin(self, within_s=60):
        """Waits for the first answer, and lets all come then."""
        until = time.monotonic() + within_s
        while True:
            try:
                self.chat()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        for one in self.clients:
            one.start()

    def end(self):
        self.stop.set()
        for one in self.clients:
            one.join(90)


def starts(binary, config):
    """How often each process was started, as the house tells it."""
    told = subprocess.run([binary, "ps", "--json", "--config", config], capture_output=True, text=True, timeout=60, check=True)
    return {row["name"]: row["starts"] for row in json.loads(told.stdout)}


def soak(binary, seconds):
    with tempfile.TemporaryDirectory() as folder:
        folder, port = Path(folder), free_port()
        config, data = folder / "tollhouse.yaml", folder / "data"
        configure(config, data, port, 0)
        house = subprocess.Popen([binary, "up", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        traffic, samples, turns, killed = Traffic(f"http://127.0.0.1:{port}"), [], 0, 0
        try:
            traffic.begin()
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                time.sleep(LOOK_S)
                samples.append((passed, look(house)))
                if passed // RELOAD_S >= turns + 1:
                    turns += 1
                    configure(config, data, port, turns)
                    house.send_signal(signal.SIGHUP)
                # One after the other, so that each is killed as often.
                turn = ("steady", "talker", "changed")[killed % 3]
                own = [child for child in children(house.pid) if process_of(child) == turn and not is_zombie(child)]
                if passed // KILL_S >= killed + 1 and own:
                    # It may have ended by itself meanwhile.
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(own[0], signal.SIGKILL)
                    killed += 1
            traffic.end()
            # What was killed last is started again and nobody is left unawaited, within moments.
            settled_by = time.monotonic() + 30
            while (left := [child for child in children(house.pid) if is_zombie(child)]) and time.monotonic() < settled_by:
                time.sleep(0.5)
            again = starts(binary, config)
        finally:
            house.terminate()
            house.wait(90)
        rotated = len(list((data / "journal").glob("*-*.log*")))
        return {
            "samples": samples,
            "chats": traffic.done,
            "failures": traffic.failures,
            "failed": traffic.failed,
            "reloads": turns,
            "kills": killed,
            "starts": again,
            "zombies": len(left),
            "rotated": rotated,
        }


def quarters(samples, name, seconds):
    """The medians of the four quarters."""
    of = [[one[name] for passed, one in samples if quarter <= passed / seconds * 4 < quarter + 1] for quarter in range(4)]
    return [statistics.median(values) for values in of]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default="target/release/tollhouse")
    options.add_argument("--minutes", type=float, default=3)
    options.add_argument("--hours", type=float)
    options.add_argument("--growth", type=float, default=GROWTH, help="how much larger memory may become, as a factor")
    options.add_argument("--more", type=int, default=MORE, help="how many more descriptors and threads there may be")
    wanted = options.parse_args()
    seconds = wanted.hours * 3600 if wanted.hours else wanted.minutes * 60
    seen = soak(wanted.binary, seconds)
    print(
        f"{seconds:.0f} s: {seen['chats']} chats, {seen['failures']} failed, {seen['reloads']} reloads, {seen['kills']} kills, "
        f"{seen['zombies']} zombies, {seen['rotated']} closed journal files kept; starts: {seen['starts']}"
    )
    flat = not seen["failures"] and not seen["zombies"]
    # The one whose command changes with each reload is another process then, and is counted anew.
    is_told = seen["starts"]["steady"] > seen["kills"] / 6 and seen["starts"]["talker"] > seen["kills"] / 6
    if not is_told:
        print("processes were killed and not started again, or that is not told")
    print("| | first quarter | second | third | last | most | |\n|---|---|---|---|---|---|---|")
    for name in ("memory", "descriptors", "threads"):
        medians = quarters(seen["samples"], name, seconds)
        early, late, most = medians[1], medians[3], max(one[name] for _, one in seen["samples"])
        is_flat = late <= early * wanted.growth if name == "memory" else late <= early + wanted.more
        flat = flat and is_flat
        unit, digits = (2**20, 1) if name == "memory" else (1, 0)
        cells = " | ".join(f"{value / unit:.{digits}f}" for value in [*medians, most])
        print(f"| {name}{' (MiB)' if unit > 1 else ''} | {cells} | {'flat' if is_flat else 'grows'} |")
    print("\n".join(seen["failed"]))
    sys.exit(0 if flat and is_told else 1)


if __name__ == "__main__":
    main()
