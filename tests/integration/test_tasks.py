"""Durable tasks: killed in the middle, put off for users and a busy card, answered by a link, and a report by the real model."""

import http.server
import json
import os
import re
import subprocess
import threading
import time

import httpx
import pytest
from house import BINARY, PATIENCE_S, finished, until
from mail import Mail

RUNS = "/console/api/v1/tasks/runs"
DEFINITIONS = "/console/api/v1/tasks/definitions"


def define(house, **files):
    """Writes definitions; JSON is YAML."""
    folder = house.directory / "tasks"
    folder.mkdir(exist_ok=True)
    for name, task in files.items():
        fresh = folder / f"{name}.new"
        fresh.write_text(task if isinstance(task, str) else json.dumps(task))
        fresh.rename(folder / f"{name}.yaml")


def settings(house_directory, **tasks):
    return {"dir": str(house_directory / "tasks"), "files": str(house_directory / "files"), **tasks}


def show(house, run):
    return json.loads(house.run("task", "show", run, "--json").stdout)


def step(run, name):
    return next(step for step in run["steps"] if step["name"] == name)


def begin(house, task, *options):
    return json.loads(house.run("task", "run", task, "--json", *options).stdout)["id"]


def until_status(house, run, *wanted, within=PATIENCE_S):
    def look():
        found = show(house, run)
        return found["summary"]["status"] in wanted and found

    return until(f"the run is {' or '.join(wanted)}", look, within, every=0.1)


@pytest.fixture
def make_tasks(make_house, tmp_path):
    """Makes a house with tasks and definitions of its own."""

    def make(files, start=True, name="tollhouse", tasks=None, **config):
        house = make_house(start=False, name=name, tasks=settings(tmp_path / name, **(tasks or {})), **config)
        define(house, **files)
        return house.start() if start else house

    return make


@pytest.fixture
def sink():
    """Takes POSTs: what came, by the id that a message keeps when it is sent again; holds them back while `hold` is set."""

    class Sink:
        bodies, hold = [], threading.Event()

    it = Sink()
    it.bodies, it.hold = [], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            it.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            while it.hold.is_set():
                time.sleep(0.02)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    it.channel = {"kind": "webhook", "url": f"http://127.0.0.1:{server.server_address[1]}/"}
    yield it
    it.hold.clear()
    server.shutdown()


def test_scenario_r06_a_killed_house_goes_on_at_the_step_it_was_in(make_tasks, scripted, tmp_path):
    """Killed while the model answers step 2 of 4: step 1 is not done again, step 2 is asked anew, the rest follows."""
    marks = tmp_path / "marks"
    task = {
        "steps": [
            {"name": "mark", "run": {"command": ["mark", "once"]}},
            {"name": "draft", "ask": {"model": "late", "prompt": "say this back"}},
            {"name": "file", "write": {"path": "out/{{ run.id }}.txt", "text": "{{ draft }}"}},
            {"name": "parts", "each": ["a", "b", "c"], "run": {"command": ["mark", "part {{ item }}"]}},
        ]
    }
    commands = {"mark": {"command": ["/bin/sh", "-c", f'echo "$1" >> {marks}', "mark"], "args": 1}}
    upstreams = {"s": {"kind": "openai", "url": scripted.url}}
    house = make_tasks({"job": task}, tasks={"commands": commands}, upstreams=upstreams)
    run = begin(house, "job")
    until("the model is asked", lambda: scripted.chats() or len(scripted.calls) > 0)
    before = show(house, run)
    assert step(before, "mark")["progress"] == "done" and step(before, "draft")["progress"] == "doing"
    house.kill()
    # The command line tells of it while the house is down.
    assert show(house, run)["summary"]["status"] == "running"
    house.start()
    after = until_status(house, run, "done", "failed")
    assert after["summary"]["status"] == "done", after
    assert (house.directory / f"files/out/{run}.txt").read_text() == "say this back"
    assert sorted(marks.read_text().splitlines()) == ["once", "part a", "part b", "part c"]
    events = [entry["event"] for entry in after["history"]]
    assert "resumed" in events and events.count("started") == 1
    records = until("its records are there", lambda: [r for r in house.journal(kind="task") if r.get("task_outcome")])
    assert records[-1]["task_run"] == run and records[-1]["task_outcome"] == "done"
    told = {(record["task_run"], record["task_event_number"]) for record in house.journal(kind="task", task="job")}
    assert len(told) == len(after["history"]), "each event is told"
    # What a task asks is no request of a user.
    requests = house.journal(kind="request", origin="task")
    assert requests and all(record["user_id"] == "task:job" for record in requests)


