"""`tollhouse init --from`: older files are taken, and what was told of them is what the house does."""

import json
import socket

import httpx
import pytest
from house import BINARY, Process, finished, free_port, until

KEY = "sk-clawdbot-secret-2026"

# The tutorial's gateway, flat and in sections: listen, ollama_api, log_level, rate_limit, auth, whitelist.
FLAT = """\
# 网关配置
listen: "127.0.0.1:{port}"     # 监听地址
ollama_api: "{ollama}"         # Ollama 接口
log_level: info                # 日志级别
rate_limit: 30/60s             # 每 60 秒最多 30 次
auth: {key}                    # 访问密钥
ip_whitelist:                  # 允许访问的地址
  - 127.0.0.1
"""
SECTIONS = """\
# 网关配置
server: {{host: localhost, port: {port}}}
ollama_api: {ollama}/api
log_level: INFO
rate_limit:
  enabled: true
  requests: 30
  window: 60        # 秒
auth:
  enabled: true
  type: api_key
  header: X-Api-Key
  api_keys:
    - {{name: 团队甲, key: {key}}}
whitelist: {{enabled: true, ips: [127.0.0.1]}}
"""
CHAT_PAGE = """\
title: "我的私有助手"
description: "本地聊天"
api_base: "http://localhost:8080/v1"
model: "echo"
"""


class Imported(Process):
    """A house with the configuration that `init` made of older files, and nothing else."""

    def __init__(self, directory, port):
        super().__init__("imported", directory)
        self.directory, self.url = directory, f"http://127.0.0.1:{port}"

    def run(self, *arguments):
        return finished([BINARY, *arguments], cwd=self.directory)

    def start(self):
        self.spawn([BINARY, "up"], cwd=self.directory)
        until("tollhouse answers", lambda: self.alive() and httpx.get(f"{self.url}/healthz").is_success, within=20)
        return self

    def chat(self, text, key=KEY, source="127.0.0.1"):
        transport = httpx.HTTPTransport(local_address=source)
        body = {"model": "echo", "messages": [{"role": "user", "content": text}]}
        with httpx.Client(base_url=self.url, transport=transport, timeout=30) as client:
            return client.post("/v1/chat/completions", json=body, headers={"X-Api-Key": key})


@pytest.fixture
def make_imported(tmp_path):
    made = []

    def make(port):
        made.append(Imported(tmp_path, port))
        return made[-1]

    yield make
    for house in made:
        house.stop()


@pytest.mark.parametrize("old", [FLAT, SECTIONS], ids=["flat", "sections"])
def test_scenario_g10_the_tutorials_gateway_file_is_taken_without_loss(tmp_path, make_imported, make_scripted, old):
    upstream, port = make_scripted("ollama"), free_port()
    (tmp_path / "config.yaml").write_text(old.format(port=port, ollama=upstream.url, key=KEY))
    house = make_imported(port)

    done = house.run("init", "--from", "config.yaml")
    assert done.returncode == 0, done.stderr
    assert ", 0 not taken" in done.stderr and "old keys work on" in done.stderr, done.stderr
    for line, text in enumerate(old.splitlines(), 1):
        told = f"config.yaml:{line} " in done.stderr
        holds_value = not text.startswith("#") and not text.partition("#")[0].rstrip().endswith(":")
        assert told == holds_value, f"line {line}: {text}\n{done.stderr}"
    written = (tmp_path / "tollhouse.yaml").read_text()
    assert KEY not in done.stderr + done.stdout + written
    assert house.run("check").returncode == 0

    house.start()
    assert house.chat("hello").json()["choices"][0]["message"]["content"] == "hello"
    wrong = house.chat("hello", key="sk-another")
    assert wrong.status_code == 401 and "invalid api key" in wrong.text
    # Longer than anybody may ask where no limit is written.
    long = house.chat("x" * 100_000)
    assert long.status_code == 400 and "prompt too long" in long.text
    with pytest.raises(httpx.TransportError):
        house.chat("hello", source="127.0.0.2")
    # What was refused for its length was counted or not; the 31st that is let in is none.
    answers = [house.chat("hello").status_code for _ in range(30)]
    assert answers[:28] == [200] * 28 and answers[-1] == 429
    refused = house.chat("hello")
    assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 60
    assert "30 requests per 60 s" in refused.text


def test_scenario_g10_thirty_of_thirty_one_requests_are_served(tmp_path, make_imported, make_scripted):
    upstream, port = make_scripted("ollama"), free_port()
    (tmp_path / "config.yaml").write_text(FLAT.format(port=port, ollama=upstream.url, key=KEY))
    house = make_imported(port)
    assert house.run("init", "--from", "config.yaml").returncode == 0
    house.start()
    assert [house.chat("hello").status_code for _ in range(31)] == [200] * 30 + [429]


