#!/usr/bin/env python3
"""How long `tollhouse why` and `tollhouse advise` take over so many requests, each a command of its own.

    cargo build --release -p tollhouse
    bench/why.py --records 200000
    bench/why.py --records 10000000 --folder /var/tmp/why      # some gigabytes and many minutes; the folder is kept for the next time

The journal is written here as the program writes it, seven days of one model server with its times; the program indexes it.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAYS = 7
MODELS = ["qwen3:32b", "qwen3:4b", "gpt-oss:20b"]


def request(dice, number):
    """One request without its time; reading costs about half a millisecond a token."""
    chance = dice.random
    tokens, written = int(chance() * 5800) + 200, int(chance() * 400) + 5
    queue = chance() * 4000 if chance() < 0.1 else 0.0
    load = 4000 + chance() * 3000 if chance() < 0.01 else 0.0
    reading = tokens * 0.5 + abs(dice.gauss(0, 60))
    first = 5 + queue + load + reading
    model = MODELS[int(chance() ** 2 * len(MODELS))]
    return (
        f'"kind":"request","msg":"request done","request_id":"r-{number:08d}","trace_id":"{dice.getrandbits(128):032x}","model":"{model}",'
        f'"upstream":"local","user_id":"user-{int(chance() ** 3 * 500)}","key_id":"k","method":"POST","path":"/v1/chat/completions","status":200,'
        f'"input_tokens":{tokens},"output_tokens":{written},"duration_ms":{first + written * 20:.1f},"ttft_ms":{first:.1f},"queue_ms":{queue:.1f},'
        f'"load_ms":{load:.1f},"prefill_ms":{reading:.1f},"connect_ms":0.3,"context_limit":8192,"num_ctx":8192,"attempts":1'
    )


def write_journal(file, count, service="bench"):
    """A journal as the program writes it: numbers without gaps, each line with the digest of the one before."""
    dice, before = random.Random(20_260_127), "0" * 32
    begin = datetime.now(UTC) - timedelta(days=DAYS) + timedelta(hours=1)
    step_ms = (DAYS * 24 - 2) * 3_600_000 / count
    file.parent.mkdir(parents=True)
    with file.open("wb", buffering=1 << 20) as out:
        for number in range(count):
            at = begin + timedelta(milliseconds=number * step_ms)
            stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            line = f'{{"ts":"{stamp}","level":"info","service":"{service}",{request(dice, number)},"seq":{number + 1},"prev":"{before}"}}'.encode()
            before = hashlib.sha256(line).hexdigest()[:32]
            out.write(line + b"\n")


class House:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.config = folder / "tollhouse.yaml"
        large = {"days": 60, "bytes": "200GiB"}
        self.config.write_text(json.dumps({
            "service": "bench", "listen": "127.0.0.1:0", "data_dir": str(folder / "data"), "upstreams": {"local": {"kind": "demo"}},
            "logging": {"keep": large}, "store": {"keep": large}, "probes": "off",
        }))  # fmt: skip
        self.journal = folder / "data/journal/gateway.log"

    def run(self, *arguments, stdin=None):
        began = time.perf_counter()
        command = [self.binary, arguments[0], "--config", self.config, *arguments[1:]]
        told = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
        return time.perf_counter() - began, told.stdout

    def count(self):
        search = {"query": {"term": {"kind": "request"}}, "size": 0, "track_total_hits": True}
        try:
            told = self.run("search", "--json", "--dsl", "-", stdin=json.dumps(search))[1]
        except subprocess.CalledProcessError:
            return 0  # The index is not there yet.
        return json.loads(told)["hits"]["total"]["value"]

    def index(self, count):
        """Lets the program index all of the journal, and waits until merges are over as well."""
        child = subprocess.Popen([self.binary, "up", "--config", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            began = time.monotonic()
            while (there := self.count()) < count:
                assert child.poll() is None, "the house ended"
                print(f"  {there:,} of {count:,} indexed after {time.monotonic() - began:.0f} s", flush=True)
                time.sleep(max(5, count / 500_000))
        finally:
            child.terminate()
            child.wait(600)


def measured(house, count, rounds):
    dice = random.Random(7)
    whys = []
    for _ in range(rounds):
        took, told = house.run("why", f"r-{dice.randrange(count):08d}", "--json")
        assert json.loads(told)["verdict"]["cause"]
        whys.append(took)
    advises = []
    for _ in range(max(rounds // 5, 1)):
        took, told = house.run("advise", "--json")
        advice = {row["id"]: row for row in json.loads(told)["advice"]}
        assert advice["prompts"]["advice"] != "unknown", advice["prompts"]
        advises.append(took)
    return {"why": whys, "advise": advises}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default="target/release/tollhouse")
    options.add_argument("--records", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--folder", type=Path, help="where the journal and the index lie, and stay")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        house = House(os.path.abspath(given.binary), folder)
        if not house.journal.exists():
            write_journal(house.journal, given.records)
        house.index(given.records)
        for name, times in measured(house, given.records, given.rounds).items():
            print(f"{name}: median {statistics.median(times):.2f} s, worst of {len(times)} {max(times):.2f} s, over {given.records:,} requests")


if __name__ == "__main__":
    main()
