"""The real Ollama hangs, thinks, dies; clients leave it in the middle."""

import signal
import time

import httpx
import pytest
from conftest import QWEN
from house import Ollama, cpu_seconds, descendants, in_time, until

FRIENDLY = "the model is not answering right now, please try again shortly"


@pytest.fixture
def own_ollama(tmp_path):
    """An Ollama that the test may mistreat."""
    (tmp_path / "ollama").mkdir()
    server = Ollama(tmp_path / "ollama").start()
    server.create("qwen3:32b", "--reply", QWEN)
    server.chat("qwen3:32b", "load it")
    yield server
    server.signal(signal.SIGCONT)
    server.stop()


def timed(ask):
    began = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - began


def test_scenario_g09_ollama_hangs_and_comes_back(make_house, own_ollama):
    house = make_house(upstreams={"local": {"kind": "ollama", "url": own_ollama.url}})
    assert house.chat(model="qwen3:32b").status_code == 200

    own_ollama.signal(signal.SIGSTOP)
    answer, took = timed(lambda: house.chat(model="qwen3:32b"))
    assert answer.status_code == 503, answer.text
    in_time("the answer that it hangs", took, 3.5)
    assert answer.json()["error"]["message"] == FRIENDLY
    for internal in [str(own_ollama.port), "127.0.0.1", "hyper", "panicked", "timeout"]:
        assert internal not in answer.text, f"tells internals: {internal}"

    for _ in range(5):
        answer, took = timed(lambda: house.chat(model="qwen3:32b"))
        assert answer.status_code == 503
        in_time("the answer while the breaker is open", took, 0.25)
        assert answer.json()["error"]["message"] == FRIENDLY
    status = house.get("/health", key="").json()
    assert status.get("status") != "ok", status

    own_ollama.signal(signal.SIGCONT)
    back = time.monotonic()
    until("good answers again", lambda: house.chat(model="qwen3:32b").status_code == 200, within=5, every=0.05)
    in_time("good answers again", time.monotonic() - back, 2)


def test_scenario_g09_hanging_in_the_middle_of_a_stream(make_house, ollama):
    """The status is long gone, so the error comes as an event of the stream, and the stream ends."""
    house = make_house(
        upstreams={"local": {"kind": "ollama", "url": ollama.url}},
        timeouts={"idle": "2s"},
    )
    body = {"model": "loop", "messages": [{"role": "user", "content": "go on"}], "stream": True}
    try:
        with house.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            parts = answer.iter_text()
            next(parts)
            ollama.signal(signal.SIGSTOP)
            stopped = time.monotonic()
            rest = "".join(parts)
        in_time("the end of the stream", time.monotonic() - stopped, 5)
        assert FRIENDLY in rest
    finally:
        ollama.signal(signal.SIGCONT)


def test_scenario_g09_ollama_is_not_there(make_house, own_ollama):
    house = make_house(upstreams={"local": {"kind": "ollama", "url": own_ollama.url}})
    own_ollama.stop()
    answer, took = timed(lambda: house.chat(model="qwen3:32b"))
    assert answer.status_code == 503 and answer.json()["error"]["message"] == FRIENDLY
    in_time("the answer that it is not there", took, 3.5)
    own_ollama.start()
    until("good answers again", lambda: house.chat(model="qwen3:32b").status_code == 200, within=5)


def test_scenario_g09_a_model_that_thinks_long_is_not_cut(make_house, scripted):
    """The upstream is alive, only its answer takes longer than `silent`."""
    scripted.late_s = 4.5
    house = make_house(upstreams={"scripted": {"kind": "openai", "url": scripted.url}})
    answer, took = timed(lambda: house.chat("at last", model="late"))
    assert answer.status_code == 200, answer.text
    assert took >= 4.5
    assert answer.json()["choices"][0]["message"]["content"] == "at last"


def test_scenario_g09_an_upstreams_stack_trace_stays_inside(house):
    answer = house.chat(model="broken")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == FRIENDLY
    assert "Traceback" not in answer.text and "secret" not in answer.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
def test_a_client_that_leaves_sets_the_runner_free(real_house, ollama, path):
    body = {"model": "loop", "messages": [{"role": "user", "content": "go on"}], "stream": True}

    def runners():
        return descendants(ollama.child.pid)

    def busy_share(seconds):
        before, began = cpu_seconds(runners()), time.monotonic()
        time.sleep(seconds)  # the length of the measurement
        return (cpu_seconds(runners()) - before) / (time.monotonic() - began)

    with real_house.client() as client, client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        parts = answer.iter_raw()
        next(parts)
        assert busy_share(0.5) > 0.2, "the runner is at work while somebody listens"
        left_at = time.monotonic()
    # Idle within a second: the runner uses next to no time from then on.
    time.sleep(max(0, left_at + 1 - time.monotonic()))
    assert busy_share(0.5) < 0.05
    # And it is there for the next one.
    answer, took = timed(lambda: real_house.chat(model="loop", max_tokens=3))
    assert answer.status_code == 200
    in_time("the next answer", took, 2)


def test_a_client_that_leaves_without_streaming_sets_the_runner_free(real_house, ollama):
    body = {"model": "loop", "messages": [{"role": "user", "content": "go on"}], "stream": False}
    with real_house.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=body, timeout=1.5)
    left_at = time.monotonic()
    time.sleep(max(0, left_at + 1 - time.monotonic()))
    runners = descendants(ollama.child.pid)
    before = cpu_seconds(runners)
    time.sleep(0.5)
    assert cpu_seconds(runners) - before < 0.03
