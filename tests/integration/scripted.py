"""A model server that does what its model's name says, in the dialect of your choice, and remembers what happened.

echo      says the prompt again, at once
slow      as echo, a word every `pause_s`
late      as echo, after `late_s`
endless   streams a word every 5 ms until the reader leaves
thinks    thinks "let me see", then as echo
tools     calls `get_weather`; once a result is there, says it
cut       as echo, but the connection ends after as many bytes of the answer as the prompt's first number says
broken    500 with a stack trace
busy      503, as a server whose own queue is full
named     as echo, under a name of an internal registry

Any other name is served as `echo`. A prompt with `poison` in it kills the server: every connection ends, and it is back after
`away_s`; `deaths` counts. With `resident`, it keeps so many models loaded like Ollama: another one waits until
those that run have ended, then loads for `load_s`; `loads` counts.
"""

import asyncio
import base64
import collections
import contextlib
import json
import re
import struct
import threading
import time

MODELS = ["echo", "slow", "late", "endless", "thinks", "tools", "cut", "broken", "busy", "named"]
REGISTRY_NAME = "registry.internal/team/qwen3-32b-q4"
CREATED = 1_234_567_890
STAMP = "2009-02-13T23:31:30Z"
ENDLESS_PAUSE_S = 0.005
THOUGHT = "let me see"
TOOL, ARGUMENTS = "get_weather", {"city": "巴黎", "days": 2}
TRACE = 'Traceback (most recent call last):\n  File "/srv/model/engine.py", line 7\nRuntimeError: secret'
ASKED = ("/chat/completions", "/completions", "/messages", "/api/chat", "/api/generate", "/embeddings", "/api/embed")


