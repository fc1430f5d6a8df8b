"""The edge: names with certificates of their own, what stands behind their paths, and whoever comes without encryption.

Asked by curl (OpenSSL, nghttp2), a browser's way of asking; behind it a real nginx and a real WebSocket server.
"""

import asyncio
import contextlib
import gzip
import http.server
import json
import ssl
import subprocess
import threading

import pytest
import websockets
from edges import HOST, OTHER, Authority, Nginx, Visitors
from house import finished, free_port, until


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def at_the_edge(make_house, authority, tmp_path):
    """A house with an edge whose first site has these routes, and visitors of it."""

    def make(routes, headers="current", more=None, **config):
        https, http = free_port(), free_port()
        sites = {HOST: {"tls": authority.sign(HOST), "routes": routes, "headers": headers}, **(more or {})}
        house = make_house(
            upstreams={"demo": {"kind": "demo"}},
            edge={"http": f"127.0.0.1:{http}", "https": f"127.0.0.1:{https}", "sites": sites},
            **config,
        )
        return house, Visitors(authority, https, http, tmp_path)

    return make


OWN = [{"path": "/v1/", "to": "gateway"}, {"path": "/", "to": "console"}]


def test_scenario_g12_browsers_are_led_to_tls_and_each_path_to_its_place(at_the_edge):
    house, visitors = at_the_edge(OWN)
    # Port 80: a browser is led on, a key is not taken.
    led = visitors.ask("/chat?a=1", plain=True)
    assert (led.status, led.header("location")) == (301, f"https://{HOST}:{visitors.https}/chat?a=1")
    for options in (["-H", f"X-Api-Key: {house.key}"], ["-H", f"Authorization: Bearer {house.key}", "-d", "{}"]):
        refused = visitors.ask("/v1/models", *options, plain=True)
        assert refused.status == 403 and b"sent in clear" in refused.body
    records = house.journal(kind="access", msg="key sent in clear")
    assert len(records) == 2 and all(record["key_id"] and house.key not in json.dumps(record) for record in records)
    assert visitors.ask("/", plain=True, host="evil.example.test").status == 421

    # TLS: HTTP/2, 1.2 and 1.3, nothing older; a name that is not served gets no certificate.
    page = visitors.ask("/")
    assert (page.version, page.status) == ("HTTP/2", 401), "the console asks for a session"
    assert visitors.ask("/v1/models", "--http1.1", "-H", f"X-Api-Key: {house.key}").status == 200
    for version, works in (("1.3", True), ("1.2", True), ("1.1", False)):
        limit = ["--tls-max", version, "--ciphers", "DEFAULT@SECLEVEL=0"]
        assert (visitors.ask("/v1/models", *limit, f"--tlsv{version}").code == 0) == works, version
    assert visitors.ask("/", host="evil.example.test").code == 35, "an alert, and no certificate"
    elsewhere = visitors.ask("/", "-H", "Host: evil.example.test")
    assert elsewhere.status == 421

    # The models at /v1/, and nowhere else; a stream comes piece by piece.
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    asked = ["-N", "-H", f"X-Api-Key: {house.key}", "-H", "Content-Type: application/json", "-d", json.dumps(body)]
    streamed = visitors.ask("/v1/chat/completions", *asked)
    assert streamed.status == 200 and streamed.body.rstrip().endswith(b"data: [DONE]")
    assert visitors.ask("/api/tags", "-H", f"X-Api-Key: {house.key}").status == 404
    assert visitors.ask("/v1/models").status == 401
    record = house.record(streamed.header("x-request-id"))
    assert record["client_ip"] == "127.0.0.1" and record["status"] == 200

    # The console's cookie is one that browsers send to this name alone, and only encrypted.
    token = house.console_address().partition("/?")[2]
    opened = visitors.ask(f"/?{token}")
    assert opened.status == 303 and opened.header("set-cookie").startswith("__Host-tollhouse_") and "Secure" in opened.header("set-cookie")
    cookie = opened.header("set-cookie").partition(";")[0]
    assert visitors.ask("/console/api/v1/status", "-H", f"Cookie: {cookie}").status == 200


