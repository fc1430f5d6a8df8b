"""Who waits for a model server, for how long, and what they hear while they do."""

import collections
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import raw
from dialects import APIS
from house import Ollama, in_time, until

BUSY = "the model is busy, please try again in {} s"


def in_background(ask, *arguments):
    """Runs it in a thread; `result()` of what is returned waits for it."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(ask, *arguments)
    pool.shutdown(wait=False)
    return future


def waiting(house, count, running=None):
    """Waits until so many requests wait for a place."""

    def seen():
        rows = house.status().values()
        enough = sum(row["waiting"] for row in rows) >= count
        return enough and (running is None or sum(row["running"] for row in rows) == running)

    until(f"{count} requests wait", seen)


@contextlib.contextmanager
def place_taken(house):
    """Somebody has the only place until the end of the block, so that others can line up however slow the machine is."""
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=stream_of("endless")) as answer:
        parts = answer.iter_raw()  # held: an iterator that nobody has closes its answer
        next(parts)
        yield answer


# Fairness


def test_scenario_g17_a_greedy_client_does_not_starve_another(make_house, make_scripted):
    upstream = make_scripted(pause_s=0.05)
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)})
    modest = house.create_key("modest")["key"]
    house.taken(modest)
    with ThreadPoolExecutor(40) as pool:
        with place_taken(house):
            greedy = [pool.submit(house.chat, f"greedy {number} x x", "slow", stream=True) for number in range(30)]
            waiting(house, 30)
            few = [pool.submit(house.chat, f"modest {number} x x", "slow", modest, stream=True) for number in range(4)]
            waiting(house, 34)
        assert all(answer.result().status_code == 200 for answer in few + greedy)
    order = [call.text.split()[0] for call in upstream.chats()[1:]]
    last = max(place for place, who in enumerate(order) if who == "modest")
    # Turn by turn: four of each, and what had begun before them.
    assert last <= 2 * 4 + 2, order


def test_scenario_g17_weights_share_a_busy_server(make_house, make_scripted):
    """Three turns of the heavier key for one of the lighter."""
    upstream = make_scripted(pause_s=0.02)
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)})
    keys = {
        name: house.create_key(name, "--weight", weight)["key"] for name, weight in [("light", "1"), ("heavy", "3")]
    }
    house.taken(keys["heavy"])
    with ThreadPoolExecutor(60) as pool:
        with place_taken(house):
            asked = [
                pool.submit(house.chat, f"{name} {number}", "slow", key, stream=True)
                for number in range(24)
                for name, key in keys.items()
            ]
            waiting(house, 48)
        assert all(answer.result().status_code == 200 for answer in asked)
    order = [call.text.split()[0] for call in upstream.chats()[1:]]
    share = collections.Counter(order[:20])
    assert 13 <= share["heavy"] <= 17, order


def test_scenario_g17_the_urgent_go_first(make_house, make_scripted):
    upstream = make_scripted(pause_s=0.05)
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)})
    urgent = house.create_key("urgent", "--priority", "high")["key"]
    house.taken(urgent)
    with ThreadPoolExecutor(20) as pool:
        with place_taken(house):
            normal = [pool.submit(house.chat, f"normal {number} x", "slow", stream=True) for number in range(10)]
            waiting(house, 10)
            high = [pool.submit(house.chat, f"high {number} x", "slow", urgent, stream=True) for number in range(3)]
            waiting(house, 13)
        assert all(answer.result().status_code == 200 for answer in normal + high)
    order = [call.text.split()[0] for call in upstream.chats()[1:]]
    # At most the one that was being given a place when they came.
    assert [place for place, who in enumerate(order) if who == "high"][-1] <= 3, order


# Bounds, and what is told


def test_scenario_g17_a_full_queue_says_when_to_come_again(make_house, make_scripted):
    upstream = make_scripted(pause_s=0.1)
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)}, queue={"depth": 2, "wait": "30s"})
    house.chat("warm up " * 5, "slow", stream=True)  # the rate is known from now on
    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(house.chat, "x " * 10, "slow", stream=True) for _ in range(3)]
        waiting(house, 2)
        refused = house.chat(model="slow")
        assert refused.status_code == 503, refused.text
        wait = int(refused.headers["retry-after"])
        assert refused.json()["error"]["message"] == BUSY.format(wait)
        assert 1 <= wait <= 10, "three requests of a second each lie before it"
        time.sleep(wait)  # what the answer promises
        assert house.chat("late comer", "slow").status_code == 200
        assert all(answer.result().status_code == 200 for answer in taken)
    assert house.record(refused.headers["x-request-id"])["status"] == 503


def test_scenario_g17_nobody_waits_longer_than_the_bound(make_house, make_scripted):
    upstream = make_scripted()
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)}, queue={"depth": 256, "wait": "700ms"})
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=stream_of("endless")) as running:
        parts = running.iter_raw()
        next(parts)
        began = time.monotonic()
        refused = house.chat()
        took = time.monotonic() - began
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
        assert "busy" in refused.json()["error"]["message"]
        assert took >= 0.6
        in_time("the refusal", took, 2)
    until("the place is free", lambda: house.chat().status_code == 200)


def stream_of(model, text="go on"):
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}


def test_scenario_g17_the_wait_is_told_and_recorded(make_house, make_scripted):
    upstream = make_scripted(pause_s=0.1)
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)})
    with ThreadPoolExecutor(4) as pool:
        with place_taken(house) as first:
            second = pool.submit(house.chat, "second one", "slow")
            waiting(house, 1)
            third = pool.submit(house.chat, "third one", "slow")
            waiting(house, 2)
            time.sleep(0.2)  # the least that is told
        answers = [second.result(), third.result()]
    assert float(first.headers["x-tollhouse-queue-ms"]) < 100
    for place, answer in enumerate(answers, 1):
        assert float(answer.headers["x-tollhouse-queue-ms"]) > 100
        assert int(answer.headers["x-tollhouse-queue-position"]) == place
        record = house.record(answer.headers["x-request-id"])
        assert record["queue_ms"] == pytest.approx(float(answer.headers["x-tollhouse-queue-ms"]), abs=1)


def test_a_client_that_leaves_the_queue_never_reaches_the_server(make_house, make_scripted):
    upstream = make_scripted()
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)})
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=stream_of("endless")) as running:
        parts = running.iter_raw()
        next(parts)
        with pytest.raises(httpx.ReadTimeout), house.client() as other:
            other.post("/v1/chat/completions", json=stream_of("echo", "never"), timeout=0.5)
        until("it is out of the queue", lambda: house.status()["scripted"]["waiting"] == 0, within=0.5)
    house.idle()
    assert [call.text for call in upstream.chats()] == ["go on"]


# Signs of life


def test_scenario_g09_signs_of_life_while_a_model_loads(make_house, make_scripted):
    """Twelve seconds of silence upstream: each streaming client hears that it is waited for, and none is cut."""
    upstream = make_scripted(late_s=12)
    house = make_house(upstreams={"scripted": upstream.upstream()}, timeouts={"keep_alive": "1s"})
    with ThreadPoolExecutor(2 * len(APIS)) as pool:
        asked = {
            (api, stream): pool.submit(raw.asking, house.port, api.request(house, "late", "at last", stream))
            for api in APIS
            for stream in (True, False)
        }
    for (api, stream), answer in asked.items():
        answer = answer.result()
        heard = api.read(answer.status, answer.body, stream)
        assert (answer.status, heard.ending, heard.text) == (200, "well", "at last"), (api, answer)
        if stream:
            assert 8 <= heard.quiet <= 14, (api, answer.body)
    assert len(upstream.chats()) == 2 * len(APIS), "nobody was asked twice"


def test_scenario_g09_signs_of_life_in_the_queue(make_house, make_scripted):
    upstream = make_scripted()
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)}, timeouts={"keep_alive": "300ms"})
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=stream_of("endless")) as running:
        parts = running.iter_raw()
        next(parts)
        pool = ThreadPoolExecutor(len(APIS))
        asked = {api: pool.submit(raw.asking, house.port, api.request(house, "echo", "hi", True)) for api in APIS}
        waiting(house, len(APIS))
        time.sleep(1.5)  # the time in which the signs have to come
    for api, answer in asked.items():
        answer = answer.result()
        heard = api.read(answer.status, answer.body, True)
        assert (heard.ending, heard.text) == ("well", "hi")
        assert heard.quiet >= 3, (api, answer.body)
    pool.shutdown()


# One slot, two models


def mixed(house, models, count=40):
    """So many requests for both models, all at once; returns the answers."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: house.chat(f"request {number}", models[number % 2]), range(count)))


