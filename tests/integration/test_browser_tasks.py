"""Tasks in a real Chromium: begun, answered, changed, done again, found, and written."""

import json
import shutil

import pytest
from house import ROOT, walked
from test_batches import batch_of, client_of, lines, over
from test_later import ASYNC
from test_tasks import define, settings, step

SHOTS = ROOT / "target" / "screenshots"
LETTER = {
    "title": "A letter that somebody reads before it goes",
    "steps": [
        {"name": "draft", "ask": {"model": "echo", "prompt": "the first words"}},
        {"name": "read", "approve": {"text": "May this go? {{ draft }}"}},
        {"name": "keep", "write": {"path": "letters/{{ run.id }}.txt", "text": "{{ draft }}"}},
    ],
}


@pytest.fixture
def seen(make_house, scripted, tmp_path):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    house = make_house(
        start=False,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        tasks=settings(tmp_path / "tollhouse"),
    )
    define(house, letter=LETTER)
    house.start()
    task = {"browser": browser, "address": house.console_address(), "shots": str(SHOTS)}
    told = walked("tasks.mjs", task)
    return {**told, "house": house}


def test_scenario_r06_a_run_is_answered_changed_and_done_again_on_its_page(seen):
    house = seen["house"]
    assert "May this go? the first words" in seen["question"]
    assert seen["graph"] == [["draft", "done"], ["read", "asking"], ["keep", "open"]]
    assert "what a human wrote" in seen["kept"], seen["kept"]
    assert "prompt" in seen["work"]
    found = json.loads(house.run("task", "show", seen["run"], "--json").stdout)
    assert step(found, "draft")["items"][0]["value"] == "other words"
    assert seen["search"] == "no such run", "the search stands in the address"
    assert "wiat" in seen["fault"] and seen["saveOff"], seen["fault"]
    assert (house.directory / "tasks/second.yaml").exists()
    events = [record for record in house.journal(kind="task") if record.get("task_run") == seen["run"]]
    assert any(record.get("by", "").startswith("console") for record in events), events
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["errors"] == []
    assert seen["outside"] == []


def test_batches_are_followed_and_cancelled_on_their_page(make_house, scripted):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    house = make_house(
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "parallel": 2}},
        batches={"at_once": 1},
    )
    client = client_of(house)
    done = over(client, batch_of(client, lines(3)))
    running = batch_of(client, lines(200, model="late"))
    asked = {"model": "echo", "messages": [{"role": "user", "content": "later"}]}
    assert house.post("/v1/chat/completions", asked, headers=ASYNC).status_code == 202
    task = {"browser": browser, "address": house.console_address(), "shots": str(SHOTS)}
    seen = walked("batches.mjs", {**task, "running": running.id, "done": done.id})
    assert seen["tab"] == "batches" and "3 of 3" in seen["done"] and "echo" in seen["later"]
    assert client.batches.retrieve(running.id).status == "cancelled" and seen["buttons"] == 0
    assert seen["records"] >= 2 and done.id in seen["address"]
    assert seen["overflow"] <= 0
    assert seen["layout"] == [] and seen["axe"] == [] and seen["errors"] == [] and seen["outside"] == []
