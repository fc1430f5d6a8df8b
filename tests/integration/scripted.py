"""An upstream with the OpenAI API that does what its model's name says, and remembers what happened to it.

echo      says the prompt again, at once
late      as echo, after `late_s`
endless   streams a word every 5 ms until the reader leaves
broken    500 with a stack trace
named     as echo, under a name of an internal registry
"""

import asyncio
import contextlib
import json
import threading
import time

MODELS = ["echo", "late", "endless", "broken", "named"]
REGISTRY_NAME = "registry.internal/team/qwen3-32b-q4"
CREATED = 1_234_567_890


class Call:
    """What became of one request."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.closed_at = None  # time.monotonic() when the other side closed before the answer was complete


class Scripted:
    def __init__(self, late_s=3.2):
        self.late_s = late_s
        self.calls = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self.thread.start()
        serving = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, "127.0.0.1", 0), self.loop)
        self.server = serving.result(10)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def stop(self):
        async def close():
            self.server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def chats(self):
        return [call for call in list(self.calls) if call.path.endswith("/chat/completions")]

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self.one(reader, writer):
                pass
        writer.close()

    async def one(self, reader, writer):
        """One request; true when another may follow on the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        call = Call(path, headers, json.loads(body) if body else None)
        self.calls.append(call)
        if call.body is None:
            return self.whole(writer, {"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})

        # The answer runs beside a look at the connection, so that a reader who leaves is seen at once. The look takes
        # no byte away: what comes early belongs to the next request.
        answer = asyncio.ensure_future(self.answer(writer, call.body))
        while not answer.done():
            if reader.at_eof() or reader.exception():
                call.closed_at = time.monotonic()
                answer.cancel()
                return False
            await asyncio.wait({answer}, timeout=0.005)
        return answer.result()

    async def answer(self, writer, request):
        model, text = request["model"], request["messages"][-1]["content"]
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(text.split())}
        usage["total_tokens"] = sum(usage.values())
        name = REGISTRY_NAME if model == "named" else model
        common = {"id": "chatcmpl-scripted", "created": CREATED, "model": name, "system_fingerprint": "fp_scripted"}
        if model == "late":
            await asyncio.sleep(self.late_s)
        if model == "broken":
            trace = 'Traceback (most recent call last):\n  File "/srv/model/engine.py", line 7\nRuntimeError: secret'
            return self.whole(writer, {"error": {"message": trace}}, "500 Internal Server Error")
        if not request.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return self.whole(writer, {**common, "object": "chat.completion", "choices": [choice], "usage": usage})

        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

        def event(data):
            line = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))

        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            event({**common, "object": "chat.completion.chunk", "choices": [choice]})

        chunk({"role": "assistant", "content": ""})
        while model == "endless":
            chunk({"content": "on "})
            await writer.drain()
            await asyncio.sleep(0.005)
        for word in text.split(" "):
            chunk({"content": word + " "})
        chunk({}, "stop")
        event({**common, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        event("[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    @staticmethod
    def whole(writer, body, status="200 OK"):
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        return True
