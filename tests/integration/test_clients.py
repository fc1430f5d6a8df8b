"""The official clients talk through the gate to a real Ollama, and hear what they would hear without it."""

from concurrent.futures import ThreadPoolExecutor

import ollama as ollama_client
import openai
import pytest

CHATS, AT_ONCE = 200, 8
MODELS = ["qwen3:32b", "qwen3:4b"]
PROMPTS = [
    "你好",
    "hi",
    "What is the capital of France?",
    "Please " + "think about it and " * 40 + "answer.",
    "🙂 " * 9,
]


@pytest.fixture
def direct(ollama):
    """What Ollama itself says and counts, for each model and prompt."""
    return {(model, prompt): ollama.chat(model, prompt) for model in MODELS for prompt in PROMPTS}


def ask_openai(client, model, prompt, stream):
    """Text and usage by the OpenAI client."""
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "seed": 7,
    }
    if not stream:
        answer = client.chat.completions.create(**asked)
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens
    text, usage, reasons = "", None, []
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert reasons == ["stop"]
    return text, usage.prompt_tokens, usage.completion_tokens


def ask_ollama(client, model, prompt, stream):
    """Text and usage by the Ollama client."""
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "options": {"temperature": 0, "seed": 7},
    }
    if not stream:
        last = client.chat(**asked)
        text = last.message.content
    else:
        parts = list(client.chat(**asked, stream=True))
        last, text = parts[-1], "".join(part.message.content or "" for part in parts)
    assert last.done and last.done_reason == "stop"
    return text, last.prompt_eval_count, last.eval_count


def test_scenario_g02_two_hundred_chats_by_the_official_clients(real_house, direct):
    by_openai = openai.OpenAI(base_url=f"{real_house.url}/v1", api_key=real_house.key, max_retries=0)
    by_ollama = ollama_client.Client(host=real_house.url, headers={"X-Api-Key": real_house.key})

    def one(number):
        model, prompt = MODELS[number % 2], PROMPTS[number // 2 % len(PROMPTS)]
        stream = number // 10 % 2 == 1
        if number // 20 % 2:
            return model, prompt, ask_openai(by_openai, model, prompt, stream)
        return model, prompt, ask_ollama(by_ollama, model, prompt, stream)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(one, range(CHATS)))

    assert len(answers) == CHATS
    for model, prompt, (text, input_tokens, output_tokens) in answers:
        wanted = direct[model, prompt]
        assert text == wanted["message"]["content"]
        assert input_tokens == wanted["prompt_eval_count"]
        assert output_tokens == wanted["eval_count"]

    records = real_house.journal(kind="request", status=200)
    chats = [record for record in records if record["method"] == "POST"]
    assert len(chats) == CHATS
    assert sum(record["input_tokens"] for record in chats) == sum(answer[2][1] for answer in answers)
    assert sum(record["output_tokens"] for record in chats) == sum(answer[2][2] for answer in answers)
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
    by_openai = openai.OpenAI(base_url=f"{real_house.url}/v1", api_key=real_house.key)
    by_ollama = ollama_client.Client(host=real_house.url, headers={"X-Api-Key": real_house.key})
    assert {model.id for model in by_openai.models.list()} >= set(MODELS)
    assert {model.model for model in by_ollama.list().models} >= set(MODELS)


def test_errors_arrive_as_the_clients_own_exceptions(real_house):
    wrong = openai.OpenAI(base_url=f"{real_house.url}/v1", api_key="wrong", max_retries=0)
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.AuthenticationError) as refused:
        wrong.chat.completions.create(model="qwen3:4b", messages=messages)
    assert refused.value.code == "invalid_api_key"

    right = openai.OpenAI(base_url=f"{real_house.url}/v1", api_key=real_house.key, max_retries=0)
    with pytest.raises(openai.NotFoundError):
        right.chat.completions.create(model="nobody", messages=messages)

    by_ollama = ollama_client.Client(host=real_house.url, headers={"X-Api-Key": "wrong"})
    with pytest.raises(ollama_client.ResponseError) as refused:
        by_ollama.chat(model="qwen3:4b", messages=messages)
    assert (refused.value.status_code, refused.value.error) == (401, "invalid api key")