def test_scenario_r08_tasks_wait_for_users_and_for_a_busy_card(make_tasks, scripted, tmp_path, monkeypatch):
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()

    def busy(percent):
        fresh = smi.with_suffix(".new")
        fresh.write_text(f"#!/bin/sh\necho '0, NVIDIA A10, 2000, 23028, {percent}, 50'\n")
        fresh.chmod(0o755)
        fresh.replace(smi)

    busy(99)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    job = {"needs": "gpu", "steps": [{"name": "draft", "ask": {"model": "echo", "prompt": "hi"}}]}
    long = {"steps": [{"name": "draft", "ask": {"model": "endless", "prompt": "go on"}, "timeout": "10m"}]}
    upstreams = {"s": {"kind": "openai", "url": scripted.url, "parallel": 1}}
    house = make_tasks({"job": job, "long": long}, upstreams=upstreams)
    until("the card was looked at", lambda: house.journal(kind="resource", gpu="NVIDIA A10 (0)"), 30)
    run = begin(house, "job")
    put_off = until_status(house, run, "waiting")["summary"]
    assert "99% busy" in put_off["waiting"], put_off
    later_s = put_off["wake_ms"] / 1000 - time.time()
    assert 800 < later_s <= 900, "a quarter of an hour, unless it is idle before"
    assert not house.journal(kind="request", origin="task")
    busy(3)
    until_status(house, run, "done", within=60)

    # A user comes while a task's question has the only place: the task gives it back, and asks again when the user has left.
    run = begin(house, "long")
    until("the task's question is answered", lambda: house.status()["s"]["running"] == 1)
    answer = house.chat("me first")
    assert answer.status_code == 200 and "me first" in answer.text
    assert show(house, run)["summary"]["status"] == "running"
    asked = lambda: len([call for call in scripted.calls if "go on" in call.text])
    until("it is asked again", lambda: asked() >= 2, 30)
    house.run("task", "cancel", run)
    until("its place is free", lambda: house.status()["s"]["running"] == 0)


def test_scenario_r11_a_human_is_asked_and_answers_by_a_signed_link(make_tasks, scripted, sink):
    """Approved by the link of a message, once; rejected at the console; a critical task stops at an error and is mended."""
    ask = {
        "steps": [
            {"name": "draft", "ask": {"model": "echo", "prompt": "the draft"}},
            {"name": "ok", "approve": {"by": ["ops"], "text": "Send {{ draft }}?", "expires": "24h"}},
            {"name": "file", "write": {"path": "sent.txt", "text": "{{ draft }}"}},
        ]
    }
    critical = {
        "critical": True,
        "steps": [
            {"name": "say", "ask": {"model": "broken", "prompt": "x"}},
            {"name": "file", "write": {"path": "said.txt", "text": "{{ say }}"}},
        ],
    }
    upstreams = {"s": {"kind": "openai", "url": scripted.url}}
    house = make_tasks({"ask": ask, "critical": critical}, upstreams=upstreams, channels={"ops": sink.channel})
    run = begin(house, "ask")
    waiting = until_status(house, run, "asking")
    assert waiting["question"]["text"] == "Send the draft?"
    message = until("it is told", lambda: sink.bodies)[0]
    link = re.search(r"http://\S+/console/link/task/[\w.~-]+", json.dumps(message)).group()
    page = httpx.get(link)
    assert page.status_code == 200 and "Send the draft?" in page.text and "批准" in page.text
    assert show(house, run)["summary"]["status"] == "asking", "whoever only looks has not answered"
    assert httpx.get(link[:-1] + "x").status_code == 410
    assert httpx.post(link, content="answer=approve").status_code == 200
    until_status(house, run, "done")
    assert (house.directory / "files/sent.txt").read_text() == "the draft"
    assert httpx.post(link, content="answer=reject").status_code == 410, "a link answers once"
    answered = next(entry for entry in show(house, run)["history"] if entry["event"] == "answered")
    assert (answered["verdict"], answered["who"]) == ("approve", "link: ops")
    assert len(sink.bodies) == 1, "told once"

    # Another one is rejected in the console, and asked in vain a second time.
    run = begin(house, "ask")
    until_status(house, run, "asking")
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}) as client:
        client.get(house.console_address())
        board = client.get("/console/api/v1/tasks").json()
        assert [question["run"] for question in board["questions"]] == [run]
        rejected = client.post(f"{RUNS}/{run}/reject", json={"comment": "not today"})
        assert rejected.status_code == 200, rejected.text
        assert client.post(f"{RUNS}/{run}/approve").status_code == 409
        # A critical task stops where something is odd.
        critical = client.post(f"{DEFINITIONS}/critical/run", json={}).json()["id"]
        halted = until_status(house, critical, "asking")
        assert halted["question"]["why"] == "error", halted["question"]
        assert client.post(f"{RUNS}/{critical}/pause").status_code in (200, 409)
        mended = client.post(f"{RUNS}/{critical}/retry", json={"step": "say", "edits": {"work": {"model": "echo"}}})
        assert mended.status_code == 200, mended.text
    until_status(house, critical, "done")
    assert (house.directory / "files/said.txt").read_text() == "x"
    assert until_status(house, run, "failed", "cancelled")


