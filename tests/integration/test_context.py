"""The context of a real model: prompts that do not fit, and a server that cuts them without a word."""

import json

import pytest
from house import Ollama, until

WORDS = "word " * 1500


@pytest.fixture(scope="module")
def small_ollama(tmp_path_factory):
    """Gives each model 1,024 tokens, whatever it was made for."""
    directory = tmp_path_factory.mktemp("small-ollama")
    ollama = Ollama(directory, OLLAMA_CONTEXT_LENGTH="1024", OLLAMA_NUM_PARALLEL="1").start()
    ollama.create("tiny", "--reply", "I am here.")
    ollama.create("large", "--reply", "I have room.")
    yield ollama
    ollama.stop()


def house_of(make_house, ollama, **model):
    models = {"tiny": {"upstreams": ["local"], **model}, "large": {"upstreams": ["local"], "context": 8192}}
    house = make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url}}, models=models)
    return house


def test_scenario_g06_a_prompt_over_the_context_is_refused_with_its_tokens(make_house, small_ollama):
    house = house_of(make_house, small_ollama, context=1024, on_overflow="refuse")
    assert house.chat("hello", "tiny").status_code == 200
    answer = house.chat(WORDS, "tiny")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert "1024" in error["message"] and "about" not in error["message"], error
    record = house.record(answer.headers["x-request-id"])
    assert record["counted_by"] == "tokenizer" and record["prompt_tokens_counted"] > 1024
    assert (record["context_limit"], record.get("upstream")) == (1024, None)


def test_scenario_g06_old_turns_are_left_out_and_the_answer_says_so(make_house, small_ollama):
    house = house_of(make_house, small_ollama, context=1024, on_overflow="truncate")
    turns = [{"role": "system", "content": "Be kind."}]
    for turn in range(20):
        turns += [
            {"role": "user", "content": f"question {turn} " + "word " * 40},
            {"role": "assistant", "content": "yes"},
        ]
    turns.append({"role": "user", "content": "the last question"})
    answer = house.post("/v1/chat/completions", {"model": "tiny", "messages": turns})
    assert answer.status_code == 200
    assert answer.headers["x-tollhouse-truncated"] == "gateway"
    assert answer.json()["usage"]["prompt_tokens"] <= 1024
    record = house.record(answer.headers["x-request-id"])
    assert (record["truncated"], record["truncated_by"]) == (True, "gateway")


def test_scenario_g06_another_model_with_room_answers(make_house, small_ollama):
    house = house_of(make_house, small_ollama, context=1024, on_overflow="route", fallback=["large"])
    answer = house.chat(WORDS, "tiny")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tollhouse-model"] == "large"
    record = house.record(answer.headers["x-request-id"])
    assert (record["model"], record["asked_model"], record["num_ctx"]) == ("large", "tiny", 8192)
    assert house.chat("short", "tiny").headers["x-tollhouse-model"] == "tiny"


def test_scenario_g06_what_the_server_cuts_without_a_word_is_told(make_house, small_ollama):
    """Nothing is configured, and what the model was made for is more than its server gives it."""
    small_ollama.create("silent", "--reply", "I read a part.")
    house = make_house(upstreams={"local": {"kind": "ollama", "url": small_ollama.url}})
    body = {
        "model": "silent",
        "messages": [{"role": "user", "content": "first " + WORDS}, {"role": "user", "content": "last"}],
    }
    answer = house.post("/v1/chat/completions", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["prompt_tokens"] < 1100
    assert answer.headers["x-tollhouse-truncated"] == "server"
    record = house.record(answer.headers["x-request-id"])
    assert (record["truncated"], record["truncated_by"], record["counted_by"]) == (True, "server", "tokenizer")
    until("the record is found", lambda: house.count(f'request_id:"{answer.headers["x-request-id"]}"') > 0)
    told = house.run("why", answer.headers["x-request-id"], "--json")
    assert json.loads(told.stdout)["verdict"]["cause"] == "truncated_by_server"
    # From now on it is known how much this server gives the model: the same prompt is refused before it is sent.
    assert house.post("/v1/chat/completions", body).json()["error"]["code"] == "context_length_exceeded"


def test_scenario_g06_one_context_for_everybody(make_house, small_ollama):
    """Clients that wish different contexts do not make the server load the model again and again."""
    small_ollama.create("wished", "--reply", "I am loaded.")
    house = make_house(upstreams={"local": {"kind": "ollama", "url": small_ollama.url}})

    def ask(num_ctx):
        body = {"model": "wished", "messages": [{"role": "user", "content": "hi"}], "stream": False}
        answer = house.post("/api/chat", {**body, "options": {"num_ctx": num_ctx}})
        assert answer.status_code == 200, answer.text
        return house.record(answer.headers["x-request-id"])["num_ctx"]

    assert [ask(num_ctx) for num_ctx in (2048, 1024, 8192, 2048)] == [4096, 4096, 8192, 8192]


def test_scenario_g06_a_text_that_is_too_long_to_embed_is_refused(make_house, small_ollama):
    house = house_of(make_house, small_ollama, context=1024)
    asked = {"model": "tiny", "input": WORDS}
    answer = house.post("/v1/embeddings", asked)
    assert answer.status_code == 400 and "context length" in answer.json()["error"]["message"], answer.text
    assert house.record(answer.headers["x-request-id"])["status"] == 400
    # Ollama's own clients know that it cuts, and get what they ask for.
    assert house.post("/api/embed", asked).status_code == 200
    assert house.post("/api/embed", {**asked, "truncate": False}).status_code == 400
