"""A kept request asked once more, of another model, and what is said where nothing was kept."""

from house import until
from test_users import API, browser, create


def replay(client, request_id, model):
    return client.post(f"{API}/requests/{request_id}/replay", json={"model": model})


def test_a_kept_request_is_asked_again_behind_everybody_else(make_house, scripted):
    house = make_house(
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        logging={"content": "full"},
    )
    create(house, "root", "operator")
    create(house, "viewer", "viewer")
    asked = house.chat("what is kept", model="echo").headers["x-request-id"]
    with browser(house, "viewer") as client:
        assert replay(client, asked, "late").status_code == 403
    with browser(house, "root") as client:
        until("it is kept", lambda: replay(client, asked, "nobody").status_code == 200)
        told = replay(client, asked, "late").json()
        assert "what is kept" in told["before"]["text"] and told["before"]["differs"] == []
        now = told["now"]
        assert now["error"] is None and now["text"] and now["ttft_ms"] <= now["duration_ms"]
        assert "error" in replay(client, asked, "nobody").json()["now"]
        assert replay(client, "req_never", "echo").json()["code"] == "not_kept"
    assert scripted.chats()[-1].body["messages"] == [{"role": "user", "content": "what is kept"}]
    record = house.record(now["request_id"])
    assert (record["origin"], record["replay_of"], record["key_id"]) == ("replay", asked, "tollhouse-replay")
    until("it is told", lambda: house.journal(kind="audit", msg="request replayed"))
    until("it is found by the one that it repeats", lambda: house.count(f'replay_of:"{asked}" AND model_name:late') == 1)


def test_without_kept_prompts_nothing_is_asked(house):
    create(house, "root", "operator")
    asked = house.chat("hello").headers["x-request-id"]
    with browser(house, "root") as client:
        answer = replay(client, asked, "echo")
        assert (answer.status_code, answer.json()["code"]) == (409, "content_off")
