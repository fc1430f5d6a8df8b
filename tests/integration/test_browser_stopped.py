"""An exception in a page of the console is told in its place, in a real Chromium: the rest goes on, and it can be tried again."""

import shutil

from house import ROOT, walked

SHOTS = ROOT / "target" / "screenshots"


def test_an_exception_ends_one_page_and_says_so(house):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    seen = walked("stopped.mjs", {"browser": browser, "address": house.console_address(), "shots": str(SHOTS)})
    assert seen["english"]["page"] == "Alerts" and "The page Alerts could not be shown" in seen["english"]["words"]
    assert "“告警”页面无法显示" in seen["chinese"]["words"] and "重试" in seen["chinese"]["words"]
    assert seen["elsewhere"] == 0 and seen["again"] == 0
    # What is copied is what is shown: what happened, where, and no parameter of an address.
    assert seen["copied"] == seen["shown"]
    first, *rest = seen["copied"].split("\n")
    assert first.startswith("TypeError: Cannot read properties of undefined"), first
    assert "path: /alerts" in rest and any(line.startswith("version: ") and line != "version: " for line in rest)
    assert any(line.startswith("at ") and "/assets/" in line for line in rest), seen["copied"]
    assert "token" not in seen["copied"] and "?" not in seen["copied"]
    assert seen["whole"]["page"] == "" and "The console could not be shown" in seen["whole"]["words"]
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["errors"] == [] and seen["outside"] == []
