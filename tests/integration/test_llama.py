"""The official clients against llama.cpp's server, through the gate. Only by name: ./test integration --llama.

Tools and schemas are not asked for: its Python server knows neither by the names that OpenAI gives them.
"""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import clients
import httpx
import pytest
from clients import CLIENTS
from conftest import QWEN
from house import GGUF, Process, cpu_seconds, free_port, until

MODEL = "tiny"


def those_that(can):
    able = [client for client in CLIENTS if can in client.can]
    return pytest.mark.parametrize("client", able, ids=lambda client: client.__name__)


class Llama(Process):
    """llama.cpp's Python server with one model."""

    def __init__(self, python, directory, name, *making):
        super().__init__(f"llama-{name}", directory)
        self.python, self.name_of_model = python, name
        self.model = directory / f"{name}.gguf"
        subprocess.run(["python3", GGUF, self.model, *making], check=True, capture_output=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        model = ["--model", self.model, "--model_alias", self.name_of_model, "--n_threads", "1", "--n_ctx", "4096"]
        self.spawn([self.python, "-m", "llama_cpp.server", *place, *model, "--embedding", "true"])
        until("llama.cpp answers", lambda: self.alive() and httpx.get(f"{self.url}/models").is_success, within=60)
        return self


@pytest.fixture(scope="module")
def servers(request, tmp_path_factory):
    python, directory = request.config.getoption("--llama"), tmp_path_factory.mktemp("llama")
    made = [
        Llama(python, directory, MODEL, "--reply", QWEN, "--pooling"),
        Llama(python, directory, "loop", "--loop", "--layers", "48"),
    ]
    try:
        yield {server.name_of_model: server.start() for server in made}
    finally:
        for server in made:
            server.stop()


@pytest.fixture
def llama_house(make_house, servers):
    return make_house(upstreams={name: {"kind": "openai", "url": server.url} for name, server in servers.items()})


@those_that("chat")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_scenario_g02_a_chat_with_llama_cpp(llama_house, client, stream):
    client = client(llama_house.url, llama_house.key)
    said = (client.stream if stream else client.chat)(MODEL, "What is the capital of France?")
    assert (said.text.strip(), said.finish) == (QWEN, client.finish)
    # Streams of this server tell no usage: then it is estimated, and the record says so.
    assert said.input_tokens > 0 and said.output_tokens > 0


@those_that("embed")
def test_scenario_g02_embeddings_with_llama_cpp(llama_house, client):
    rows = client(llama_house.url, llama_house.key).embed(MODEL, ["one", "two words"])
    assert len(rows) == 2 and all(rows)


def test_scenario_g02_many_at_once_with_llama_cpp(llama_house):
    asked = [client(llama_house.url, llama_house.key) for client in (clients.OpenAi, clients.Anthropic, clients.Ollama)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: asked[number % 3].chat(MODEL, f"prompt {number}").text, range(30)))
    assert {answer.strip() for answer in answers} == {QWEN}


@those_that("stream")
def test_a_client_that_leaves_sets_llama_cpp_free(llama_house, servers, client):
    client(llama_house.url, llama_house.key).leave("loop")
    llama_house.idle()
    pids = [servers["loop"].child.pid]
    until("the server has heard it", lambda: spent(pids, 0.3) < 0.1, within=3)


def spent(pids, seconds):
    """Share of a core that they use in so many seconds."""
    before = cpu_seconds(pids)
    time.sleep(seconds)  # the length of the measurement
    return (cpu_seconds(pids) - before) / seconds
