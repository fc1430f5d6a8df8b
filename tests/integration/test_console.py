"""The console's door and its JSON API."""

import contextlib
import json

import httpx
import pytest
import websockets
import websockets.sync.client

MISSING = "unauthorized: gateway token missing (open a tokenized dashboard URL or paste token in Control UI settings)"
API = "/console/api/v1"
SAME_SITE = {"x-tollhouse-console": "1"}


@contextlib.contextmanager
def signed_in(house):
    """A client with the cookie that the tokenised address gives."""
    with httpx.Client(base_url=house.url, timeout=30) as client:
        assert client.get(house.console_address()).status_code == 303
        yield client


def test_scenario_b01_the_tokenised_address_opens_the_console(house):
    address = house.console_address()
    token = address.partition("token=")[2]
    with httpx.Client(base_url=house.url) as client:
        opened = client.get(address)
        assert opened.status_code == 303 and opened.headers["location"] == "/"
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite" in cookie
        assert token not in cookie
        for page in ["/", "/requests", "/chat"]:
            answer = client.get(page)
            assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
        assert client.get(f"{API}/session").json()["service"] == "clawdbot-qwen3"
    for file in house.data.rglob("*.log*"):
        assert token.encode() not in file.read_bytes(), "the token is in no log"


def test_scenario_b01_without_token(house):
    for answer in [
        house.get("/?token=wrong", key=""),
        house.get("/", key=""),
        house.get("/requests", key=""),
    ]:
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    for answer in [house.get(f"{API}/session", key=""), house.get(f"{API}/status", key="")]:
        assert (answer.status_code, answer.json()) == (401, {"error": MISSING})
    answer = house.post(f"{API}/session", {"token": "wrong"}, key="", headers=SAME_SITE)
    assert (answer.status_code, answer.json()) == (401, {"error": MISSING})


def test_scenario_b01_a_websocket_without_token_is_closed_with_1008(house):
    address = house.url.replace("http", "ws", 1) + "/"
    with (
        websockets.sync.client.connect(address, open_timeout=30) as socket,
        pytest.raises(websockets.ConnectionClosed) as closed,
    ):
        socket.recv(timeout=30)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, MISSING)


def test_signing_in_by_form_and_out_again(house):
    token = house.console_address().partition("token=")[2]
    with httpx.Client(base_url=house.url, headers=SAME_SITE) as client:
        assert client.post(f"{API}/session", json={"token": token}).status_code == 204
        assert client.get(f"{API}/session").status_code == 200
        assert client.delete(f"{API}/session").status_code == 204
        assert client.get(f"{API}/session").status_code == 401


def test_changes_need_the_console_header(house):
    """A form on another page can send a cookie, but not this header."""
    with signed_in(house) as client:
        assert client.post(f"{API}/search", json={"size": 1}).status_code in (400, 403)
        assert client.post(f"{API}/search", json={"size": 1}, headers=SAME_SITE).status_code == 200
        assert client.delete(f"{API}/session").status_code in (400, 403)
        assert client.get(f"{API}/session").status_code == 200


def test_the_consoles_figures_are_those_of_the_elasticsearch_api(house):
    last = [house.chat("one two") for _ in range(5)][-1]
    house.document(last.headers["x-request-id"])
    query = {
        "size": 0,
        "query": {"query_string": {"query": 'kind:request AND path:"/v1/chat/completions"'}},
        "aggs": {"tokens": {"sum": {"field": "output_tokens"}}, "status": {"terms": {"field": "http_status"}}},
    }
    with signed_in(house) as client:
        mine = client.post(f"{API}/search", json=query, headers=SAME_SITE).json()
    theirs = house.search(query)
    assert mine["hits"]["total"] == theirs["hits"]["total"] == {"value": 5, "relation": "eq"}
    assert mine["aggregations"] == theirs["aggregations"]


def test_models_status_and_chat(house):
    with signed_in(house) as client:
        models = client.get(f"{API}/models").json()["models"]
        assert {"echo", "late"} <= {model["name"] for model in models}
        assert not any(model["demo"] for model in models)
        status = client.get(f"{API}/status").json()
        assert status["status"] == "ok" and status["journal"]["seq"] >= 1
        assert [upstream["name"] for upstream in status["upstreams"]] == ["scripted"]
        body = {"model": "echo", "messages": [{"role": "user", "content": "one two"}], "stream": True}
        answer = client.post(f"{API}/chat", json=body, headers=SAME_SITE)
    last = json.loads(answer.text.strip().splitlines()[-1].removeprefix("data: "))
    assert answer.status_code == 200 and last["state"] == "done"
    record = house.record(last["told"]["request_id"])
    assert record["key_id"] == "console" and record["output_tokens"] == 2


def test_a_bad_search_is_told_as_elasticsearch_tells_it(house):
    with signed_in(house) as client:
        answer = client.post(f"{API}/search", json={"query": {"no_such_query": {}}}, headers=SAME_SITE)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] in ("parsing_exception", "x_content_parse_exception")


def test_pages_and_assets(house):
    with signed_in(house) as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        assert "no-cache" in page.headers["cache-control"] or "no-store" in page.headers["cache-control"]
        assets = [part.partition('"')[0] for part in page.text.split('"/assets/')[1:]]
        assert assets
        for asset in assets:
            answer = client.get(f"/assets/{asset}")
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        assert client.get("/assets/no-such-file.js").status_code == 404
