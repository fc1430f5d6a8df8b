"""How much who may use: budgets, tokens, requests at once, wrong keys; over restarts, and over several houses."""

import hashlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import raw
from house import in_time, until


def upstreams(scripted):
    return {"scripted": scripted.upstream()}


def error_of(answer):
    return answer.json()["error"]


# Budgets


def test_scenario_g04_a_spent_budget_is_told_in_a_sentence(make_house, scripted):
    """400, because 402 and 429 make assistants lock the whole provider."""
    house = make_house(upstreams=upstreams(scripted))
    key = house.taken(house.create_key("small", "--budget", "400/day")["key"])
    text = "word " * 60  # about 60 tokens in, and 60 out
    answers = [house.chat(text, key=key, max_tokens=64) for _ in range(8)]
    spent = [answer.status_code for answer in answers]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 2 <= spent.count(200) <= 4 and spent == sorted(spent), spent
    assert {answer.status_code for answer in refused} == {400}
    error = error_of(refused[0])
    assert error["code"] == "budget_exceeded" and "400" in error["message"], error
    assert "retry-after" not in refused[0].headers
    used = sum(
        sum(answer.json()["usage"][name] for name in ("prompt_tokens", "completion_tokens"))
        for answer in answers
        if answer.status_code == 200
    )
    assert used <= 400
    # In each dialect, and only for this key.
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], "max_tokens": 64}
    by_anthropic = house.post("/v1/messages", body, key)
    assert by_anthropic.status_code == 400 and by_anthropic.json()["type"] == "error"
    by_ollama = house.post("/api/chat", {**body, "options": {"num_predict": 64}}, key)
    assert by_ollama.status_code == 400 and by_ollama.json()["error"] == error["message"]
    assert house.chat(text).status_code == 200
    record = house.record(refused[0].headers["x-request-id"])
    assert record["status"] == 400 and "budget" in json.dumps(record)


def test_scenario_g04_a_restart_does_not_refill(make_house, scripted):
    house = make_house(upstreams=upstreams(scripted))
    key = house.taken(house.create_key("small", "--budget", "400/day", "--requests", "6/1h")["key"])
    for _ in range(2):
        assert house.chat("word " * 60, key=key, max_tokens=64).status_code == 200
    house.kill()  # nothing could be saved at the end
    house.start()
    answers = [house.chat("word " * 60, key=key, max_tokens=64) for _ in range(6)]
    counted = [answer.status_code for answer in answers]
    assert counted.count(200) <= 2, counted
    assert 400 in counted
    assert house.stop() == 0
    house.start()
    refused = house.chat("word " * 60, key=key, max_tokens=64)
    assert refused.status_code in (400, 429), "both are still known"


# Tokens, and requests at once


def test_scenario_g04_tokens_in_a_time(make_house, scripted):
    house = make_house(upstreams=upstreams(scripted))
    key = house.taken(house.create_key("tokens", "--tokens", "400/3s")["key"])
    text = "word " * 60
    until("the tokens are used up", lambda: house.chat(text, key=key, max_tokens=64).status_code == 429, every=0)
    refused = house.chat(text, key=key, max_tokens=64)
    assert refused.status_code == 429 and "token" in error_of(refused)["message"]
    assert any(name.startswith("x-ratelimit-") and name.endswith("-tokens") for name in refused.headers)
    time.sleep(int(refused.headers["retry-after"]))  # what the answer promises
    assert house.chat(text, key=key, max_tokens=64).status_code == 200


def test_scenario_g04_requests_at_once(make_house, scripted):
    house = make_house(upstreams=upstreams(scripted))
    key = house.taken(house.create_key("two", "--concurrent", "2")["key"])
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: house.chat("x " * 20, "slow", key, stream=True), range(6)))
    counted = sorted(answer.status_code for answer in answers)
    assert counted[:2] == [200, 200] and 429 in counted, counted
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    until("the places are free again", lambda: house.chat(key=key).status_code == 200)


def test_scenario_g04_sixty_four_at_once_never_get_more(make_house, scripted):
    """Not one over the budget, however many ask at once."""
    house = make_house(upstreams=upstreams(scripted))
    key = house.taken(house.create_key("rated", "--requests", "100/60s")["key"])
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda number: house.chat(f"{number}", key=key).status_code, range(400)))
    assert 99 <= answers.count(200) <= 100  # `taken` has asked once, and lists may or may not count
    assert set(answers) == {200, 429}


