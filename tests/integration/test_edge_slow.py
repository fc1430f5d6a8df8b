"""Slow clients at the edge, in the three ways of slowhttptest: heads that drip, bodies that drip, answers that are hardly read.

By default a few hundred of each; SLOW_CLIENTS=5000 takes as many as are named. What each costs is measured and printed (-s shows it).
"""

import contextlib
import http.server
import os
import resource
import selectors
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from edges import HOST
from house import free_port, until
from test_edge import authority  # noqa: F401 (fixture)

CLIENTS = int(os.environ.get("SLOW_CLIENTS", "300"))
# Their costs a client, in the way of the design: resident memory of the whole program.
PLAIN_BYTES_MAX, TLS_BYTES_MAX = 12 * 1024, 40 * 1024


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with many bytes, and reads the bodies that it gets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"x" * 4_000_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Servers(http.server.ThreadingHTTPServer):
    """Servers whose clients break off."""

    request_queue_size = 1_024

    def handle_error(self, *_):
        pass


@pytest.fixture
def slow_edge(make_house, authority, tmp_path):  # noqa: F811
    """A house whose limits let that many clients come from one address."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("well")
    (tmp_path / "www/large.bin").write_bytes(b"x" * 4_000_000)
    https, plain = free_port(), free_port()
    with Servers(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        routes = [{"path": "/", "to": f"dir:{tmp_path}/www"}, {"path": "/app/", "to": f"http://127.0.0.1:{server.server_port}"}]
        house = make_house(
            upstreams={"demo": {"kind": "demo"}},
            edge={
                **{"http": f"127.0.0.1:{plain}", "https": f"127.0.0.1:{https}"},
                "sites": {HOST: {"tls": authority.sign(HOST), "routes": routes}},
            },
            limits={"per_address": 3 * CLIENTS + 100},
        )
        house.http, house.https = plain, https
        house.trusted = ssl.create_default_context(cafile=authority.file)
        yield house
        server.shutdown()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(house):
    """Bytes of memory that the program has in use."""
    status = Path(f"/proc/{house.child.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def connect(house, is_encrypted):
    plain = socket.create_connection(("127.0.0.1", house.https if is_encrypted else house.http), timeout=30)
    return house.trusted.wrap_socket(plain, server_hostname=HOST) if is_encrypted else plain


class Good:
    """A client that behaves, while others do not: how long its requests take, on a connection of its own."""

    def __init__(self, house):
        self.house, self.times, self.wrong, self.over = house, [], [], threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        connection = connect(self.house, is_encrypted=True)
        request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        while not self.over.wait(0.002):
            begun = time.perf_counter()
            connection.sendall(request)
            answer = b""
            while b"well" not in answer:
                piece = connection.recv(4_096)
                if not piece:
                    self.wrong.append("closed")
                    return
                answer += piece
            self.times.append(time.perf_counter() - begun)
            if not answer.startswith(b"HTTP/1.1 200"):
                self.wrong.append(answer[:100])
        connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def p99_ms(self):
        return sorted(self.times)[int(len(self.times) * 0.99)] * 1e3


def drip(connections, over):
    """Sends each a byte of a header again and again, until it has been closed; gives how many were, and when the last one was."""
    begun, closed, last = time.monotonic(), 0, 0.0
    watched = selectors.DefaultSelector()
    for connection in connections:
        connection.setblocking(False)
        watched.register(connection, selectors.EVENT_READ)
    beat = time.monotonic()
    while watched.get_map() and time.monotonic() - begun < over:
        for key, _ in watched.select(0.1):
            connection = key.fileobj
            try:
                is_over = not connection.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                is_over = False
            except OSError:
                is_over = True
            if is_over:
                watched.unregister(connection)
                closed, last = closed + 1, time.monotonic() - begun
        if time.monotonic() - beat > 1:
            beat = time.monotonic()
            for key in list(watched.get_map().values()):
                with contextlib.suppress(OSError):
                    key.fileobj.send(b"a")
    return closed, last


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "tls"])
def test_slow_heads_cost_little_and_end_in_time(slow_edge, is_encrypted):
    house = slow_edge
    with contextlib.closing(connect(house, is_encrypted=True)):
        until("it has settled", lambda: resident(house) > 0)
    before = resident(house)
    with Good(house) as good:
        begun = time.monotonic()
        connections = [connect(house, is_encrypted) for _ in range(CLIENTS)]
        for connection in connections:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ".encode())
        cost = (resident(house) - before) / CLIENTS
        closed, last = drip(connections, over=40)
        took = time.monotonic() - begun
    for connection in connections:
        connection.close()
    print(f"\n{CLIENTS} slow heads, {'TLS' if is_encrypted else 'plain'}: {cost / 1024:.1f} KiB each, all closed after {took:.1f} s; ")
    print(f"a good client meanwhile: {len(good.times)} requests, p99 {good.p99_ms():.2f} ms")
    assert closed == CLIENTS, f"{CLIENTS - closed} are still there"
    assert last < 30 and not good.wrong and len(good.times) > 100
    # Few clients say little: what the allocator keeps is counted whole. A program that was built for tests says little, too.
    if "SLOW_CLIENTS" in os.environ:
        assert cost < (TLS_BYTES_MAX if is_encrypted else PLAIN_BYTES_MAX)


def test_slow_bodies_and_slow_readers_do_not_hold_up_others(slow_edge):
    house = slow_edge
    before = resident(house)
    readers = []
    with Good(house) as good:
        writers = [connect(house, is_encrypted=True) for _ in range(CLIENTS // 3)]
        for connection in writers:
            head = f"POST /app/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000\r\n\r\n"
            connection.sendall(head.encode() + b"x" * 100)
        for path in ("/large.bin", "/app/large"):
            for _ in range(CLIENTS // 3 if path == "/large.bin" else min(CLIENTS // 3, 100)):
                plain = socket.socket()
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
                plain.settimeout(30)
                plain.connect(("127.0.0.1", house.https))
                connection = house.trusted.wrap_socket(plain, server_hostname=HOST)
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                readers.append(connection)
        asked = len(good.times)
        until("a good client is served among them", lambda: len(good.times) > asked + 300, within=60)
        cost = (resident(house) - before) / (len(readers) + len(writers))
    for connection in (*writers, *readers):
        connection.close()
    print(f"\n{len(writers)} slow bodies and {len(readers)} slow readers: {cost / 1024:.1f} KiB each")
    print(f"a good client meanwhile: {len(good.times)} requests, p99 {good.p99_ms():.2f} ms")
    assert not good.wrong
    # What waits for a reader is bounded, however long the answer is. (Four megabytes here; much of it is the allocator's.)
    assert cost < 1024 * 1024
