"""Files of other programs that the house rotates while they are written: every line is in the journal once, whatever happens."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from house import until

DEMO = {"demo": {"kind": "demo"}}
# Writes numbered lines, some 10,000 a second, each with a write of its own; opens its file anew when it is told to. It ends
# by itself when its number is reached, and notes how far it has come.
WRITER = """
import os, signal, sys, time
path, count, rate, listens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
opened = lambda: os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
out, anew = opened(), False
def told(*_):
    global anew
    anew = True
signal.signal(signal.SIGUSR1, told if listens == "listens" else signal.SIG_IGN)
print("ready", flush=True)
began = time.monotonic()
for number in range(count):
    if anew:
        os.close(out)
        out, anew = opened(), False
    os.write(out, b'{"level": "info", "msg": "a line of some length", "number": %d}\\n' % number)
    ahead = number / rate - (time.monotonic() - began)
    if ahead > 0.002:
        time.sleep(ahead)
print("done", flush=True)
while True:
    time.sleep(0.01)
    if anew:
        os.close(out)
        out, anew = opened(), False
"""
RATE = 10_000
# Each kill comes after a rotation, of which there is one in about two seconds.
KILLS = int(os.environ.get("TOLLHOUSE_TEST_ROTATE_KILLS", "2"))
SECONDS = int(os.environ.get("TOLLHOUSE_TEST_ROTATE_SECONDS", "6"))


@pytest.fixture
def writer(tmp_path):
    """Starts a program that writes `app.log`, with its number in `app.pid`."""
    started = []

    def start(count, listens="listens", rate=RATE):
        logs = tmp_path / "logs"
        logs.mkdir(exist_ok=True)
        command = [sys.executable, "-c", WRITER, str(logs / "app.log"), str(count), str(rate), listens]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout.readline() == "ready\n"
        (tmp_path / "app.pid").write_text(f"{child.pid}\n")
        return child, logs

    yield start
    for child in started:
        child.kill()
        child.wait()


def source(logs, pid_file=None, **more):
    rotate = {"size": "256KiB", **({"signal": "USR1", "pid_file": str(pid_file)} if pid_file else {"method": "copytruncate"})}
    return {"app": {"type": "file", "paths": [f"{logs}/*.log"], "format": "json", "rotate": rotate, **more}}


def lines(house, *parts):
    """Lines of the journal with these parts in them: what is not looked at is not read as JSON, a hundred thousand times."""
    text = house.journal_file.read_bytes() if house.journal_file.exists() else b""
    return [line for line in text.splitlines() if all(part in line for part in parts)]


def numbers(house):
    found = (re.search(rb'"number":(\d+)', line) for line in lines(house, b'"kind":"log"', b'"source":"app"'))
    return [int(match[1]) for match in found if match]


def rotations(house, msg="a file was rotated"):
    records = map(json.loads, lines(house, b'"collect/rotate"'))
    return [record for record in records if record["msg"] == msg]


def all_once(house, count):
    until("all that was written is in the journal", lambda: len(numbers(house)) >= count, 60, 0.5)
    assert sorted(numbers(house)) == list(range(count))


@pytest.mark.parametrize("method", ["rename", "copytruncate"])
def test_scenario_r03_files_of_other_programs_are_rotated_and_no_line_is_lost_over_kills(make_house, writer, tmp_path, method):
    count = RATE * SECONDS
    (tmp_path / "logs").mkdir()
    house = make_house(upstreams=DEMO, sources=source(tmp_path / "logs", tmp_path / "app.pid" if method == "rename" else None))
    child, logs = writer(count)
    for kill in range(KILLS):
        done = len(rotations(house))
        until("it was rotated once more", lambda done=done: len(rotations(house)) > done, 30, 0.05)
        time.sleep(0.2 * kill)  # the moments are what is being varied
        house.kill()
        house.start()
    assert child.stdout.readline() == "done\n"
    all_once(house, count)
    told = rotations(house)
    assert len(told) >= KILLS and not rotations(house, "a file was rotated, and what was written while it was emptied is lost")
    assert all(record["bytes"] >= 256 << 10 for record in told), told
    # Each line lies in one of the files, once: the current one, or one of those that were rotated.
    until("its file is there", (logs / "app.log").exists)
    files = [*logs.glob("app.log-*"), logs / "app.log"]
    lines = sum(file.read_bytes().count(b"\n") for file in files)
    print(f"{method}: {count} lines, {len(told)} rotations, {len(files)} files with {lines} lines")
    assert lines == count


def test_a_program_that_does_not_listen_is_told_of_and_loses_nothing(make_house, writer, tmp_path):
    (tmp_path / "logs").mkdir()
    # Nobody has this number: the program is not told, and goes on in the file that was renamed.
    (tmp_path / "nobody.pid").write_text("4194300\n")
    house = make_house(upstreams=DEMO, sources=source(tmp_path / "logs", tmp_path / "nobody.pid"))
    count = 20_000
    child, logs = writer(count, "is deaf")
    what = "a file was not rotated: its program goes on in the old one, which has its name again"
    [told] = until("that is told", lambda: rotations(house, what), 30, 0.1)
    assert told["level"] == "warn" and "telling process 4194300" in told["error"], told
    assert child.stdout.readline() == "done\n"
    all_once(house, count)
    assert [file.name for file in logs.iterdir()] == ["app.log"]


def test_what_is_rotated_is_kept_within_its_bounds_and_nothing_else_is_removed(make_house, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    others = ["app.log", "app.log.backup", "app.log.1", "app.log-20260101.txt"]
    rotated = [f"app.log-2026012{day}T000000" for day in range(5)]
    for name in others + rotated:
        (logs / name).write_text(f"{name}\n")
    house = make_house(upstreams=DEMO, sources=source(logs, keep={"count": 2, "days": 36500}))
    removed = until("the oldest are gone", lambda: len(told := rotations(house, "a rotated file was removed")) == 3 and told, every=0.1)
    assert [(Path(record["file"]).name, record["reason"]) for record in removed] == [(name, "count") for name in rotated[:3]]
    assert sorted(file.name for file in logs.iterdir()) == sorted(others + rotated[3:])