# Keys


def test_scenario_g03_guessing_keys_is_slowed_down(make_house, scripted):
    """Ten wrong keys a minute from one address; then 429, for it alone, and not for those with a key."""
    house = make_house(upstreams=upstreams(scripted), source="127.0.0.2")
    guesses = [house.chat(key=f"guess-{number}") for number in range(15)]
    statuses = [answer.status_code for answer in guesses]
    assert statuses[:10] == [401] * 10 and statuses[10:] == [429] * 5, statuses
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 60
    with house.client(key="guess", source="127.0.0.3") as client:
        assert client.get("/v1/models").status_code == 401, "another address has its own count"


def test_scenario_g03_an_expired_key_and_a_key_for_certain_addresses(make_house, scripted):
    house = make_house(upstreams=upstreams(scripted), source="127.0.0.2")
    short = house.taken(house.create_key("short", "--expires", "5s")["key"])
    assert house.chat(key=short).status_code == 200
    until("it has ended", lambda: house.chat(key=short).status_code == 401, within=6)
    office = house.taken(house.create_key("office", "--allow", "127.0.0.2/32")["key"])
    with house.client(key=office, source="127.0.0.4") as client:
        assert client.get("/v1/models").status_code == 403


def test_scenario_g03_rotation_with_overlap(make_house, scripted):
    house = make_house(upstreams=upstreams(scripted))
    old = house.create_key("prod", "--models", "echo")
    house.taken(old["key"])
    new = json.loads(house.run("key", "rotate", old["id"], "--overlap", "5s", "--json").stdout)
    assert new["id"] == old["id"] and new["key"] != old["key"]
    assert house.chat(key=house.taken(new["key"])).status_code == 200
    assert house.chat(key=old["key"]).status_code == 200
    until("the old one has ended", lambda: house.chat(key=old["key"]).status_code == 401, within=7)
    assert house.chat(key=new["key"]).status_code == 200
    assert house.chat(key=new["key"], model="late").status_code == 403, "the settings stay"


def test_scenario_g03_revocation_ends_open_streams(make_house, scripted):
    house = make_house(upstreams=upstreams(scripted))
    made = house.create_key("soon gone")
    house.taken(made["key"])
    body = {"model": "endless", "messages": [{"role": "user", "content": "go on"}], "stream": True}
    with house.client(made["key"]) as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        parts = answer.iter_text()
        next(parts)
        house.run("key", "revoke", made["id"])
        revoked_at = time.monotonic()
        rest = "".join(parts)
    in_time("the stream of a revoked key ends", time.monotonic() - revoked_at, 1.2)
    assert "[DONE]" not in rest and '"error"' in rest
    house.idle()


# Over several houses


@pytest.fixture
def pair(make_house, scripted, redis):
    """Two houses that share one Redis, with the same keys in their files."""
    keys = [
        {
            "id": "both",
            "sha256": hashlib.sha256(b"both-houses").hexdigest(),
            "rate_limit": {"requests": 20, "per": "60s"},
        },
        {
            "id": "quick",
            "sha256": hashlib.sha256(b"quick-one").hexdigest(),
            "rate_limit": {"requests": 10, "per": "4s"},
        },
        {"id": "spender", "sha256": hashlib.sha256(b"the-spender").hexdigest(), "budgets": {"tokens_per_day": 1000}},
    ]
    return [
        make_house(
            name=name,
            upstreams=upstreams(scripted),
            access={"keys": keys},
            shared={"redis": redis.url},
        )
        for name in ("first", "second")
    ]


def alternating(houses, count, **asked):
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: houses[number % 2].chat(**asked), range(count)))


def test_scenario_g04_two_houses_share_limits_and_budgets(pair):
    answers = alternating(pair, 40, key="both-houses")
    assert [answer.status_code for answer in answers].count(200) == 20
    spent = alternating(pair, 12, key="the-spender", text="word " * 90, max_tokens=96)
    used = [answer.json()["usage"]["total_tokens"] for answer in spent if answer.status_code == 200]
    assert 600 <= sum(used) <= 1010
    assert {answer.status_code for answer in spent} == {200, 400}


