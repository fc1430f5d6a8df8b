#!/usr/bin/env python3
"""What supervision costs, and how soon the end of a process is noticed.

    cargo build --release -p tollhouse
    bench/upkeep.py                       # ten processes for a minute, thirty of them killed
    bench/upkeep.py --seconds 600 --binary target/debug/tollhouse

CPU is that of the house alone, by /proc, beside the same house without processes; noticed is from the kill to the time in the record.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

PROCESSES = 10
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class House:
    def __init__(self, binary, folder, processes):
        self.binary, self.data, self.config = binary, folder / "data", folder / "tollhouse.yaml"
        supervised = {
            # A pause would end the measuring of kills.
            f"p{number}": {"command": ["sleep", "100000"], "delay": "50ms", "delay_max": "50ms", "pause_after": "off", "memory": {"hard": "1GB"}}
            for number in range(processes)
        }
        config = {
            "service": "bench", "listen": "127.0.0.1:0", "data_dir": str(self.data), "upstreams": {"demo": {"kind": "demo"}},
            "supervise": supervised,
        }
        self.config.write_text(json.dumps(config))
        self.child = subprocess.Popen([binary, "up", "--config", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def records(self, **wanted):
        found = []
        for line in (self.data / "journal/gateway.log").read_text().splitlines():
            record = json.loads(line)
            if wanted.items() <= record.items():
                found.append(record)
        return found

    def ready(self):
        return {record["process_name"] for record in self.records(kind="process", process_state="ready")}

    def pids(self):
        """The number of each process that was started last."""
        started = [record for record in self.records(kind="process", process_state="starting") if record["msg"].endswith(" started")]
        return {record["process_name"]: record["pid"] for record in started}

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(60)


def until(ask, within=30):
    end = time.monotonic() + within
    while not ask():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def share(house, seconds):
    before, began = cpu(house.child.pid), time.monotonic()
    time.sleep(seconds)
    return (cpu(house.child.pid) - before) / (time.monotonic() - began)


def measured(binary, processes, seconds, kills):
    with tempfile.TemporaryDirectory() as folder:
        house = House(binary, Path(folder), processes)
        try:
            until(lambda: (house.data / "journal/gateway.log").exists() and len(house.ready()) == processes)
            # What a start costs is over.
            time.sleep(5)
            used, noticed = share(house, seconds), []
            for number in range(kills):
                name = f"p{number % PROCESSES}"
                ended = lambda: house.records(kind="process", process_name=name, exit_signal=9)
                count, pid = len(ended()), house.pids()[name]
                killed = time.time()
                os.kill(pid, signal.SIGKILL)
                until(lambda: len(ended()) > count)
                noticed.append((datetime.fromisoformat(ended()[-1]["ts"]).timestamp() - killed) * 1000)
                until(lambda: house.pids()[name] != pid)
            return used, noticed
        finally:
            house.end()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default="target/release/tollhouse")
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--kills", type=int, default=30)
    wanted = options.parse_args()
    idle, _ = measured(wanted.binary, 0, wanted.seconds, 0)
    used, noticed = measured(wanted.binary, PROCESSES, wanted.seconds, wanted.kills)
    print(f"| the house alone, {wanted.seconds:.0f} s | {idle:.2%} of a core |")
    print(f"| with {PROCESSES} processes, each with a memory limit | {used:.2%} of a core, {used - idle:+.2%} |")
    noticed.sort()
    worst = noticed[-1] if noticed else float("nan")
    print(f"| an end is noticed, {len(noticed)} kills | median {statistics.median(noticed):.1f} ms, worst {worst:.1f} ms |")


if __name__ == "__main__":
    main()
