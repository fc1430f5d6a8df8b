"""A kept request asked once more of another model, in a real Chromium: both answers side by side."""

import shutil

from house import ROOT, until, walked

SHOTS = ROOT / "target" / "screenshots"


def test_scenario_b12_a_request_is_replayed_side_by_side(make_house, scripted):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    house = make_house(upstreams={"scripted": {"kind": "openai", "url": scripted.url}}, logging={"content": "full"})
    asked = house.chat("what was asked then", model="echo").headers["x-request-id"]
    house.document(asked)
    task = {"browser": browser, "address": house.console_address(), "request": asked, "model": "thinks", "shots": str(SHOTS)}
    seen = walked("replay.mjs", task)
    before, now = seen["wide"]
    assert (before["model"], now["model"]) == ("echo", "thinks")
    assert before["text"] == now["text"] == "what was asked then"
    assert all(figure not in ("", "–") for side in seen["wide"] for figure in side["figures"][:1])
    assert before["box"]["right"] <= now["box"]["x"] and before["box"]["y"] == now["box"]["y"], "side by side"
    before, now = seen["narrow"]
    assert before["box"]["bottom"] <= now["box"]["y"], "one below the other"
    record = seen["record"].removeprefix("/requests/")
    assert record != asked
    until("it is recorded as a replay", lambda: house.record(record)["replay_of"] == asked)
    assert scripted.chats()[-1].body["model"] == "thinks"
    assert seen["layout"] == [] and seen["axe"] == [] and seen["errors"] == [] and seen["outside"] == []
