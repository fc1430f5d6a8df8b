"""The six ways to ask a model, as a client writes and reads them, strictly: what a real client may rely on has to hold.

`Api.body` makes a request, `Api.read` reads an answer's body byte for byte and says what it held and how it ended:
`well`, with the dialect's `error`, or `not`, which is what must never happen.
"""

import dataclasses
import json


@dataclasses.dataclass
class Heard:
    """What an answer said."""

    text: str = ""
    thought: str = ""
    tools: list = dataclasses.field(default_factory=list)  # (name, arguments as a dictionary)
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    ending: str = "not"  # well | error | not
    error: dict | str | None = None
    quiet: int = 0  # signs of life without content
    events: list = dataclasses.field(default_factory=list)


class Odd(AssertionError):
    """An answer that breaks its dialect's rules."""


def check(holds, what):
    if not holds:
        raise Odd(what)


def sse(data):
    """The events of a stream as (event, data) and the number of comments; a torn one at the end is an error."""
    text = data.decode()
    check(not text or text.endswith("\n\n"), f"the stream ends inside an event: {text[-200:]!r}")
    found, comments = [], 0
    for block in text.split("\n\n")[:-1]:
        event, lines = None, []
        for line in block.split("\n"):
            if line.startswith(":"):
                comments += 1
            elif line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                lines.append(line.removeprefix("data: "))
            else:
                check(line == "", f"a line that is none of an event: {line!r}")
        if lines:
            found.append((event, "\n".join(lines)))
    return found, comments


