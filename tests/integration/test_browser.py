"""The console in a real Chromium: the numbers of the overview, the slow request, a chat, both languages."""

import shutil

from conftest import QWEN
from house import ROOT, until, walked

SHOTS = ROOT / "target" / "screenshots"


def test_scenario_b08_b10_g11_the_console_in_a_browser(make_house, ollama, scripted):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    house = make_house(
        upstreams={
            "local": {"kind": "ollama", "url": ollama.url},
            "scripted": {"kind": "openai", "url": scripted.url},
        }
    )
    for number in range(12):
        assert house.chat("你好", model="qwen3:32b", stream=number % 2 == 1).status_code == 200
    for _ in range(5):
        house.chat("one two", model="echo")
    for _ in range(3):
        house.chat("one two", model="nobody")
    for _ in range(2):
        house.chat(key="wrong")
    slow = [house.chat("at last", model="late").headers["x-request-id"] for _ in range(2)]
    house.document(slow[-1])
    total, failed = house.count("kind:request"), house.count("kind:request AND NOT http_status:[200 TO 299]")
    assert (total, failed) == (24, 5)

    task = {
        "browser": browser,
        "address": house.console_address(),
        "shots": str(SHOTS),
        "requests": total,
        "slow": len(slow),
        "model": "qwen3:32b",
        "answer": QWEN,
        "endless": "endless",
    }
    seen = walked("console.mjs", task, within=180)
    assert seen["errors"] == [] and seen["outside"] == []

    assert seen["signedIn"] and "token" not in seen["url"]
    assert seen["requests"] == total and round(seen["failedShare"] * total) == failed
    assert {(status, model): count for status, model, count in seen["heat"] if count} == {
        (200, "qwen3:32b"): 12,
        (200, "echo"): 5,
        (200, "late"): 2,
        (404, "nobody"): 3,
        (401, "(none)"): 2,
    }
    assert all(seen["times"][name] not in ("", "–") for name in ["p50", "p95", "p99"])
    assert seen["themes"] == 2
    assert any("\u4e00" <= character <= "\u9fff" for character in seen["chinese"]) and seen["english"] == "Overview"
    assert sorted(seen["slow"]) == sorted(slow)
    assert any(request_id in seen["panel"] for request_id in slow) and seen["badQuery"]
    assert seen["answer"].startswith(QWEN) and seen["stopped"]
    assert seen["phoneOverflow"] <= 0, "the page is wider than a phone"

    # The chats of the browser are in the book, too, and leaving one reached the upstream.
    until("the stopped chat is closed", lambda: [call for call in scripted.chats() if call.closed_at], within=2)
    until("both are found", lambda: house.count("key_id:console AND kind:request") == 2)
    assert house.count("key_id:console AND cancelled:true") == 1
