"""Lines that the house reads itself: files that rotate, the systemd journal, its own standard input. Each line exactly once."""

import collections
import datetime
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from house import BINARY, until
from test_collect import checksum, gateway_line
from test_kill import check_chain
from test_reload import reload

# The whole run has 200 rotations at 10,000 lines/s; ./test has other things to do.
ROTATIONS = int(os.environ.get("TOLLHOUSE_TEST_ROTATIONS", "25"))
RATE = int(os.environ.get("TOLLHOUSE_TEST_RATE", "3000"))
# Lines between two rotations, and rotations between two kills.
BETWEEN, KILL_EVERY = RATE // 2, int(os.environ.get("TOLLHOUSE_TEST_KILL_EVERY", "4"))
# Rotated files that stay: as many as are written while a killed house comes back, and more.
KEPT = 12
SEED = 20_260_127


def files(*paths, **more):
    return {"app": {"type": "file", "paths": [str(path) for path in paths], **more}}


def collected(house, source="app"):
    """The collected lines in the journal."""
    return house.journal(kind="log", source=source)


def append(file, *lines):
    with file.open("a") as out:
        out.writelines(f"{line}\n" for line in lines)


class Seen(threading.Thread):
    """Reads the journal along and counts how often each number is there."""

    NUMBER = re.compile(rb'"number":(\d+)')

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file, self.times, self.over = file, collections.Counter(), threading.Event()

    def run(self):
        journal = self.file.open("rb")
        while True:
            is_over = self.over.is_set()
            is_closed = not self.file.exists() or self.file.stat().st_ino != os.fstat(journal.fileno()).st_ino
            piece = journal.read(1 << 20)
            # Only whole lines: what a kill left of one is taken away again.
            whole = piece[: piece.rfind(b"\n") + 1]
            journal.seek(len(whole) - len(piece), os.SEEK_CUR)
            for line in whole.splitlines():
                if b'"kind":"log"' in line and (number := self.NUMBER.search(line)):
                    self.times[int(number.group(1))] += 1
            if whole:
                continue
            if is_closed and self.file.exists():
                journal.close()
                journal = self.file.open("rb")
            elif is_over:
                return
            else:
                time.sleep(0.01)


class Writer:
    """Writes numbered lines at a rate, and rotates its files in one of five ways."""

    def __init__(self, directory, seen):
        self.directory, self.seen, self.number, self.day, self.counted = directory, seen, 0, 0, 0
        self.chance = random.Random(SEED)
        self.live = directory / "app.log"
        self.out = self.live.open("ab", buffering=0)
        self.old = collections.deque()

    def write(self, count):
        """In pieces that end anywhere, as a buffered writer's do."""
        began = time.monotonic()
        piece = b""
        for written in range(count):
            piece += json.dumps({"level": "info", "msg": f"line {self.number} größer 中文", "number": self.number}).encode() + b"\n"
            self.number += 1
            if len(piece) > 4096:
                cut = self.chance.randrange(1, len(piece))
                self.out.write(piece[:cut])
                piece = piece[cut:]
                ahead = written / RATE - (time.monotonic() - began)
                if ahead > 0.005:
                    time.sleep(ahead)
        self.out.write(piece)

    def caught_up(self):
        def missing():
            return [number for number in range(self.number) if not self.seen.times[number]]

        try:
            until("all that was written is read", lambda: len(self.seen.times) >= self.number, within=120, every=0.01)
        except AssertionError:
            raise AssertionError(f"not read of {self.number} lines: {missing()[:20]}… ({len(missing())})") from None

    def shift(self):
        """`app.log.1` becomes `app.log.2` and so on."""
        for number in range(200, 0, -1):
            for end in ["", ".gz"]:
                path = self.directory / f"app.log.{number}{end}"
                if path.exists():
                    to = self.directory / f"app.log.{number + 1}{end}"
                    path.rename(to)
                    self.old[self.old.index(path)] = to

    def rename(self):
        self.shift()
        to = self.directory / "app.log.1"
        self.move_to(to)

    def move_to(self, to):
        if self.live.name != "app.log":
            return self.day_name()
        self.live.rename(to)
        self.old.append(to)
        # logrotate's `create`: the program goes on in the old file until it is told.
        self.write(20)
        self.out = self.live.open("ab", buffering=0)

    def recreate(self):
        """What nobody has read is gone with its file, so it is read first."""
        self.caught_up()
        self.live.unlink()
        self.out = self.live.open("ab", buffering=0)

    def copytruncate(self):
        """What comes between the copy and the truncation is in neither: nothing does, and the copy is whole."""
        if self.live.name != "app.log":
            return self.day_name()
        self.caught_up()
        self.shift()
        to = self.directory / "app.log.1"
        shutil.copyfile(self.live, to)
        self.old.append(to)
        os.truncate(self.live, 0)

    def day_name(self):
        self.day += 1
        self.old.append(self.live)
        # Days and the undated name take turns; the latter was rotated away.
        if self.day % 2 == 0 and not (self.directory / "app.log").exists():
            self.live = self.directory / "app.log"
        else:
            if self.live.name == "app.log":
                self.shift()
                self.live.rename(self.directory / "app.log.1")
                self.old[-1] = self.directory / "app.log.1"
            self.live = self.directory / f"day-2026-01-{self.day:03}.log"
        self.out = self.live.open("ab", buffering=0)

    def number_and_pack(self):
        """As OpenClaw numbers its files; an older one is packed."""
        self.counted += 1
        self.move_to(self.directory / f"app.{self.counted}.log")
        plain = [path for path in self.old if path.suffix != ".gz" and path.exists() and path != self.live]
        if len(plain) > 2:
            packed = plain[0].with_name(plain[0].name + ".gz")
            packed.write_bytes(gzip.compress(plain[0].read_bytes(), 1))
            plain[0].unlink()
            self.old[self.old.index(plain[0])] = packed

    def rotate(self):
        ways = [self.rename, self.recreate, self.copytruncate, self.day_name, self.number_and_pack]
        self.chance.choice(ways)()
        if len(self.old) > KEPT:
            # What goes for good has been read.
            self.caught_up()
            while len(self.old) > KEPT:
                self.old.popleft().unlink()


