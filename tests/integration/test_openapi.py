"""The description of the console's calls: valid OpenAPI 3.1, and what the running program answers is what it says."""

import json
import re

import httpx
import pytest
from house import ROOT, finished, until

API = "/console/api/v1"
PASSWORD = "correct horse battery"
SAVED = {"name": "slow", "query": "duration_ms:>1000", "language": "lucene", "from": "now-1h", "to": "now"}
ASKS = "{concurrency: 3, steps: [{name: well, approve: {text: Is it well?}}]}"
PANEL = {"title": "rate", "view": "area", "scope": "request", "interval_s": 60}
# What no answer is provoked of here, and why.
ELSEWHERE = {
    "post /console/api/v1/alerts/incidents/{id}/acknowledge": "needs an incident: test_alerts_watch.py",
    "get /console/api/v1/alerts/incidents/{id}": "needs an incident: test_alerts_watch.py",
    "post /console/api/v1/alerts/channels/{channel}/test": "needs a channel: test_alerts.py",
    "post /console/api/v1/requests/{id}/replay": "needs prompts that are kept: test_replay.py",
    "post /console/api/v1/session/oidc": "needs a provider: test_oidc.py",
    "post /console/api/v1/processes/{name}/confirm": "needs a process that waits for a human: test_upkeep.py",
    "post /console/api/v1/chat/session": "a browser without a session: test_chats.py",
}


class Walk:
    """Calls and notes what is answered, by the path as it is described."""

    def __init__(self, client):
        self.client = client
        self.answers = []

    def call(self, method, path, body=None, expect=None, **named):
        template, query = path.split("?")[0], path[len(path.split("?")[0]) :]
        target = re.sub(r"\{(\w+)\}", lambda found: named[found.group(1)], template) + query
        root = "" if path.startswith("/console") else API
        content = {} if body is None else {"content": body} if isinstance(body, str) else {"json": body}
        answer = self.client.request(method, root + target, **content)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        told = answer.json() if is_json else None
        self.answers.append({"method": method.lower(), "path": root + template, "status": answer.status_code, "body": told})
        if expect is not None:
            assert answer.status_code == expect, (method, path, answer.status_code, answer.text[:500])
        return told


@pytest.fixture
def walk(make_house, scripted, tmp_path):
    (tmp_path / "tasks").mkdir()
    house = make_house(
        tasks={"dir": str(tmp_path / "tasks")},
        batches={},
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        supervise={"sleeper": {"command": ["sleep", "1000"]}},
    )
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}, timeout=60) as client:
        assert client.get(house.console_address()).status_code == 303
        yield Walk(client), house


def description_of(walk):
    return walk.client.get("/console/api/openapi.json").json()


def test_what_is_answered_is_what_is_described(walk):
    walk, house = walk
    assert house.chat().status_code == 200
    (request,) = until("the request is recorded", lambda: house.journal(kind="request"))
    until("it is found", lambda: house.count(f'request_id:"{request["request_id"]}"') == 1)
    until("the probes ran", lambda: walk.client.get(f"{API}/probes").json()["light"] is not None)
    look(walk, request["request_id"])
    share(walk)
    administrate(walk, house)
    chat(walk)
    tasks(walk)
    batches(walk, house)
    for method in ("stop", "start", "restart"):
        walk.call("POST", f"/processes/{{name}}/{method}", {}, name="sleeper")
    refuse(walk)
    walk.call("DELETE", "/session", expect=204)
    description = json.loads((ROOT / "ui/openapi.json").read_text())
    given = json.dumps({"description": description, "answers": walk.answers})
    done = finished(["node", ROOT / "tests/node/openapi.mjs"], stdin=None, input=given)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["faults"] == [], "\n".join(told["faults"])
    well = {name.rsplit(" ", 1)[0] for name in told["answered"] if name.rsplit(" ", 1)[1].startswith("2")}
    all_calls = {f"{method} {path}" for path, methods in description["paths"].items() for method in methods}
    assert all_calls - well == set(ELSEWHERE), "calls of which no answer was looked at, or that are looked at now"


def look(walk, request_id):
    served = walk.call("GET", "/console/api/openapi.json", expect=200)
    assert served == json.loads((ROOT / "ui/openapi.json").read_text())
    pages = ["/session", "/sessions", "/sessions?of=all", "/sign-in", "/status", "/fields", "/models", "/saved", "/alerts"]
    pages += ["/alerts/incidents?limit=3", "/alerts/objectives", "/forecast", "/probes", "/dashboards", "/processes", "/stores"]
    pages += ["/keys", "/users", "/settings", "/settings/history", "/chat", "/chat/models", "/chats", "/chats?q=a"]
    for page in pages:
        walk.call("GET", page, expect=200)
    body = {"query": {"query_string": {"query": "kind:request"}}, "size": 3, "aggs": {"all": {"terms": {"field": "kind"}}}}
    walk.call("POST", "/search", body, expect=200)
    walk.call("GET", "/requests/{id}/story", id=request_id, expect=200)
    walk.call("GET", "/requests/{id}/story", id="no-such-request", expect=200)


