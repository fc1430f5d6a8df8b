"""Signing in by name and password, users and the own account, in a real Chromium."""

import shutil

import pytest
from house import ROOT, walked

SHOTS = ROOT / "target" / "screenshots"


@pytest.fixture
def seen(house):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    task = {
        "browser": browser,
        "address": house.console_address(),
        "password": "correct horse battery",
        "changed": "another horse battery",
        "shots": str(SHOTS),
    }
    told = walked("users.mjs", task, within=180)
    return told


def test_scenario_b01_users_sign_in_and_are_managed_in_the_browser(seen):
    assert seen["wrong"] == "The name or the password is wrong."
    assert seen["title"].startswith("Account")
    assert seen["keysShown"] == 0, "an operator is not shown what only admins may do"
    assert seen["sessions"] == 2
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["errors"] == []
    assert seen["outside"] == []
