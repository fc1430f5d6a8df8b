"""A disk that refuses at any moment, and kills beside it: what was acknowledged is there once, and nothing is invented.

The limit of the size of files (`ulimit -f`) makes operations fail from outside: a write that would pass it is cut short, and the
next one fails (EFBIG). It is moved while the house runs, to places in the middle of its files, so it hits journal, index and
positions of sources, each in the middle of a line now and then.
"""

import collections
import contextlib
import json
import os
import random
import resource
import subprocess
import threading
import time

import httpx
from house import BINARY, until
from test_kill import check_chain

# ./test has other things to do; 10,000 by name.
ROUNDS, SEED = int(os.environ.get("TOLLHOUSE_TEST_KILLS", "25")), 20_260_127
WRITERS = 4


class Writer(threading.Thread):
    """Sends numbered documents to `/es/_bulk`, each once, and notes those that were acknowledged."""

    def __init__(self, house, key, name, over):
        super().__init__(daemon=True)
        self.house, self.key, self.name_of, self.over = house, key, name, over
        self.sent, self.acknowledged, self.refused = 0, [], collections.Counter()

    def run(self):
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.house.port}", timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-ndjson"}
        while not self.over.is_set():
            marks = [f"{self.name_of}-{number}" for number in range(self.sent, self.sent + 20)]
            self.sent += len(marks)
            body = "".join('{"create":{}}\n' + json.dumps({"msg": "m", "mark": mark}) + "\n" for mark in marks)
            try:
                answer = client.post("/es/faulty-2026.01.27/_bulk", content=body, headers=headers)
            except httpx.HTTPError:
                time.sleep(0.005)  # a house that is down is asked again soon, not in a busy loop
                continue
            if answer.status_code != 200:
                self.refused[answer.status_code] += len(marks)
                time.sleep(0.005)
                continue
            for mark, item in zip(marks, answer.json()["items"], strict=True):
                status = item["create"]["status"]
                if status == 201:
                    self.acknowledged.append(mark)
                else:
                    self.refused[status] += 1


class Appender(threading.Thread):
    """Writes numbered lines into a file that is read, whatever becomes of the reader."""

    def __init__(self, file, over):
        super().__init__(daemon=True)
        self.file, self.over, self.written = file, over, 0

    def run(self):
        with self.file.open("a") as file:
            while not self.over.is_set():
                for _ in range(50):
                    file.write(json.dumps({"msg": "line", "line_number": self.written}) + "\n")
                    self.written += 1
                file.flush()
                time.sleep(0.01)


class Limit:
    """The size that files of the house may have."""

    def __init__(self, house, chance):
        self.house, self.chance = house, chance

    def narrow(self):
        """Into the middle of what is being written."""
        reached = self.house.journal_file.stat().st_size if self.house.journal_file.exists() else 0
        near = reached + self.chance.choice([-2_000, 0, 37, 500, 5_000, 50_000])
        self.put(self.chance.choice([max(1, near), max(1, near), 100, 20_000]))

    def widen(self):
        self.put(resource.RLIM_INFINITY)

    def put(self, soft):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.house.child.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def test_kills_and_a_disk_that_refuses_lose_and_double_nothing(make_house, tmp_path):
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    watched = tmp_path / "watched.log"
    watched.touch()
    house = make_house(
        start=False,
        upstreams={"demo": {"kind": "demo"}},
        logging={"rotate": {"size": "1MiB"}, "sync": "10ms", "keep": {"days": 3650}},
        store={"keep": {"days": 3650}},
        sources={"watched": {"type": "file", "paths": [str(watched)], "format": "json"}},
    )
    # Python ignores the signal that comes with the limit; so does the house then, and gets an error.
    command = [BINARY, "up", "--config", house.config]
    house.launch = lambda: house.spawn(command, cwd=house.directory, restore_signals=False)
    over, limit = threading.Event(), Limit(house, chance)
    house.start()
    key = house.create_key("writer", "--role", "logs:write")["key"]
    threads = [Writer(house, key, f"w{number}", over) for number in range(WRITERS)] + [Appender(watched, over)]
    for thread in threads:
        thread.start()
    kills, narrowed, slowest = 0, 0, 0.0
    try:
        for turn in range(ROUNDS):
            time.sleep(chance.uniform(0, 0.2))  # the moments are what is being varied
            house.alive()
            if turn % 4:
                narrowed += 1
                limit.narrow()
                time.sleep(chance.uniform(0, 0.3))
            if turn % 4 == 3:
                limit.widen()
            else:
                house.alive()
                house.kill()
                kills += 1
                began = time.monotonic()
                house.start()
                slowest = max(slowest, time.monotonic() - began)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    limit.widen()
    appender, writers = threads[-1], threads[:-1]
    print(f"{kills} kills, {narrowed} times no room, slowest start {slowest:.2f} s")
    assert slowest <= 5, f"a start took {slowest:.1f} s"

    def lines_kept():
        return [record["line_number"] for record in house.journal(kind="log", source="watched") if "line_number" in record]

    until("every line is kept", lambda: len(lines_kept()) >= appender.written, within=60, every=0.5)
    until("the disk is well again", lambda: house.get("/health", key="").json()["journal"]["disk"] == "ok", within=30)
    assert lines_kept() == list(range(appender.written)), "each line once, in order"
    lines = house.journal_bytes().splitlines()
    check_chain(lines)
    marks = collections.Counter(record["mark"] for line in lines if "mark" in (record := json.loads(line)))
    acknowledged = [mark for writer in writers for mark in writer.acknowledged]
    refused = sum((writer.refused for writer in writers), collections.Counter())
    print(f"{len(acknowledged)} acknowledged, {dict(refused)} refused, {len(lines)} records")
    assert [mark for mark in acknowledged if marks[mark] != 1] == [], "acknowledged, and not there once"
    assert [mark for mark, number in marks.items() if number != 1] == [], "there twice"
    assert len(acknowledged) > 10 * ROUNDS and sum(refused.values()) > 0, "too little to show anything"
    # As Rust says it: the index's library words an error of a disk with "or panicked".
    assert "panicked at" not in house.output()

    assert house.stop() == 0
    done = subprocess.run([BINARY, "journal", "verify", "--index", "--json", "--config", house.config], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
