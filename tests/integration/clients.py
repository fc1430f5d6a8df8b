"""The official clients behind one face: each asks, streams, calls tools, embeds, fails and leaves in its own way.

What a client says is read from its own objects, and what goes wrong from its own exceptions: that these fit is what the
tests are after.
"""

import dataclasses
import json
import subprocess
import time

import anthropic
import langchain_core.messages
import langchain_openai
import ollama
import openai
import pydantic
from house import ROOT

TOOL = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "rank": {"type": "integer"}},
    "required": ["city", "rank"],
    "additionalProperties": False,
}
TIMEOUT_S = 30


class City(pydantic.BaseModel):
    """`SCHEMA` as a type."""

    city: str
    rank: int


@dataclasses.dataclass
class Said:
    text: str = ""
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tools: list = dataclasses.field(default_factory=list)  # (name, arguments)
    thought: str = ""


@dataclasses.dataclass
class Problem:
    """What a client makes of an error."""

    kind: str
    status: int
    message: str
    code: str | None = None


class Client:
    """What every client can be asked; those that its API lacks are left out of `can`."""

    can = {"chat", "stream", "tools", "schema", "embed"}
    wrong_key, unknown_model, too_long = None, None, None  # names of its exceptions
    code = "code"  # where it keeps the machine-readable word
    finish = "stop"  # how it says that an answer is complete

    def __init__(self, url, key):
        self.url, self.key = url, key

    def __repr__(self):
        return type(self).__name__


# ── Python ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class OpenAi(Client):
    """openai (Python), chat completions."""

    wrong_key, unknown_model, too_long = "AuthenticationError", "NotFoundError", "BadRequestError"

    def __init__(self, url, key):
        super().__init__(url, key)
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S)

    def ask(self, model, text, **more):
        messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
        return self.client.chat.completions.create(model=model, messages=messages, temperature=0, **more)

    def chat(self, model, text, **more):
        answer = self.ask(model, text, **more)
        choice, usage = answer.choices[0], answer.usage
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
        thought = (choice.message.model_extra or {}).get("reasoning_content", "")
        said = choice.message.content or ""
        return Said(said, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens, calls, thought)

    def stream(self, model, text, **more):
        """By the client's own collector of chunks."""
        messages = [{"role": "user", "content": text}]
        options = {"include_usage": True}
        with self.client.chat.completions.stream(
            model=model, messages=messages, temperature=0, stream_options=options, **more
        ) as stream:
            for _ in stream:
                pass
            answer = stream.get_final_completion()
        choice, usage = answer.choices[0], answer.usage
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
        said = choice.message.content or ""
        return Said(said, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens, calls)

    def tools(self, model, text, result=None):
        """Offers a tool; with a result, answers the call and says what comes then, streamed."""
        tools = [{"type": "function", "function": TOOL}]
        first = self.chat(model, text, tools=tools, tool_choice="auto")
        streamed = self.stream(model, text, tools=tools)
        assert streamed.tools == first.tools
        if result is None:
            return first
        answer = self.ask(model, text, tools=tools).choices[0].message
        turn = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": result}
        messages = [{"role": "user", "content": text}, answer.to_dict(), turn]
        return dataclasses.replace(self.chat(model, messages, tools=tools), tools=first.tools)

    def schema(self, model, text):
        answer = self.client.chat.completions.parse(
            model=model, messages=[{"role": "user", "content": text}], response_format=City
        )
        return answer.choices[0].message.parsed.model_dump()

    def embed(self, model, texts):
        rows = self.client.embeddings.create(model=model, input=texts).data  # asks for base64 and decodes it
        return [row.embedding for row in rows]

    def problem(self, model, text):
        try:
            self.chat(model, text)
        except openai.APIStatusError as error:
            return Problem(type(error).__name__, error.status_code, error.body["message"], error.code)

    def leave(self, model):
        """Reads the first piece of a stream, leaves, and says when."""
        stream = self.ask(model, "go on", stream=True)
        next(iter(stream))
        left_at = time.monotonic()
        stream.close()
        return left_at


