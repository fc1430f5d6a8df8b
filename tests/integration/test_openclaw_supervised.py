"""A real OpenClaw under supervision: start grace, an exit code that forbids a restart, an end that takes its time, and its log joined by trace id.

By name only (`--openclaw FOLDER`): some 770 MB from npm, a gigabyte of memory. The folder is made by

    npm install --prefix FOLDER --ignore-scripts openclaw@2026.9.6
    npm install --prefix FOLDER/run node@24
"""

import concurrent.futures
import json
import os
import time
from pathlib import Path

import httpx
import pytest
from house import free_port, until
from test_probes import Model, serve  # noqa: F401 (a fixture)
from test_upkeep import lives, ps, told, until_state

TOKEN = "test-gateway-token"


@pytest.fixture
def openclaw(pytestconfig, tmp_path):
    """How to run it: its process, its settings, and where it answers."""
    folder = Path(pytestconfig.getoption("--openclaw"))
    place, node = folder / "node_modules", folder / "run/node_modules/node/bin"
    home, port = tmp_path / "home", free_port()
    (home / ".openclaw").mkdir(mode=0o700, parents=True)
    log = tmp_path / "openclaw.log"
    environment = {
        "HOME": str(home),
        "PATH": f"{node}:{place / '.bin'}:{os.environ['PATH']}",
        "OPENCLAW_NO_AUTO_UPDATE": "1",
        "DO_NOT_TRACK": "1",
        "OPENCLAW_NO_RESPAWN": "1",
        "OPENCLAW_SERVICE_REPAIR_POLICY": "external",
    }
    process = {
        "command": [str(place / ".bin/openclaw"), "gateway", "run"],
        "env": environment,
        "ready": f"http://127.0.0.1:{port}/readyz",
        "start": "5m",
        "stop": "330s",
        "delay": "1s",
    }

    def settings(house_port, key, name="demo", **gateway):
        model = {"id": name, "name": name, "reasoning": False, "input": ["text"], "contextWindow": 65536, "contextTokens": 32768, "maxTokens": 2048}
        model["cost"] = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
        provider = {"baseUrl": f"http://127.0.0.1:{house_port}/v1", "apiKey": key, "api": "openai-completions", "timeoutSeconds": 300, "models": [model]}
        text = {
            "gateway": {
                "mode": "local",
                "port": port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
                **gateway,
            },
            "update": {"checkOnStart": False},
            "logging": {"file": str(log)},
            "agents": {
                "defaults": {"workspace": str(home / "workspace"), "skipBootstrap": True, "heartbeat": {"every": "0m"}, "model": {"primary": f"gw/{name}"}}
            },
            "models": {"mode": "replace", "providers": {"gw": provider}},
        }
        file = home / ".openclaw/openclaw.json"
        file.write_text(json.dumps(text))
        file.chmod(0o600)

    return process, settings, f"http://127.0.0.1:{port}", log


def test_a_real_openclaw_is_waited_for_joined_by_trace_id_and_given_its_time(make_house, openclaw):
    process, settings, url, log = openclaw
    house = make_house(
        start=False,
        upstreams={"demo": {"kind": "demo"}},
        supervise={"openclaw": process},
        sources={"openclaw-log": {"type": "file", "paths": [str(log)], "format": "openclaw"}},
    )
    settings(house.port, house.key)
    house.start()
    # It takes long to start, which is no failure.
    row = until_state(house, "openclaw", "ready", within=280)
    assert row["starts"] == 1
    [ready] = [record for record in told(house, process_name="openclaw", process_state="ready") if record["msg"] == "openclaw ready"]
    print(f"ready after {ready['start_ms']} ms, {row['memory_bytes']} bytes")
    body = {"model": "openclaw/default", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120)
    assert answer.status_code == 200, answer.text
    # What it asked of the model and what it wrote about that have one trace id.
    asked = until("its request is a record", lambda: [record for record in house.journal(kind="request") if record.get("trace_id")], 30, 0.5)
    traces = {record["trace_id"] for record in asked}

    def lines():
        return [record for record in house.journal(kind="log") if record.get("trace_id") in traces]

    joined = until("lines of its log are joined", lines, 60, 0.5)
    print(f"{len(joined)} lines of its log belong to {len(traces)} traces of {len(asked)} requests")
    # A planned restart: asked to end, it ends in its own time and is not killed.
    house.run("restart", "openclaw")
    def other():
        now = ps(house)["openclaw"]
        return now["state"] == "ready" and now["pid"] not in (None, row["pid"]) and now

    again = until("it is another one", other, 280, 0.5)
    assert not lives(row["pid"]) and again["starts"] == 2
    assert not [record for record in told(house, process_name="openclaw") if "killed" in record["msg"]]


def test_a_real_openclaw_ends_its_turn_before_it_is_started_anew(make_house, serve, openclaw):  # noqa: F811
    process, settings, url, _log = openclaw
    model = Model(serve)

    def late(_prompt):
        time.sleep(25)
        return "All is well, and this took its time."

    model.answers = late
    house = make_house(start=False, upstreams={"model": {"kind": "openai", "url": model.url}}, supervise={"openclaw": process}, probes="off")
    settings(house.port, house.key, name="stub")
    house.start()
    first = until_state(house, "openclaw", "ready", within=280)["pid"]
    body = {"model": "openclaw/default", "messages": [{"role": "user", "content": "hi"}]}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        turn = pool.submit(httpx.post, f"{url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=300)
        until("the model has been asked", lambda: turn.done() or model.asked, within=120, every=0.2)
        assert not turn.done(), turn.result().text
        asked = time.monotonic()
        house.run("restart", "openclaw")
        answer = turn.result(300)
        answered = time.monotonic() - asked
    print(f"asked to end in a turn, it answered {answer.status_code} {answered:.1f} s later")
    assert answer.status_code == 200 and "took its time" in answer.text, answer.text
    again = until("it is another one", lambda: (now := ps(house)["openclaw"])["state"] == "ready" and now["pid"] not in (None, first) and now, 330, 0.5)
    ended = [record for record in told(house, process_name="openclaw") if "exit_code" in record or "exit_signal" in record]
    print(json.dumps([{name: record.get(name) for name in ("msg", "exit_code", "exit_signal")} for record in ended]))
    assert not lives(first) and again["starts"] == 2
    assert not [record for record in told(house, process_name="openclaw") if "killed" in record["msg"]]


def test_a_real_openclaw_with_wrong_settings_ends_with_78_and_is_not_started_again(make_house, openclaw):
    process, settings, _url, _log = openclaw
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}}, supervise={"openclaw": process})
    # Beyond this machine without a secret: it refuses that.
    settings(house.port, house.key, bind="lan", auth={"mode": "none"})
    house.start()
    row = until_state(house, "openclaw", "failed", within=280)
    assert row["starts"] == 1 and row["why"] == {"code": "final", "exit": 78}, row
