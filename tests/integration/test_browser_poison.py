"""A house in which every text tries to run something or to call home: each view of it opened in a real Chromium."""

import json
import os
import shutil

from house import ROOT, until, walked
from poison import payloads
from scripted import MODELS
from test_batches import batch_of, client_of
from test_chats import API, OWN, Chatter
from test_later import ASYNC
from test_tasks import define, settings

SHOTS = ROOT / "target" / "screenshots"
# The default run takes 250; TOLLHOUSE_POISON=2000 takes all.
POISON = int(os.environ.get("TOLLHOUSE_POISON", "250"))
TITLE_CHARS_MAX = 200
# Kept prompts, which are replayed, and models of these names.
REPLAYED, MODELS_MAX = 3, 30
PAGES = ["/", "/discover", "/discover?kind=all", "/efficiency", "/dashboards", "/chat", "/alerts", "/probes", "/sources",
         "/processes", "/resources", "/keys", "/users", "/account", "/tasks", "/tasks?tab=batches", "/tasks?edit=new", "/settings", "/settings?tab=file",
         "/settings?tab=history", "/doctor", "/doctor?part=security", "/doctor?part=advice"]  # fmt: skip


def named(texts):
    """As names may be: on one line, not too long."""
    return [text.replace("\n", " ").replace("\t", " ")[:TITLE_CHARS_MAX].strip() for text in texts]


def chats(client, texts):
    chatter, titles, views = Chatter(client), named(texts), []
    for at in range(0, len(texts), 50):
        some = texts[at : at + 50]
        chat = chatter.begin(model=titles[at], system=some[0])
        parent = None
        for text in ["\n\n".join(some[n : n + 10]) for n in range(0, len(some), 10)]:
            _, parent = chatter.ask(chat, text, parent=parent, model="echo")
            chatter.events(chat, parent)
        kept = chatter.chat(chat)
        renamed = {**{name: kept[name] for name in ["model", "system", "options", "head"]}, "title": titles[at]}
        assert client.put(f"{API}/chats/{chat}", json=renamed).status_code == 204
        views.append(f"/chat?c={chat}")
    for text in titles[::3]:
        client.post(f"{API}/chats", json={"title": text, "model": text})
    return views


def dashboards(client, texts):
    titles, views = named(texts), []
    for at in range(0, len(titles), 40):
        some = titles[at : at + 40]
        panels = [{"title": text, "view": "number", "query": f'msg:"{n}"', "height": 1, "width": 2} for n, text in enumerate(some)]
        made = client.post(f"{API}/dashboards", json={"name": some[0] or "-", "panels": panels})
        if made.status_code == 201:
            views.append(f"/dashboards?d={made.json()['id']}")
    return views


def names(client, texts):
    """Saved searches, keys, users and rules; what is not taken as a name is not there to do harm."""
    for n, text in enumerate(named(texts[:60])):
        search = {"name": text or str(n), "query": "kind:request", "language": "lucene", "from": "now-1h", "to": "now"}
        client.post(f"{API}/saved", json=search)
        client.post(f"{API}/keys", json={"name": text})
        rule = json.dumps({"query": json.dumps(text), "count": ">= 1", "within": "1h", "runbook": text})
        client.put(f"{API}/alerts/rules/rule-{n}", json={"rule": rule})
    for text in named(texts[:4]):
        client.post(f"{API}/users", json={"name": text, "role": "viewer", "password": "correct horse battery"})


def requests(house, texts):
    for text in texts[:60]:
        house.chat("hi", model=text, headers={"User-Agent": text.encode("ascii", "replace").decode().replace("\n", " ")[:200]})
    for text in texts[:10]:
        house.chat("hi", model=text, headers=ASYNC)
    batch_of(client_of(house), "\n".join(json.dumps({"custom_id": text}) for text in texts[:20]).encode())
    ids = [house.chat(text, model="echo").headers["x-request-id"] for text in texts[:REPLAYED]]
    for request_id in ids:
        house.document(request_id)
    return [f"/requests/{request_id}" for request_id in ids]


