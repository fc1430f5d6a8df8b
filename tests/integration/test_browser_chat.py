"""The chat page in a real Chromium, over a line that is cut: answers go on, branches, files, formulas, a visitor with a key."""

import json
import shutil

import pytest
from house import ROOT, Tollhouse, until, walked
from scripted import Scripted

PLACES = 4
SHOTS = ROOT / "target" / "screenshots"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MARKDOWN = """\
# A title

| name | value |
| --- | ---: |
| a | 1 |

```python
def f(x):
    return x + 1
```

Inline $e^{i\\pi} + 1 = 0$ and a vector $\\vec{v}$, for $5 and $6.

$$
\\int_0^1 x^2 \\, dx = \\frac{1}{3}
$$
"""


@pytest.fixture(scope="module")
def seen(request, tmp_path_factory):
    """One walk for all tests: what a house was sent, and what a browser saw of it."""
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    directory = tmp_path_factory.mktemp("chat")
    scripted = Scripted().start()
    request.addfinalizer(scripted.stop)
    house = Tollhouse(
        directory,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "parallel": PLACES}},
        chat={"title": "我的私有助手", "description": "基于 Qwen3-32B 的本地聊天", "model": "slow"},
    )
    house.start()
    request.addfinalizer(house.stop)
    task = {
        "browser": browser,
        "address": house.console_address(),
        "key": house.key,
        "shots": str(SHOTS),
        "png": PNG,
        "markdown": MARKDOWN,
        "places": PLACES,
    }
    told = walked("chat.mjs", task)
    return {**told, "house": house, "scripted": scripted}


def test_scenario_g11_the_page_of_the_configuration(seen):
    assert (seen["title"], seen["description"], seen["first"]) == ("我的私有助手", "基于 Qwen3-32B 的本地聊天", "slow")
    assert seen["keyTitle"] == "我的私有助手"


def test_scenario_g11_an_answer_goes_on_over_a_cut_line_and_a_reload(seen):
    assert seen["resumed"] and seen["atCut"] < 150
    assert seen["reloaded"] and seen["atReload"] < 151
    slow = [call for call in seen["scripted"].chats() if call.body["model"] == "slow"]
    assert len(slow) == 2, "the model was asked once for each"
    assert all(call.closed_at is None for call in slow)


def test_scenario_g11_stop_and_leaving_reach_the_model(seen):
    endless = [call for call in seen["scripted"].chats() if call.body["model"] == "endless"]
    assert seen["stopped"] and seen["stoppedEarly"] and seen["left"] == 0
    # One that was stopped on its way may not have reached the model.
    assert 2 + PLACES <= len(endless) <= 3 + PLACES
    until("all are let go", lambda: all(call.closed_at for call in endless))
    until("all are recorded", lambda: seen["house"].count("model_name:endless AND cancelled:true") >= len(endless))


def test_scenario_g11_an_unkept_answer_says_its_place_too(seen):
    assert seen["place"] == "Place 1 in the queue" and seen["unkept"] == "one two"


def test_scenario_g11_branches_files_and_parameters(seen):
    assert seen["answers"] == "2/2" and seen["branch"] == "first words"
    assert len(seen["refused"]) == 2 and seen["attached"] == 2 and seen["pictures"] == 1
    asked = next(call.body for call in seen["scripted"].chats() if "toll" in json.dumps(call.body["messages"][-1]))
    assert asked["messages"][0] == {"role": "system", "content": "You are brief."}
    assert (asked["temperature"], asked["max_tokens"]) == (0.3, 500)
    assert asked["messages"][-1]["content"][1]["image_url"]["url"].endswith(PNG)


def test_scenario_g11_markdown_code_and_formulas(seen):
    assert seen["tables"] == 1 and seen["formulas"] == 3 and seen["fonts"] >= 1
    assert seen["folded"] and "tokens/s" in seen["cost"] or "in" in seen["cost"]
    assert "```python" in seen["shared"] and "## thinks" in seen["shared"] and "let me see" not in seen["shared"]


def test_scenario_g11_a_visitor_with_a_key(seen):
    assert seen["visitorAnswer"] == "by key" and seen["visitorChats"] == 0
    assert seen["visitorSearch"] == 401 and seen["visitorRecords"] == 0
    assert seen["phoneOverflow"] <= 0


def test_the_chat_is_accessible_and_stays_at_home(seen):
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["errors"] == [] and seen["outside"] == []
