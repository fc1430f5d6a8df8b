"""What the watch does beyond single rules: acknowledging, telling others, dependencies, baselines, reports, new kinds of lines,
crashes with their time line, and the console's calls for all that."""

import concurrent.futures
import json
import os
import re
import struct
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from house import free_port, until
from test_alerts import Mail, events, hook, source, text_of, write  # noqa: F401 (a fixture)
from test_console import API, SAME_SITE, signed_in

DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Mail(tmp_path_factory.mktemp("mail")).start()
    yield server
    server.stop()


@pytest.fixture
def mail(server):
    server.empty()
    return server


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


def word(name, **more):
    return {"query": f"kind:log AND msg:{name}", "count": ">= 1", "within": "4s", "resolve": "1s", "cooldown": "1s", **more}


def hooks(hook):
    return {"kind": "webhook", "url": hook.url}


def told(hook, rule):
    return [message for message in (json.loads(body) for _, body in hook.taken) if message["rule"] == rule]


def test_scenario_b11_an_incident_is_acknowledged_by_a_link_and_told_to_others_otherwise(make_house, mail, hook, tmp_path):  # noqa: F811
    log = tmp_path / "app.log"
    write(log, "begin")
    escalate = {"after": "3s", "notify": ["boss"]}
    rules = {
        "first": word("alpha", notify=["ops"], escalate=escalate, within="1h", runbook="Turn it off and on."),
        "second": word("beta", notify=["ops"], escalate=escalate, within="1h"),
    }
    house = make_house(
        sources={"app": source(log)}, channels={"ops": mail.channel, "boss": hooks(hook)}, alerts=rules
    )
    write(log, "alpha happened")
    [first] = until("the mail", mail.messages, every=0.1)
    # Nobody looks after it: others are told, once.
    until("others are told", lambda: told(hook, "first"), every=0.1)
    [escalated] = told(hook, "first")
    assert escalated["title"].startswith("nobody looks after it for 3s: first")
    # The mail has a picture, and a link that only shows something until its button is used.
    [picture] = [part for part in first.walk() if part.get_content_type() == "image/png"]
    data = picture.get_content()
    assert data.startswith(b"\x89PNG") and struct.unpack(">II", data[16:24]) == (560, 200)
    page = first.get_body(("html",)).get_content()
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in page
    assert "Turn it off and on." in text_of(first)
    [link] = re.findall(r"http://\S+/console/link/\S+", text_of(first))
    with httpx.Client() as anybody:
        shown = anybody.get(link)
        assert shown.status_code == 200 and "<button>" in shown.text
        assert "form-action 'self'" in shown.headers["content-security-policy"]
        assert anybody.get(link[:-1] + "x").status_code == 404
    with signed_in(house) as console:
        whole = console.get(f"{API}/alerts").json()
        [incident] = [incident for incident in whole["incidents"] if incident["rule"] == "first"]
        assert incident["acknowledged"] is None and incident["escalated"], "looking does nothing"
        assert httpx.post(link).status_code == 200
        seen = console.get(f"{API}/alerts/incidents/{incident['id']}").json()
        assert seen["acknowledged"]["by"] == "link of ops"
        assert [entry["text"] for entry in seen["timeline"]][0] == "told"

        # What somebody looks after is told to nobody else.
        write(log, "beta happened")
        found = until("the second one", lambda: len(mail.messages()) == 2 and console.get(f"{API}/alerts").json())
        [second] = [incident for incident in found["incidents"] if incident["rule"] == "second"]
        done = console.post(f"{API}/alerts/incidents/{second['id']}/acknowledge", headers=SAME_SITE)
        assert done.status_code == 200 and done.json()["acknowledged"]["by"].startswith("console: ")
        again = json.loads(house.run("alert", "acknowledge", second["id"], "--json").stdout)
        assert again["acknowledged"]["by"].startswith("console: "), "the first one counts"
        assert house.run("alert", "acknowledge", "nothing", check=False).returncode == 1
        time.sleep(4.5)
        assert not told(hook, "second")

        # Silence, back-test and history over the same calls.
        silenced = console.post(f"{API}/alerts/first/silence", json={"for": "2h"}, headers=SAME_SITE)
        assert silenced.json()["silenced_until"]
        rule = {rule["name"]: rule for rule in console.get(f"{API}/alerts").json()["rules"]}["first"]
        assert rule["silenced_until"] and rule["groups"][0]["incident"] == incident["id"] and not rule["built_in"]
        console.post(f"{API}/alerts/first/unsilence", headers=SAME_SITE)
        assert console.get(f"{API}/alerts").json()["silences"] == []
        tried = {"name": "draft", "rule": 'query: "kind:log AND msg:alpha"\ncount: ">= 1"\nresolve: off', "days": 1}
        tried = console.post(f"{API}/alerts/backtest", json=tried, headers=SAME_SITE).json()
        assert (tried["fired"], tried["messages"][0]["state"]) == (1, "firing")
        wrong = {"name": "draft", "rule": "{query: '*', cuont: '>= 1'}", "days": 1}
        wrong = console.post(f"{API}/alerts/backtest", json=wrong, headers=SAME_SITE)
        assert wrong.status_code == 400 and "did you mean `count`" in wrong.json()["error"]
        assert console.post(f"{API}/alerts/nothing/silence", json={"for": "2h"}, headers=SAME_SITE).status_code == 404
        older = console.get(f"{API}/alerts/incidents?limit=1").json()
        assert (older["incidents"][0]["id"], older["more"]) == (second["id"], True)
    assert events(house, alert_event="escalated", alert_rule="first")
    until("it is recorded", lambda: len(events(house, alert_event="acknowledged")) == 2)