def test_scenario_r12_the_daily_report_survives_a_kill_in_its_third_step(make_tasks, ollama, tmp_path):
    """From the template that comes along, with a real Ollama and a real mail server; killed while the model writes."""
    mail = Mail(tmp_path).start()
    try:
        house = make_tasks(
            {}, start=False, upstreams={"local": {"kind": "ollama", "url": ollama.url}}, channels={"ops": mail.channel}
        )
        house.run("task", "new", "daily-report", "--model", "qwen3:32b", "--channel", "ops")
        assert "right" in house.run("task", "check").stdout
        house.start()
        assert house.chat("hello", model="qwen3:32b").status_code == 200
        house.chat("hello", key="wrong")
        until("both are found", lambda: house.count("kind:request") == 2)
        run = begin(house, "daily-report")

        def third():
            draft = step(show(house, run), "draft")
            return draft["progress"] in ("doing", "done") and draft

        until("the third step has begun", third, 30)
        house.kill()
        house.start()
        asking = until_status(house, run, "asking", "failed", within=60)
        assert asking["summary"]["status"] == "asking", asking
        assert step(asking, "draft")["value"].startswith("巴黎是法国的首都")
        assert "401" in step(asking, "facts")["value"]
        asked = until("the human is asked", mail.messages, 30)
        text = asked[0].get_body(("plain",)).get_content()
        link = re.search(r"http://\S+/console/link/task/[\w.~-]+", text).group()
        assert httpx.post(link, content="answer=approve").status_code == 200
        done = until_status(house, run, "done", "failed")
        assert done["summary"]["status"] == "done", done
        mails = until("the report is there", lambda: len(found := mail.messages()) == 2 and found)
        assert "Daily report" in mails[1]["subject"] and "巴黎" in mails[1].get_body(("plain",)).get_content()
        reports = list((house.directory / "files/reports").glob("*.md"))
        assert len(reports) == 1 and "巴黎" in reports[0].read_text()
    finally:
        mail.stop()


def test_definitions_are_checked_saved_and_put_in_force_without_a_restart(make_tasks, scripted):
    good = {"steps": [{"name": "a", "wait": {"for": "1s"}}]}
    house = make_tasks({"one": good}, upstreams={"s": {"kind": "openai", "url": scripted.url}})
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}) as client:
        client.get(house.console_address())
        names = lambda: [task["name"] for task in client.get("/console/api/v1/tasks").json()["tasks"]]
        assert names() == ["one"]
        first = client.get(f"{DEFINITIONS}/one").json()
        # A file that cannot be used leaves the one of before in force, and is told.
        define(house, one='{"steps": [{"name": "a", "wat": {}}]}')
        faulty = until("it is told", lambda: client.get("/console/api/v1/tasks").json()["faulty"])
        assert "one.yaml" in faulty[0]["file"] and "`wat`" in faulty[0]["error"] or "wat" in faulty[0]["error"], faulty
        assert client.get(f"{DEFINITIONS}/one").json()["version"] == first["version"]
        assert house.journal(kind="task", task_event="refused")
        # What is wrong is said with its place.
        wrong = client.post(f"{DEFINITIONS}/two/check", json={"text": "steps:\n- {name: a, wait: {fore: 1s}}\n"}).json()
        assert wrong["faults"][0]["line"] == 2 and wrong["steps"] == [], wrong
        reach = {"steps": [{"name": "a", "run": {"command": ["rm", "x"]}}, {"name": "b", "send": {"channel": "no", "text": ""}}]}
        wrong = client.post(f"{DEFINITIONS}/two/check", json={"text": json.dumps(reach)}).json()
        assert len(wrong["faults"]) == 2, wrong
        assert client.put(f"{DEFINITIONS}/two", json={"text": json.dumps(reach)}).status_code == 400
        saved = client.put(f"{DEFINITIONS}/two", json={"text": json.dumps(good)})
        assert saved.status_code == 200, saved.text
        assert names() == ["one", "two"]
        version, longer = saved.json()["version"], json.dumps({"steps": [{"name": "a", "wait": {"for": "2s"}}]})
        assert client.put(f"{DEFINITIONS}/two", json={"text": longer}).status_code == 409, "it is there already"
        assert client.put(f"{DEFINITIONS}/two", json={"text": longer, "version": version}).status_code == 200
        assert client.put(f"{DEFINITIONS}/two", json={"text": longer, "version": version}).status_code == 409
        assert client.put(f"{DEFINITIONS}/..%2Fthree", json={"text": longer}).status_code in (400, 404)
        held = client.post(f"{DEFINITIONS}/two/hold").json()
        assert held["is_held"] and not client.post(f"{DEFINITIONS}/two/release").json()["is_held"]
        assert client.delete(f"{DEFINITIONS}/two").status_code == 204
        assert names() == ["one"] and client.delete(f"{DEFINITIONS}/two").status_code == 404
        audits = {record["msg"] for record in house.journal(kind="audit")}
        assert "definition of a task saved" in audits and "schedule of a task held" in audits
    # Nobody without a session sees any of it.
    assert httpx.get(f"{house.url}/console/api/v1/tasks").status_code == 401