class Call:
    """What became of one request."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.began_at = time.monotonic()
        self.ended_at = None  # when the answer was complete
        self.closed_at = None  # when the other side closed before that
        self.sent = 0  # bytes of the answer's body, framing included

    @property
    def text(self):
        return Asked(self.path, self.body).text

    @property
    def over(self):
        return self.ended_at or self.closed_at


class Scripted:
    def __init__(self, kind="openai", late_s=3.2, pause_s=0.02, resident=None, load_s=0.0, models=MODELS):
        self.kind, self.speech = kind, SPEECHES[kind]
        self.late_s, self.pause_s, self.load_s = late_s, pause_s, load_s
        self.resident, self.models = resident, models
        self.calls, self.connections = [], set()
        self.loaded, self.loads, self.running = collections.OrderedDict(), 0, collections.Counter()
        self.poison, self.away_s, self.deaths = None, 0.3, 0
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self.thread.start()
        self.listen()
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.speech.base}"

    def listen(self):
        """Begins to listen, on the same port as before if it did."""

        asyncio.run_coroutine_threadsafe(self.serve(), self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self):
        self.freed = asyncio.Condition()
        self.server = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, backlog=8192)

    def die(self):
        """As a process that a request kills and somebody starts anew."""
        self.deaths += 1
        self.server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        self.loop.call_later(self.away_s, lambda: asyncio.ensure_future(self.serve()))

    def away(self):
        """Stops to listen and drops every connection, as a process that ends."""

        async def close():
            self.server.close()
            for connection in list(self.connections):
                connection.transport.abort()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)

    def stop(self):
        async def close():
            self.server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for connection in list(self.connections):
                connection.transport.abort()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def chats(self):
        """The requests that asked a model, in their order."""
        return [call for call in list(self.calls) if call.path.endswith(ASKED)]

    def upstream(self, **settings):
        """Its entry in `upstreams`."""
        return {"kind": self.kind, "url": self.url, **settings}

    @contextlib.asynccontextmanager
    async def place(self, asked):
        """A place to run in: at once, or when the model is loaded as Ollama loads it."""
        model = asked.model
        if self.resident is not None:
            async with self.freed:
                while model not in self.loaded:
                    idle = [name for name in self.loaded if not self.running[name]]
                    if len(self.loaded) < self.resident or idle:
                        if len(self.loaded) >= self.resident:
                            del self.loaded[idle[0]]
                        self.loaded[model] = True
                        self.loads += 1
                        await asyncio.sleep(self.load_s)
                        asked.load_s = self.load_s
                    else:
                        await self.freed.wait()
                self.loaded.move_to_end(model)
        self.running[model] += 1
        try:
            yield
        finally:
            self.running[model] -= 1
            if self.resident is not None:
                async with self.freed:
                    self.freed.notify_all()


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered by a task that ends when the other side leaves."""

    def __init__(self, house):
        self.house, self.buffer, self.call, self.task = house, bytearray(), None, None

    def connection_made(self, transport):
        self.transport = transport
        self.house.connections.add(self)

    def data_received(self, data):
        self.buffer += data
        self.next()

    def eof_received(self):
        self.left()

    def connection_lost(self, _):
        self.house.connections.discard(self)
        self.left()

    def left(self):
        if self.call and not self.call.over:
            self.call.closed_at = time.monotonic()
        if self.task:
            self.task.cancel()

    def next(self):
        """Begins with the next request when it is there as a whole."""
        end = self.buffer.find(b"\r\n\r\n")
        if self.task or end < 0:
            return
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        assert "transfer-encoding" not in headers, "this server reads only bodies of a known length"
        whole = end + 4 + int(headers.get("content-length", 0))
        if len(self.buffer) < whole:
            return
        body = bytes(self.buffer[end + 4 : whole])
        del self.buffer[:whole]
        self.call = Call(lines[0].split(" ")[1], headers, json.loads(body) if body else None)
        self.house.calls.append(self.call)
        self.task = asyncio.ensure_future(self.answer(self.call))

    async def answer(self, call):
        with contextlib.suppress(asyncio.CancelledError):
            try:
                more = await self.respond(call)
            except Exception:
                self.transport.abort()
                raise
            call.ended_at = time.monotonic()
            self.task = None
            if more and not self.transport.is_closing():
                self.next()
            else:
                self.transport.close()

    async def respond(self, call):
        """Answers one request; true when another may follow on the connection."""
        house, speech = self.house, self.house.speech
        if not call.path.endswith(ASKED):
            return self.whole(call, speech.about(house, call))
        asked = Asked(call.path, call.body)
        if asked.inputs is not None:
            return self.whole(call, speech.embeddings(asked))
        async with house.place(asked):
            if asked.model == "late":
                await asyncio.sleep(house.late_s)
            if house.poison and house.poison in asked.text:
                house.die()
                return False
            if asked.model == "broken":
                return self.whole(call, {"error": {"message": TRACE}}, "500 Internal Server Error")
            if asked.model == "busy":
                return self.whole(call, {"error": "maximum pending requests exceeded"}, "503 Service Unavailable")
            cut = int(re.search(r"\d+", asked.text)[0]) if asked.model == "cut" else None
            if asked.stream:
                return await self.stream(call, asked, cut)
            return self.whole(call, speech.whole(asked, list(events(asked))), cut=cut)

    def whole(self, call, body, status="200 OK", cut=None):
        data = json.dumps(body, ensure_ascii=False).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.transport.write(head.encode())
        return self.send(call, data, cut)

    async def stream(self, call, asked, cut):
        speech = self.house.speech
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {speech.stream_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.transport.write(head.encode())
        pause = {"endless": ENDLESS_PAUSE_S, "slow": self.house.pause_s}.get(asked.model)
        for frame in speech.frames(asked, events(asked)):
            if not self.send(call, b"%x\r\n%s\r\n" % (len(frame), frame), cut):
                return False
            if pause:
                await asyncio.sleep(pause)
        return self.send(call, b"0\r\n\r\n", cut)

    def send(self, call, data, cut):
        """Writes it, or what may be written of it before the cut."""
        if cut is not None and call.sent + len(data) > cut:
            data = data[: cut - call.sent]
            call.sent += len(data)
            self.transport.write(data)
            # Both ways a connection can end: in good order, or reset.
            self.transport.close() if cut % 2 == 0 else self.transport.abort()
            return False
        call.sent += len(data)
        self.transport.write(data)
        return True


# ── What is asked ────────────────────────────────────────────────────────────────────────────────────────────────────


class Asked:
    """A request of any dialect, as far as the answer depends on it."""

    def __init__(self, path, body):
        body = body or {}
        self.path, self.model = path, body.get("model")
        self.stream = body.get("stream", path.startswith("/api/"))
        self.usage = (body.get("stream_options") or {}).get("include_usage", False)
        self.load_s = 0.001  # how long it waited for its model to be loaded
        self.base64 = body.get("encoding_format") == "base64"
        self.inputs = None
        if path.endswith(("/embeddings", "/api/embed")):
            given = body.get("input", body.get("prompt"))
            self.inputs = given if isinstance(given, list) else [given]
        self.messages = body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
        self.text = next((text_of(m.get("content")) for m in reversed(self.messages) if m["role"] == "user"), "")
        results = [text_of(part) for message in self.messages for part in results_of(message)]
        self.result = results[-1] if results else None
        said = [text_of(message.get("content")) for message in self.messages]
        self.input_tokens = sum(len(text.split()) for text in said)


def text_of(content):
    """The text of a message's content: a string, parts, or a single part."""
    if isinstance(content, list):
        return "".join(map(text_of, content))
    if isinstance(content, dict):
        return content.get("text") or text_of(content.get("content"))
    return content or ""


def results_of(message):
    """The results of tools in a message."""
    content = message.get("content")
    if message["role"] == "tool":
        return [content]
    parts = content if isinstance(content, list) else []
    return [part for part in parts if part.get("type") == "tool_result"]


def events(asked):
    """What the model says: `text`, `thought` and `tool` events, then one `end` with its reason and its tokens."""
    if asked.model == "tools" and asked.result is None:
        yield "tool", TOOL, ARGUMENTS
        yield "end", "tool", 7
        return
    if asked.model == "thinks":
        yield "thought", THOUGHT, None
    while asked.model == "endless" and asked.stream:
        yield "text", "on ", None
    said = asked.result if asked.model == "tools" else asked.text
    words = re.findall(r"\S+\s*|\s+", said)
    for word in words:
        yield "text", word, None
    yield "end", "stop", len(words)


def written(heard, kind):
    return "".join(value for name, value, _ in heard if name == kind)


def called(heard):
    return [(value, more) for name, value, more in heard if name == "tool"]


def vector(text):
    return [float(len(text)), float(len(text.split())), 0.5, -0.25]


def sse(data, event=None):
    data = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {event}\n" if event else "").encode() + f"data: {data}\n\n".encode()


# ── The dialects ─────────────────────────────────────────────────────────────────────────────────────────────────────


class OpenAi:
    """As vLLM and llama.cpp's server speak it."""

    base, stream_type = "/v1", "text/event-stream"
    REASONS = {"stop": "stop", "tool": "tool_calls"}

    @staticmethod
    def about(house, call):
        if call.path.startswith("/health"):
            return {"status": "ok"}
        rows = [{"id": name, "object": "model", "max_model_len": 262144} for name in house.models]
        return {"object": "list", "data": rows}

    @staticmethod
    def common(asked):
        name = REGISTRY_NAME if asked.model == "named" else asked.model
        return {"id": "chatcmpl-scripted", "created": CREATED, "model": name, "system_fingerprint": "fp_scripted"}

    @staticmethod
    def tokens(asked, heard):
        told = {"prompt_tokens": asked.input_tokens, "completion_tokens": heard[-1][2]}
        return {**told, "total_tokens": sum(told.values())}

    @classmethod
    def whole(cls, asked, heard):
        choice = {"index": 0, "finish_reason": cls.REASONS[heard[-1][1]]}
        if not asked.path.endswith("/chat/completions"):
            choice["text"] = written(heard, "text")
            kind = "text_completion"
        else:
            kind = "chat.completion"
            message = choice["message"] = {"role": "assistant", "content": written(heard, "text") or None}
            if thought := written(heard, "thought"):
                message["reasoning_content"] = thought
            if calls := called(heard):
                message["tool_calls"] = [cls.tool(number, *call) for number, call in enumerate(calls)]
        return {**cls.common(asked), "object": kind, "choices": [choice], "usage": cls.tokens(asked, heard)}

    @staticmethod
    def tool(number, name, arguments):
        function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        return {"index": number, "id": f"call_{number}", "type": "function", "function": function}

    @classmethod
    def frames(cls, asked, heard):
        chat = asked.path.endswith("/chat/completions")
        kind = "chat.completion.chunk" if chat else "text_completion"

        def chunk(part, finish=None):
            choice = {"index": 0, **({"delta": part} if chat else part), "finish_reason": finish}
            return sse({**cls.common(asked), "object": kind, "choices": [choice]})

        if chat:
            yield chunk({"role": "assistant", "content": ""})
        last = None
        for name, value, more in heard:
            if name == "text":
                yield chunk({"content": value} if chat else {"text": value})
            elif name == "thought" and chat:
                yield chunk({"reasoning_content": value})
            elif name == "tool" and chat:
                whole = cls.tool(0, value, more)
                whole["function"], rest = {"name": value, "arguments": ""}, whole["function"]["arguments"]
                yield chunk({"tool_calls": [whole]})
                for at in range(0, len(rest), 7):  # the arguments come in pieces, as they are sampled
                    yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": rest[at : at + 7]}}]})
            elif name == "end":
                last = (name, value, more)
                yield chunk({} if chat else {"text": ""}, cls.REASONS[value])
        if asked.usage:
            yield sse({**cls.common(asked), "object": kind, "choices": [], "usage": cls.tokens(asked, [last])})
        yield sse("[DONE]")

    @staticmethod
    def embeddings(asked):
        def written(numbers):
            return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if asked.base64 else numbers

        rows = [
            {"object": "embedding", "index": number, "embedding": written(vector(text))}
            for number, text in enumerate(asked.inputs)
        ]
        count = sum(len(text.split()) for text in asked.inputs)
        usage = {"prompt_tokens": count, "total_tokens": count}
        return {"object": "list", "data": rows, "model": asked.model, "usage": usage}


class Anthropic:
    base, stream_type = "", "text/event-stream"
    REASONS = {"stop": "end_turn", "tool": "tool_use"}

    @staticmethod
    def about(house, call):
        if call.path.endswith("/count_tokens"):
            return {"input_tokens": Asked(call.path, call.body).input_tokens}
        rows = [{"type": "model", "id": name, "display_name": name, "created_at": STAMP} for name in house.models]
        return {"data": rows, "has_more": False, "first_id": house.models[0], "last_id": house.models[-1]}

    @staticmethod
    def message(asked, **fields):
        return {"id": "msg_scripted", "type": "message", "role": "assistant", "model": asked.model, **fields}

    @classmethod
    def whole(cls, asked, heard):
        content = []
        if thought := written(heard, "thought"):
            content.append({"type": "thinking", "thinking": thought, "signature": "c2ln"})
        if text := written(heard, "text"):
            content.append({"type": "text", "text": text})
        for number, (name, arguments) in enumerate(called(heard)):
            content.append({"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments})
        usage = {"input_tokens": asked.input_tokens, "output_tokens": heard[-1][2]}
        reason = cls.REASONS[heard[-1][1]]
        return cls.message(asked, content=content, stop_reason=reason, stop_sequence=None, usage=usage)

    @classmethod
    def frames(cls, asked, heard):
        def event(kind, **fields):
            return sse({"type": kind, **fields}, kind)

        usage = {"input_tokens": asked.input_tokens, "output_tokens": 1}
        message = cls.message(asked, content=[], stop_reason=None, stop_sequence=None, usage=usage)
        yield event("message_start", message=message)
        yield event("ping")
        number, is_open = -1, None
        for name, value, more in heard:
            if is_open and name != is_open:
                if is_open == "thought":
                    signature = {"type": "signature_delta", "signature": "c2ln"}
                    yield event("content_block_delta", index=number, delta=signature)
                yield event("content_block_stop", index=number)
                is_open = None
            if name == "end":
                reason = {"stop_reason": cls.REASONS[value], "stop_sequence": None}
                yield event("message_delta", delta=reason, usage={"output_tokens": more})
                continue
            if is_open is None:
                number, is_open = number + 1, name
                block = {
                    "text": {"type": "text", "text": ""},
                    "thought": {"type": "thinking", "thinking": "", "signature": ""},
                    "tool": {"type": "tool_use", "id": f"toolu_{number}", "name": value, "input": {}},
                }[name]
                yield event("content_block_start", index=number, content_block=block)
            if name == "tool":
                rest = json.dumps(more, ensure_ascii=False)
                for at in range(0, len(rest), 7):
                    delta = {"type": "input_json_delta", "partial_json": rest[at : at + 7]}
                    yield event("content_block_delta", index=number, delta=delta)
            elif name == "text":
                yield event("content_block_delta", index=number, delta={"type": "text_delta", "text": value})
            else:
                yield event("content_block_delta", index=number, delta={"type": "thinking_delta", "thinking": value})
        yield event("message_stop")


class Ollama:
    base, stream_type = "", "application/x-ndjson"

    @staticmethod
    def about(house, call):
        path = call.path.partition("?")[0]
        if path == "/api/version":
            return {"version": "0.17.4"}
        if path == "/api/show":
            info = {"general.architecture": "llama", "llama.context_length": 262144}
            return {"capabilities": ["completion", "tools", "thinking"], "model_info": info, "details": {}}
        listed = house.loaded if path == "/api/ps" else house.models
        details = {"format": "gguf", "family": "llama", "parameter_size": "1M", "quantization_level": "F32"}
        row = {"size": 1, "digest": "0" * 64, "details": details}
        more = {"size_vram": 0, "context_length": 8192, "expires_at": "2099-01-01T00:00:00Z"}
        more = more if path == "/api/ps" else {"modified_at": STAMP}
        return {"models": [{"name": name, "model": name, **row, **more} for name in list(listed)]}

    @staticmethod
    def line(asked, **fields):
        return {"model": asked.model, "created_at": STAMP, **fields}

    @classmethod
    def part(cls, asked, text="", thought="", calls=()):
        """What differs between a chat and a generation."""
        if asked.path.endswith("/generate"):
            return {"response": text, **({"thinking": thought} if thought else {})}
        message = {"role": "assistant", "content": text, **({"thinking": thought} if thought else {})}
        if calls:
            message["tool_calls"] = [
                {"id": f"call_{number}", "function": {"index": number, "name": name, "arguments": arguments}}
                for number, (name, arguments) in enumerate(calls)
            ]
        return {"message": message}

    @staticmethod
    def last(asked, tokens):
        spent = {"total_duration": int(asked.load_s * 1e9) + 8_000_000, "load_duration": int(asked.load_s * 1e9)}
        read = {"prompt_eval_count": asked.input_tokens, "prompt_eval_duration": 2_000_000}
        return {
            "done": True,
            "done_reason": "stop",
            **spent,
            **read,
            "eval_count": tokens,
            "eval_duration": 5_000_000,
        }

    @classmethod
    def whole(cls, asked, heard):
        part = cls.part(asked, written(heard, "text"), written(heard, "thought"), called(heard))
        return cls.line(asked, **part, **cls.last(asked, heard[-1][2]))

    @classmethod
    def frames(cls, asked, heard):
        for name, value, more in heard:
            if name == "text":
                line = cls.line(asked, **cls.part(asked, text=value), done=False)
            elif name == "thought":
                line = cls.line(asked, **cls.part(asked, thought=value), done=False)
            elif name == "tool":
                line = cls.line(asked, **cls.part(asked, calls=[(value, more)]), done=False)
            else:
                line = cls.line(asked, **cls.part(asked), **cls.last(asked, more))
            yield json.dumps(line, ensure_ascii=False).encode() + b"\n"

    @staticmethod
    def embeddings(asked):
        rows = [vector(text) for text in asked.inputs]
        count = sum(len(text.split()) for text in asked.inputs)
        return {"model": asked.model, "embeddings": rows, "total_duration": 9, "prompt_eval_count": count}


SPEECHES = {"openai": OpenAi, "anthropic": Anthropic, "ollama": Ollama}