class Api:
    """One of the APIs: its name, path, and how requests and answers are written."""

    def __init__(self, name, path, body, whole, stream, error):
        self.name, self.path = name, path
        self.make, self.whole, self.stream, self.error = body, whole, stream, error

    def __repr__(self):
        return self.name

    def body(self, model, text, stream, **more):
        return {"model": model, **self.make(text), "stream": stream, **more}

    def request(self, house, model, text, stream, headers=None, **more):
        """The bytes of a whole HTTP/1.1 request."""
        data = json.dumps(self.body(model, text, stream, **more), ensure_ascii=False).encode()
        fields = {
            "Host": "localhost",
            "X-Api-Key": house.key,
            "Content-Type": "application/json",
            "Content-Length": len(data),
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + data

    def read(self, status, data, stream):
        """What the answer's body says; `Odd` when a client could not understand it."""
        if status != 200:
            problem = json.loads(data)
            return Heard(ending="error", error=self.error(problem))
        if stream:
            return self.stream(data)
        heard = self.whole(json.loads(data))
        heard.ending = "well"
        return heard


# ── OpenAI chat and completions ──────────────────────────────────────────────────────────────────────────────────────


def openai_error(problem):
    error = problem["error"]
    check(
        isinstance(error, dict) and isinstance(error["message"], str) and "type" in error, f"no OpenAI error: {problem}"
    )
    return error


def openai_usage(heard, usage):
    heard.input_tokens, heard.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
    check(usage["total_tokens"] == heard.input_tokens + heard.output_tokens, f"sums do not add up: {usage}")


def openai_whole(kind):
    def read(answer):
        check(answer["object"] == kind and answer["id"] and answer["created"], f"not a {kind}: {answer}")
        heard, choice = Heard(), answer["choices"][0]
        if kind == "text_completion":
            heard.text = choice["text"]
        else:
            message = choice["message"]
            check(message["role"] == "assistant", message)
            heard.text = message["content"] or ""
            heard.thought = message.get("reasoning_content") or message.get("reasoning") or ""
            for call in message.get("tool_calls") or []:
                check(call["type"] == "function" and call["id"], call)
                heard.tools.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        heard.finish = choice["finish_reason"]
        openai_usage(heard, answer["usage"])
        return heard

    return read


def openai_stream(kind):
    def read(data):
        heard, calls, ids = Heard(), {}, set()
        found, heard.quiet = sse(data)
        for number, (event, text) in enumerate(found):
            check(event is None, f"an event's name in an OpenAI stream: {event}")
            check(heard.ending == "not", f"something comes after the end: {text}")
            if text == "[DONE]":
                check(heard.finish, "[DONE] without a finish_reason")
                heard.ending = "well"
                continue
            chunk = json.loads(text)
            heard.events.append(chunk)
            if "error" in chunk:
                heard.error, heard.ending = openai_error(chunk), "error"
                continue
            ids.add((chunk["id"], chunk["created"], chunk["object"]))
            if chunk.get("usage"):
                openai_usage(heard, chunk["usage"])
            for choice in chunk["choices"]:
                check(heard.finish is None, f"a choice after the finish_reason: {chunk}")
                heard.finish = choice["finish_reason"]
                if kind == "text_completion":
                    heard.text += choice["text"]
                    continue
                delta = choice["delta"]
                check(("role" in delta) == (number == 0), f"the role stands in the first chunk and only there: {chunk}")
                thought = delta.get("reasoning_content") or delta.get("reasoning")
                check(not (thought and delta.get("content")), f"thought and text in one chunk: {chunk}")
                heard.text += delta.get("content") or ""
                heard.thought += thought or ""
                for part in delta.get("tool_calls") or []:
                    call = calls.setdefault(part["index"], {"arguments": ""})
                    call["name"] = part["function"].get("name") or call["name"]
                    call["id"] = part.get("id") or call["id"]
                    call["arguments"] += part["function"].get("arguments") or ""
        check(len(ids) <= 1, f"one id, one time, one kind: {ids}")
        if heard.ending == "well":
            heard.tools = [(call["name"], json.loads(call["arguments"])) for call in calls.values()]
        return heard

    return read


# ── OpenAI responses ─────────────────────────────────────────────────────────────────────────────────────────────────


def responses_whole(answer):
    check(answer["object"] == "response" and answer["id"].startswith("resp_"), f"not a response: {answer}")
    heard = Heard(finish=answer["status"])
    for item in answer["output"]:
        if item["type"] == "message":
            heard.text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
        elif item["type"] == "function_call":
            check(item["call_id"], item)
            heard.tools.append((item["name"], json.loads(item["arguments"])))
        elif item["type"] == "reasoning":
            parts = [*item.get("summary", []), *(item.get("content") or [])]
            heard.thought += "".join(part["text"] for part in parts)
    if usage := answer.get("usage"):
        heard.input_tokens, heard.output_tokens = usage["input_tokens"], usage["output_tokens"]
    return heard


def responses_stream(data):
    heard, said, items = Heard(), "", {}
    found, heard.quiet = sse(data)
    for number, (event, text) in enumerate(found):
        check(heard.ending == "not", f"something comes after the end: {text}")
        body = json.loads(text)
        heard.events.append(body)
        kind = body["type"]
        check(event == kind, f"event {event} carries {kind}")
        check(body["sequence_number"] == number, f"sequence numbers have no gap: {body['sequence_number']} at {number}")
        check(number or kind in ("response.created", "error"), f"the first event is {kind}")
        if kind == "response.output_item.added":
            check(body["output_index"] == len(items), f"indices of items grow by one: {body}")
            items[body["output_index"]] = body["item"]["type"]
        elif kind == "response.output_text.delta":
            check(items.get(body["output_index"]) == "message", f"text belongs into a message: {body}")
            said += body["delta"]
        elif kind in ("response.completed", "response.incomplete"):
            ready = responses_whole(body["response"])
            check(ready.text == said, f"the last event says {ready.text!r}, the deltas said {said!r}")
            ready.ending, ready.quiet, ready.events = "well", heard.quiet, heard.events
            heard = ready
        elif kind == "response.failed":
            heard.error, heard.ending = body["response"]["error"], "error"
            check(heard.error["message"], body)
        elif kind == "error":
            heard.error, heard.ending = body, "error"
            check(body.get("message") or body["error"]["message"], body)
    heard.text = heard.text or said
    return heard


# ── Anthropic messages ───────────────────────────────────────────────────────────────────────────────────────────────


def anthropic_error(problem):
    check(problem["type"] == "error", f"no Anthropic error: {problem}")
    error = problem["error"]
    check(isinstance(error["message"], str) and error["type"], f"no Anthropic error: {problem}")
    return error


def anthropic_whole(answer):
    check(answer["type"] == "message" and answer["role"] == "assistant" and answer["id"], f"not a message: {answer}")
    heard = Heard(finish=answer["stop_reason"])
    for block in answer["content"]:
        if block["type"] == "text":
            heard.text += block["text"]
        elif block["type"] == "thinking":
            heard.thought += block["thinking"]
        elif block["type"] == "tool_use":
            heard.tools.append((block["name"], block["input"]))
    heard.input_tokens, heard.output_tokens = answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]
    return heard