def test_scenario_g04_redis_stops_and_comes_back(pair, redis):
    """Without Redis each house counts for itself: at most twice as much, never without a bound, and nobody waits."""
    assert [answer.status_code for answer in alternating(pair, 10, key="quick-one")].count(200) == 10
    assert pair[0].chat(key="quick-one").status_code == 429
    redis.stop()
    began = time.monotonic()
    assert pair[0].chat().status_code == 200
    in_time("one look that fails, then nobody waits for Redis", time.monotonic() - began, 1)
    quick = [timed(lambda: pair[0].chat()) for _ in range(20)]
    in_time("an answer without Redis", sorted(quick)[10], 0.1)
    answers = alternating(pair, 60, key="both-houses")
    assert 20 <= [answer.status_code for answer in answers].count(200) <= 40
    redis.start()
    # Both have a connection again; the third is the one that asks.
    until("both are back", lambda: redis.ask("CLIENT LIST").count(b"addr=") >= 3)
    # A whole new window, counted over both.
    time.sleep(4.2)
    answers = alternating(pair, 30, key="quick-one")
    assert [answer.status_code for answer in answers].count(200) == 10


def timed(ask):
    began = time.monotonic()
    ask()
    return time.monotonic() - began


def test_scenario_g03_revocation_reaches_the_other_house(make_house, scripted, redis):
    """Two houses that were given the same keys and share nothing but Redis: what one revokes, the other learns."""
    first, second = (
        make_house(name=name, upstreams=upstreams(scripted), shared={"redis": redis.url}, start=False)
        for name in ("first", "second")
    )
    made = [first.create_key(f"both {number}") for number in range(2)]
    shutil.rmtree(second.data / "state")
    shutil.copytree(first.data / "state", second.data / "state")
    for house in (first, second):
        house.start()
        for key in made:
            assert house.chat(key=key["key"]).status_code == 200
    first.run("key", "revoke", made[0]["id"])
    until("the other house refuses it", lambda: second.chat(key=made[0]["key"]).status_code == 401, within=1)
    # One that is revoked while Redis is away: once it is back.
    redis.stop()
    first.run("key", "revoke", made[1]["id"])
    until("the first house refuses it", lambda: first.chat(key=made[1]["key"]).status_code == 401, within=1)
    redis.start()
    until("the other house refuses it", lambda: second.chat(key=made[1]["key"]).status_code == 401, within=5)


def test_scenario_g03_a_house_that_was_stopped_learns_what_was_revoked_meanwhile(make_house, scripted, redis):
    first, second = (
        make_house(name=name, upstreams=upstreams(scripted), shared={"redis": redis.url}, start=False)
        for name in ("first", "second")
    )
    made = first.create_key("both")
    shutil.rmtree(second.data / "state")
    shutil.copytree(first.data / "state", second.data / "state")
    first.start()
    first.run("key", "revoke", made["id"])
    until("the first house refuses it", lambda: first.chat(key=made["key"]).status_code == 401, within=1)
    until("Redis knows it", lambda: made["id"].encode() in redis.ask("ZRANGE {clawdbot-qwen3}:revoked 0 -1"))
    second.start()
    assert second.chat(key=made["key"]).status_code == 401
    # For good: also when it starts again and Redis is away.
    second.stop()
    redis.stop()
    second.start()
    assert second.chat(key=made["key"]).status_code == 401


def test_scenario_g05_the_client_behind_a_proxy_protocol_header(make_house, scripted):
    house = make_house(
        start=False,
        upstreams=upstreams(scripted),
    )
    house.configure(
        listen={"address": f"127.0.0.1:{house.port}", "proxy_protocol": True},
        upstreams=upstreams(scripted),
        access={"trusted_proxies": ["127.0.0.1"], "allow": ["127.0.0.1", "10.1.0.0/16"], "deny": "403"},
    )
    request = (
        f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {house.key}\r\nConnection: close\r\n\r\n".encode()
    )
    house.launch()
    try:

        def by_way_of(address, source="127.0.0.1"):
            head = f"PROXY TCP4 {address} 127.0.0.1 5000 {house.port}\r\n".encode()
            return raw.everything(house.port, head + request, source=source)[0]

        until("it answers", lambda: by_way_of("10.1.2.3").startswith(b"HTTP/1.1 200"), within=20)
        assert by_way_of("10.2.0.1").startswith(b"HTTP/1.1 403")
        assert by_way_of("10.1.2.3", source="127.0.0.2") == b"", "only a trusted proxy may say so"
        assert raw.everything(house.port, request)[0] == b"", "and it has to say so"
        assert house.journal(kind="request", client_ip="10.1.2.3") or house.journal(client_ip="10.1.2.3")
    finally:
        house.stop()
