"""`tollhouse doctor`: prepared broken installations, around a real Ollama and a real house; each names its broken step alone."""

import contextlib
import copy
import hashlib
import json
import os
import signal
import socket
import ssl
import stat
import statistics
import subprocess
import threading
import time
from datetime import UTC, datetime

import httpx
import pytest
from conftest import QWEN
from house import BINARY, Ollama, finished, free_port, in_time, until

KEEP = {"days": 2, "bytes": "64MiB"}
OPENCLAW = """// OpenClaw's settings, as people write them
{
  gateway: {port: 18790, auth: {mode: 'token'},},
  models: {providers: {tollhouse: {baseUrl: 'http://127.0.0.1:PORT/v1', api: "openai-completions", apiKey: 'th_abc_def',
                                   timeoutSeconds: 900}}},
  logging: {file: "/var/log/openclaw/gateway.log"},
}
"""
NGINX = """
server {
  listen 80;
  location / {
    proxy_pass http://127.0.0.1:PORT;
    proxy_buffering off;
    proxy_read_timeout 15m;
    proxy_set_header X-Forwarded-For $remote_addr;
  }
}
"""


def merge(target, patch):
    """RFC 7396: what is named replaces, None takes away."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            merge(target[name], value)
        else:
            target[name] = value


@contextlib.contextmanager
def saying(text, tls=None):
    """A server that says this to whoever connects; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    if tls:
                        with contextlib.suppress(OSError):
                            tls.wrap_socket(connection, server_side=True).close()
                        continue
                    with connection:
                        if text.startswith(b"HTTP"):
                            connection.recv(65536)
                        connection.sendall(text)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@contextlib.contextmanager
def dropping():
    """A port where nobody answers to a connection's first packet: its queue of connections is full."""
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def http_answer(status, body=b"{}"):
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


class Installation:
    """A healthy installation, and copies of it with one thing broken."""

    def __init__(self, folder, house, ollama, mail):
        self.folder, self.house, self.ollama = folder, house, ollama
        self.times = []
        self.root, self.smi = folder / "root", folder / "bin"
        self.healthy = json.loads(house.config.read_text())
        merge(self.healthy, {"channels": {"ops": {"server": f"smtp://127.0.0.1:{mail}"}}})
        home = self.root / "root/.openclaw"
        home.mkdir(parents=True)
        self.openclaw = home / "openclaw.json"
        self.openclaw.write_text(OPENCLAW.replace("PORT", str(house.port)))
        sites = self.root / "etc/nginx/sites-enabled"
        sites.mkdir(parents=True)
        self.nginx = sites / "ai"
        self.nginx.write_text(NGINX.replace("PORT", str(house.port)))
        self.kernel = self.root / "var/log/kern.log"
        self.kernel.parent.mkdir(parents=True)
        self.smi.mkdir()

    def doctor(self, patch=None, *arguments):
        config = copy.deepcopy(self.healthy)
        merge(config, patch or {})
        file = self.folder / "broken.yaml"
        file.write_text(json.dumps(config))
        file.chmod(0o640)
        return self.examine(file, *arguments)

    def examine(self, file, *arguments):
        environment = {**os.environ, "PATH": f"{self.smi}:{os.environ['PATH']}"}
        began = time.monotonic()
        command = [BINARY, "doctor", "--json", "--root", self.root, "--config", file, *arguments]
        done = finished(command, env=environment)
        took = time.monotonic() - began
        assert done.returncode in (0, 1, 2), done.stderr
        told = json.loads(done.stdout)
        assert {"ok": 0, "warn": 1, "fault": 2}[told["status"]] == done.returncode
        in_time("the examination; five seconds on a machine of its own", took, 10)
        self.times.append(took)
        for check in told["checks"]:
            assert check["looked"] and (check["fix"] or check["status"] in ("ok", "skipped")), check
            # The same by codes, for pages in other languages.
            assert check["looked_said"] and check["found_said"] and bool(check["fix"]) == bool(check["fix_said"]), check
        return told

    def unload(self):
        """Takes every model out of memory."""

        def unloaded():
            models = httpx.get(f"{self.ollama.url}/api/ps").json()["models"]
            for model in models:
                httpx.post(f"{self.ollama.url}/api/generate", json={"model": model["name"], "keep_alive": 0})
            return models == []

        until("no model is in memory", unloaded, within=30, every=0.2)

    def troubles(self, patch=None, *arguments):
        return [(c["id"], c["code"]) for c in self.doctor(patch, *arguments)["checks"] if c["status"] in ("warn", "fault")]


