"""Processes and resources in a real Chromium."""

import shutil

import pytest
from house import ROOT, walked
from test_upkeep import told, until_state

SHOTS = ROOT / "target" / "screenshots"


@pytest.fixture
def seen(make_house, tmp_path):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    crashing = ["sh", "-c", "echo I am here; test -e ok && exec sleep 1000; touch ok; exit 3"]
    house = make_house(
        upstreams={"demo": {"kind": "demo"}},
        supervise={
            "crashing": {"command": crashing, "directory": str(tmp_path), "critical": True},
            "steady": {"command": ["sleep", "1000"], "memory": {"soft": "1GB", "hard": "2GB"}},
            "late": {"command": ["sleep", "1000"], "needs": ["crashing"]},
        },
        logging={"content": {"mode": "redacted"}},
    )
    until_state(house, "crashing", "paused")
    task = {"browser": browser, "address": house.console_address(), "shots": str(SHOTS)}
    told = walked("upkeep.mjs", task, within=180)
    return {**told, "house": house}


def test_scenario_r11_what_happened_and_what_will_be_done_stand_before_each_order(seen):
    house = seen["house"]
    assert "crashing" in seen["waiting"]
    assert "exit code 3" in seen["why"] and "critical" in seen["why"]
    assert "process=crashing" in seen["place"] and seen["stillPaused"] == "paused", "looking does nothing"
    assert any("exit code 3" in line for line in seen["confirm"]) and any("sh -c" in line for line in seen["confirm"])
    assert any("asked to end" in line for line in seen["restart"]), seen["restart"]
    assert any("until somebody starts it" in line for line in seen["stop"]), seen["stop"]
    [confirmed] = told(house, process_name="crashing", msg="crashing was confirmed by a human")
    assert confirmed["by"].startswith("console: ")
    assert seen["lines"] == ["I am here"] * 2
    # Budgets of all stores, together.
    stores = dict(seen["stores"])
    assert {"journal", "index", "content", "state", "supervise"} <= set(stores) and stores["state"] > 0
    assert seen["fits"] in ("true", "false")
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["errors"] == []
    assert seen["outside"] == []