def test_scenario_b04_rotated_files_are_read_exactly_once_over_kills(make_house, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    logging = {"rotate": {"size": "32MiB"}, "compress": "none"}
    house = make_house(sources=files(logs / "app.log", logs / "day-*.log", format="json"), logging=logging)
    seen = Seen(house.journal_file)
    seen.start()
    writer, chance, kills = Writer(logs, seen), random.Random(SEED), [0]
    over = threading.Event()

    def kill():
        while not over.wait(chance.random() * KILL_EVERY * BETWEEN / RATE * 2):
            house.kill()
            kills[0] += 1
            before = len(seen.times)
            house.start()
            # Now and then it is killed while it begins, as a rule when it has begun.
            while chance.random() < 0.99 and before == len(seen.times) < writer.number and not over.is_set():
                time.sleep(0.02)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    began = time.monotonic()
    for _ in range(ROTATIONS):
        writer.write(BETWEEN)
        writer.rotate()
    took = time.monotonic() - began
    over.set()
    killer.join(60)
    writer.caught_up()
    until("the index has them all", lambda: house.count("kind:log AND source:app") >= writer.number, within=120, every=0.2)
    house.stop()
    seen.over.set()
    seen.join(60)
    lost = [number for number in range(writer.number) if not seen.times[number]]
    doubled = [number for number, times in seen.times.items() if times > 1]
    print(f"{writer.number} lines, {ROTATIONS} rotations, {kills[0]} kills, {took:.1f} s: {len(lost)} lost, {len(doubled)} doubled")
    assert not lost and not doubled, f"lost {lost[:10]}, doubled {doubled[:10]}"
    assert kills[0] > 0 and len(seen.times) == writer.number
    check_chain(house.journal_bytes().splitlines())


def test_scenario_b05_a_file_of_the_gateway_is_typed_as_our_own_requests_are(make_house, tmp_path):
    log = tmp_path / "gateway.log"
    lines = [gateway_line(number) for number in range(300)]
    append(log, *(json.dumps(line, ensure_ascii=False) for line in lines))
    house = make_house(sources=files(log))
    until("it says what it reads", lambda: f"collect    app from {log}  (auto)" in house.output())
    until("all lines are in the index", lambda: house.count("kind:log AND source:app") == len(lines))
    kept = collected(house)
    assert checksum(kept) == checksum(lines)
    assert {line["file"] for line in kept} == {str(log)}
    slow = sum(line["duration_ms"] > 3000 for line in lines)
    assert house.count('tag:"slow_request" AND source:app') == slow > 0
    found = house.journal(msg="format of a file found out by its lines")
    assert [(line["file"], line["format"]) for line in found] == [(str(log), "json")]
    # How far was read is the journal's matter.
    document = house.search({"query": {"query_string": {"query": "number:7"}}})["hits"]["hits"][0]["_source"]
    assert document["file"] == str(log) and "file_mark" not in document
    assert document["caller"] == "gateway/handler.go:123"
    check_chain(house.journal_bytes().splitlines())


def test_a_reload_and_a_restart_go_on_where_they_were(make_house, tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    append(first, "one", "two")
    house = make_house(sources=files(first, format="plain"))

    def texts():
        return [line["msg"] for line in collected(house)]

    until("they are read", lambda: texts() == ["one", "two"])
    append(second, "before")
    assert reload(house, sources=files(first, second, format="plain"))["level"] == "info"
    append(first, "three")
    until("both are read", lambda: sorted(texts()) == ["before", "one", "three", "two"])
    assert reload(house, sources={})["changed"] == ["sources.app"]
    until("it has ended", lambda: len(house.journal(msg="source stopped", source="app")) == 2)
    append(first, "while it was not read")
    assert reload(house, sources=files(first, second, format="plain"))["level"] == "info"
    until("it goes on", lambda: "while it was not read" in texts())
    house.stop()
    append(first, "while the house was down")
    # Without what it keeps beside the journal, a source would begin anew: a damaged file is not the same as none.
    (house.data / "collect" / "app.json").write_text("{")
    house.start()
    until("it goes on", lambda: "while the house was down" in texts())
    append(first, "last")
    until("the last one is read", lambda: "last" in texts())
    assert len(texts()) == len(set(texts())) == 7
    check_chain(house.journal_bytes().splitlines())


def test_only_what_comes_from_now_on_is_read_when_that_is_asked_for(make_house, tmp_path):
    log = tmp_path / "app.log"
    append(log, "old 1", "old 2")
    house = make_house(sources=files(log, begin="end", format="plain"))
    until("it looks for files", lambda: house.journal(msg="file known"))
    append(log, "new 1")
    until("the new line is read", lambda: collected(house))
    house.kill()
    append(log, "new 2")
    house.start()
    until("what came meanwhile is read", lambda: len(collected(house)) == 2)
    assert [line["msg"] for line in collected(house)] == ["new 1", "new 2"]


def test_stack_traces_stay_whole_and_trouble_is_told(make_house, tmp_path):
    log = tmp_path / "app.log"
    missing = tmp_path / "later" / "b.log"
    house = make_house(sources=files(log, missing, format="plain"))
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: no'
    append(log, "2026-01-27T10:20:30Z ERROR it broke", trace, "INFO it goes on", "x" * 2_000_000, "end")
    until("all is read", lambda: [line for line in collected(house) if line["msg"] == "end"])
    broke, on, long, end = collected(house)
    assert broke["msg"] == f"2026-01-27T10:20:30Z ERROR it broke\n{trace}" and broke["level"] == "error"
    assert broke["time"] == "2026-01-27T10:20:30.000Z" and broke["lines_joined"] == 4
    assert on["msg"] == "INFO it goes on" and end["msg"] == "end"
    assert long["cut"] is True and set(long["msg"]) == {"x"}
    (told,) = house.journal(msg="the rest of a line that was too long was left out")
    assert told["file"] == str(log) and 900_000 < told["skipped_bytes"] < 1_000_000
    (told,) = house.journal(msg="files cannot be read")
    assert told["file"] == str(missing.parent)
    missing.parent.mkdir()
    append(missing, "here at last")
    until("it is read once it is there", lambda: [line for line in collected(house) if line["msg"] == "here at last"])
    os.truncate(log, 0)
    append(log, "anew")
    until("a file that begins anew is read", lambda: [line for line in collected(house) if line["msg"] == "anew"])
    (told,) = house.journal(msg="a file was truncated or written anew")
    assert told["level"] == "warn" and told["unread_bytes"] == 0


def test_our_own_journal_is_no_source(make_house):
    house = make_house(start=False)
    for path in [house.data / "journal" / "gateway.log", house.data / "**" / "*.log"]:
        house.configure(sources=files(path))
        done = house.run("check", check=False)
        assert done.returncode != 0 and "our own journal" in done.stdout + done.stderr


JOURNALCTL = """\
    #!{python}
    import json, os, sys, time
    entries, calls = "{entries}", "{calls}"
    with open(calls, "a") as out:
        print(" ".join(sys.argv[1:]), file=out)
    if "--version" in sys.argv:
        print("systemd 252")
        sys.exit()
    if "--lines=1" in sys.argv:
        print(open(entries).read().splitlines()[-1])
        sys.exit()
    cursor = next((a.partition("=")[2] for a in sys.argv if a.startswith("--after-cursor=")), None)
    is_behind = cursor is None
    file = open(entries)
    while True:
        line = file.readline()
        if not line.endswith("\\n"):
            if os.path.exists(entries + ".die"):
                os.remove(entries + ".die")
                sys.exit("Failed to iterate through journal: Bad message")
            time.sleep(0.01)
            continue
        if is_behind:
            sys.stdout.write(line)
            sys.stdout.flush()
        is_behind = is_behind or json.loads(line)["__CURSOR"] == cursor
"""


class Journalctl:
    """A `journalctl` on the path that follows a file of entries."""

    def __init__(self, directory, monkeypatch):
        self.entries, self.calls, self.number = directory / "entries.json", directory / "calls", 0
        # Today: the index of a day that is long over would be let go at once.
        self.began_us = int(time.time()) * 1_000_000
        self.entries.touch()
        program = directory / "bin" / "journalctl"
        program.parent.mkdir()
        program.write_text(textwrap.dedent(JOURNALCTL).format(python=sys.executable, entries=self.entries, calls=self.calls))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def say(self, *messages):
        for message in messages:
            self.number += 1
            entry = {
                "__CURSOR": f"s=1;i={self.number}",
                "__REALTIME_TIMESTAMP": str(self.began_us + self.number),
                "PRIORITY": "6",
                "MESSAGE": message,
                "_HOSTNAME": "web1",
                "SYSLOG_IDENTIFIER": "ollama",
                "_PID": "812",
                "_SYSTEMD_UNIT": "ollama.service",
            }
            append(self.entries, json.dumps(entry))

    def fail(self):
        self.entries.with_name(self.entries.name + ".die").touch()


@pytest.fixture
def journalctl(tmp_path, monkeypatch):
    return Journalctl(tmp_path, monkeypatch)


def test_the_systemd_journal_is_read_exactly_once_over_kills_and_failures(make_house, journalctl):
    source = {"type": "journald", "unit": "ollama.service", "format": "ollama"}
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    journalctl.say("plain text", f'time={now} level=ERROR source=sched.go:470 msg="CUDA error: out of memory"')
    house = make_house(sources={"ollama": source})

    def texts():
        return [line["msg"] for line in collected(house, "ollama")]

    until("they are read", lambda: len(texts()) == 2)
    plain, oom = collected(house, "ollama")
    assert plain["msg"] == "plain text" and plain["systemd"] == {"unit": "ollama.service"}
    assert plain["process"] == {"name": "ollama", "pid": 812} and plain["time"].endswith(".000001Z")
    assert oom["level"] == "error" and oom["event"] == "out_of_memory" and oom["time"] == now.replace("Z", ".000Z")
    for number in range(20):
        journalctl.say(f"line {number}")
        if number % 7 == 3:
            house.kill()
            journalctl.say(f"while it was down {number}")
            house.start()
        if number == 10:
            journalctl.fail()
    until("all are read", lambda: len(texts()) >= 25)
    assert len(texts()) == len(set(texts())) == 25
    (told,) = until("the failure is told", lambda: house.journal(msg="the systemd journal cannot be read"))
    assert "Bad message" in told["error"]
    assert "--unit=ollama.service" in journalctl.calls.read_text()
    until("it is in the index", lambda: house.count('event:out_of_memory AND systemd.unit:"ollama.service"') == 1)
    document = house.search({"query": {"query_string": {"query": "event:out_of_memory"}}})["hits"]["hits"][0]["_source"]
    assert "journald_cursor" not in document


def test_the_systemd_journal_from_now_on(make_house, journalctl):
    journalctl.say("old")
    house = make_house(sources={"j": {"type": "journald", "begin": "end"}})
    until("it follows", lambda: "--after-cursor=s=1;i=1" in journalctl.calls.read_text())
    house.kill()
    journalctl.say("new")
    house.start()
    until("it is read", lambda: collected(house, "j"))
    assert [line["msg"] for line in collected(house, "j")] == ["new"]


def test_a_machine_without_journalctl_is_told_so(make_house, monkeypatch, tmp_path):
    house = make_house(start=False, sources={"j": {"type": "journald"}})
    monkeypatch.setenv("PATH", str(tmp_path))
    done = subprocess.run([BINARY, "up", "--config", house.config], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and "needs `journalctl` of systemd" in done.stderr


def test_the_standard_input_is_read_to_its_end(make_house):
    house = make_house(start=False, sources={"piped": {"type": "stdin"}})
    with house.log.open("ab") as out:
        command = [BINARY, "up", "--config", house.config]
        house.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=house.directory)
    house.child.stdin.write(b'{"level":"warn","msg":"one","n":1}\nnot json\n')
    house.child.stdin.flush()
    until("both are read", lambda: house.journal_file.exists() and len(collected(house, "piped")) == 2)
    first, second = collected(house, "piped")
    assert (first["level"], first["msg"], first["n"]) == ("warn", "one", 1)
    assert second["msg"] == "not json" and second["parse_error"].startswith("not a JSON object")
    house.child.stdin.write(b'{"msg":"without an end"}')
    house.child.stdin.close()
    until("its end is told", lambda: house.journal(msg="the standard input has ended"))
    assert [line["msg"] for line in collected(house, "piped")][-1] == "without an end"
    assert house.get("/healthz").is_success