def share(walk):
    made = walk.call("POST", "/saved", SAVED, expect=201)
    walk.call("PUT", "/saved/{id}", {**SAVED, "name": "slower"}, id=made["id"], expect=200)
    walk.call("GET", "/saved", expect=200)
    walk.call("DELETE", "/saved/{id}", id=made["id"], expect=204)
    board = {"name": "mine", "panels": [PANEL]}
    made = walk.call("POST", "/dashboards", board, expect=201)
    walk.call("PUT", "/dashboards/{id}", board, id=made["id"], expect=200)
    walk.call("GET", "/dashboards", expect=200)
    walk.call("DELETE", "/dashboards/{id}", id=made["id"], expect=204)
    walk.call("POST", "/dashboards/import", json.dumps(board), expect=200)
    kibana = {"type": "map", "id": "1", "attributes": {"title": "not for us"}}
    walk.call("POST", "/dashboards/import", json.dumps(kibana) + "\n")
    rules = walk.call("GET", "/alerts", expect=200)["rules"]
    walk.call("POST", "/alerts/{rule}/silence", {"for": "1h"}, rule=rules[0]["name"], expect=200)
    walk.call("GET", "/alerts", expect=200)
    walk.call("POST", "/alerts/{rule}/unsilence", rule=rules[0]["name"], expect=200)
    walk.call("POST", "/alerts/backtest", {"name": rules[0]["name"], "days": 1}, expect=200)
    walk.call("PUT", "/alerts/rules/{rule}", {"rule": rules[0]["yaml"]}, rule="of-the-test", expect=200)
    walk.call("GET", "/alerts", expect=200)
    walk.call("DELETE", "/alerts/rules/{rule}", rule="of-the-test", expect=200)
    probes = walk.call("GET", "/probes", expect=200)["probes"]
    walk.call("POST", "/probes/{id}/run", id=probes[0]["id"])
    walk.call("POST", "/doctor", {"security": False}, expect=200)
    walk.call("POST", "/advise", {"days": 7}, expect=200)
    walk.call("POST", "/advise", {"days": 0}, expect=400)


def administrate(walk, house):
    made = walk.call("POST", "/keys", {"name": "team", "requests": 3, "per_ms": 1000, "allow": ["10.0.0.0/8"]}, expect=201)
    walk.call("POST", "/keys/{id}/rotate", id=made["id"], expect=200)
    walk.call("GET", "/keys", expect=200)
    walk.call("POST", "/keys/{id}/revoke", id=made["id"], expect=204)
    user = walk.call("POST", "/users", {"name": "ann", "role": "viewer", "password": PASSWORD}, expect=201)
    walk.call("PUT", "/users/{id}/role", {"role": "operator"}, id=user["id"], expect=204)
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}) as own:
        ann = Walk(own)
        ann.call("POST", "/session", {"name": "ann", "password": PASSWORD}, expect=204)
        ann.call("PUT", "/account/password", {"current": PASSWORD, "password": PASSWORD[::-1]}, expect=204)
        ann.call("GET", "/keys", expect=403)
        walk.answers += ann.answers
    walk.call("PUT", "/users/{id}/password", {"password": PASSWORD}, id=user["id"], expect=204)
    sessions = walk.call("GET", "/sessions?of=all", expect=200)["sessions"]
    for session in sessions:
        if session["user"] == "ann":
            walk.call("DELETE", "/sessions/{id}", id=session["id"], expect=204)
    walk.call("GET", "/users", expect=200)
    walk.call("DELETE", "/users/{id}", id=user["id"], expect=204)
    # A session that ends again, so that each way of ending one is seen.
    walk.call("POST", "/session", {"name": "ann", "password": PASSWORD}, expect=401)
    with httpx.Client(base_url=house.url, headers={"x-tollhouse-console": "1"}) as other:
        other.get(house.console_address())
        id = other.get(f"{API}/session").json()["id"]
        walk.call("DELETE", "/sessions/{id}", id=id, expect=204)
    shown = walk.call("GET", "/settings", expect=200)
    text = shown["text"].replace('"service": "clawdbot-qwen3",', '"service": "clawdbot-qwen3", "errors": "plain",')
    walk.call("POST", "/settings/check", {"text": text}, expect=200)
    walk.call("POST", "/settings/apply", {"text": text, "version": shown["version"]}, expect=200)
    revisions = walk.call("GET", "/settings/history", expect=200)["revisions"]
    walk.call("GET", "/settings/history/{id}", id=str(revisions[0]["id"]), expect=200)
    walk.call("POST", "/reload", expect=200)


