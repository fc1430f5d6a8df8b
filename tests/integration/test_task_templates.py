"""The templates of tasks that come along, each run for real: by the real Ollama, the real mail server and this program's own commands."""

import datetime
import json
import shutil
import sqlite3
import time

import httpx
import pytest
from house import BINARY, finished, until
from mail import Mail
from test_tasks import begin, make_tasks, show, sink, step, until_status  # noqa: F401

QUIET = {"processes": [], "disks": [], "gpu": "off", "memory": "off"}


def written(house, template, *options, **changes):
    """A template put into the house's folder, with texts in it replaced."""
    house.run("task", "new", template, *options)
    path = house.directory / f"tasks/{template}.yaml"
    text = path.read_text()
    for old, new in changes.values():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    assert "right" in house.run("task", "check").stdout
    return house


@pytest.fixture
def mail(tmp_path):
    server = Mail(tmp_path).start()
    yield server
    server.stop()


def test_nightly_quality_runs_the_tests_and_tells_when_they_fail(make_tasks, ollama, sink, tmp_path):  # noqa: F811
    ollama.create("nightly", "--reply", "The result is 180.")
    tests = tmp_path / "tests.json"
    wanted = {"type": "math", "prompt": "15 * 12 = ?", "expected_keywords": ["180"]}
    tests.write_text(json.dumps({"tests": [wanted]}))
    config = tmp_path / "tollhouse" / "tollhouse.yaml"
    house = make_tasks(
        {},
        start=False,
        tasks={"commands": {"quality": {"command": [str(BINARY), "probe", "--quality", "--json", "--config", str(config)]}}},
        upstreams={"local": {"kind": "ollama", "url": ollama.url}},
        channels={"ops": sink.channel},
        probes={**QUIET, "quality": {"file": str(tests), "model": "nightly", "samples": 3, "baseline": 2, "every": "1h"}},
    )
    written(house, "nightly-quality", "--channel", "ops").start()
    done = until_status(house, begin(house, "nightly-quality"), "done", "failed", within=60)
    assert done["summary"]["status"] == "done", done
    [file] = (house.directory / "files/quality").glob("*.json")
    found = [result for result in json.loads(file.read_text())["results"] if "quality" in json.dumps(result)]
    assert found and "nightly" in json.dumps(found), file.read_text()
    # No model answers: exit status other than 0, so the run failed and the channel was told.
    tests.write_text("{")
    failed = until_status(house, begin(house, "nightly-quality"), "done", "failed", within=60)
    assert failed["summary"]["status"] == "failed"
    told = until("it is told", lambda: sink.bodies)
    assert "Quality tests of the night" in json.dumps(told[0])


def test_weekly_log_digest_is_bound_to_a_schema_and_its_evidence_to_lines(make_tasks, ollama, mail, tmp_path):  # noqa: F811
    log = tmp_path / "app.log"
    log.write_text(
        "".join(
            json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": level, "msg": text}) + "\n"
            for level, text in (("error", "disk /dev/sda1 is full"), ("warn", "queue is long"), ("info", "all well"))
        )
    )
    house = make_tasks(
        {},
        start=False,
        upstreams={"local": {"kind": "ollama", "url": ollama.url}},
        channels={"ops": mail.channel},
        sources={"app": {"type": "file", "paths": [str(log)], "format": "json"}},
    )
    written(house, "weekly-log-digest", "--model", "digest", "--channel", "ops", retries=("    retries: 2\n", "")).start()
    until("the lines are found", lambda: house.count("kind:log AND level:(error OR warn)") == 2)
    numbers = {record["msg"]: record["seq"] for record in house.journal(kind="log")}
    full, queue = numbers["disk /dev/sda1 is full"], numbers["queue is long"]
    finding = {"title": "The disk is full", "severity": "critical", "evidence": [full, queue]}
    ollama.create("digest", "--reply", json.dumps({"findings": [finding]}))
    done = until_status(house, begin(house, "weekly-log-digest"), "done", "failed", within=90)
    assert done["summary"]["status"] == "done", done
    assert step(done, "digest")["value"] == {"findings": [finding]}
    message = until("the digest is mailed", mail.messages)[0]
    text = message.get_body(("plain",)).get_content()
    assert "1 causes in 2 lines" in message["subject"] and "[critical] The disk is full" in text
    assert "disk /dev/sda1 is full" in text and "all well" not in text
    # The evidence leads to the records.
    query = f"seq:({full} OR {queue})"
    assert query in text and house.count(query) == 2
    # Evidence that is none of the lines is refused. (An answer of another form cannot come from Ollama: it is bound by the schema.)
    ollama.create("inventor", "--reply", json.dumps({"findings": [{**finding, "evidence": [987654]}]}))
    until("the house knows the model", lambda: "inventor" in house.get("/v1/models").text)
    run = begin(house, "weekly-log-digest", "--input", "model=inventor", "--input", "channel=ops")
    failed = until_status(house, run, "done", "failed", within=90)
    error = failed["summary"].get("error", "")
    assert failed["summary"]["status"] == "failed" and error.startswith("digest: ") and "the check" in error, failed["summary"]


