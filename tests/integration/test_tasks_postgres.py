"""Tasks of two houses on one real Postgres: one is killed, cut off, asked and answered by the other."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from house import ROOT, in_time, until
from test_tasks import begin, define, settings, show, until_status

SCRIPT = ROOT / "tests/tools/postgres.sh"


@pytest.fixture
def postgres():
    """A server on a socket: its URL, and statements to it."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        subprocess.run([SCRIPT, "start", folder], check=True)

        class Server:
            url = f"postgres://tollhouse:hunter2@{folder.replace('/', '%2F')}/postgres"

            @staticmethod
            def ask(statement):
                psql = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))
                program = str(psql[-1]) if psql else "psql"
                asked = [program, "-h", folder, "-U", "tollhouse", "-d", "postgres", "-Atc", statement]
                return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

        try:
            yield Server
        finally:
            subprocess.run([SCRIPT, "stop", folder], check=True)


def test_scenario_r06_two_houses_on_one_postgres_take_over_from_each_other(make_house, postgres, scripted, tmp_path):
    marks = tmp_path / "marks"
    mark = lambda name, text: {"name": name, "run": {"command": ["mark", text]}}
    job = {
        "concurrency": 20,
        "steps": [
            mark("first", "{{ run.id }} first"),
            {"name": "draft", "ask": {"model": "late", "prompt": "say this back"}},
            mark("last", "{{ run.id }} last"),
        ],
    }
    ask = {"steps": [{"name": "ok", "approve": {"text": "Go on?"}}, mark("go", "approved")]}
    tick = {"every": "1s", "concurrency": 50, "steps": [mark("tick", "tick {{ run.scheduled }}")]}
    parts = {"steps": [{"name": "all", "each": "range(40) | list", "at_once": 2, **{"run": {"command": ["mark", "part {{ item }}"]}}}]}
    commands = {"mark": {"command": ["/bin/sh", "-c", f'sleep 0.05; echo "$1" >> {marks}', "mark"], "args": 1}}
    files = {"job": job, "ask": ask, "tick": tick, "parts": parts}

    def house(name):
        tasks = settings(tmp_path / name, commands=commands, store={"kind": "postgres", "url": postgres.url})
        made = make_house(start=False, name=name, tasks=tasks, upstreams={"s": {"kind": "openai", "url": scripted.url}})
        define(made, **files)
        return made

    one, two = house("one"), house("two")
    assert "hunter2" not in one.run("check").stdout
    one.start()
    run = begin(one, "job")
    until("its model is asked", lambda: any("say this back" in call.text for call in scripted.calls))
    one.kill()
    killed = time.time()
    two.start()
    taken = until("the other house goes on with it", lambda: "resumed" in json.dumps(show(two, run)["history"]) and time.time(), 30)
    in_time("the other house has it, after a lease of ten seconds and its own start", taken - killed, 30)
    done = until_status(two, run, "done", "failed")
    assert done["summary"]["status"] == "done", done
    lines = marks.read_text().splitlines()
    assert (lines.count(f"{run} first"), lines.count(f"{run} last")) == (1, 1), lines

    # Both at work: each sees what the other does, and a time of the schedule has one run.
    one.start()
    asking = begin(one, "ask")
    until_status(two, asking, "asking")
    two.run("task", "approve", asking)
    until_status(one, asking, "done")
    runs = [begin(house, "job") for house in (one, two) for _ in range(4)]
    for run in runs:
        until_status(one, run, "done", within=60)
    # All connections are cut while a list is worked off.
    run = begin(two, "parts")
    for _ in range(3):
        until("some parts are done", lambda: "part" in marks.read_text())
        postgres.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        time.sleep(0.3)
    done = until_status(one, run, "done", "failed", within=60)
    assert done["summary"]["status"] == "done", done
    one.run("task", "pause", "--schedule", "tick")
    ticks = lambda: json.loads(two.run("task", "list", "--runs", "--task", "tick", "--limit", "500", "--json").stdout)["runs"]
    until("no tick is under way", lambda: all(run["status"] == "done" for run in ticks()), 30)
    lines = marks.read_text().splitlines()
    doubled = {text for text in lines if lines.count(text) > 1}
    # What was under way when the worker was killed or cut off may have come twice, and is marked.
    marked = postgres.ask("SELECT count(*) FROM task_events WHERE body LIKE '%\"maybe_twice\":true%'")
    assert len(doubled) <= int(marked), (doubled, marked)
    times = [run["scheduled_ms"] for run in ticks()]
    assert len(times) == len(set(times)) >= 5, "each time once"
    assert {text for text in lines if text.startswith("part")} == {f"part {number}" for number in range(40)}
    # Who held the schedule is a record, in the house that heard it first.
    held = lambda: [record for house in (one, two) for record in house.journal(kind="task", task_event="held")]
    [record] = until("it is recorded", held)
    assert (record["task"], record["by"]) == ("tick", "command line")
    # The leases: nobody wrote under one that another had taken.
    overlaps = postgres.ask(
        "SELECT count(*) FROM task_events e JOIN task_leases l ON l.run = e.run AND l.fence > e.fence WHERE e.number > l.events"
    )
    assert overlaps == "0"
    assert len({owner.split("-")[0] for owner in postgres.ask("SELECT DISTINCT owner FROM task_leases").splitlines()}) >= 2