def test_scenario_g17_two_models_do_not_thrash_one_slot(make_house, make_scripted):
    upstream = make_scripted("ollama", resident=1, load_s=0.3, models=["one", "two"])
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=1)})
    answers = mixed(house, ["one", "two"])
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.chats()) == 40
    assert upstream.loads <= 4, [call.body["model"] for call in upstream.chats()]
    assert house.status()["scripted"]["loads"] == upstream.loads


def test_scenario_g17_two_models_do_not_thrash_a_real_ollama(make_house, tmp_path):
    (tmp_path / "ollama").mkdir()
    ollama = Ollama(tmp_path / "ollama", OLLAMA_MAX_LOADED_MODELS="1", OLLAMA_NUM_PARALLEL="1").start()
    try:
        ollama.create("one", "--reply", "I am one.")
        ollama.create("two", "--reply", "I am two.")
        house = make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url, "parallel": 1}})
        answers = mixed(house, ["one", "two"])
        assert {answer.status_code for answer in answers} == {200}
        for number, answer in enumerate(answers):
            assert answer.json()["choices"][0]["message"]["content"] == ["I am one.", "I am two."][number % 2]
        loads = ollama.output().count("runner --model")
        assert 2 <= loads <= 4
        records = [house.record(answer.headers["x-request-id"]) for answer in answers]
        assert sum(record["load_ms"] > 50 for record in records) <= 4
    finally:
        ollama.stop()


