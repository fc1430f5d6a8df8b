"""Every figure of the console leads to the query behind it; doctor and advice are run there; what probes say is said in Chinese."""

import json
import re
import shutil

import httpx
import pytest
from house import ROOT, until, walked
from test_tasks import begin, define, settings, until_status

SHOTS = ROOT / "target" / "screenshots"
SLOW = 3
# What is the same in all languages: names of this test, of programs and forms, and words that the trade has no others for.
NAMES = {"tollhouse", "echo", "late", "app", "steady", "short", "often", "ask", "scripted", "nobody", "test", "reader", "gpu", "memory"}
TRADE = {"token", "webhook", "curl", "pid", "GPU", "PSI", "JSON", "POST", "AND", "Chrome", "Linux", "Prefer", "background", "true", "format", "ollama"}


@pytest.fixture
def seen(make_house, scripted, tmp_path):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    log = tmp_path / "app.log"
    log.write_text(json.dumps({"level": "error", "msg": "a line"}) + "\n")
    house = make_house(
        start=False,
        tasks=settings(tmp_path / "tollhouse"),
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        batches={},
        sources={"app": {"type": "file", "paths": [str(log)], "format": "json"}},
        supervise={"steady": {"command": ["sleep", "1000"]}},
        alerts={"late": {"query": "model_name:late", "count": ">= 2", "within": "1h", "resolve": "1h"}},
        probes={"every": "1h", "disks": [{"path": "/", "above": "100%"}], "processes": [{"name": "nobody", "port": 1}]},
    )
    steps = [{"name": "ask", "ask": {"model": "echo", "prompt": "a word"}}]
    define(house, short={"steps": steps}, often={"every": "2s", "steps": steps})
    house.start()
    run = begin(house, "short")
    until_status(house, run, "done")
    for number in range(6):
        assert house.chat("word " * (number + 1), model="echo").status_code == 200
    answers = [house.chat("at last", model="late") for _ in range(SLOW)]
    slow = answers[-1].headers["x-request-id"]
    until("all requests are found", lambda: house.count("kind:request AND NOT origin:(probe OR task)") == 6 + SLOW)
    until("the rule has fired", lambda: any(record.get("alert_rule") == "late" for record in house.journal(kind="alert")))
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}, timeout=30) as client:
        client.get(house.console_address())

        def runs():
            return client.get("/console/api/v1/tasks/runs").json()["runs"]

        until("the schedule has begun a run", lambda: any(run["who"] == "schedule" for run in runs()))
        assert client.post("/console/api/v1/tasks/definitions/often/hold").status_code == 200
        until("no run is under way", lambda: all(run["status"] == "done" for run in runs()))
        for probe in ("disk-root", "process-nobody"):
            assert client.post(f"/console/api/v1/probes/{probe}/run").status_code == 200
    until("both probes are found", lambda: house.count("kind:probe AND said.code:*") >= 2)
    task = {"browser": browser, "address": house.console_address(), "shots": str(SHOTS), "slow": slow, "run": run}
    told = walked("behind.mjs", task, within=480)
    return {**told, "house": house}


def test_scenario_r09_each_figure_leads_to_its_query(seen):
    house = seen["house"]
    assert {page: found["without"] for page, found in seen["figures"].items() if found["without"]} == {}
    # Discover is the query itself; elsewhere each panel leads there by itself.
    assert {page: found["own"] for page, found in seen["figures"].items() if found["own"] and page != "discover"} == {}
    # What a panel gives for the shell is a question that /es answers.
    wanted = {"overview": 6, "request": 5, "dashboards": 3}
    assert {page: len(lines) >= wanted[page] for page, lines in seen["lines"].items()} == dict.fromkeys(wanted, True), seen["lines"]
    for page, lines in seen["lines"].items():
        for title, line in lines.items():
            path, body = re.search(r"curl -s 'http://[^/]+(/es/[^']+)'.*-d '(.*)'$", line, re.DOTALL).groups()
            answer = house.post(path, json.loads(body.replace("'\\''", "'")), house.reader)
            assert answer.status_code == 200, (page, title, answer.text)
            assert page != "request" or answer.json()["hits"]["hits"] or title == "Lines of others that name it", (title, line)
    # The slowest request of the overview, one click away, with its cause.
    assert seen["clicks"] <= 3 and seen["verdict"]["cause"] not in (None, "ok"), seen["verdict"]
    # Codes and figures stand in the records; the page says them in Chinese.
    [record] = [record for record in house.journal(kind="probe") if record["probe"] == "nobody"][-1:]
    codes = [said["code"] for said in record["said"]]
    assert codes == ["nobody_runs", "port_closed"], record
    rows = dict(seen["probes"])
    assert "不接受连接" in rows["process-nobody"] and "已用" in rows["disk-root"], rows
    assert "不接受连接" in seen["light"], seen["light"]
    [late] = [text for text in seen["incidents"] if "late" in text]
    assert "小时内" in late, late
    # The doctor's chart, the four layers, and advice.
    assert {"gate.port", "server.port", "machine.disk", "book.journal"} <= {check for check, _ in seen["steps"]}
    # Nothing stands behind that has versions or origins to look at.
    assert [layer[:7] for layer in seen["layers"]] == ["Layer 1", "Layer 2", "Layer 3"], seen["layers"]
    assert {"prompts", "context", "loads", "queue", "memory"} <= {name for name, _ in seen["advice"]}
    latin = {page: {word: at for word, at in found if {word, word.lower()}.isdisjoint(NAMES | TRADE)} for page, found in seen["latin"].items()}
    assert {page: words for page, words in latin.items() if words} == {}, "words that are not Chinese on a Chinese page"
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["outlines"] == [], "a page has other parts or places than tests/browser/outlines.json (UPDATE_OUTLINES=1 keeps them)"
    assert seen["errors"] == []
    assert seen["outside"] == []