def test_scenario_g10_gateway_and_chat_page_become_one_file(tmp_path, make_imported, make_scripted):
    upstream, port = make_scripted("ollama"), free_port()
    (tmp_path / "gateway.yaml").write_text(FLAT.format(port=port, ollama=upstream.url, key=KEY))
    (tmp_path / "chat.yaml").write_text(CHAT_PAGE)
    house = make_imported(port)
    done = house.run("init", "--json", "--from", "chat.yaml", "--from", "gateway.yaml")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    fates = {(note["file"], note["key"]): note["fate"] for note in told["notes"]}
    assert fates["chat.yaml", "model"] == fates["gateway.yaml", "listen"] == "taken"
    assert fates["chat.yaml", "api_base"] == "changed" and fates["chat.yaml", "title"] == "taken"
    assert told["taken"] + told["changed"] + told["not_taken"] == len(told["notes"]) == 10
    assert told["listen"] == f"127.0.0.1:{port}" and told["file"] == "tollhouse.yaml"
    assert KEY not in done.stdout + done.stderr
    assert house.start().chat("hello").status_code == 200


def test_scenario_g10_what_is_not_taken_is_said_plainly(tmp_path):
    (tmp_path / "config.yaml").write_text("listen: 127.0.0.1:1\ntls: {cert: a.pem}\nwhitelist: [office.example.com]\n")
    done = finished([BINARY, "init", "--from", "config.yaml"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 not taken (they stand as comments" in done.stderr
    assert "not taken  config.yaml:2 tls.cert: " in done.stderr
    written = (tmp_path / "tollhouse.yaml").read_text()
    assert "#   config.yaml:2 tls.cert: " in written
    assert "allow: [127.0.0.1]" in written, "a list that is not understood opens no door"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "config.yaml: cannot read the file"),
        ("- [", "not valid YAML"),
        ("services: {web: {image: nginx}}", "none of the files that are known here"),
        ("upstreams: {local: {kind: ollama, url: 'http://127.0.0.1:1'}}", "a configuration of tollhouse already"),
        ("# " + "x" * 1_100_000, "the file is too large"),
        (b"listen: 127.0.0.1:1\napi_key: \xff" + KEY.encode(), "config.yaml:2:"),
    ],
    ids=["missing", "no YAML", "unknown", "ours", "large", "no UTF-8"],
)
def test_scenario_g10_a_file_that_is_not_understood_is_named(tmp_path, text, told):
    if text is not None:
        (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = finished([BINARY, "init", "--from", "config.yaml"], cwd=tmp_path)
    assert done.returncode == 78 and told in done.stderr and "nothing was written" in done.stderr, done.stderr
    assert KEY not in done.stderr
    assert not (tmp_path / "tollhouse.yaml").exists()


def test_scenario_g10_no_file_is_lost(tmp_path):
    old = tmp_path / "config.yaml"
    old.write_text("listen: 127.0.0.1:1\n")
    there = tmp_path / "tollhouse.yaml"
    there.write_text("listen: 127.0.0.1:2\n")
    kept = finished([BINARY, "init", "--from", "config.yaml"], cwd=tmp_path)
    assert kept.returncode != 0 and there.read_text() == "listen: 127.0.0.1:2\n"
    itself = finished([BINARY, "init", "--force", "--from", "config.yaml", "--config", "./config.yaml"], cwd=tmp_path)
    assert itself.returncode != 0 and old.read_text() == "listen: 127.0.0.1:1\n"
    forced = finished([BINARY, "init", "--force", "--from", "config.yaml"], cwd=tmp_path)
    assert forced.returncode == 0 and "127.0.0.1:1\n" in there.read_text()


def test_scenario_g10_a_port_in_use_is_told(tmp_path):
    with socket.socket() as old:
        old.bind(("127.0.0.1", 0))
        old.listen()
        address = f"127.0.0.1:{old.getsockname()[1]}"
        (tmp_path / "config.yaml").write_text(f"listen: {address}\n")
        done = finished([BINARY, "init", "--from", "config.yaml"], cwd=tmp_path)
    assert done.returncode == 0 and f"{address} is in use now" in done.stderr
    assert f"listen: {address}" in (tmp_path / "tollhouse.yaml").read_text()


def test_the_lines_for_openclaw_are_printed(tmp_path):
    """Where its settings are, or are named; they are neither read nor changed."""
    (tmp_path / ".openclaw").mkdir()
    settings = tmp_path / ".openclaw/openclaw.json"
    settings.write_text("{ // JSON5\n}")
    (tmp_path / "config.yaml").write_text(CHAT_PAGE)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin"}
    done = finished([BINARY, "init", "--from", "config.yaml"], cwd=tmp_path, env=environment)
    assert done.returncode == 0 and str(settings) in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("    ")]
    provider = json.loads("{" + "".join(lines) + "}")
    tollhouse = provider["models"]["providers"]["tollhouse"]
    assert tollhouse["baseUrl"].startswith("http://127.0.0.1:") and tollhouse["models"][0]["id"] == "echo"
    assert provider["agents"]["defaults"]["model"]["primary"] == "tollhouse/echo"

    named = [BINARY, "init", "--force", "--json", "--from", ".openclaw/openclaw.json"]
    done = finished(named, cwd=tmp_path, env={**environment, "HOME": "/"})
    assert json.loads(done.stdout)["openclaw"]["file"] == ".openclaw/openclaw.json"
    assert settings.read_text() == "{ // JSON5\n}"
