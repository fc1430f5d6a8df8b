"""Dashboards in a real Chromium: the tutorial's four views, an own one, one of Kibana's."""

import json
import shutil

import pytest
from house import ROOT, Tollhouse, until, walked
from scripted import Scripted
from test_chats import API, OWN

SHOTS = ROOT / "target" / "screenshots"


def kibana_objects():
    """The tutorial's four views as Kibana 8 exports them, with one that has no counterpart."""

    def source(query):
        return {"searchSourceJSON": json.dumps({"query": {"query": query, "language": "kuery"}, "filter": []})}

    rate = {"type": "area", "aggs": [
        {"id": "1", "enabled": True, "type": "count", "schema": "metric", "params": {}},
        {"id": "2", "enabled": True, "type": "date_histogram", "schema": "segment",
         "params": {"field": "@timestamp", "interval": "1m"}},
    ]}
    columns = {
        "x": {"operationType": "terms", "sourceField": "model_name", "params": {"size": 10}},
        "y": {"operationType": "terms", "sourceField": "http_status", "params": {"size": 10}},
        "v": {"operationType": "average", "sourceField": "duration_ms"},
    }
    heat = {
        "visualization": {"layerId": "l", "xAccessor": "x", "yAccessor": "y", "valueAccessor": "v"},
        "query": {"query": "kind: request", "language": "kuery"},
        "filters": [],
        "datasourceStates": {"formBased": {"layers": {"l": {"columns": columns, "columnOrder": ["x", "y", "v"]}}}},
    }
    panels = [
        {"panelRefName": f"panel_{n}", "gridData": {"x": 24 * (n % 2), "y": 15 * (n // 2), "w": 24, "h": 15, "i": str(n)}}
        for n in range(4)
    ]
    kinds = [("visualization", "rate"), ("lens", "heat"), ("search", "efficiency"), ("search", "slow")]
    references = [{"name": f"panel_{n}", "type": kind, "id": name} for n, (kind, name) in enumerate(kinds)]
    objects = [
        ("index-pattern", "pattern", {"title": "clawdbot-qwen3-*", "timeFieldName": "@timestamp"}, []),
        ("visualization", "rate", {"title": "Request rate", "visState": json.dumps(rate),
                                   "kibanaSavedObjectMeta": source("kind: request")}, []),
        ("lens", "heat", {"title": "Status by model", "visualizationType": "lnsHeatmap", "state": heat}, []),
        ("search", "efficiency", {"title": "Token efficiency", "columns": ["input_tokens", "token_efficiency"],
                                  "sort": [["token_efficiency", "asc"]],
                                  "kibanaSavedObjectMeta": source("token_efficiency: *")}, []),
        ("search", "slow", {"title": "Slow requests", "columns": ["model_name", "duration_ms"],
                            "sort": [["@timestamp", "desc"]],
                            "kibanaSavedObjectMeta": source('tag: "slow_request"')}, []),
        ("visualization", "pie", {"title": "A pie", "visState": json.dumps({"type": "pie", "aggs": []}),
                                  "kibanaSavedObjectMeta": source("")}, []),
        ("dashboard", "board", {"title": "Clawdbot", "panelsJSON": json.dumps(panels)}, references),
    ]
    rows = [{"type": kind, "id": name, "attributes": attributes, "references": refs} for kind, name, attributes, refs in objects]
    return "\n".join(json.dumps(row) for row in [*rows, {"exportedCount": len(rows)}])


@pytest.fixture(scope="module")
def seen(request, tmp_path_factory):
    """One walk for all tests: what a house was sent, and what a browser saw of it."""
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    directory = tmp_path_factory.mktemp("boards")
    scripted = Scripted().start()
    request.addfinalizer(scripted.stop)
    house = Tollhouse(
        directory,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "parallel": 4}},
    )
    house.start()
    request.addfinalizer(house.stop)
    for number in range(12):
        assert house.chat("word " * (number + 1), model="echo").status_code == 200
    for _ in range(2):
        assert house.chat(model="nobody").status_code == 404
    assert house.chat("at last", model="late").status_code == 200
    until("all requests are found", lambda: house.count("kind:request") == 15)
    (directory / "kibana.ndjson").write_text(kibana_objects())
    with house.client("", headers=OWN) as client:
        assert client.get(house.console_address()).status_code == 303
        search = {"name": "slow ones", "query": 'tag: "slow_request"', "language": "kql", "scope": "request"}
        assert client.post(f"{API}/saved", json={**search, "from": "now-1h", "to": "now"}).status_code == 201
        task = {
            "browser": browser,
            "address": house.console_address(),
            "shots": str(SHOTS),
            "kibana": str(directory / "kibana.ndjson"),
        }
        found = house.search({"query": {"term": {"kind": "request"}}, "size": 100, "sort": [{"seq": "asc"}]})["hits"]["hits"]
        told = walked("boards.mjs", task, within=400)
    return {**told, "house": house, "found": [hit["_source"] for hit in found]}


def test_scenario_b07_requests_by_minute_with_peaks(seen):
    assert seen["titles"][0] == "Requests by minute"
    assert seen["widthMs"] == 60_000 and seen["red"], "the peak is drawn red"
    assert len(seen["peaks"]) >= 1


def test_scenario_b08_heat_map_of_status_and_model(seen):
    means = {}
    for record in seen["found"]:
        means.setdefault((str(record["http_status"]), record["model_name"]), []).append(record["duration_ms"])
    told = {(row, column): (count, value) for row, column, count, value in seen["cells"]}
    assert {key: count for key, (count, _) in told.items()} == {key: len(values) for key, values in means.items()}
    for key, values in means.items():
        assert abs(told[key][1] - sum(values) / len(values)) < 0.01
    assert seen["cellRows"] == 2, "a click on 404 shows its requests"


def test_scenario_b09_efficiency_on_a_dashboard(seen):
    known = [record["token_efficiency"] for record in seen["found"] if "token_efficiency" in record]
    assert seen["efficiencies"] == sorted(known)


def test_scenario_b10_saved_searches_on_a_dashboard(seen):
    assert seen["searches"] == ["slow ones"] and "slow_request" in seen["searchAddress"]
    assert seen["curl"].startswith("curl -s") and "/es/clawdbot-qwen3-*/_search" in seen["curl"]


def test_scenario_b07_an_own_dashboard(seen):
    assert seen["afterKey"][:2] == ["How many", "Requests by model"]
    assert seen["size"] == ["5", "228px"]
    assert seen["afterDrag"] == seen["kept"] == ["By user", "How many", "Requests by model"]
    assert seen["number"] == 1 and {"echo", "late"} <= set(seen["groups"])
    assert "d=" in seen["address"] and seen["exported"]["name"] == "My own"
    assert [panel["title"] for panel in seen["exported"]["panels"]] == seen["kept"]


def test_scenario_b16_the_four_views_of_kibana(seen):
    fates = [fate for fate, _ in seen["notes"]]
    assert fates == ["not taken", "taken", "taken", "taken", "taken", "not taken", "taken"]
    assert seen["imported"] == ["Request rate", "Status by model", "Token efficiency", "Slow requests"]


def test_scenario_b16_our_own_export_for_kibana_comes_back(seen):
    exported = seen["house"].run("export", "kibana").stdout
    with seen["house"].client("", headers=OWN) as client:
        assert client.get(seen["house"].console_address()).status_code == 303
        read = client.post(f"{API}/dashboards/import", content=exported.encode())
    assert read.status_code == 200, read.text
    told = read.json()
    assert [len(board["panels"]) >= 3 for board in told["dashboards"]][:1] == [True], told


def test_dashboards_are_accessible_and_stay_at_home(seen):
    assert seen["layout"] == [] and seen["axe"] == [] and seen["phoneOverflow"] <= 0
    assert seen["errors"] == [] and seen["outside"] == []