def test_steps_reach_nothing_that_is_not_allowed(make_tasks, scripted, tmp_path):
    (tmp_path / "secret.txt").write_text("hidden")
    reach = {
        "file": {"collect": {"file": str(tmp_path / "secret.txt")}},
        "up": {"write": {"path": "../../escaped.txt", "text": "x"}},
        "url": {"collect": {"url": "http://169.254.169.254/latest/meta-data"}},
        "gate": {"collect": {"url": "http://127.0.0.1:1/"}},
        "command": {"run": {"command": ["{{ 'sh' }}", "-c", "true"]}},
    }
    files = {name: {"steps": [{"name": "a", **work}]} for name, work in reach.items()}
    house = make_tasks(files, upstreams={"s": {"kind": "openai", "url": scripted.url}})
    runs = {name: begin(house, name) for name in reach}
    for name, run in runs.items():
        ended = until_status(house, run, "failed", "done")
        assert ended["summary"]["status"] == "failed", name
        assert "tasks" in ended["summary"]["error"], ended["summary"]["error"]
    assert not list(tmp_path.glob("**/escaped.txt"))


def test_the_command_line_works_without_a_house(make_tasks, scripted, tmp_path):
    """A run that is asked for while the house is down begins at its next start; help has examples; templates are listed."""
    task = {"input": {"who": "nobody"}, "steps": [{"name": "file", "write": {"path": "hello.txt", "text": "{{ input.who }}"}}]}
    house = make_tasks({"hello": task}, start=False, upstreams={"s": {"kind": "openai", "url": scripted.url}})
    assert "daily-report" in house.run("task", "new").stdout
    run = begin(house, "hello", "--input", "who=me", "--id", "mine")
    assert begin(house, "hello", "--input", "who=me", "--id", "mine") == run, "the same id is the same run"
    assert "queued" in house.run("task", "list", "--runs").stdout
    assert house.run("task", "run", "nothing", check=False).returncode == 1
    house.start()
    until_status(house, run, "done")
    assert (house.directory / "files/hello.txt").read_text() == "me"
    assert "hello" in house.run("task", "list").stdout
    shown = house.run("task", "show", run[:8] if len(run) > 8 else run).stdout
    assert "What happened:" in shown and "step file finished" in shown and "done" in shown
    waited = house.run("task", "run", "hello", "--wait", "--json")
    assert json.loads(waited.stdout)["summary"]["status"] == "done"
    for command in (["task"], ["task", "run"], ["task", "approve"], ["task", "new"]):
        said = finished([BINARY, *command, "--help"]).stdout
        assert "Examples:" in said, command
    off = tmp_path / "off.yaml"
    off.write_text(json.dumps({"data_dir": str(tmp_path / "off")}))
    done = subprocess.run([BINARY, "task", "list", "--config", off], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "tasks" in done.stderr
    key = house.taken(house.create_key("figures", "--role", "admin")["key"])
    figures = until("the tasks are counted", lambda: house.get("/metrics", key=key)).text
    assert 'tollhouse_task_events_total{event="ended"} 2' in figures, [row for row in figures.splitlines() if "task" in row]
    assert "tollhouse_task_questions 0" in figures