@pytest.fixture(scope="module")
def ollama(tmp_path_factory):
    """One of its own: a model that another test left in memory would be a trouble that nobody prepared."""
    server = Ollama(tmp_path_factory.mktemp("ollama")).start()
    server.create("qwen3:32b", "--reply", QWEN)
    yield server
    server.stop()


@pytest.fixture
def installation(tmp_path, make_house, ollama):
    with saying(b"220 mail.example.com ESMTP\r\n") as mail:
        line = f'time={datetime.now(UTC).isoformat()} level=INFO source=routes.go msg="Listening"\n'
        log = tmp_path / "ollama.log"
        log.write_text(line)
        house = make_house(
            upstreams={"local": {"kind": "ollama", "url": ollama.url, "parallel": 4}},
            models={"qwen3:32b": {"upstreams": ["local"], "context": 8192}},
            access={"trusted_proxies": ["127.0.0.1"]},
            sources={"ollama": {"type": "file", "paths": [str(log)], "format": "ollama"}},
            logging={"keep": KEEP},
            store={"keep": KEEP},
            probes={"processes": [], "disks": [], "memory": "off"},
            channels={"ops": {"kind": "smtp", "server": f"smtp://127.0.0.1:{mail}", "from": "a@b.example", "to": ["c@d.example"]}},
        )
        assert house.chat("hello", model="qwen3:32b").json()["choices"][0]["message"]["content"] == QWEN
        made = Installation(tmp_path, house, ollama, mail)
        made.log = log
        yield made