def task(texts):
    """One whose every text is one of them, which asks, and one that fails with one in its words."""
    asks = {"title": texts[0], "steps": [
        {"name": "draft", "ask": {"model": "echo", "prompt": texts[1]}},
        {"name": "read", "approve": {"text": texts[2] + " {{ draft }}"}},
    ]}  # fmt: skip
    fails = {"title": texts[3], "steps": [{"name": "draft", "ask": {"model": texts[4], "prompt": texts[5]}}]}
    return {"asks": asks, "fails": fails}


def runs(house, client):
    views = []
    for name, status in [("asks", "asking"), ("fails", "")]:
        begun = client.post(f"{API}/tasks/definitions/{name}/run", json={})
        assert begun.status_code < 300, begun.text
        run = begun.json()["id"]
        told = lambda run=run: client.get(f"{API}/tasks/runs/{run}").json()["summary"]["status"]
        until("it asks, or is over", lambda: told() not in ("waiting", "running", "queued") and told())
        views += [f"/tasks?run={run}", f"/tasks?edit={name}"]
        assert status in ("", told())
    return views


def test_poisoned_texts_run_nothing_and_call_nobody(make_house, make_scripted, tmp_path):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    texts = payloads(POISON)
    assert len(texts) == POISON
    scripted = make_scripted(models=[*MODELS, *texts[:MODELS_MAX]])
    log, server_log = tmp_path / "app.log", tmp_path / "ollama.log"
    log.write_text("".join(json.dumps({"level": "error", "msg": text, text[:60]: text}) + "\n" for text in texts[:60]))
    server_log.write_text("".join(f"level=ERROR msg={json.dumps(text)} error={json.dumps(text)}\n" for text in texts[:60]))
    lines = named(texts)
    house = make_house(
        start=False,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "parallel": 4}},
        limits={"prompt_chars": 200_000},
        logging={"content": "full"},
        chat={"title": lines[0], "description": lines[1]},
        sources={
            "app": {"type": "file", "paths": [str(log)], "format": "json"},
            "server": {"type": "file", "paths": [str(server_log)], "format": "logfmt"},
        },
        probes={"every": "1h", "models": [{"model": "echo", "prompt": texts[0], "expect": [texts[1]]}]},
        alerts={"any": {"query": "model_name:*", "count": ">= 1", "within": "1h", "runbook": texts[2]}},
        supervise={"steady": {"command": ["sh", "-c", "echo \"$1\"; sleep 1000", "sh", lines[6]]}},
        tasks=settings(tmp_path / "tollhouse"),
        batches={},
    )
    define(house, **task(texts))
    house.start()
    with house.client("", headers=OWN) as client:
        assert client.get(house.console_address()).status_code == 303
        views = [*chats(client, texts), *dashboards(client, texts), *requests(house, texts), *runs(house, client), *PAGES]
        names(client, texts)
        # A change of the settings with such a text, so that the history has one.
        now = client.get(f"{API}/settings").json()
        changed = json.dumps({**json.loads(now["text"]), "chat": {"title": lines[0], "description": lines[7]}})
        applied = client.post(f"{API}/settings/apply", json={"text": changed, "version": now["version"], "later": False})
        assert applied.status_code == 200, applied.text
    until("the lines are found", lambda: house.count("kind:log AND source:(app OR server)") >= 100)
    wrong = json.dumps({text: text for text in texts[:40]}, indent=1)
    given = {
        "browser": browser,
        "address": house.console_address(),
        "shots": str(SHOTS),
        "views": views,
        "settings": wrong,
        "definition": wrong,
        "models": texts[:2],
    }
    (tmp_path / "task.json").write_text(json.dumps(given))
    seen = walked("poison.mjs", tmp_path / "task.json", within=max(400, POISON))
    assert seen["views"] == len(views) >= POISON // 50 + POISON // 40 + REPLAYED + len(PAGES)
    more = ["/doctor", "/doctor?part=advice", "/requests/", "/settings?tab=file", "/tasks?edit=new"]
    assert set(more) <= set(seen["more"]), seen["more"]
    assert seen["ran"] == [] and seen["outside"] == [] and seen["links"] == []
    assert seen["errors"] == [], "no violation of the page's policy either"
