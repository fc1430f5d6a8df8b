"""The official clients talk through the gate, and hear what they would hear without it.

First against a real Ollama, then against a scripted server where the tiny models cannot: clients.py has the clients.
"""

from concurrent.futures import ThreadPoolExecutor

import clients
import pytest
from clients import CLIENTS, SCHEMA
from conftest import QWEN
from house import until
from scripted import ARGUMENTS, TOOL, vector

CHATS, AT_ONCE = 200, 8
MODELS = ["qwen3:32b", "qwen3:4b"]
PROMPTS = [
    "你好",
    "hi",
    "What is the capital of France?",
    "Please " + "think about it and " * 40 + "answer.",
    "🙂 " * 9,
]


def those_that(can):
    """The clients whose API has it, by name."""
    able = [client for client in CLIENTS if can in client.can]
    return pytest.mark.parametrize("client", able, ids=lambda client: client.__name__)


@pytest.fixture
def direct(ollama):
    """What Ollama itself says and counts, for each model and prompt."""
    return {(model, prompt): ollama.chat(model, prompt) for model in MODELS for prompt in PROMPTS}


def test_scenario_g02_two_hundred_chats_by_the_official_clients(real_house, direct):
    asked = [clients.OpenAi, clients.Ollama, clients.Anthropic, clients.OpenAiResponses]
    asked = [client(real_house.url, real_house.key) for client in asked]

    def one(number):
        client, stream = asked[number // 20 % 4], number // 10 % 2 == 1
        model, prompt = MODELS[number % 2], PROMPTS[number // 2 % len(PROMPTS)]
        said = (client.stream if stream else client.chat)(model, prompt)
        assert said.finish == client.finish
        return model, prompt, said

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(one, range(CHATS)))

    assert len(answers) == CHATS
    for model, prompt, said in answers:
        wanted = direct[model, prompt]
        assert said.text == wanted["message"]["content"]
        assert said.input_tokens == wanted["prompt_eval_count"]
        assert said.output_tokens == wanted["eval_count"]

    records = real_house.journal(kind="request", status=200)
    chats = [record for record in records if record["method"] == "POST"]
    assert len(chats) == CHATS
    assert sum(record["input_tokens"] for record in chats) == sum(said.input_tokens for _, _, said in answers)
    assert sum(record["output_tokens"] for record in chats) == sum(said.output_tokens for _, _, said in answers)
    assert {record["usage_source"] for record in chats} == {"upstream"}
    assert sum(record["stream"] for record in chats) == CHATS / 2


def test_scenario_g02_the_tutorials_curl_line(real_house):
    body = '{"model":"qwen3:32b","messages":[{"role":"user","content":"你好"}]}'.encode()
    answer = real_house.post("/v1/chat/completions", body)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"].startswith("巴黎是法国的首都")
    assert answer.headers["x-request-id"]
    assert answer.headers["x-tollhouse-upstream"] == "local"


def test_scenario_g02_lists_of_models(real_house):
    by_openai = clients.OpenAi(real_house.url, real_house.key).client
    by_ollama = clients.Ollama(real_house.url, real_house.key).client
    by_anthropic = clients.Anthropic(real_house.url, real_house.key).client
    assert {model.id for model in by_openai.models.list()} >= set(MODELS)
    assert {model.model for model in by_ollama.list().models} >= set(MODELS)
    assert {model.id for model in by_anthropic.models.list()} >= set(MODELS)
    assert by_openai.models.retrieve("qwen3:4b").id == "qwen3:4b"
    shown = by_ollama.show("qwen3:4b")
    assert "completion" in shown.capabilities and shown.modelinfo["llama.context_length"] == 32768
    real_house.chat(model="qwen3:4b")
    assert "qwen3:4b" in {model.model for model in by_ollama.ps().models}


def test_scenario_g02_tokens_are_counted_before_they_are_spent(real_house, ollama):
    """Anthropic's count is the one that Ollama makes, but for what is set aside for the template; never too low."""
    client = clients.Anthropic(real_house.url, real_house.key).client
    for prompt in PROMPTS:
        counted = client.messages.count_tokens(model="qwen3:4b", messages=[{"role": "user", "content": prompt}])
        wanted = ollama.chat("qwen3:4b", prompt)["prompt_eval_count"]
        assert wanted <= counted.input_tokens <= wanted + 32, prompt


# Each client, real model


@those_that("chat")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_scenario_g02_a_chat(real_house, ollama, client, stream):
    client = client(real_house.url, real_house.key)
    said = (client.stream if stream else client.chat)("qwen3:32b", "What is the capital of France?")
    assert (said.text, said.finish) == (QWEN, client.finish)
    assert said.output_tokens == ollama.chat("qwen3:32b", "any")["eval_count"]
    assert said.input_tokens > 0


@those_that("tools")
def test_scenario_g02_a_real_tool_call(real_house, client):
    called = client(real_house.url, real_house.key).tools("caller", "What is the weather in Paris?")
    assert called.tools == [(TOOL, {"city": "Paris"})]
    assert called.finish in ("tool_calls", "tool_use", "completed", "stop")


@those_that("schema")
def test_scenario_g02_an_answer_by_a_schema(real_house, client):
    assert client(real_house.url, real_house.key).schema("json", "Name a city") == {"city": "Paris", "rank": 1}


@those_that("embed")
def test_scenario_g02_embeddings(real_house, ollama, client):
    texts = ["one", "two words", "三"]
    rows = client(real_house.url, real_house.key).embed("qwen3:4b", texts)
    wanted = clients.Ollama(ollama.url, "none").embed("qwen3:4b", texts)
    assert len(rows) == len(texts)
    for row, right in zip(rows, wanted, strict=True):
        assert len(row) == len(right) == 64
        assert row == pytest.approx(right, abs=1e-6)


# Each client, scripted server of each kind


@pytest.fixture(params=["openai", "ollama", "anthropic"])
def any_house(request, make_house, make_scripted):
    """A house in front of a scripted server of each kind."""
    upstream = make_scripted(request.param)
    house = make_house(upstreams={"scripted": upstream.upstream()})
    house.scripted = upstream
    return house


@those_that("tools")
def test_scenario_g02_a_tool_call_and_its_result(any_house, client):
    said = client(any_house.url, any_house.key).tools("tools", "What is the weather?", result="rain, 12 °C")
    assert said.tools == [(TOOL, ARGUMENTS)]
    assert said.text == "rain, 12 °C"


@pytest.mark.parametrize(
    "client", [clients.OpenAi, clients.Anthropic, clients.Ollama], ids=lambda client: client.__name__
)
def test_scenario_g02_thinking_is_apart_from_the_answer(any_house, client):
    client = client(any_house.url, any_house.key)
    more = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if client.finish == "end_turn" else {}
    said = client.stream("thinks", "one two", **more)
    assert said.text == "one two"
    whole = client.chat("thinks", "one two", **more)
    assert whole.text == "one two"


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@those_that("embed")
def test_scenario_g02_embeddings_of_a_scripted_server(make_house, make_scripted, client, kind):
    house = make_house(upstreams={"scripted": make_scripted(kind).upstream()})
    texts = ["one", "two words"]
    rows = client(house.url, house.key).embed("echo", texts)
    for row, text in zip(rows, texts, strict=True):
        assert row == pytest.approx(vector(text))


def test_what_a_server_cannot_do_is_refused_in_words(make_house, make_scripted):
    """Anthropic has no embeddings; nothing is dropped in silence."""
    house = make_house(upstreams={"scripted": make_scripted("anthropic").upstream()})
    answer = house.post("/v1/embeddings", {"model": "echo", "input": "one"})
    assert answer.status_code == 400 and "embedding" in answer.json()["error"]["message"]


# Errors


@those_that("chat")
@pytest.mark.parametrize("wrong", ["key", "model", "prompt"])
def test_scenario_g03_g06_errors_arrive_as_the_clients_own_exceptions(house, client, wrong):
    key = "wrong" if wrong == "key" else house.key
    model = "nobody" if wrong == "model" else "echo"
    text = "x" * 40_000 if wrong == "prompt" else "hi"
    kind, status, message, code = {
        "key": (client.wrong_key, 401, "invalid api key", {"code": "invalid_api_key", "type": "authentication_error"}),
        "model": (client.unknown_model, 404, "nobody", {"code": "model_not_found", "type": "not_found_error"}),
        "prompt": (
            client.too_long,
            400,
            "prompt too long, max 32768 chars",
            {"code": "context_length_exceeded", "type": "invalid_request_error"},
        ),
    }[wrong]
    problem = client(house.url, key).problem(model, text)
    assert problem is not None, "the client saw no error"
    assert (problem.kind, problem.status) == (kind, status)
    assert message in problem.message
    assert problem.code == code.get(client.code)


# Leaving


@those_that("stream")
def test_a_client_that_closes_its_stream_closes_the_request_upstream(any_house, client):
    if client is clients.OpenAiCompletions and any_house.scripted.kind == "anthropic":
        problem = client(any_house.url, any_house.key).problem("echo", "hi")
        assert problem.status == 400 and "completion" in problem.message, "Anthropic has chats only"
        return
    left_at = client(any_house.url, any_house.key).leave("endless")
    [call] = any_house.scripted.chats()
    until("the request upstream is closed", lambda: call.closed_at, within=2, every=0.005)
    assert call.closed_at - left_at <= 0.25
    any_house.idle(within=2)


def test_the_schema_of_the_tests_is_that_of_the_type():
    described = clients.City.model_json_schema()
    assert set(described["properties"]) == set(SCHEMA["properties"])
