"""The Settings page in a real Chromium: what is in force, a change of the file, and its way back."""

import shutil

from house import ROOT, walked
from test_settings import SECRET, house_with_secret

SHOTS = ROOT / "target" / "screenshots"


def test_scenario_r01_the_configuration_is_changed_in_the_browser(make_house, scripted):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    house = house_with_secret(make_house, scripted)
    before = house.config.read_text()
    task = {"browser": browser, "address": house.console_address(), "shots": str(SHOTS)}
    seen = walked("settings.mjs", task, within=180)

    assert "30s" in seen["value"] and seen["from"] == "file"
    assert "find=timeouts.idle" in seen["url"], "what is looked for is part of the address"
    assert SECRET not in repr(seen) and '"***"' in seen["text"]
    line = next(at for at, line in enumerate(before.splitlines(), 1) if line.startswith("timeouts"))
    assert (seen["place"], seen["applicable"], seen["selected"]) == (str(line), False, '"soon"')
    assert "expected" in seen["fault"]
    assert seen["changed"] == "timeouts.idle" and "40s" in seen["diff"]
    assert "timeouts.idle" in seen["applied"]
    assert house.config.read_text() == before and seen["undone"] == seen["text"], "undone to the letter"
    assert seen["overflow"] <= 0
    assert seen["layout"] == [] and seen["axe"] == [] and seen["errors"] == [] and seen["outside"] == []
