"""Processes under supervision: a real Ollama that dies and grows while people stream, and shells that do as they are told."""

import concurrent.futures
import contextlib
import http.server
import json
import os
import signal
import threading
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from house import PATIENCE_S, descendants, free_port, until

CLIENTS = 8
# How long a process is given to end that does not want to; OpenClaw takes up to 330 s.
STOP_S = float(os.environ.get("TOLLHOUSE_TEST_STOP", "3"))


def ps(house):
    """The processes by name, as the command line tells them."""
    return {row["name"]: row for row in json.loads(house.run("ps", "--json").stdout)}


def until_state(house, name, state, within=PATIENCE_S):
    return until(f"{name} is {state}", lambda: (row := ps(house)[name])["state"] == state and row, within, every=0.2)


def told(house, **wanted):
    """Records of processes."""
    return [record for record in house.journal(kind="process") if wanted.items() <= record.items()]


def lives(pid):
    """Whether it is there, and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def why(house, request_id):
    """What `tollhouse why` says of a request, once its record is in the index."""
    house.document(request_id, within=30)
    return json.loads(house.run("why", request_id, "--json").stdout)


def zombies(pid):
    return [child for child in descendants(pid) if not lives(child) and Path(f"/proc/{child}").exists()]


@pytest.fixture
def own(ollama):
    """How to run another Ollama with the same models under supervision, and the upstream that it is."""
    port = free_port()
    names = ("HOME", "OLLAMA_MODELS", "OLLAMA_NO_CLOUD", "OLLAMA_KEEP_ALIVE", "OLLAMA_NUM_PARALLEL", "OLLAMA_CONTEXT_LENGTH")
    url = f"http://127.0.0.1:{port}"
    process = {
        "command": [str(ollama.binary), "serve"],
        "env": {"OLLAMA_HOST": f"127.0.0.1:{port}", **{name: ollama.environment[name] for name in names}},
        "ready": f"{url}/api/version",
        "format": "ollama",
        "delay": "500ms",
    }
    return process, {"kind": "ollama", "url": url, "parallel": 4}


class Streams:
    """People who stream one chat after the other."""

    def __init__(self, house, clients=CLIENTS):
        self.house, self.stop, self.ends = house, threading.Event(), []
        self.pool = concurrent.futures.ThreadPoolExecutor(clients)
        self.people = [self.pool.submit(self.one) for _ in range(clients)]

    def one(self):
        # Long enough that one is always under way.
        body = {"model": "loop", "messages": [{"role": "user", "content": "hello"}], "stream": True, "max_tokens": 30}
        with self.house.client() as client:
            while not self.stop.is_set():
                with client.stream("POST", "/v1/chat/completions", json=body, timeout=60) as answer:
                    text, end = "", None
                    for line in answer.iter_lines():
                        if not line.startswith("data: "):
                            continue
                        if line == "data: [DONE]":
                            end = end or "done"
                            continue
                        piece = json.loads(line.removeprefix("data: "))
                        if "error" in piece:
                            end = "error"
                            continue
                        for choice in piece.get("choices", []):
                            text += choice["delta"].get("content") or ""
                    self.ends.append((answer.status_code, bool(text), end))

    def finish(self):
        """All ends: status, whether an answer had begun, and how it ended."""
        self.stop.set()
        for person in self.people:
            person.result(60)
        return self.ends

    def until_more(self, count, within=PATIENCE_S):
        goal = len(self.ends) + count
        until(f"{count} more chats", lambda: len(self.ends) >= goal, within)


def failed(ends):
    """Chats that failed though no answer had begun, or that ended without a word about it."""
    return [end for end in ends if end != (200, True, "done") and not (end[0] == 200 and end[1] and end[2] == "error")]


def test_scenario_r05_a_killed_model_server_is_started_again_and_nobody_who_waits_gets_an_error(make_house, own):
    process, upstream = own
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": process})
    first = until_state(house, "ollama", "ready")
    assert first["upstreams"] == ["local"] and first["memory_bytes"] != 0
    streams = Streams(house)
    streams.until_more(CLIENTS)
    family = [first["pid"], *descendants(first["pid"])]
    assert len(family) > 1, "it has a runner"
    killed = time.time()
    os.kill(first["pid"], signal.SIGKILL)
    again = until("it is started again", lambda: (row := ps(house)["ollama"])["starts"] == 2 and row["state"] == "ready" and row, every=0.1)
    streams.until_more(2 * CLIENTS)
    ends = streams.finish()
    assert failed(ends) == [], ends
    assert again["pid"] != first["pid"] and not any(map(lives, family)) and zombies(house.child.pid) == []
    [ended] = told(house, process_name="ollama", exit_signal=9)
    noticed = datetime.fromisoformat(ended["ts"]).timestamp() - killed
    print(f"noticed within {noticed * 1000:.0f} ms, {len(ends)} chats, {sum(end[2] == 'error' for end in ends)} cut after they had begun")
    assert noticed < 1.0
    # Whoever was in the middle of an answer finds the reason in one story.
    for cut in [record for record in house.journal(kind="request") if record.get("error")][:1]:
        verdict = why(house, cut["request_id"])["verdict"]
        assert verdict["cause"] == "upstream_restarted" and "ollama" in verdict["text"], verdict
    # What it says is a source of its name, in its own format.
    lines = house.journal(kind="log", source="ollama")
    assert any("Listening on" in line["msg"] for line in lines), lines[:3]
    # It ends with the house, and so does all that it has started.
    family = [again["pid"], *descendants(again["pid"])]
    house.stop()
    assert not any(map(lives, family))


def test_scenario_r07_one_that_grows_too_large_is_restarted_while_people_only_wait(make_house, own):
    process, upstream = own
    # More than it ever uses less than.
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": {**process, "memory": {"hard": "20MB"}}})
    until_state(house, "ollama", "ready")
    streams = Streams(house, clients=4)
    until("it was restarted", lambda: len(told(house, process_name="ollama", msg="ollama ready")) >= 3, every=0.2)
    streams.until_more(4)
    ends = streams.finish()
    assert {end for end in ends} == {(200, True, "done")}, failed(ends)
    drains = told(house, process_name="ollama", process_state="draining")
    assert "of memory, and 20MB are the limit" in drains[0]["reason"], drains
    # Planned ones are no failures: nobody is asked.
    assert not told(house, waits_for_human=True)


def test_scenario_r07_idle_models_are_unloaded_above_the_soft_limit(make_house, own):
    process, upstream = own
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": {**process, "memory": {"soft": "20MB"}}})
    until_state(house, "ollama", "ready")
    assert house.chat(model="qwen3:4b").status_code == 200
    until("nothing is loaded", lambda: httpx.get(f"{upstream['url']}/api/ps").json()["models"] == [], 80, 0.2)
    until("that is recorded", lambda: any("qwen3:4b" in record.get("models", []) for record in told(house, process_name="ollama")))


class Hook(http.server.BaseHTTPRequestHandler):
    heard = None

    def do_POST(self):
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.heard = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_scenario_r11_what_crashes_at_once_waits_for_a_human_and_runs_once_that_is_confirmed(make_house, tmp_path, hook):
    crashing = {
        "command": ["sh", "-c", "echo I crash; test -e ok && exec sleep 1000; exit 3"],
        "directory": str(tmp_path),
        "delay": "50ms",
        "delay_max": "50ms",
        "pause_after": "5 in 10m",
    }
    house = make_house(
        upstreams={"demo": {"kind": "demo"}},
        supervise={"crashing": crashing, "other": {"command": ["sleep", "1000"]}},
        channels={"ops": {"kind": "webhook", "url": f"http://127.0.0.1:{hook.server_port}/"}},
    )
    paused = until_state(house, "crashing", "paused")
    assert paused["starts"] == 5 and "exit code 3" in paused["reason"] and "failure 5 within" in paused["reason"]
    until("what it said", lambda: [line["msg"] for line in house.journal(kind="log", source="crashing")] == ["I crash"] * 5)
    [message] = until("somebody is told", lambda: [heard for heard in hook.heard if heard["rule"] == "process-paused"])
    assert "tollhouse confirm" in json.dumps(message) and "exit code 3" in json.dumps(message), message
    # Nothing but a confirmation starts it.
    for order in ("start", "restart"):
        refused = house.run(order, "crashing", check=False)
        assert refused.returncode == 1 and "waits for a human to confirm" in refused.stderr, refused
    assert ps(house)["crashing"]["starts"] == 5
    (tmp_path / "ok").touch()
    shown = house.run("confirm", "crashing").stdout
    assert "crashing" in shown and "NAME" in shown
    until_state(house, "crashing", "ready")
    [confirmed] = told(house, process_name="crashing", by="command line")
    assert confirmed["msg"] == "crashing was confirmed by a human"
    # The other orders.
    assert house.run("confirm", "other", check=False).returncode == 1
    assert house.run("stop", "nobody", check=False).stderr.strip().endswith("no supervised process is called nobody")
    before = ps(house)["other"]["pid"]
    house.run("restart", "other")
    until("it is another one", lambda: (row := ps(house)["other"])["state"] == "ready" and row["pid"] not in (before, None))
    house.run("stop", "other")
    stopped = until_state(house, "other", "stopped")
    assert stopped["pid"] is None and not lives(before)
    house.run("start", "other")
    until_state(house, "other", "ready")
    assert zombies(house.child.pid) == []


def test_what_ignores_its_signal_has_its_whole_time_and_is_killed_then_with_all_that_it_started(make_house, tmp_path):
    trapped = tmp_path / "trapped"
    # Neither it nor what it has started cares.
    script = f"trap '' TERM; sleep 7000 & echo $! > {trapped}; while :; do sleep 0.2; done"
    deaf = {"command": ["sh", "-c", script], "stop": f"{STOP_S:.0f}s"}
    house = make_house(upstreams={"demo": {"kind": "demo"}}, supervise={"deaf": deaf, "other": {"command": ["sleep", "7001"]}})
    pid, other = until_state(house, "deaf", "ready")["pid"], until_state(house, "other", "ready")["pid"]
    child = int(until("it has started another", lambda: trapped.exists() and trapped.read_text().strip()))
    began = time.monotonic()
    house.run("stop", "deaf")
    assert ps(house)["deaf"]["state"] == "stopping"
    # Others and requests do not wait for it.
    assert house.chat("hello", model="demo").status_code == 200
    until_state(house, "deaf", "stopped", within=STOP_S + 20)
    assert time.monotonic() - began >= STOP_S
    assert not lives(pid) and not lives(child) and lives(other) and zombies(house.child.pid) == []
    assert [record["msg"] for record in told(house, process_name="deaf") if "killed" in record["msg"]], told(house, process_name="deaf")
    assert [record["exit_signal"] for record in told(house, process_name="deaf") if "exit_signal" in record] == [9]


def test_a_killed_house_leaves_its_process_running_and_the_next_one_takes_it_over(make_house):
    counting = {"command": ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"]}
    house = make_house(upstreams={"demo": {"kind": "demo"}}, supervise={"counting": counting})
    pid = until_state(house, "counting", "ready")["pid"]

    def lines():
        return [int(line["msg"].split()[1]) for line in house.journal(kind="log", source="counting")]

    until("it is heard", lambda: len(lines()) > 5)
    house.kill()
    time.sleep(0.3)
    assert lives(pid), "it outlives the house"
    house.start()
    row = until_state(house, "counting", "ready")
    assert (row["pid"], row["starts"]) == (pid, 1)
    last = lines()[-1]
    until("it is heard again", lambda: lines()[-1] > last + 5)
    heard = lines()
    missing = set(range(1, heard[-1] + 1)) - set(heard)
    # What the old house had read and not yet kept, and nothing else.
    assert len(missing) <= 2 and heard == sorted(set(heard)), missing
    assert any(record["msg"].endswith("taken over from the house before") for record in told(house, process_name="counting"))
    # A changed one is ended before the next one starts, an unchanged one stays.
    house.kill()
    house.configure(
        upstreams={"demo": {"kind": "demo"}}, supervise={"counting": {**counting, "env": {"OTHER": "1"}}}, access={"auth": "keys"}
    )
    house.start()
    new = until_state(house, "counting", "ready")["pid"]
    assert new != pid and not lives(pid) and lives(new)


def test_a_reload_starts_what_is_new_and_leaves_others_alone(make_house):
    def config(**others):
        return {"upstreams": {"demo": {"kind": "demo"}}, "supervise": {"a": {"command": ["sleep", "1000"]}, **others}}

    house = make_house(**config(b={"command": ["sleep", "1001"]}))
    a, b = until_state(house, "a", "ready")["pid"], until_state(house, "b", "ready")["pid"]
    house.configure(**config(b={"command": ["sleep", "1002"]}, c={"command": ["sleep", "1003"], "needs": ["a"]}))
    until("the new one runs", lambda: ps(house).get("c", {}).get("state") == "ready", every=0.2)
    until("the changed one is another", lambda: (row := ps(house)["b"])["state"] == "ready" and row["pid"] != b, every=0.2)
    assert ps(house)["a"]["pid"] == a and not lives(b)
    house.configure(**config())
    until("only one is left", lambda: list(ps(house)) == ["a"], every=0.2)
    assert ps(house)["a"]["pid"] == a


def test_ps_finds_a_house_whose_port_the_system_has_chosen(make_house):
    house = make_house(
        start=False,
        listen="127.0.0.1:0",
        upstreams={"demo": {"kind": "demo"}},
        supervise={"a": {"command": ["sleep", "1000"]}},
    )
    house.launch()
    found = until(
        "it is found", lambda: (told := house.run("ps", "--json", check=False)).returncode == 0 and json.loads(told.stdout), 20, 0.2
    )
    assert [process["name"] for process in found] == ["a"]
    house.stop()