def test_scenario_g14_each_answer_has_the_headers_of_its_site(at_the_edge, authority, tmp_path):
    (tmp_path / "www").mkdir()
    other = {"tls": authority.sign(OTHER), "routes": [{"path": "/files/", "to": f"dir:{tmp_path}/www"}], "headers": "current"}
    house, visitors = at_the_edge(OWN, headers="tutorial", more={OTHER: other})
    tutorial = {
        "strict-transport-security": "max-age=31536000",
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "x-xss-protection": "1; mode=block",
    }
    key = ["-H", f"X-Api-Key: {house.key}"]
    for path, options, status in (("/", [], 401), ("/healthz", [], 200), ("/v1/models", key, 200), ("/v1/models", [], 401), ("/v1/none", key, 404)):
        answer = visitors.ask(path, *options)
        assert answer.status == status
        for name, value in tutorial.items():
            assert answer.header(name) == value, f"{path}: {name}"
        assert answer.header("content-security-policy").count("default-src") == 1
        # The console's own is stricter, and stays.
        assert answer.header("referrer-policy") in ("no-referrer-when-downgrade", "no-referrer", "same-origin")
    missing = visitors.ask("/files/none", host=OTHER)
    assert missing.status == 404
    assert missing.header("x-xss-protection") == "0" and missing.header("cross-origin-opener-policy") == "same-origin"


def test_scenario_g15_hashed_files_are_kept_for_a_year_and_come_compressed(at_the_edge, tmp_path):
    www = tmp_path / "www"
    script = b"console.log(1);\n" * 200
    for name, content in {
        "index.html": b"<h1>home</h1>",
        "assets/app-4f2a9c1b.js": script,
        "assets/app-4f2a9c1b.js.gz": gzip.compress(script),
        ".env": b"SECRET=1",
    }.items():
        (www / name).parent.mkdir(parents=True, exist_ok=True)
        (www / name).write_bytes(content)
    (tmp_path / "outside").write_text("outside")
    house, visitors = at_the_edge([{"path": "/site/", "to": f"dir:{www}"}, {"path": "/old/", "to": "redirect:https://new.example.test"}])
    page = visitors.ask("/site/")
    assert (page.status, page.body, page.header("cache-control")) == (200, b"<h1>home</h1>", "no-cache")
    packed = visitors.ask("/site/assets/app-4f2a9c1b.js", "-H", "Accept-Encoding: gzip")
    assert packed.header("cache-control") == "public, max-age=31536000, immutable"
    assert packed.header("content-encoding") == "gzip" and gzip.decompress(packed.body) == script
    part = visitors.ask("/site/assets/app-4f2a9c1b.js", "-r", "8-10")
    assert (part.status, part.body) == (206, b"log")
    again = visitors.ask("/site/", "-H", f"If-Modified-Since: {page.header('last-modified')}")
    assert again.status == 304
    for path in ("/site/.env", "/site/../outside", "/site/%2e%2e/outside", "/site/..%2foutside", "/site/assets/"):
        assert visitors.ask(path).status in (400, 404), path
    assert visitors.ask("/site/", "-d", "x").status == 405
    moved = visitors.ask("/old/a?b=c")
    assert (moved.status, moved.header("location")) == (301, "https://new.example.test/old/a?b=c")
    visit = until("the visit is told", lambda: house.journal(kind="access", request_id=packed.header("x-request-id")))[0]
    assert (visit["host"], visit["status"], visit["bytes_sent"]) == (HOST, 200, len(packed.body))


