"""OpenClaw's own requests, as captured on the wire, on all four APIs: answered, recorded, and traced."""

import json
import re

import pytest
import raw
from dialects import BY_NAME
from house import ROOT, until

CAPTURES = sorted((ROOT / "tests/data/openclaw").glob("*.json"))
APIS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/api/chat": "ollama-chat",
}
LOREM = " lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor" * 1000


def filled(value):
    """The value with each `[filler N chars]` as N characters, of which the last one ends the line."""

    def fill(found):
        return (found[0] + LOREM)[: int(found[1]) - 1] + "\n"

    if isinstance(value, str):
        return re.sub(r"\[filler (\d+) chars\]", fill, value)
    if isinstance(value, list):
        return [filled(item) for item in value]
    if isinstance(value, dict):
        return {name: filled(item) for name, item in value.items()}
    return value


@pytest.fixture(params=CAPTURES, ids=lambda file: file.stem)
def capture(request):
    told = json.loads(request.param.read_text())
    told["body"] = filled(told["body"])
    told["api"] = BY_NAME[APIS[told["path"]]]
    return told


@pytest.fixture(params=["ollama", "openai", "anthropic"])
def upstream(request, make_scripted):
    return make_scripted(request.param, models=["m1", "m2"])


@pytest.fixture
def assistant(make_house, upstream):
    """A house with a key for prompts as long as an assistant's."""
    house = make_house(upstreams={"scripted": upstream.upstream()})
    house.key = house.create_key("openclaw", "--prompt-chars", "200000")["key"]
    house.taken(house.key)
    return house


def send(house, capture, **more):
    data = json.dumps({**capture["body"], **more}, ensure_ascii=False).encode()
    fields = {
        "Host": "localhost",
        **capture["headers"],
        # As OpenClaw sends it with the Anthropic API, and otherwise.
        **({"x-api-key": house.key} if capture["api"].name == "messages" else {"Authorization": f"Bearer {house.key}"}),
        "Content-Length": len(data),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return raw.asking(house.port, f"POST {capture['path']} HTTP/1.1\r\n{head}\r\n".encode() + data)


def runtime(body):
    """What the `Runtime:` line of a request says."""
    line = re.search(r"Runtime: ((?:[^|\\\n]+ \| )+[^|\\\n\"]+)", json.dumps(body))[1]
    return dict(pair.split("=", 1) for pair in line.split(" | "))


def test_scenario_g08_openclaws_requests_are_answered_recorded_and_traced(assistant, upstream, capture):
    upstream.calls.clear()
    answer = send(assistant, capture)
    assert answer.status == 200, answer.body
    heard = capture["api"].read(answer.status, answer.body, stream=True)
    assert heard.ending == "well" and heard.text, answer.body
    assert heard.input_tokens > 0 and heard.output_tokens > 0

    [call] = upstream.chats()
    assert heard.text == call.text, "the scripted model repeats the last user message"
    tools = capture["body"].get("tools", [])
    assert len(call.body.get("tools", [])) == len(tools)
    # Also the call of a tool and its result, in the captures of such a turn.
    assert json.dumps(call.body).count("hi-from-tool") == json.dumps(capture["body"]).count("hi-from-tool")
    assert json.dumps(call.body).count("[filler ") == json.dumps(capture["body"]).count("[filler "), "all texts arrive"

    record = assistant.record(answer.headers["x-request-id"])
    trace = capture["headers"]["traceparent"].split("-")[1]
    assert record["trace_id"] == trace
    version, passed_on, span, flags = call.headers["traceparent"].split("-")
    assert (version, passed_on, flags) == ("00", trace, "01") and len(span) == 16
    said = runtime(capture["body"])
    assert record["claimed_agent"] == said["agent"] == "main"
    assert record["claimed_session"] == said["session"]
    assert record["claimed_session_id"] == said["sessionId"]
    # A claim is not an identity.
    assert record["key_id"] not in said.values() and record.get("user_id") not in said.values()


def test_a_limit_is_told_so_that_openclaw_waits_and_comes_again(make_house, scripted):
    """429 with a short Retry-After; anything else locks the provider or ends the turn."""
    scripted.models = ["m1"]
    house = make_house(
        upstreams={"scripted": scripted.upstream()},
        access={"rate_limit": {"requests": 1, "per": "2s", "by": "key"}},
        limits={"prompt_chars": 200_000},
    )
    told = json.loads((ROOT / "tests/data/openclaw/openai-completions-retry-after-429.json").read_text())
    capture = {**told, "body": filled(told["body"]), "api": BY_NAME["chat"]}
    assert send(house, capture).status == 200
    refused = send(house, capture)
    assert refused.status == 429 and 1 <= int(refused.headers["retry-after"]) <= 2
    until("it clears", lambda: send(house, capture).status == 200, every=0.5)