# Several servers


def test_scenario_g17_work_is_spread_and_a_conversation_stays(make_house, make_scripted):
    servers = {name: make_scripted(pause_s=0.05) for name in ("left", "right")}
    house = make_house(
        upstreams={name: server.upstream() for name, server in servers.items()},
        models={"slow": {"upstreams": [["left", "right"]]}},
    )
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: house.chat(f"conversation {number} x x x", "slow", stream=True), range(16)))
    shares = sorted(len(server.chats()) for server in servers.values())
    assert sum(shares) == 16 and shares[0] >= 5, shares

    def turn(length):
        messages = [
            {"role": ("user", "assistant")[at % 2], "content": f"turn {at} of a long talk"} for at in range(length)
        ]
        return house.post("/v1/chat/completions", {"model": "slow", "messages": messages})

    kept = {turn(length).headers["x-tollhouse-upstream"] for length in (1, 3, 5, 7, 9)}
    assert len(kept) == 1, "the same conversation goes to the same server"


def test_scenario_g17_a_server_that_restarts_loses_nobody(make_house, make_scripted):
    """It refuses connections for a moment: those who ask meanwhile wait, and all are answered."""
    upstream = make_scripted()
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=2)}, timeouts={"restart": "8s"})
    assert house.chat().status_code == 200
    upstream.away()
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(house.chat, f"while away {number}") for number in range(10)]
        until("they wait", lambda: sum(row["waiting"] for row in house.status().values()) >= 8)
        upstream.listen()
        answers = [answer.result() for answer in asked]
    assert [answer.status_code for answer in answers] == [200] * 10, [answer.text for answer in answers]