@contextlib.contextmanager
def changed(file, old, new):
    """A file with other words in it, for a while."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    yield
    file.write_text(text)


@contextlib.contextmanager
def written(file, line):
    before = file.read_bytes() if file.exists() else None
    with file.open("a") as out:
        out.write(line)
    yield
    if before is None:
        file.unlink()
    else:
        file.write_bytes(before)


def test_scenario_r17_twenty_broken_installations_are_named(installation, tmp_path):
    it, house = installation, installation.house
    now = datetime.now(UTC).isoformat()
    until("the healthy one is healthy", lambda: it.troubles() == [], within=20)

    def upstream(**more):
        return {"upstreams": {"local": more}, "models": more.pop("models", {})}

    nowhere = f"http://127.0.0.1:{free_port()}"
    plain = [
        ("an unknown key", {"timeout": {"idle": "30s"}}, "config.readable", "invalid"),
        ("no Ollama", upstream(url=nowhere), "server.port", "refused"),
        ("a name without an address", upstream(url="http://model.invalid:11434"), "server.port", "no_name"),
        ("Ollama taken for OpenAI", upstream(kind="openai", url=it.ollama.url), "server.answer", "other_api"),
        ("a model that is not there", {"models": {"qwen9:1b": {"upstreams": ["local"]}}}, "server.models", "missing"),
        ("more at once than Ollama works on", upstream(parallel=9), "server.parallel", "too_many"),
        ("no house", {"listen": f"127.0.0.1:{free_port()}"}, "gate.port", "refused"),
        ("no proxy", {"public_url": nowhere}, "edge.answer", "refused"),
        ("a mail server that is not there", {"channels": {"ops": {"server": f"smtp://127.0.0.1:{free_port()}"}}}, "channel.mail", "refused"),
        ("a mail server without an address", {"channels": {"ops": {"server": "smtp://mail.invalid:25"}}}, "channel.mail", "no_name"),
        ("a public name without an address", {"public_url": "http://gate.invalid"}, "edge.answer", "no_name"),
        ("a full disk", {"probes": {"disks": [{"path": "/", "above": "0%"}]}}, "machine.disk", "over_limit"),
        ("stores larger than any disk", {"store": {"keep": {"bytes": "900TiB"}}}, "machine.budget", "too_large"),
    ]
    for name, patch, step, code in plain:
        # The house of another address is not asked by the proxy and by OpenClaw of this one.
        expected = [(step, code)] if name != "no house" else [(step, code), ("openclaw.base_url", "not_here")]
        assert it.troubles(patch) == expected, name

    with saying(http_answer(502)) as port:
        assert it.troubles({"public_url": f"http://127.0.0.1:{port}"}) == [("edge.answer", "proxy_failed")]
    key, certificate = tmp_path / "own.key", tmp_path / "own.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*openssl, "-keyout", key, "-out", certificate, "-subj", "/CN=localhost"], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with saying(b"", tls) as port:
        url = f"https://localhost:{port}"
        proxied = f"gateway: {{trustedProxies: ['127.0.0.1'], controlUi: {{allowedOrigins: ['{url}']}}, "
        with changed(it.openclaw, "gateway: {", proxied):
            assert it.troubles({"public_url": url}) == [("edge.certificate", "bad")]
    with saying(http_answer(401)) as port:
        strange = {"upstreams": {"local": {"kind": "openai", "url": f"http://127.0.0.1:{port}/v1", "parallel": None}}}
        assert it.troubles(strange) == [("server.answer", "key_refused")]
    with saying(b"554 no mail for you\r\n") as port:
        assert it.troubles({"channels": {"ops": {"server": f"smtp://127.0.0.1:{port}"}}}) == [("channel.mail", "refuses")]
    # One that takes connections and never says a word, and one whose packets are dropped.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert it.troubles({"channels": {"ops": {"server": f"smtp://127.0.0.1:{mute.getsockname()[1]}"}}}) == [("channel.mail", "silent")]
    with dropping() as port:
        assert it.troubles({"channels": {"ops": {"server": f"smtp://127.0.0.1:{port}"}}}) == [("channel.mail", "unreachable")]
    # What keeps the clock says that it is a minute and a half off, and then that it is right.
    keeper = it.smi / "chronyc"
    for off, expected in (("90.000000000", [("machine.clock", "over_limit")]), ("0.000020000", [])):
        keeper.write_text(f"#!/bin/sh\necho 'A29FC87B,162.159.200.123,4,1764230400.1,{off},0.1,0.1,-12.3,0.001,0.04,0.02,0.0007,64.2,Normal'\n")
        keeper.chmod(0o755)
        assert it.troubles({"probes": {"clock": {"above": "2s"}}}) == expected
    keeper.unlink()
    with saying(http_answer(200)) as port:
        told = it.troubles({"listen": f"127.0.0.1:{port}"})
        assert told == [("gate.port", "other_program"), ("openclaw.base_url", "not_here")]
    with saying(b"x") as port:
        taken = {"sources": {"network": {"type": "listen", "address": f"127.0.0.1:{port}"}}}
        assert it.troubles(taken) == [("machine.port", "taken")]
    with changed(it.nginx, "proxy_buffering off;", ""):
        assert it.troubles() == [("edge.proxy_buffering", "on")]
    with changed(it.nginx, "15m", "30s"):
        assert it.troubles() == [("edge.proxy_timeout", "too_short")]
    with changed(it.openclaw, "th_abc_def", "ollama-local"):
        assert it.troubles() == [("openclaw.api_key", "no_key")]
    with changed(it.openclaw, f"127.0.0.1:{house.port}/v1", it.ollama.url.removeprefix("http://")):
        assert it.troubles() == [("openclaw.base_url", "around")]
    with changed(it.openclaw, "file: ", "old: "):
        assert it.troubles() == [("openclaw.log_file", "thrown_away")]
    with changed(it.openclaw, "gateway:", "gateway"):
        assert it.troubles() == [("openclaw.settings", "unreadable")]
    other = tmp_path / "second.log"
    other.write_text(f'time={now} level=ERROR source=sched.go msg="CUDA error: out of memory"\n')
    second = {"sources": {"second": {"type": "file", "paths": [str(other)], "format": "ollama"}}}
    assert it.troubles(second) == [("log.lines", "gpu_memory")]
    with written(it.kernel, f"{now} host kernel: Out of memory: Killed process 7 (ollama)\n"):
        assert it.troubles() == [("log.lines", "out_of_memory")]
    smi = it.smi / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, NVIDIA RTX 4090, 2000, 24564, 12, 93'\n")
    smi.chmod(0o755)
    it.unload()  # this Ollama works without a card; a model beside one would be a trouble of its own
    assert it.troubles() == [("gpu.cards", "over_limit")]
    it.unload()
    smi.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    assert it.troubles() == [("gpu.cards", "failed")]
    smi.unlink()

    it.ollama.signal(signal.SIGSTOP)
    try:
        assert it.troubles() == [("server.answer", "silent")]
    finally:
        it.ollama.signal(signal.SIGCONT)
    house.child.send_signal(signal.SIGSTOP)
    try:
        assert it.troubles() == [("gate.port", "silent")]
    finally:
        house.child.send_signal(signal.SIGCONT)

    for row in json.loads(house.run("key", "list", "--json").stdout):
        house.run("key", "revoke", row["id"])
    assert it.troubles() == [("gate.keys", "none")]

    def damaged():
        # What the house writes next may lie over it.
        with house.journal_file.open("ab") as journal:
            journal.write(b"what no house wrote\n")
        return it.troubles() == [("gate.keys", "none"), ("book.journal", "damaged")]

    until("the damage is named, and nothing else", damaged, within=30)
    print(f"doctor: {len(it.times)} times, median {statistics.median(it.times):.2f} s, worst {max(it.times):.2f} s")


def test_doctor_mends_what_it_has_shown(installation, tmp_path):
    it = installation
    file = tmp_path / "open.yaml"
    secret = {"upstreams": {"local": {"key": "sk-0123456789abcdef"}}}
    config = copy.deepcopy(it.healthy)
    merge(config, secret)
    file.write_text(json.dumps(config, indent=1))
    file.chmod(0o644)
    told = it.examine(file)
    (check,) = [check for check in told["checks"] if check["status"] == "warn"]
    assert (check["id"], check["code"], check["repair"]) == ("machine.place", "open", f"chmod 640 {file}")
    # Where nobody can be asked, nothing is done.
    asked = finished([BINARY, "doctor", "--fix", "--root", it.root, "--config", file])
    assert (asked.returncode, stat.S_IMODE(file.stat().st_mode)) == (1, 0o644)
    assert f"chmod 640 {file}" in asked.stdout and "nothing was done" in asked.stdout
    done = finished([BINARY, "doctor", "--fix", "--yes", "--root", it.root, "--config", file])
    assert (done.returncode, stat.S_IMODE(file.stat().st_mode)) == (0, 0o640), done.stdout
    assert "looked at:" in asked.stdout and "to mend:" in asked.stdout


def test_scenario_g18_four_layers_are_looked_at_from_outside_in(installation, tmp_path):
    it = installation

    def troubles(patch=None):
        told = it.doctor(patch, "--security")
        areas = [check["area"] for check in told["checks"]]
        order = ["network", "tls", "entry", "behind"]
        assert sorted(areas, key=order.index) == areas and set(areas) == set(order)
        return {(check["id"], check["code"]) for check in told["checks"] if check["status"] in ("warn", "fault")}

    # What else listens on the machine that runs the tests is not this installation's.
    around = {("network.open", "naked"), ("network.firewall", "none")}
    assert troubles() - around == set()
    known = hashlib.sha256(b"test").hexdigest()
    cases = [
        ({"access": {"keys": [{"id": "old", "sha256": known}]}}, {("entry.default_secrets", "guessable")}),
        ({"access": {"allow": ["0.0.0.0/0"]}}, {("entry.allow_list", "everybody")}),
        ({"access": {"allow": ["203.0.113.0/24"]}}, {("entry.allow_list", "nobody")}),
        ({"access": {"trusted_proxies": ["0.0.0.0/0"]}}, {("entry.trusted_proxies", "everybody")}),
        ({"access": {"auth": "off"}}, {("entry.keys_needed", "off")}),
        ({"logging": {"content": "full"}}, {("entry.prompts_kept", "whole")}),
        ({"upstreams": {"far": {"kind": "openai", "url": "http://192.0.2.1:8000/v1"}}}, {("behind.way", "plain")}),
        ({"public_url": "http://ai.example.com"}, {("tls.everywhere", "plain")}),
    ]
    for patch, expected in cases:
        assert troubles(patch) - around == expected, patch
    with changed(it.nginx, "listen 80;", "listen 443 ssl; ssl_protocols TLSv1 TLSv1.2;"):
        assert troubles() - around == {("tls.versions", "old")}
    old = http_answer(200, b'{"version": "0.9.6"}')
    with saying(old) as port:
        found = troubles({"upstreams": {"local": {"url": f"http://127.0.0.1:{port}"}}})
        assert ("behind.known_holes", "known_holes") in found

    # A real Ollama that everybody reaches.
    (tmp_path / "open").mkdir()
    open_one = Ollama(tmp_path / "open", OLLAMA_ORIGINS="*")
    open_one.environment["OLLAMA_HOST"] = f"0.0.0.0:{open_one.port}"
    open_one.start()
    try:
        found = troubles({"upstreams": {"local": {"url": open_one.url, "parallel": None}}})
        assert {("network.around", "open"), ("behind.origins", "everybody")} <= found
    finally:
        open_one.stop()