class App(contextlib.AbstractContextManager):
    """A small web application: it tells what it was asked, and counts; `wait` lets its stream go on."""

    def __init__(self):
        self.wait, self.asked = threading.Event(), 0
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                app.asked += 1
                headers = {name.lower(): value for name, value in self.headers.items()}
                told = {"path": self.path, "headers": headers, "body": self.read(headers)}
                if self.path == "/app/stream":
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for part in (b"first", b"second"):
                        self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                        self.wfile.flush()
                        app.wait.wait(20)
                    self.wfile.write(b"0\r\n\r\n")
                    return
                content = json.dumps(told).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def read(self, headers):
                if headers.get("transfer-encoding") != "chunked":
                    return len(self.rfile.read(int(headers.get("content-length", 0))))
                total = 0
                while size := int(self.rfile.readline() or b"0", 16):
                    total += len(self.rfile.read(size + 2)) - 2
                self.rfile.readline()
                return total

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.wait.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_scenario_g16_servers_behind_the_edge_learn_who_asks_and_nothing_forged(at_the_edge):
    with App() as app:
        routes = [{"path": "/app/", "to": app.url, "body": "1MiB", "timeout": "2s"}]
        house, visitors = at_the_edge(routes)
        forged = [
            *("-H", "X-Forwarded-For: 1.2.3.4", "-H", "X-Real-IP: 1.2.3.4", "-H", "Forwarded: for=1.2.3.4"),
            *("-H", "X-Forwarded-Proto: http", "-H", "X-Original-URL: /admin", "-H", "Connection: close, X-Api-Key", "-H", "X-Api-Key: mine"),
        ]
        told = visitors.ask("/app/a%20b?c=%2F", "--http1.1", *forged)
        headers = json.loads(told.body)["headers"]
        assert json.loads(told.body)["path"] == "/app/a%20b?c=%2F"
        assert (headers["x-forwarded-for"], headers["x-real-ip"], headers["x-forwarded-proto"]) == ("127.0.0.1", "127.0.0.1", "https")
        assert headers["host"] == headers["x-forwarded-host"] == f"{HOST}:{visitors.https}"
        assert headers["x-api-key"] == "mine", "it belongs to the request, whatever the client says of it"
        assert "forwarded" not in headers and "x-original-url" not in headers
        assert headers["x-request-id"] == told.header("x-request-id")
        # Bodies: as they are up to the bound, and not beyond it, announced or not.
        fits, big = visitors.file.with_name("fits"), visitors.file.with_name("big")
        fits.write_bytes(b"x" * 500_000)
        big.write_bytes(b"x" * 1_100_000)
        assert json.loads(visitors.ask("/app/", "--data-binary", f"@{fits}").body)["body"] == 500_000
        before = app.asked
        # By HTTP/1.1: this curl does not read an answer that comes before the end of a body of HTTP/2.
        assert visitors.ask("/app/", "--http1.1", "--data-binary", f"@{big}").status == 413
        assert app.asked == before, "what is announced as too large is not even sent"
        assert visitors.ask("/app/", "--http1.1", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{big}").status == 413
        chunked = visitors.ask("/app/", "--http1.1", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{fits}")
        assert json.loads(chunked.body)["body"] == 500_000
        # An answer comes piece by piece.
        reader = subprocess.Popen(
            ["curl", "-sSN", "--cacert", visitors.authority.file, "--resolve", f"{HOST}:{visitors.https}:127.0.0.1"]
            + [f"https://{HOST}:{visitors.https}/app/stream"],
            stdout=subprocess.PIPE,
        )
        try:
            assert reader.stdout.read(5) == b"first", "before the second part is there"
            app.wait.set()
            assert reader.stdout.read() == b"second"
        finally:
            reader.kill()
            reader.wait()
        visit = until("the visit is told", lambda: house.journal(kind="access", path="/app/stream"))[0]
        assert (visit["status"], visit["bytes_sent"], visit["upstream"]) == (200, 11, app.url)


def test_scenario_g16_websockets_go_through_both_ways(at_the_edge):
    async def scenario():
        async def echo(connection):
            async for message in connection:
                await connection.send(f"{connection.request.headers['X-Real-IP']} {message}")

        async with websockets.serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            house, visitors = await asyncio.to_thread(at_the_edge, [{"path": "/", "to": f"http://127.0.0.1:{port}"}])
            trusted = ssl.create_default_context(cafile=visitors.authority.file)
            async with websockets.connect(
                f"wss://{HOST}:{visitors.https}/socket", host="127.0.0.1", port=visitors.https, ssl=trusted, proxy=None, compression=None
            ) as client:
                for text in ("one", "zwei" * 20_000, "三"):
                    await client.send(text)
                    assert await client.recv() == f"127.0.0.1 {text}"
            visit = await asyncio.to_thread(until, "the tunnel's end is told", lambda: house.journal(kind="access", status=101))
            assert visit[0]["bytes_sent"] > 80_000
            # No other protocol comes through: behind it nothing would be looked at.
            other = await asyncio.to_thread(visitors.ask, "/", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: h2c")
            assert other.status != 101

    asyncio.run(scenario())


def test_scenario_g12_several_servers_stand_for_each_other(at_the_edge, tmp_path):
    servers = [Nginx(tmp_path, name).start() for name in ("one", "two")]
    try:
        routes = [{"path": "/", "to": [server.url for server in servers]}]
        house, visitors = at_the_edge(routes)
        until("both answer", lambda: {visitors.ask("/").body for _ in range(2)} == {b"one", b"two"})
        assert [visitors.ask("/").body for _ in range(4)].count(b"one") == 2
        servers[0].stop()
        answers = [visitors.ask("/", "-d", "form") for _ in range(6)]
        assert [answer.body for answer in answers] == [b"two"] * 6, "whoever asks meanwhile does not notice"
        # All gone: a friendly word, and why is in the record.
        servers[1].stop()
        gone = visitors.ask("/")
        assert gone.status == 502 and b"not answering right now" in gone.body and b"refused" not in gone.body
        told = until("the failure is told", lambda: house.journal(kind="access", status=502))[0]
        assert "refused" in told["error"] and told["level"] == "warn"
        servers[0].start()
        until("the first is asked again", lambda: b"one" in {visitors.ask("/").body for _ in range(2)}, within=40)
    finally:
        for server in servers:
            server.stop()


def test_scenario_g12_certificates_are_exchanged_and_sites_added_while_it_runs(at_the_edge, authority):
    house, visitors = at_the_edge(OWN)

    def shown(host=HOST):
        told = finished(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{visitors.https}", "-servername", host, "-CAfile", authority.file],
        ).stdout
        serial = finished(["openssl", "x509", "-noout", "-serial"], input=told, stdin=None).stdout
        return serial.strip().partition("=")[2]

    first = shown()
    assert int(first, 16) == authority.serial
    # Half written: told, and the old one stays.
    files = authority.sign(OTHER)
    own = authority.folder / f"{HOST}.pem"
    whole = own.read_text()
    own.write_text(whole[:100])
    until("the broken file is told", lambda: house.journal(kind="certificate", msg="certificate refused"), within=20)
    assert shown() == first and visitors.ask("/healthz").status == 200
    authority.sign(HOST, days=3)
    until("the new one is shown", lambda: int(shown(), 16) == authority.serial)
    reloaded = house.journal(kind="certificate", msg="certificate reloaded")[0]
    assert reloaded["host"] == HOST and 2.5 < reloaded["days_left"] < 3.5
    assert house.journal(kind="certificate", msg="the certificate ends soon")
    # Another site, beside the one that goes on.
    config = json.loads(house.config.read_text())
    config["edge"]["sites"][OTHER] = {"tls": files, "routes": [{"path": "/", "to": "console"}]}
    house.config.write_text(json.dumps(config))
    until("the other site answers", lambda: visitors.ask("/healthz", host=OTHER).status == 200, within=20)
    # A file that is missing: the change is refused as a whole.
    config["edge"]["sites"][OTHER]["tls"]["cert"] = "/nowhere.pem"
    house.config.write_text(json.dumps(config))
    refused = until("the change is refused", lambda: house.journal(kind="config", level="error"), within=20)
    assert "/nowhere.pem" in refused[0]["error"]
    assert visitors.ask("/healthz", host=OTHER).status == 200


class Checked(http.server.BaseHTTPRequestHandler):
    """A server that may say that it is not well, and goes on answering."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_check = self.path == "/state"
        status = 503 if is_check and not self.server.is_well else 200
        if not is_check:
            self.server.visits += 1
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def test_scenario_g12_servers_that_are_not_well_are_left_out_and_come_back_slowly(at_the_edge):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Checked)) for _ in range(2)]
        for server in servers:
            server.is_well, server.visits = True, 0
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        urls = [f"http://127.0.0.1:{server.server_port}" for server in servers]
        route = {"path": "/", "to": urls, "health": "/state", "every": "200ms", "slow_start": "1h"}
        house, visitors = at_the_edge([route])

        def share(visits):
            before = [server.visits for server in servers]
            # On one connection: curl asks for all of them.
            answers = finished(
                ["curl", "-sS", "--cacert", visitors.authority.file, "--resolve", f"{HOST}:{visitors.https}:127.0.0.1", "-o", "/dev/null"]
                + ["-w", "%{http_code}\n", f"https://{HOST}:{visitors.https}/[1-{visits}]"]
            )
            assert set(answers.stdout.split()) == {"200"}, answers.stderr
            return [server.visits - earlier for server, earlier in zip(servers, before, strict=True)]

        assert share(20) == [10, 10]
        servers[0].is_well = False
        unwell = until("that is told", lambda: house.journal(kind="server", outcome="fault"), within=20)[0]
        assert unwell["upstream"] == urls[0] and "503" in unwell["error"] and unwell["level"] == "error"
        assert share(20) == [0, 20]
        # What is known of it goes on over a change of the configuration.
        config = json.loads(house.config.read_text())
        config["edge"]["sites"][HOST]["headers"] = "off"
        house.config.write_text(json.dumps(config))
        until("the change is in force", lambda: not visitors.ask("/").header("x-frame-options"), within=20)
        assert share(20) == [0, 20] and len(house.journal(kind="server")) == 1
        servers[0].is_well = True
        until("that is told, too", lambda: house.journal(kind="server", outcome="ok"), within=20)
        back = share(100)
        assert 0 < back[0] < 20 and sum(back) == 100, "a small share at first"