def test_scenario_g17_the_second_server_answers_when_the_first_is_gone(make_house, make_scripted):
    first, second = make_scripted(), make_scripted()
    house = make_house(
        upstreams={"first": first.upstream(), "second": second.upstream()},
        models={"echo": {"upstreams": ["first", "second"]}},
    )
    assert house.chat().headers["x-tollhouse-upstream"] == "first"
    first.away()
    answers = [house.chat() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert {answer.headers["x-tollhouse-upstream"] for answer in answers} == {"second"}
    first.listen()
    until("the first one is back", lambda: house.chat().headers["x-tollhouse-upstream"] == "first")


def test_scenario_g09_another_model_answers_in_its_place(make_house, make_scripted):
    big, small = make_scripted(models=["broken"]), make_scripted(models=["echo"])
    house = make_house(
        upstreams={"big": big.upstream(), "small": small.upstream()},
        models={"broken": {"upstreams": ["big"], "fallback": ["echo"]}, "echo": {"upstreams": ["small"]}},
    )
    answer = house.chat("one two", "broken")
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"].strip() == "one two"
    assert answer.headers["x-tollhouse-model"] == "echo"
    # Not for a key that may not use that model.
    key = house.create_key("narrow", "--models", "broken")["key"]
    assert house.chat("x", "broken", house.taken(key)).status_code == 503


def test_a_down_server_is_not_stormed(make_house, make_scripted):
    """Retries are at most a tenth of the requests, and a few."""
    upstream = make_scripted(models=["broken"])
    house = make_house(upstreams={"scripted": upstream.upstream()})
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: house.chat(model="broken"), range(200)))
    assert {answer.status_code for answer in answers} == {503}
    assert len(upstream.chats()) <= 200 * 1.1 + 20


# Latency


def test_scenario_g19_two_hundred_users_at_once(make_house, make_scripted):
    """All are served, none is refused, and what the house itself adds is small."""
    upstream = make_scripted()
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=200)})
    body = [api.request(house, "slow", "one two three four five", True) for api in APIS]
    gate = threading.Barrier(8)

    def some(first):
        gate.wait()
        return [raw.asking(house.port, body[number % len(APIS)]) for number in range(first, 200, 8)]

    async_answers = gather(house.port, [body[number % len(APIS)] for number in range(200)])
    for number, answer in enumerate(async_answers):
        heard = APIS[number % len(APIS)].read(answer.status, answer.body, True)
        assert (heard.ending, heard.text) == ("well", "one two three four five"), answer
    records = house.journal(kind="request", status=200)
    assert len(records) == 200
    waits = sorted(record["queue_ms"] for record in records)
    in_time("what the house adds to half of them", waits[100] / 1000, 0.005)
    in_time("what the house adds to any", waits[-1] / 1000, 0.5)
    house.idle()


def gather(port, requests):
    """All of them at once on one event loop."""
    import asyncio

    async def ask():
        return await asyncio.gather(*(raw.ask(port, data) for data in requests))

    return asyncio.run(ask())


def test_scenario_g19_where_the_time_went(real_house, ollama):
    """The phases of a request with a real model: they are there, and they add up."""
    answer = real_house.chat("What is the capital of France?", "qwen3:32b", stream=True)
    assert answer.status_code == 200
    record = real_house.record(answer.headers["x-request-id"])
    phases = ["queue_ms", "connect_ms", "load_ms", "prefill_ms", "decode_ms"]
    assert all(record[name] >= 0 for name in [*phases, "ttft_ms", "tokens_per_second"]), record
    assert record["ttft_ms"] <= record["duration_ms"]
    assert record["load_ms"] + record["prefill_ms"] <= record["ttft_ms"] + 5
    assert sum(record[name] for name in phases) <= record["duration_ms"] + 10
    assert record["tokens_per_second"] == pytest.approx(record["output_tokens"] / record["decode_ms"] * 1000, rel=0.05)