def chat(walk):
    made = walk.call("POST", "/chats", {"title": "a", "model": "echo"}, expect=201)
    added = walk.call("POST", "/chats/{id}/messages", {"text": "hello"}, id=made["id"], expect=201)
    answer = {"id": made["id"], "answer": added["answer"]["id"]}
    walk.call("GET", "/chats/{id}/answers/{answer}", **answer, expect=200)
    walk.call("POST", "/chats/{id}/answers/{answer}/stop", **answer, expect=204)
    walk.call("GET", "/chats/{id}", id=made["id"], expect=200)
    walk.call("GET", "/chats?q=hello", expect=200)
    walk.call("PUT", "/chats/{id}", {"title": "b"}, id=made["id"], expect=204)
    walk.call("DELETE", "/chats/{id}", id=made["id"], expect=204)
    walk.call("DELETE", "/chats", expect=200)
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    walk.call("POST", "/chat", body, expect=200)
    walk.call("DELETE", "/chat/session", expect=204)


def tasks(walk):
    named = {"task": "asks"}
    made = walk.call("PUT", "/tasks/definitions/{task}", {"text": ASKS}, **named, expect=200)
    walk.call("POST", "/tasks/definitions/{task}/check", {"text": ASKS}, **named, expect=200)
    walk.call("PUT", "/tasks/definitions/{task}", {"text": "steps: 1", "version": made["version"]}, **named, expect=400)
    walk.call("GET", "/tasks/definitions/{task}", **named, expect=200)

    def begun():
        run = walk.call("POST", "/tasks/definitions/{task}/run", {}, **named, expect=201)["id"]
        until("it asks", lambda: status(run) == "asking", within=30)
        return run

    def status(run):
        return walk.client.get(f"{API}/tasks/runs/{run}").json()["summary"]["status"]

    answered, refused, ended = begun(), begun(), begun()
    walk.call("GET", "/tasks", expect=200)
    walk.call("POST", "/tasks/runs/{id}/approve", {"comment": "well"}, id=answered, expect=200)
    until("it is done", lambda: status(answered) == "done", within=30)
    walk.call("POST", "/tasks/runs/{id}/reject", {}, id=refused, expect=200)
    until("it failed", lambda: status(refused) == "failed", within=30)
    walk.call("POST", "/tasks/runs/{id}/retry", {}, id=refused, expect=200)
    for verb in ("pause", "resume", "cancel"):
        walk.call("POST", f"/tasks/runs/{{id}}/{verb}", id=ended, expect=200)
    walk.call("GET", "/tasks/runs/{id}", id=answered, expect=200)
    walk.call("GET", "/tasks/runs?limit=2", expect=200)
    for verb in ("hold", "release"):
        walk.call("POST", f"/tasks/definitions/{{task}}/{verb}", **named, expect=200)
    walk.call("GET", "/tasks", expect=200)
    walk.call("DELETE", "/tasks/definitions/{task}", **named, expect=204)


def batches(walk, house):
    # What a real batch looks like: test_batches.py. These are there as long as nobody can answer them.
    row = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "busy", "messages": []}}
    row["body"]["messages"] = [{"role": "user", "content": "hello"}]
    form = {"purpose": (None, "batch"), "file": ("f.jsonl", json.dumps(row))}
    with house.client() as client:
        file = client.post("/v1/files", files=form).json()["id"]
    order = {"input_file_id": file, "endpoint": row["url"], "completion_window": "24h"}
    made = house.post("/v1/batches", order).json()["id"]
    later = house.chat("hello", model="busy", headers={"Prefer": "respond-async"}).json()["id"]
    walk.call("GET", "/batches", expect=200)
    walk.call("GET", "/later?limit=2", expect=200)
    walk.call("POST", "/batches/{id}/cancel", id=made, expect=200)
    walk.call("POST", "/later/{id}/cancel", id=later, expect=200)
    walk.call("POST", "/later/{id}/cancel", id=later, expect=409)


def refuse(walk):
    """Every call with nothing and for what is not there: the answer says why in one form, with a status that is described."""
    for path, methods in description_of(walk).get("paths").items():
        for method in methods:
            if (method, path) in [("delete", f"{API}/session"), ("delete", f"{API}/chats")]:
                continue
            names = re.findall(r"\{(\w+)\}", path)
            body = None if method in ("get", "delete") else {"no such member": 1}
            walk.call(method.upper(), path, body, **dict.fromkeys(names, "no-such-thing"))