def test_model_warm_up_loads_the_model_before_the_peak_that_is_forecast(make_tasks, ollama):  # noqa: F811
    ollama.create("warm", "--reply", "ready")
    loaded = lambda: "warm" in json.dumps(httpx.get(f"{ollama.url}/api/ps").json())
    assert not loaded()
    house = make_tasks({}, start=False, upstreams={"local": {"kind": "ollama", "url": ollama.url}})
    written(house, "model-warm-up", "--model", "warm").start()
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}) as client:
        client.get(house.console_address())
        until("the hour's forecast is made", lambda: client.get("/console/api/v1/forecast").json()["at"], 30)
        # Of a house of some minutes nothing is foretold: what a house of many weeks keeps stands in its place.
        peak = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=20, seconds=6)
        at = peak.strftime("%Y-%m-%dT%H:%M:%SZ")
        series = {"name": "requests", "told": True, "why": "better", "peak": {"at": at, "value": 50, "high": 60}, "forecast": []}
        with sqlite3.connect(house.data / "state/state.db", timeout=10) as state:
            state.execute("UPDATE alert_memory SET body = ? WHERE name = 'forecast'", [json.dumps({"at": at, "series": [series]})])
        run = begin(house, "model-warm-up")
        waiting = until_status(house, run, "waiting", "failed")
        assert step(waiting, "day")["value"]["peak"]["at"] == at
        assert abs(waiting["summary"]["wake_ms"] / 1000 - (peak.timestamp() - 1200)) < 1.5, "twenty minutes before the peak"
        assert not loaded()
        done = until_status(house, run, "done", "failed", within=60)
        assert done["summary"]["status"] == "done" and loaded(), done
        assert step(done, "usual")["progress"] == "skipped"
        ended = next(entry["at_ms"] for entry in done["history"] if entry["event"] == "finished" and entry["step"] == "peak")
        assert ended / 1000 >= peak.timestamp() - 1201
    # Without a forecast it is the usual time.
    with sqlite3.connect(house.data / "state/state.db", timeout=10) as state:
        state.execute("DELETE FROM alert_memory WHERE name = 'forecast'")
    run = begin(house, "model-warm-up", "--input", "usual=23:59:59Z")
    waiting = until_status(house, run, "waiting", "done", "failed")
    assert step(waiting, "peak")["progress"] == "skipped" and step(waiting, "usual")["progress"] in ("waiting", "done"), waiting


def test_backup_of_the_state_is_made_while_the_house_runs_and_put_back(make_tasks, make_house, scripted, sink, tmp_path):  # noqa: F811
    backups, config = tmp_path / "backups", tmp_path / "tollhouse" / "tollhouse.yaml"
    command = [str(BINARY), "backup", "make", "--config", str(config), "--to", str(backups), "--keep", "2", "--json"]
    upstreams = {"s": {"kind": "openai", "url": scripted.url}}
    house = make_tasks(
        {"hello": {"steps": [{"name": "file", "write": {"path": "hello.txt", "text": "hello"}}]}},
        start=False,
        tasks={"commands": {"backup": {"command": command}}},
        upstreams=upstreams,
        channels={"ops": sink.channel},
    )
    written(house, "backup", "--channel", "ops").start()
    hello = begin(house, "hello")
    until_status(house, hello, "done")
    done = until_status(house, begin(house, "backup"), "done", "failed", within=60)
    assert done["summary"]["status"] == "done", done
    told = json.loads(step(done, "copy")["value"]["stdout"])
    [folder] = backups.iterdir()
    assert told["folder"] == str(folder) and told["found"]["keys"] == 2
    assert folder.stat().st_mode & 0o077 == 0, "nobody else may look into it"
    assert json.loads(house.run("backup", "check", folder, "--json").stdout)["keys"] == 2
    house.kill()

    # Put back into an empty place: the same keys open the same doors, and the runs are there.
    second = make_house(start=False, name="second", upstreams=upstreams, tasks={"dir": str(tmp_path / "second/tasks")})
    refused = second.run("backup", "restore", folder, check=False)
    assert refused.returncode == 1 and "is there already" in refused.stderr
    shutil.rmtree(second.data)
    second.run("backup", "restore", folder)
    second.start()
    assert second.chat("hello", key=house.key).status_code == 200
    assert second.chat("hello", key=second.key).status_code == 401
    assert show(second, hello)["summary"]["status"] == "done"

    # One that was changed is none; the oldest go; and a backup that fails is told.
    with (folder / "state/state.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    broken = second.run("backup", "check", folder, check=False)
    assert broken.returncode == 1 and "state.db is not as it was" in broken.stderr
    made = {folder.name}
    for _ in range(2):
        until("another second", lambda: time.strftime("tollhouse-%Y%m%dT%H%M%SZ", time.gmtime()) not in made)
        made.add(json.loads(finished([*command[:4], str(second.config), *command[5:]]).stdout)["folder"].rsplit("/")[-1])
    assert {path.name for path in backups.iterdir()} == made - {folder.name}
