"""`tollhouse init --from`: older files are taken, and what was told of them is what the house does."""

import contextlib
import http.server
import json
import socket
import threading

import httpx
import pytest
from edges import Authority, Visitors
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


def test_editors_find_the_schema_beside_the_configuration(tmp_path):
    done = finished([BINARY, "init"], cwd=tmp_path)
    assert done.returncode == 0 and "tollhouse.schema.json for editors" in done.stderr, done.stderr
    line = (tmp_path / "tollhouse.yaml").read_text().splitlines()[0]
    assert line == "# yaml-language-server: $schema=tollhouse.schema.json"
    schema = json.loads((tmp_path / "tollhouse.schema.json").read_text())
    assert {"listen", "upstreams", "access", "edge", "tasks"} <= schema["properties"].keys() and schema["additionalProperties"] is False
    assert json.loads(finished([BINARY, "schema"]).stdout) == schema
    assert finished([BINARY, "check"], cwd=tmp_path).returncode == 0


def test_the_lines_for_openclaw_are_printed(tmp_path):
    """Where its settings are, or are named; they are not changed."""
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


@contextlib.contextmanager
def old_page(port):
    """A server that says which path it was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"the old page {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


OPENCLAW = """\
{ // JSON5, as people write it
  gateway: { port: %(port)d, auth: { mode: "token", token: "gateway-secret-token" } },
  models: { providers: {
    local: {
      baseUrl: "%(ollama)s/v1",
      apiKey: "ollama-local", // stands for none
      models: [{ id: "echo", name: "echo", contextTokens: 16384 }],
    },
    cloud: { baseUrl: "https://api.example.com/v1", apiKey: "sk-cloud-secret" },
  } },
  agents: { defaults: { model: { primary: "local/echo" } } },
}
"""
SITE = """\
server {
    listen 127.0.0.1:%(http)d;
    server_name ai.example.test;
    return 301 https://$host$request_uri;
}
server {
    listen 127.0.0.1:%(https)d ssl http2;
    server_name ai.example.test;
    ssl_certificate %(cert)s;
    ssl_certificate_key %(key)s;
    ssl_protocols TLSv1.2 TLSv1.3;
    add_header X-Frame-Options "DENY" always;
    add_header X-XSS-Protection "1; mode=block" always;
    client_max_body_size 20m;
    location / {
        proxy_pass http://127.0.0.1:%(page)d;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_read_timeout 300s;
    }
    location /v1/ {
        proxy_pass http://127.0.0.1:18789/;
        proxy_buffering off;
    }
    location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; }
}
"""


def test_scenario_g01_openclaws_settings_become_a_house_and_exact_changes(tmp_path, make_imported, make_scripted):
    """What is printed, written into its settings, makes it ask this house; its own server is asked by the house."""
    upstream = make_scripted("openai")
    settings = tmp_path / "openclaw.json"
    settings.write_text(OPENCLAW % {"port": 18789, "ollama": upstream.url.removesuffix("/v1")})
    before = settings.read_text()
    done = finished([BINARY, "init", "--json", "--from", "openclaw.json"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    changes = {change["path"]: change for change in told["openclaw"]["changes"]}
    house_url = f"http://{told['listen']}"
    assert changes["models.providers.local.baseUrl"]["to"] == f"{house_url}/v1"
    assert (changes["models.providers.local.baseUrl"]["line"], changes["models.providers.local.timeoutSeconds"]["to"]) == (5, 300)
    assert changes["models.providers.local.apiKey"]["from"] == "ollama-local"
    assert not any("cloud" in path for path in changes), "a server elsewhere is left to it"
    fates = {(note["line"], note["key"]): note["fate"] for note in told["notes"]}
    assert fates[5, "models.providers.local.baseUrl"] == "taken" and fates[9, "models.providers.cloud.baseUrl"] == "not taken"
    written = (tmp_path / "tollhouse.yaml").read_text()
    for secret in ("gateway-secret-token", "sk-cloud-secret"):
        assert secret not in done.stdout + done.stderr + written
    assert settings.read_text() == before

    house = make_imported(int(told["listen"].rpartition(":")[2]))
    key = house.run("key", "create", "--name", "openclaw").stdout.strip()
    house.start()
    provider = {"baseUrl": changes["models.providers.local.baseUrl"]["to"], "apiKey": key}
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {provider['apiKey']}"}
    answer = httpx.post(f"{provider['baseUrl']}/chat/completions", json=body, headers=headers, timeout=30)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    shown = finished([BINARY, "init", "--force", "--from", "openclaw.json"], cwd=tmp_path).stderr
    assert "models.providers.local.apiKey (line 6)" in shown and "tollhouse key create --name openclaw" in shown, shown


def test_scenario_g12_an_nginx_site_becomes_an_edge_line_by_line(tmp_path, make_imported):
    """Each of its directives is told, and the edge serves what the site did."""
    authority = Authority(tmp_path / "authority")
    files, https, plain, page = authority.sign("ai.example.test"), free_port(), free_port(), free_port()
    site = tmp_path / "ai.conf"
    site.write_text(SITE % {"https": https, "http": plain, "page": page, **files})
    port = free_port()
    (tmp_path / "config.yaml").write_text(f"listen: 127.0.0.1:{port}\nollama_api: http://127.0.0.1:1\n")
    done = finished([BINARY, "init", "--from", "ai.conf", "--from", "config.yaml"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line, text in enumerate(site.read_text().splitlines(), 1):
        assert (f"ai.conf:{line} " in done.stderr) == (text.strip() != "}"), f"line {line}: {text}\n{done.stderr}"
    written = (tmp_path / "tollhouse.yaml").read_text()
    assert "the path stays whole: nginx cuts /v1/ off" in done.stderr and "headers: tutorial" in written
    assert "#   ai.conf:" in written and "a route is a path, and no pattern" in written

    house = make_imported(port)
    key = house.run("key", "create", "--name", "me").stdout.strip()
    house.start()
    visitors = Visitors(authority, https, plain, tmp_path)
    with old_page(page):
        seen = visitors.ask("/hello", host="ai.example.test")
        assert seen.status == 200 and seen.body == b"the old page /hello"
        assert seen.header("x-xss-protection") == "1; mode=block"
        assert visitors.ask("/x", plain=True, host="ai.example.test").status == 301
        models = visitors.ask("/v1/models", "-H", f"X-Api-Key: {key}", host="ai.example.test")
        assert models.status in (200, 503), "the gate itself, with the whole path"
        assert visitors.ask("/v1/models", host="ai.example.test").status == 401


def test_an_nginx_site_opens_nothing_that_nginx_guards_and_a_broken_one_is_refused(tmp_path):
    """What has to be decided is told before the file is used, and the commands that follow name the file."""
    site = tmp_path / "ai.conf"
    site.write_text(
        """server {
    listen 443 ssl; server_name ai.example.com; ssl_certificate /c.pem; ssl_certificate_key /k.pem;
    location / { proxy_pass http://127.0.0.1:3999; }
    location /admin/ { allow 127.0.0.1; deny all; proxy_pass http://127.0.0.1:3999; }
    location /secure { return 403; }
}
"""
    )
    done = finished([BINARY, "init", "--from", "ai.conf", "--config", "new.yaml"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "DECIDE FIRST" in done.stderr and "ai.example.com/admin/, ai.example.com/secure" in done.stderr, done.stderr
    assert "key create --config new.yaml --name me, then tollhouse up --config new.yaml" in done.stderr
    written = (tmp_path / "new.yaml").read_text()
    for path in ("/admin/", "/secure"):
        assert f'- {{path: "{path}", to: refuse}}' in written, written

    site.write_text("server { listen 80")
    done = finished([BINARY, "init", "--force", "--from", "ai.conf"], cwd=tmp_path)
    assert done.returncode == 78 and "ai.conf:1:1" in done.stderr and "nginx -t" in done.stderr, done.stderr
    done = finished([BINARY, "init", "--force", "--from", "/dev/null"], cwd=tmp_path)
    assert done.returncode == 78 and "nginx site" in done.stderr and "openclaw.json" in done.stderr, done.stderr