def anthropic_stream(data):
    heard, blocks, is_open, started = Heard(), [], None, False
    found, comments = sse(data)
    check(comments == 0, "Anthropic's signs of life are events")
    for event, text in found:
        check(heard.ending == "not", f"something comes after the end: {text}")
        body = json.loads(text)
        heard.events.append(body)
        kind = body["type"]
        check(event == kind, f"event {event} carries {kind}")
        if kind == "ping":
            heard.quiet += 1
            continue
        if kind == "error":
            heard.error, heard.ending = anthropic_error(body), "error"
            continue
        check(started == (kind != "message_start"), f"{kind} at the wrong place")
        if kind == "message_start":
            started = True
            check(body["message"]["content"] == [] and body["message"]["role"] == "assistant", body)
            heard.input_tokens = body["message"]["usage"]["input_tokens"]
        elif kind == "content_block_start":
            check(is_open is None and body["index"] == len(blocks), f"a block inside a block: {body}")
            is_open = {**body["content_block"], "json": ""}
            blocks.append(is_open)
        elif kind == "content_block_delta":
            check(is_open is not None and body["index"] == len(blocks) - 1, f"a delta without a block: {body}")
            delta = body["delta"]
            home = {
                "text_delta": "text",
                "thinking_delta": "thinking",
                "signature_delta": "thinking",
                "input_json_delta": "tool_use",
            }
            check(home[delta["type"]] == is_open["type"], f"{delta['type']} in a block of {is_open['type']}")
            heard.text += delta.get("text", "")
            heard.thought += delta.get("thinking", "")
            is_open["json"] += delta.get("partial_json", "")
        elif kind == "content_block_stop":
            check(is_open is not None, body)
            is_open = None
        elif kind == "message_delta":
            check(is_open is None, "the message ends inside a block")
            heard.finish, heard.output_tokens = body["delta"]["stop_reason"], body["usage"]["output_tokens"]
            heard.input_tokens = body["usage"].get("input_tokens") or heard.input_tokens
        elif kind == "message_stop":
            check(heard.finish, "message_stop without a stop_reason")
            heard.ending = "well"
        else:
            raise Odd(f"an unknown event: {kind}")
    if heard.ending == "well":
        heard.tools = [(block["name"], json.loads(block["json"])) for block in blocks if block["type"] == "tool_use"]
        empty = [block for block in blocks if block["type"] == "text" and not heard.text]
        check(not empty, "an empty block of text")
    return heard


# ── Ollama ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ollama_error(problem):
    check(isinstance(problem["error"], str), f"no Ollama error: {problem}")
    return problem["error"]


def ollama_part(heard, line, kind):
    part = line["message"] if kind == "chat" else {"content": line["response"], "thinking": line.get("thinking")}
    if kind == "chat":
        check(part["role"] == "assistant", line)
    heard.text += part["content"]
    heard.thought += part.get("thinking") or ""
    for call in part.get("tool_calls") or []:
        check(isinstance(call["function"]["arguments"], dict), call)
        heard.tools.append((call["function"]["name"], call["function"]["arguments"]))


def ollama_end(heard, line):
    check(line["done"] is True and line["done_reason"], f"not a last line: {line}")
    heard.finish, heard.ending = line["done_reason"], "well"
    heard.input_tokens, heard.output_tokens = line.get("prompt_eval_count"), line.get("eval_count")


def ollama_whole(kind):
    def read(answer):
        heard = Heard()
        ollama_part(heard, answer, kind)
        ollama_end(heard, answer)
        return heard

    return read


def ollama_stream(kind):
    def read(data):
        heard = Heard()
        check(not data or data.endswith(b"\n"), f"the stream ends inside a line: {data[-200:]!r}")
        for text in data.splitlines():
            check(heard.ending == "not", f"something comes after the end: {text}")
            line = json.loads(text)
            heard.events.append(line)
            if "error" in line:
                heard.error, heard.ending = ollama_error(line), "error"
                continue
            check(line["model"] and line["created_at"], line)
            before = len(heard.text), len(heard.thought), len(heard.tools)
            ollama_part(heard, line, kind)
            if line["done"]:
                ollama_end(heard, line)
            elif before == (len(heard.text), len(heard.thought), len(heard.tools)):
                heard.quiet += 1
        return heard

    return read


# ── All of them ──────────────────────────────────────────────────────────────────────────────────────────────────────


def messages(text):
    return {"messages": [{"role": "user", "content": text}]}


APIS = [
    Api(
        "chat",
        "/v1/chat/completions",
        messages,
        openai_whole("chat.completion"),
        openai_stream("chat.completion.chunk"),
        openai_error,
    ),
    Api(
        "completions",
        "/v1/completions",
        lambda text: {"prompt": text},
        openai_whole("text_completion"),
        openai_stream("text_completion"),
        openai_error,
    ),
    Api("responses", "/v1/responses", lambda text: {"input": text}, responses_whole, responses_stream, openai_error),
    Api(
        "messages",
        "/v1/messages",
        lambda text: {**messages(text), "max_tokens": 1000},
        anthropic_whole,
        anthropic_stream,
        anthropic_error,
    ),
    Api("ollama-chat", "/api/chat", messages, ollama_whole("chat"), ollama_stream("chat"), ollama_error),
    Api(
        "ollama-generate",
        "/api/generate",
        lambda text: {"prompt": text},
        ollama_whole("generate"),
        ollama_stream("generate"),
        ollama_error,
    ),
]
BY_NAME = {api.name: api for api in APIS}