class OpenAiCompletions(OpenAi):
    """openai (Python), the old completions."""

    can = {"chat", "stream"}

    def ask(self, model, text, **more):
        return self.client.completions.create(model=model, prompt=text, temperature=0, **more)

    def chat(self, model, text):
        answer = self.ask(model, text)
        choice, usage = answer.choices[0], answer.usage
        return Said(choice.text, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)

    def stream(self, model, text):
        said = Said()
        for chunk in self.ask(model, text, stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                said.text += choice.text
                said.finish = choice.finish_reason or said.finish
            if chunk.usage:
                said.input_tokens, said.output_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        return said


class OpenAiResponses(OpenAi):
    """openai (Python), responses."""

    can = {"chat", "stream", "tools", "schema"}
    finish = "completed"

    def ask(self, model, text, **more):
        return self.client.responses.create(model=model, input=text, temperature=0, **more)

    @staticmethod
    def said(answer):
        calls = [(item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"]
        usage = answer.usage
        return Said(answer.output_text, answer.status, usage.input_tokens, usage.output_tokens, calls)

    def chat(self, model, text, **more):
        return self.said(self.ask(model, text, **more))

    def stream(self, model, text, **more):
        with self.client.responses.stream(model=model, input=text, temperature=0, **more) as stream:
            deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            answer = stream.get_final_response()
        assert deltas == answer.output_text
        return self.said(answer)

    def tools(self, model, text, result=None):
        tools = [{"type": "function", "strict": False, **TOOL}]
        answer = self.ask(model, text, tools=tools)
        first = self.said(answer)
        assert self.stream(model, text, tools=tools).tools == first.tools
        if result is None:
            return first
        call = next(item for item in answer.output if item.type == "function_call")
        turn = {"type": "function_call_output", "call_id": call.call_id, "output": result}
        items = [{"role": "user", "content": text}, *(item.to_dict() for item in answer.output), turn]
        return dataclasses.replace(self.chat(model, items, tools=tools), tools=first.tools)

    def schema(self, model, text):
        return self.client.responses.parse(model=model, input=text, text_format=City).output_parsed.model_dump()


class Anthropic(Client):
    """anthropic (Python)."""

    can = {"chat", "stream", "tools"}
    wrong_key, unknown_model, too_long = "AuthenticationError", "NotFoundError", "BadRequestError"
    code, finish = "type", "end_turn"

    def __init__(self, url, key):
        super().__init__(url, key)
        self.client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S)

    @staticmethod
    def asked(model, text, **more):
        messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
        return {"model": model, "messages": messages, "max_tokens": 1000, **more}

    @staticmethod
    def said(answer):
        parts = {kind: [block for block in answer.content if block.type == kind] for kind in ("text", "tool_use")}
        text = "".join(block.text for block in parts["text"])
        calls = [(block.name, block.input) for block in parts["tool_use"]]
        thought = "".join(block.thinking for block in answer.content if block.type == "thinking")
        usage = answer.usage
        return Said(text, answer.stop_reason, usage.input_tokens, usage.output_tokens, calls, thought)

    def chat(self, model, text, **more):
        return self.said(self.client.messages.create(**self.asked(model, text, **more)))

    def stream(self, model, text, **more):
        with self.client.messages.stream(**self.asked(model, text, **more)) as stream:
            deltas = "".join(stream.text_stream)
            said = self.said(stream.get_final_message())
        assert deltas == said.text
        return said

    def tools(self, model, text, result=None):
        named = {name: value for name, value in TOOL.items() if name != "parameters"}
        tools = [{**named, "input_schema": TOOL["parameters"]}]
        answer = self.client.messages.create(**self.asked(model, text, tools=tools))
        first = self.said(answer)
        assert self.stream(model, text, tools=tools).tools == first.tools
        if result is None:
            return first
        use = next(block for block in answer.content if block.type == "tool_use")
        turn = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": result}]}
        mine = {"role": "assistant", "content": [block.to_dict() for block in answer.content]}
        messages = [{"role": "user", "content": text}, mine, turn]
        return dataclasses.replace(self.chat(model, messages, tools=tools), tools=first.tools)

    def problem(self, model, text):
        try:
            self.chat(model, text)
        except anthropic.APIStatusError as error:
            told = error.body["error"]
            return Problem(type(error).__name__, error.status_code, told["message"], told["type"])

    def leave(self, model):
        stream = self.client.messages.create(**self.asked(model, "go on"), stream=True)
        kinds = (event.type for event in stream)
        assert "content_block_delta" in kinds
        left_at = time.monotonic()
        stream.close()
        return left_at


class Ollama(Client):
    """ollama (Python), chats."""

    wrong_key = unknown_model = too_long = "ResponseError"
    code = None

    def __init__(self, url, key):
        super().__init__(url, key)
        self.client = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S)

    def ask(self, model, text, **more):
        messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
        return self.client.chat(model=model, messages=messages, options={"temperature": 0}, **more)

    @staticmethod
    def calls(part):
        calls = part.message.tool_calls or []
        return [(call.function.name, dict(call.function.arguments)) for call in calls]

    def chat(self, model, text, **more):
        answer = self.ask(model, text, **more)
        counts = answer.prompt_eval_count, answer.eval_count
        return Said(answer.message.content or "", answer.done_reason, *counts, self.calls(answer))

    def stream(self, model, text, **more):
        said = Said()
        for part in self.ask(model, text, stream=True, **more):
            said.text += part.message.content or ""
            said.thought += part.message.thinking or ""
            said.tools += self.calls(part)
            if part.done:
                said.finish = part.done_reason
                said.input_tokens, said.output_tokens = part.prompt_eval_count, part.eval_count
        return said

    def tools(self, model, text, result=None):
        tools = [{"type": "function", "function": TOOL}]
        answer = self.ask(model, text, tools=tools)
        first = Said(answer.message.content or "", answer.done_reason, tools=self.calls(answer))
        assert self.stream(model, text, tools=tools).tools == first.tools
        if result is None:
            return first
        turn = {"role": "tool", "tool_name": TOOL["name"], "content": result}
        messages = [{"role": "user", "content": text}, answer.message, turn]
        return dataclasses.replace(self.chat(model, messages, tools=tools), tools=first.tools)

    def schema(self, model, text):
        return json.loads(self.ask(model, text, format=SCHEMA).message.content)

    def embed(self, model, texts):
        return [list(row) for row in self.client.embed(model=model, input=texts).embeddings]

    def problem(self, model, text):
        try:
            self.chat(model, text)
        except ollama.ResponseError as error:
            return Problem(type(error).__name__, error.status_code, error.error)

    def leave(self, model):
        parts = self.ask(model, "go on", stream=True)
        next(parts)
        left_at = time.monotonic()
        parts.close()
        return left_at


class OllamaGenerate(Ollama):
    """ollama (Python), generations."""

    can = {"chat", "stream", "schema"}

    def ask(self, model, text, **more):
        return self.client.generate(model=model, prompt=text, options={"temperature": 0}, **more)

    def chat(self, model, text):
        answer = self.ask(model, text)
        return Said(answer.response, answer.done_reason, answer.prompt_eval_count, answer.eval_count)

    def stream(self, model, text):
        said = Said()
        for part in self.ask(model, text, stream=True):
            said.text += part.response or ""
            if part.done:
                said.finish = part.done_reason
                said.input_tokens, said.output_tokens = part.prompt_eval_count, part.eval_count
        return said

    def schema(self, model, text):
        return json.loads(self.ask(model, text, format=SCHEMA).response)


class LangChain(Client):
    """langchain-openai."""

    wrong_key, unknown_model = "OpenAIAuthenticationError", "OpenAIModelNotFoundError"
    # It knows an overflow by the text alone, and "prompt too long, max N chars" is not the one it knows.
    too_long = "OpenAIInvalidRequestError"

    def model(self, name, **more):
        return langchain_openai.ChatOpenAI(
            model=name,
            base_url=f"{self.url}/v1",
            api_key=self.key,
            max_retries=0,
            timeout=TIMEOUT_S,
            temperature=0,
            stream_usage=True,
            **more,
        )

    @staticmethod
    def said(message):
        usage = message.usage_metadata
        calls = [(call["name"], call["args"]) for call in message.tool_calls]
        finish = message.response_metadata["finish_reason"]
        return Said(message.text, finish, usage["input_tokens"], usage["output_tokens"], calls)

    def chat(self, model, text):
        return self.said(self.model(model).invoke(text))

    @staticmethod
    def collected(chunks):
        whole = None
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
        return whole

    def stream(self, model, text):
        return self.said(self.collected(self.model(model).stream(text)))

    def tools(self, model, text, result=None):
        bound = self.model(model).bind_tools([{"type": "function", "function": TOOL}])
        answer = bound.invoke(text)
        first = self.said(answer)
        assert self.said(self.collected(bound.stream(text))).tools == first.tools
        if result is None:
            return first
        turn = langchain_core.messages.ToolMessage(result, tool_call_id=answer.tool_calls[0]["id"])
        last = bound.invoke([langchain_core.messages.HumanMessage(text), answer, turn])
        return dataclasses.replace(self.said(last), tools=first.tools)

    def schema(self, model, text):
        return self.model(model).with_structured_output(City, method="json_schema").invoke(text).model_dump()

    def embed(self, model, texts):
        # Without its check of lengths, which would fetch OpenAI's tokenizer from outside and send numbers for text.
        embeddings = langchain_openai.OpenAIEmbeddings(
            model=model, base_url=f"{self.url}/v1", api_key=self.key, check_embedding_ctx_length=False
        )
        return embeddings.embed_documents(texts)

    def problem(self, model, text):
        try:
            self.chat(model, text)
        except openai.APIStatusError as error:
            return Problem(type(error).__name__, error.status_code, error.body["message"], error.code)

    def leave(self, model):
        parts = self.model(model).stream("go on")
        next(parts)
        left_at = time.monotonic()
        parts.close()
        return left_at


# ── Node ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Node(Client):
    """A client that tests/node/clients.mjs drives: one process, one task, its outcome as JSON."""

    name = None

    def do(self, what, **task):
        task = {"client": self.name, "url": self.url, "key": self.key, "do": what, **task}
        task |= {"tool": TOOL, "schema": SCHEMA}
        command = ["node", ROOT / "tests/node/clients.mjs", json.dumps(task)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @staticmethod
    def said(told):
        told["tools"] = [tuple(call) for call in told.get("tools") or []]
        return Said(**told)

    def chat(self, model, text):
        return self.said(self.do("chat", model=model, text=text))

    def stream(self, model, text):
        return self.said(self.do("stream", model=model, text=text))

    def tools(self, model, text, result=None):
        return self.said(self.do("tools", model=model, text=text, result=result))

    def schema(self, model, text):
        return self.do("schema", model=model, text=text)

    def embed(self, model, texts):
        return self.do("embed", model=model, texts=texts)

    def problem(self, model, text):
        return Problem(**self.do("problem", model=model, text=text))

    def leave(self, model):
        """Its clock is Python's: both read the system's monotonic one."""
        return self.do("leave", model=model)["left_at"]


class NodeOpenAi(Node):
    """openai (Node)."""

    name = "openai"
    wrong_key, unknown_model, too_long = "AuthenticationError", "NotFoundError", "BadRequestError"


class NodeOllama(Node):
    """ollama (Node)."""

    name = "ollama"
    wrong_key = unknown_model = too_long = "ResponseError"
    code = None


CLIENTS = [
    OpenAi,
    OpenAiCompletions,
    OpenAiResponses,
    Anthropic,
    Ollama,
    OllamaGenerate,
    LangChain,
    NodeOpenAi,
    NodeOllama,
]
