"""Servers behind the edge: whom a request is given to again, whose connection is used again, how long anybody is waited for, and TLS to them."""

import http.server
import json
import socket
import ssl
import struct
import threading
import time

import pytest
from edges import HOST
from house import until
from test_edge import at_the_edge, authority  # noqa: F401 (fixtures)


class Behind(http.server.ThreadingHTTPServer):
    """A server that does what a path says, and keeps what it was asked, by which connection."""

    daemon_threads = True

    def __init__(self, name="one", tls=None):
        self.name, self.asked = name, []
        super().__init__(("127.0.0.1", 0), BehindHandler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls["cert"], tls["key"])
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass


class BehindHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        self.server.asked.append((self.command, self.path, self.client_address[1], {name.lower(): value for name, value in self.headers.items()}))
        if self.path.startswith("/breaks"):
            # A reset before the first byte of an answer.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if self.path.startswith("/late"):
            time.sleep(6)
        self.send_response(200)
        content = self.server.name.encode()
        silent = self.path.startswith("/silent")
        self.send_header("Content-Length", str(len(content) + 10 * silent))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        if silent:
            time.sleep(6)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def behind():
    made = []

    def make(*arguments, **options):
        made.append(Behind(*arguments, **options))
        return made[-1]

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def url(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_port}"


def visit(house, path):
    return until("the visit is told", lambda: house.journal(kind="access", path=path))[0]


def test_scenario_g12_what_may_be_asked_again_is_asked_of_another_server_before_the_first_byte(at_the_edge, behind):  # noqa: F811
    one, two = behind("one"), behind("two")
    routes = [{"path": "/", "to": [url(one), url(two)]}]
    house, visitors = at_the_edge(routes)
    # A GET breaks off at one and is given to the other, which breaks off as well: both were asked, once each.
    broken = visitors.ask("/breaks")
    assert broken.status == 502 and b"not answering right now" in broken.body
    gets = [path for server in (one, two) for method, path, *_ in server.asked if method == "GET"]
    assert gets == ["/breaks", "/breaks"]
    assert visit(house, "/breaks")["error"]
    # What a server may have begun to work on is never sent a second time.
    assert visitors.ask("/breaks-post", "-d", "order=1").status == 502
    posts = [path for server in (one, two) for method, path, *_ in server.asked if method == "POST"]
    assert posts == ["/breaks-post"]


def test_scenario_g12_connections_to_servers_are_kept_and_used_again(at_the_edge, behind):  # noqa: F811
    server = behind()
    _, visitors = at_the_edge([{"path": "/", "to": url(server)}])
    assert [visitors.ask(f"/{number}").status for number in range(6)] == [200] * 6, "each by a connection of its own from outside"
    assert len({port for _, _, port, _ in server.asked}) == 1, "and all by one behind"


def test_scenario_g12_nobody_waits_for_ever_for_a_server(at_the_edge, behind):  # noqa: F811
    server = behind()
    routes = [{"path": "/", "to": url(server), "timeout": "1s", "idle": "1s", "body": "1KiB"}]
    house, visitors = at_the_edge(routes)
    late = visitors.ask("/late")
    assert late.status == 504 and b"not answering right now" in late.body
    assert "no answer within" in visit(house, "/late")["error"]
    silent = visitors.ask("/silent")
    assert silent.status == 200 and silent.code != 0, "the head came, and then the answer was cut short"
    # Bounds on bodies are the route's, and are kept over HTTP/2 and 1.1 alike: the answer is read, and the server hears nothing.
    before, large = len(server.asked), visitors.file.with_name("large")
    large.write_bytes(b"x" * 40_000)
    for version in ("--http1.1", "--http2"):
        assert visitors.ask("/form", version, "--data-binary", f"@{large}").status == 413, version
    assert len(server.asked) == before


def test_scenario_g12_servers_behind_tls_are_believed_by_the_systems_authorities_alone(at_the_edge, authority, behind, monkeypatch):  # noqa: F811
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    known = behind("known", tls=authority.sign("localhost"))
    stranger = behind("stranger", tls=authority.sign("elsewhere.example.test"))
    routes = [
        {"path": "/known/", "to": f"https://localhost:{known.server_port}"},
        {"path": "/stranger/", "to": f"https://localhost:{stranger.server_port}"},
    ]
    house, visitors = at_the_edge(routes)
    answer = visitors.ask("/known/")
    assert (answer.status, answer.body) == (200, b"known")
    assert known.asked[0][3]["x-forwarded-proto"] == "https" and known.asked[0][3]["host"] == f"{HOST}:{visitors.https}"
    refused = visitors.ask("/stranger/")
    assert refused.status == 502 and not stranger.asked, "a certificate for another name is not believed"
    assert "certificate" in visit(house, "/stranger/")["error"] and "certificate" not in refused.body.decode()


def test_scenario_g05_the_client_behind_a_proxy_header_in_front_of_tls(at_the_edge, authority, behind):  # noqa: F811
    server = behind()
    house, visitors = at_the_edge([{"path": "/", "to": url(server)}], access={"trusted_proxies": ["127.0.0.1"]})
    config = json.loads(house.config.read_text())
    config["edge"]["proxy_protocol"] = True
    house.config.write_text(json.dumps(config))
    trusted = ssl.create_default_context(cafile=authority.file)

    def ask(header, encrypted=True):
        with socket.create_connection(("127.0.0.1", visitors.https if encrypted else visitors.http), 10) as connection:
            connection.settimeout(10)
            connection.sendall(header)
            spoken = trusted.wrap_socket(connection, server_hostname=HOST) if encrypted else connection
            spoken.sendall(f"GET /page HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n".encode())
            return spoken.recv(65_536)

    def answered():
        try:
            return ask(b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 443\r\n").startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    until("the change is in force", answered, within=20)
    assert server.asked[-1][3]["x-real-ip"] == server.asked[-1][3]["x-forwarded-for"] == "192.0.2.7"
    assert until("the visit is told", lambda: house.journal(kind="access", path="/page", client_ip="192.0.2.7"))
    assert ask(b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 80\r\n", encrypted=False).startswith(b"HTTP/1.1 301")
    # Nobody comes without one.
    with pytest.raises(OSError):
        ask(b"")
