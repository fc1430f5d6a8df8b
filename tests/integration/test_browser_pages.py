"""The pages of the console in a real Chromium, compared with what was sent and with /es."""

import concurrent.futures
import json
import shutil

import pytest
from house import ROOT, free_port, until, walked

SHOTS = ROOT / "target" / "screenshots"
SLOW = 3
OF_USERS = "kind:request AND NOT origin:probe"


@pytest.fixture(scope="module")
def seen(request, tmp_path_factory):
    """One walk for all tests: what a house was sent, and what a browser saw of it."""
    from house import Tollhouse
    from scripted import Scripted

    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    directory = tmp_path_factory.mktemp("pages")
    log = directory / "app.log"
    log.touch()
    scripted = Scripted().start()
    request.addfinalizer(scripted.stop)
    house = Tollhouse(
        directory,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "parallel": 4}},
        sources={"app": {"type": "file", "paths": [str(log)], "format": "json"}},
        # Nobody listens there: its messages wait.
        channels={"ops": {"kind": "webhook", "url": f"http://127.0.0.1:{free_port()}/"}},
        alerts={"late": {"query": "model_name:late", "count": ">= 2", "within": "1h", "resolve": "1h"}},
        probes={
            "every": "1h",
            "models": [{"model": "echo", "prompt": "hello", "expect": ["hello"]}],
            "disks": [{"path": "/", "above": "100%"}],
        },
    )
    house.start()
    request.addfinalizer(house.stop)

    for number in range(12):
        assert house.chat("word " * (number + 1), model="echo").status_code == 200
    for _ in range(2):
        assert house.chat(model="nobody").status_code == 404
    # They run at the same time: each is the neighbour of the others.
    with concurrent.futures.ThreadPoolExecutor(SLOW) as pool:
        answers = list(pool.map(lambda _: house.chat("at last", model="late"), range(SLOW)))
    slow = answers[0].headers["x-request-id"]
    with log.open("a") as out:
        out.write(json.dumps({"level": "warn", "msg": "the user waits for it", "request_id": slow}) + "\n")
        out.write(json.dumps({"level": "info", "msg": "nothing to do with it"}) + "\n")
    until("both lines are found", lambda: house.count("kind:log AND source:app") == 2)
    until("all requests are found", lambda: house.count(OF_USERS) == 14 + SLOW)
    until("the rule has fired", lambda: any(record.get("alert_rule") == "late" for record in house.journal(kind="alert")))

    task = {
        "browser": browser,
        "address": house.console_address(),
        "shots": str(SHOTS),
        "slow": slow,
        "slowCount": house.count("tag:slow_request AND NOT http_status:500"),
        "key": house.key,
    }
    told = walked("pages.mjs", task)
    return {**told, "house": house, "id": slow, "answers": answers}


def test_scenario_b10_discover(seen):
    house = seen["house"]
    assert sorted(seen["slow"]) == sorted(answer.headers["x-request-id"] for answer in seen["answers"])
    assert seen["savedLanguage"] == "kql", "a saved search keeps its language"
    assert seen["liveMs"] <= 1000, "the row of a request that ended is on the open page"
    assert seen["line"] in ("the user waits for it", "nothing to do with it")
    assert "app" in seen["sources"]
    assert ["model_name", "late"] in seen["different"]
    assert {"late", "echo"} <= set(seen["suggested"])
    assert seen["exported"] == len(seen["slow"]) == SLOW
    assert seen["badQuery"]
    assert house.count("kind:request AND model_name:echo") >= 13


def test_scenario_b12_the_story_of_a_request(seen):
    house = seen["house"]
    record = house.document(seen["id"])
    assert seen["storyUrl"] == f"/requests/{seen['id']}"
    assert seen["cause"] != "ok", "it took more than three seconds"
    told = sum(ms for _, ms in seen["phases"])
    assert abs(told - record["duration_ms"]) <= 0.02 * record["duration_ms"], (seen["phases"], record["duration_ms"])
    assert seen["neighbours"] == SLOW - 1
    assert seen["replay"] == "content_off", "what is not kept cannot be asked again"
    assert len(seen["storyLines"]) == 1 and seen["storyLines"][0].startswith("the user waits for it")


def test_scenario_b09_efficiency(seen):
    house = seen["house"]
    having = {
        "bool": {
            "filter": [{"term": {"kind": "request"}}, {"exists": {"field": "token_efficiency"}}],
            "must_not": [{"term": {"origin": "probe"}}],
        }
    }
    found = house.search({"query": having, "size": 100, "sort": [{"token_efficiency": "asc"}]})["hits"]["hits"]
    # Requests by key of this test's own calls are as many as the page had, but for those that came after it.
    known = [hit["_source"]["token_efficiency"] for hit in found]
    assert seen["efficiencies"] == sorted(seen["efficiencies"]), "the worst come first"
    assert seen["efficiencies"] == known
    assert sum(seen["classes"]) == len(known)
    assert set(seen["models"]) == {"echo", "late"}
    families = {hit["_source"]["prompt_family"] for hit in found}
    assert set(seen["families"]) <= families and len(families) > 1
    assert not any("word word" in json.dumps(record) for record in house.journal(kind="request")), "only the hash is kept"


def test_scenario_b11_alerts_on_their_page(seen):
    assert dict(seen["rules"])["late"] == "firing"
    assert {"slow-model", "failing-requests", "error-patterns"} <= set(dict(seen["rules"]))
    assert any("acknowledged" in line for line in seen["timeline"]), seen["timeline"]
    assert seen["fired"] == ["1", "0"], "as it is, and with another limit"
    assert "count" in seen["wrongRule"]
    assert "late:" in seen["configuration"] and "count: many" in seen["configuration"]
    assert seen["channelWorks"] == "false", "nobody listens there"
    assert (seen["madeOrigin"], seen["madeRule"]) == ("console", True)
    house = seen["house"]
    [made] = [rule for rule in json.loads(house.run("alert", "list", "--json").stdout) if rule["name"] == "made-here"]
    assert (made["origin"], made["limit"]) == ("console", ">= 77")
    lefts = {(rule, group): left for rule, group, left in seen["objectives"]}
    assert lefts["objective-availability", "echo"] == 1


def test_scenario_r09_three_layers_on_one_page(seen):
    house = seen["house"]
    layers = dict(seen["layers"])
    assert list(layers) == ["process", "answer", "quality", "resource"]
    assert layers["answer"] == "green" and seen["light"][1] in ("green", "yellow", "red", "grey")
    assert dict(seen["stateLayers"])["answer"] == "green", "the overview shows the same"
    assert {"ok"} >= {outcome for probe, outcome in seen["outcomes"] if "echo" in probe}
    assert "/" in seen["disks"]
    probed = [record for record in house.journal(kind="probe") if record["probe"] == "echo"]
    assert probed and all(record["outcome"] == "ok" for record in probed)


def test_scenario_b07_what_is_expected_is_drawn_or_not_told(seen):
    assert seen["forecastTold"] == "false", "of a few minutes nothing is foretold"
    assert seen["requests"] == seen["house"].count(OF_USERS), "the requests of probes are none of the users'"


def test_keys_are_made_and_revoked(seen):
    assert (seen["keyWorks"], seen["keyRevoked"]) == (200, 401)
    assert seen["limits"].startswith("30 ")
    # Only the hash is kept.
    assert "made here" in json.dumps(json.loads(seen["house"].run("key", "list", "--json").stdout))


def test_pages_are_accessible_and_stay_at_home(seen):
    assert seen["layout"] == [] and seen["axe"] == []
    assert seen["errors"] == [] and seen["outside"] == []