def test_what_needs_a_rule_that_fires_is_held_and_told_afterwards(make_house, hook, tmp_path):  # noqa: F811
    log = tmp_path / "app.log"
    write(log, "begin")
    rules = {
        "child": word("beta", within="1h", needs=["parent"]),
        "parent": word("alpha", within="12s"),
    }
    house = make_house(sources={"app": source(log)}, channels={"hook": hooks(hook)}, alerts=rules)
    write(log, "alpha happened")
    until("the parent fires", lambda: told(hook, "parent"))
    assert "nothing is told of child" in told(hook, "parent")[0]["text"]
    write(log, "beta happened")
    until("the child is held", lambda: events(house, alert_event="held", alert_rule="child", alert_held_by="parent"))
    assert not told(hook, "child")
    listed = {rule["name"]: rule for rule in json.loads(house.run("alert", "list", "--json").stdout)}
    assert (listed["child"]["state"], listed["child"]["held_by"]) == ("held", "parent")
    until("the parent is over, and the child told", lambda: told(hook, "child"))
    order = [(json.loads(body)["rule"], json.loads(body)["state"]) for _, body in hook.taken]
    assert order.index(("parent", "resolved")) < order.index(("child", "firing"))


def test_scenario_r16_a_model_slower_than_usual_at_this_hour_is_told(make_house, hook, tmp_path):  # noqa: F811
    log, now = tmp_path / "app.log", time.time()
    lines = []
    # Eight days of a model, every five minutes; for the last hour it takes half as long again, the other one does not.
    for age_s in range(8 * DAY_S, 0, -120):
        wave = 1 + 0.08 * ((age_s // 120) % 5 - 2) / 2
        slow = 1.5 if age_s < 3600 else 1
        for model, ms in (("qwen3", 1000 * wave * slow), ("small", 200 * wave)):
            lines.append(json.dumps({"time": stamp(now - age_s), "level": "info", "msg": "done", "mdl": model, "took_ms": ms}))
    write(log, *lines)
    rule = {
        "query": "kind:log AND took_ms:*", "average": "took_ms", "baseline": "7d", "deviation": "> 30%",
        "group_by": "mdl", "within": "1h", "samples": 20,
    }  # fmt: skip
    house = make_house(
        sources={"app": source(log, "json")}, channels={"hook": hooks(hook)}, alerts={"latency": rule}
    )
    [message] = until("it is told", lambda: told(hook, "latency"), within=30, every=0.1)
    assert re.match(r"latency \(qwen3\): average of took_ms 1[45]\d\d(\.\d)? in 1h, usually (99|100)\d", message["title"]), message["title"]
    assert "small" not in json.dumps(message["figures"]) and message["chart"]["usual"]
    [listed] = [rule for rule in json.loads(house.run("alert", "list", "--json").stdout) if rule["name"] == "latency"]
    [group] = [group for group in listed["groups"] if group["group"] == "qwen3"]
    assert 1.4 < group["value"] / group["usual"] < 1.6 and listed["baseline"] == "7d"


def test_scenario_r10_a_line_never_seen_before_is_told_once(make_house, hook, tmp_path):  # noqa: F811
    log, now = tmp_path / "app.log", time.time()

    def warning(age_s, text):
        return json.dumps({"time": stamp(now - age_s), "level": "warn", "msg": text})

    # Two hours of what it always says, with other numbers each time.
    write(log, *(warning(7200 - 60 * n, f"cache miss for key {n} after {n * 7} ms") for n in range(115)))
    house = make_house(sources={"app": source(log, "json")}, channels={"hook": hooks(hook)})
    until("they are found", lambda: house.count("kind:log AND level:warn") == 115)
    write(log, warning(1, "cache miss for key 4711 after 3 ms"), warning(1, "disk 3 reports reallocated sectors"))
    [message] = until("the new one is told", lambda: told(hook, "new-pattern"), within=30, every=0.1)
    assert "disk 3 reports reallocated sectors" in json.dumps(message["worst"])
    house.kill()
    house.start()
    write(log, warning(0, "disk 9 reports reallocated sectors"))
    until("it is found", lambda: house.count("kind:log AND msg:reallocated") == 2)
    time.sleep(3)  # two looks: nothing is to come
    assert house.count("kind:pattern") == 1 and len(told(hook, "new-pattern")) == 1


def test_scenario_b13_an_out_of_memory_of_a_moment_is_one_incident_with_its_time_line(make_house, mail, tmp_path):
    log = tmp_path / "server.log"
    write(log, json.dumps({"level": "info", "msg": "begin"}))
    house = make_house(
        upstreams={"gone": {"kind": "openai", "url": f"http://127.0.0.1:{free_port()}/v1"}},
        models={"echo": {"upstreams": ["gone"]}},
        sources={"ollama": source(log, "json")},
        channels={"ops": mail.channel},
        alerts={"out-of-memory": {"resolve": "1h"}},
    )
    # The server has died within 0.3 s: two lines, and the request that met it.
    write(log, json.dumps({"level": "error", "msg": "CUDA error: out of memory, current device: 0"}))
    failed = house.chat()
    assert failed.status_code >= 500
    write(log, json.dumps({"level": "error", "msg": "llama runner process has terminated: signal: killed"}))
    [first] = until("the mail", lambda: [m for m in mail.messages() if "out-of-memory" in m["Subject"]], every=0.1)
    time.sleep(3)  # two looks: it stays one incident
    assert len([m for m in mail.messages() if "out-of-memory" in m["Subject"]]) == 1
    assert first["Subject"].startswith("[critical]")
    with signed_in(house) as console:
        [incident] = [i for i in console.get(f"{API}/alerts").json()["incidents"] if i["rule"] == "out-of-memory"]
    around = "\n".join(incident["around"])
    assert "CUDA error" in around and "What happened:" in text_of(first)
    # The whole story is found by a look at the same time, whatever came after the mail.
    told = json.loads(house.run("search", "kind:log AND source:ollama AND level:error", "--json").stdout)
    assert told["hits"]["total"]["value"] == 2
    until("the failed request is found", lambda: house.count("kind:request AND http_status:>=500") == 1)


def card(tmp_path, monkeypatch):
    """A card of our own, by a library in the place of NVIDIA's: writes what it has."""
    library = tmp_path / "lib"
    library.mkdir()
    source = Path(__file__).parents[1] / "tools/nvml.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library / "libnvidia-ml.so.1", source], check=True)
    (library / "libnvidia-ml.so").symlink_to("libnvidia-ml.so.1")
    state = tmp_path / "card"
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    monkeypatch.setenv("FAKE_CARD", str(state))

    def write(used, percent=50, celsius=60, slowed=0, **programs):
        fresh = tmp_path / "card.new"
        on_it = "".join(f" {pid} {mib}" for pid, mib in programs.values())
        fresh.write_text(f"{used} 24000 {percent} {celsius} {slowed}{on_it}\n")
        fresh.rename(state)

    write(9000)
    return write


def test_scenario_b13_a_cards_memory_stands_on_the_time_line(make_house, hook, tmp_path, monkeypatch):  # noqa: F811
    write_card = card(tmp_path, monkeypatch)
    log = tmp_path / "server.log"
    write(log, json.dumps({"level": "info", "msg": "begin"}))
    house = make_house(
        sources={"ollama": source(log, "json")},
        channels={"hook": hooks(hook)},
        alerts={"out-of-memory": {"resolve": "1h"}, "gpu-memory": "off"},
    )
    cards = lambda: [record for record in house.journal(kind="resource") if "gpu" in record]  # noqa: E731
    [calm] = until("the card is seen", lambda: cards()[:1])
    assert calm["gpu"] == "Fake A10 (0)" and calm["gpu_memory_used_percent"] == 37.5 and calm["temperature"] == 60
    # Near its limit it is looked at ten times a second; then the model server is gone. 0x40 is the hardware's slowdown for heat.
    write_card(23_500, slowed=0x40, small=(os.getpid(), 500), large=(house.child.pid, 22_000))
    full = lambda: [record for record in cards() if record["gpu_memory_used_percent"] > 97]  # noqa: E731
    [first] = until("it is full", lambda: full()[:1])
    assert first["gpu_slowed"] == ["heat"]
    # Who has its memory, the largest first, by the names that the kernel knows.
    assert [(on["pid"], on["memory_bytes"]) for on in first["gpu_processes"]] == [(house.child.pid, 22_000 << 20), (os.getpid(), 500 << 20)]
    assert [on["name"] for on in first["gpu_processes"]] == [Path(f"/proc/{pid}/comm").read_text().strip() for pid in (house.child.pid, os.getpid())]
    write(log, json.dumps({"level": "error", "msg": "CUDA error: out of memory, current device: 0"}))
    write(log, json.dumps({"level": "error", "msg": "llama runner process has terminated: signal: killed"}))
    write_card(400)
    until("the message", lambda: told(hook, "out-of-memory"))
    with signed_in(house) as console:
        [incident] = [i for i in console.get(f"{API}/alerts").json()["incidents"] if i["rule"] == "out-of-memory"]
        around = "\n".join(incident["around"])
        assert "CUDA error" in around and "Fake A10 (0) · 97.9" in around, around
        metrics = console.get(f"{API}/probes").json()["resources"]
        assert any(sample.get("gpu") == "Fake A10 (0)" for sample in metrics)
    # Nobody needs a probe of it to have run: it is looked at in between.
    assert len(told(hook, "out-of-memory")) == 1


def test_rules_are_saved_in_the_console_and_never_hide_those_of_the_file(make_house, hook, tmp_path):  # noqa: F811
    log = tmp_path / "app.log"
    write(log, "begin")
    settings = {
        "sources": {"app": source(log)},
        "channels": {"hook": hooks(hook)},
        "alerts": {"mine": word("alpha", within="1h"), "error-patterns": "off"},
    }
    house = make_house(**settings)
    rules = lambda: {rule["name"]: rule for rule in json.loads(house.run("alert", "list", "--json").stdout)}  # noqa: E731
    with signed_in(house) as console:
        console.headers.update(SAME_SITE)
        save = lambda name, rule: console.put(f"{API}/alerts/rules/{name}", json={"rule": rule})  # noqa: E731
        assert save("mine", "{query: '*', count: '>= 1'}").status_code == 409
        wrong = save("new", "{query: 'kind:log AND msg:beta', count: many}")
        assert wrong.status_code == 400 and "count" in wrong.json()["error"]
        assert save("a b", "{query: '*', count: '>= 1'}").status_code == 400
        saved = save("new", "query: 'kind:log AND msg:beta'\ncount: '>= 1'\nwithin: 1h\nresolve: off\n")
        assert saved.status_code == 200, saved.text
        # It is in force at once.
        write(log, "beta happened")
        [first] = until("the saved rule tells", lambda: told(hook, "new"))
        assert first["state"] == "firing"
        assert save("new-pattern", "off").status_code == 200
        assert rules()["new-pattern"]["state"] == "off" and rules()["new-pattern"]["origin"] == "console"
        assert (rules()["mine"]["origin"], rules()["slow-model"]["origin"]) == ("file", "built-in")
        # It is there after the next start, killed or not.
        house.kill()
        house.start()
        assert rules()["new"]["state"] == "firing" and rules()["new"]["saved"]["by"]
        assert json.loads(house.run("alert", "backtest", "new", "--days", "1", "--json").stdout)["fired"] == 1
        # What the file says later counts, and nobody is left in the dark.
        house.configure(**{**settings, "alerts": {**settings["alerts"], "new": word("gamma")}})
        until("the file's rule is in force", lambda: rules()["new"]["origin"] == "file")
        assert "file has a rule of this name" in rules()["new"]["saved"]["problem"]
        assert "not in force: new" in house.run("alert", "list").stdout
    with signed_in(house) as console:
        console.headers.update(SAME_SITE)
        assert console.delete(f"{API}/alerts/rules/new").status_code == 200
        assert console.delete(f"{API}/alerts/rules/new").status_code == 404
        assert rules()["new"]["saved"] is None
    noted = [(record["alert_event"], record["alert_rule"]) for record in house.journal(kind="alert") if "alert_by" in record]
    assert noted == [("saved", "new"), ("saved", "new-pattern"), ("removed", "new")]


def test_a_channel_is_tried_from_the_console(make_house, hook):  # noqa: F811
    gone = {"kind": "webhook", "url": f"http://127.0.0.1:{free_port()}/"}
    house = make_house(channels={"hook": hooks(hook), "gone": gone})
    with signed_in(house) as console:
        console.headers.update(SAME_SITE)
        tried = console.post(f"{API}/alerts/channels/hook/test").json()
        assert tried["ok"] and tried["error"] is None
        assert [json.loads(body)["state"] for _, body in hook.taken] == ["test"]
        failed = console.post(f"{API}/alerts/channels/gone/test").json()
        assert not failed["ok"] and failed["retryable"] and "refused" in failed["error"]
        assert console.post(f"{API}/alerts/channels/nobody/test").status_code == 404


def test_an_objectives_budget_is_watched_shown_and_tried(make_house, make_scripted, hook):  # noqa: F811
    scripted = make_scripted(late_s=0.4)
    objective = {"query": "kind:request AND ttft_ms:*", "bad": "ttft_ms:>300", "goal": "90%", "group_by": "model_name"}
    house = make_house(
        upstreams={"scripted": scripted.upstream(parallel=8)},
        channels={"hook": hooks(hook)},
        alerts={"fast-enough": objective, "slow-model": "off"},
    )
    for _ in range(4):
        assert house.chat(model="echo").status_code == 200
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(answer.status_code == 200 for answer in pool.map(lambda _: house.chat(model="late"), range(16)))
    [message] = until("the message", lambda: told(hook, "fast-enough"), within=40)
    assert "the budget goes" in message["title"] and "late" in message["title"], message["title"]
    with signed_in(house) as console:
        found = {one["rule"]: one for one in console.get(f"{API}/alerts/objectives").json()["objectives"]}
        groups = {group["group"]: group for group in found["fast-enough"]["groups"]}
        assert (groups["late"]["all"], groups["late"]["bad"]) == (16, 16) and groups["late"]["left"] < -8
        assert groups["echo"]["left"] == 1.0
        assert "objective-availability" in found
    tested = json.loads(house.run("alert", "backtest", "fast-enough", "--days", "1", "--json").stdout)
    assert tested["fired"] == 1


def test_scenario_r14_who_was_refused_is_a_report_and_a_daily_message(make_house, hook, tmp_path):  # noqa: F811
    log, now = tmp_path / "app.log", time.time()
    # Another gateway's lines of yesterday; the message is due some seconds after the start.
    refused = [(429, f"10.0.0.{client}") for client in range(7) for _ in range(client + 1)] + [(401, "10.0.0.9")]
    lines = ({"time": stamp(now - DAY_S), "level": "warn", "msg": "m", "status": status, "client_ip": ip} for status, ip in refused)
    write(log, *(json.dumps(line) for line in lines))
    due = time.strftime("%H:%M:%S", time.gmtime(now + 8))
    house = make_house(
        access={"auth": "keys"},
        sources={"old": source(log, "json")},
        channels={"hook": hooks(hook)},
        reports={"errors-daily": {"at": due, "zone": "UTC", "notify": ["hook"]}},
    )
    for _ in range(3):
        assert house.chat(key="wrong").status_code == 401
    until("they are found", lambda: house.count("http_status:401 AND kind:request") == 3)
    report = json.loads(house.run("search", "report", "errors", "--json").stdout)
    [table] = [table for table in report["tables"] if table["title"].startswith("401")]
    assert table["rows"][0][0] == "127.0.0.1" and table["rows"][0][2] == "3"
    shown = house.run("search", "report", "errors").stdout
    assert "401: no or a wrong key" in shown and "127.0.0.1" in shown
    for kind in ("slow", "tokens", "top"):
        house.run("search", "report", kind)
    with signed_in(house) as console:
        [planned] = console.get(f"{API}/alerts").json()["reports"]
        assert planned["name"] == "errors-daily" and planned["next"]
        assert console.get(f"{API}/forecast").json()["step"] == "1h"
    [message] = until("it is told", lambda: told(hook, "errors-daily"), every=0.1)
    by_title = {table["title"][:3]: table["rows"] for table in message["tables"]}
    assert [row[0] for row in by_title["429"]] == [f"10.0.0.{client}" for client in (6, 5, 4, 3, 2)], "the first five"
    assert by_title["401"][0][0] == "10.0.0.9" and message["state"] == "report"
    # One that is killed before it has noted that may tell it once more.
    until("it is noted as sent", lambda: events(house, alert_event="sent", alert_rule="errors-daily"))
    house.kill()
    house.start()
    time.sleep(3)  # two looks: it stays one
    assert len(told(hook, "errors-daily")) == 1
