"""Heads and bodies that two programs could read differently, through the edge and through a real nginx to the same server.

Each case is bytes. The edge refuses it as it should, or the server gets as many requests as were answered by it; and where nginx refuses
something, so does the edge.
"""

import contextlib
import socket
import socketserver
import ssl
import threading

import pytest
from edges import HOST, Nginx
from test_edge import at_the_edge, authority  # noqa: F401 (fixtures)

H = f"Host: {HOST}\r\n"
END = "\r\n"
POST = f"POST / HTTP/1.1\r\n{H}"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n"

# What is sent, and what the edge may answer first.
REFUSED, TUNNEL = (400,), (200, 400, 426, 501)
CASES = {
    "length and chunked": (f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED),
    "two lengths": (f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", REFUSED),
    "two equal lengths": (f"{POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    "a list of lengths": (f"{POST}Content-Length: 5, 5\r\n\r\nhello", REFUSED),
    "a length with a sign": (f"{POST}Content-Length: +5\r\n\r\nhello", REFUSED),
    "a length in hexadecimal": (f"{POST}Content-Length: 0x5\r\n\r\nhello", REFUSED),
    "a length of twenty digits": (f"{POST}Content-Length: 99999999999999999999\r\n\r\n", (400, 413)),
    "an unknown coding": (f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "chunked and identity": (f"{POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", (400, 501)),
    "chunked with a parameter": (f"{POST}Transfer-Encoding: chunked;p=1\r\n\r\n0\r\n\r\n", (400, 501)),
    "a tab before chunked": (f"{POST}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "two codings": (f"{CHUNKED}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED),
    "chunked in HTTP/1.0": (f"POST / HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED),
    "an unknown expectation": (f"{POST}Expect: 200-maybe\r\nContent-Length: 5\r\n\r\nhello", (417,)),
    "a chunk size with a prefix": (f"{CHUNKED}\r\n0x5\r\nhello\r\n0\r\n\r\n", REFUSED),
    "a chunk size with a sign": (f"{CHUNKED}\r\n-1\r\n\r\n0\r\n\r\n", REFUSED),
    "a chunk size that overflows": (f"{CHUNKED}\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", REFUSED),
    "a bare line feed in a chunk extension": (f"{CHUNKED}\r\n5;a\nhello\r\n0\r\n\r\n", REFUSED),
    "a chunk that ends with a line feed": (f"{CHUNKED}\r\n5\r\nhello\n0\r\n\r\n", REFUSED),
    "bare line feeds": (f"GET / HTTP/1.1\nHost: {HOST}\n\n", REFUSED),
    "a bare carriage return in a value": (f"GET / HTTP/1.1\r\n{H}X: a\rb\r\n\r\n", REFUSED),
    "a zero in a value": (f"GET / HTTP/1.1\r\n{H}X: a\0b\r\n\r\n", REFUSED),
    "a space before the colon": (f"GET / HTTP/1.1\r\n{H}X : a\r\n\r\n", REFUSED),
    "a folded line": (f"GET / HTTP/1.1\r\n{H}X: a\r\n b\r\n\r\n", REFUSED),
    "no host": ("GET / HTTP/1.1\r\n\r\n", REFUSED),
    "two hosts": (f"GET / HTTP/1.1\r\n{H}{H}\r\n", REFUSED),
    "a host with a path": (f"GET / HTTP/1.1\r\nHost: {HOST}/public?\r\n\r\n", REFUSED),
    "a host with a user": (f"GET / HTTP/1.1\r\nHost: a@{HOST}\r\n\r\n", REFUSED),
    "another host in the target": (f"GET http://evil.example.test/ HTTP/1.1\r\n{H}\r\n", (400, 421)),
    "an encoded slash": (f"GET /a%2fb HTTP/1.1\r\n{H}\r\n", REFUSED),
    "an encoded zero": (f"GET /a%00b HTTP/1.1\r\n{H}\r\n", REFUSED),
    "a way up": (f"GET /a/../b HTTP/1.1\r\n{H}\r\n", (200, 400)),
    "an encoded way up": (f"GET /a/%2e%2e/b HTTP/1.1\r\n{H}\r\n", (200, 400)),
    "a name with an underscore": (f"GET / HTTP/1.1\r\n{H}X_Forwarded_For: 6.6.6.6\r\n\r\n", (200, 400)),
    "an upgrade to nothing known": (f"POST / HTTP/1.1\r\n{H}Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n\r\nhello", TUNNEL),
    "a long target": (f"GET /{'a' * 65_536} HTTP/1.1\r\n{H}\r\n", (414,)),
    "a thousand fields": (f"GET / HTTP/1.1\r\n{H}" + "".join(f"X-{n}: 1\r\n" for n in range(1_000)) + END, (431,)),
    "TRACE": (f"TRACE / HTTP/1.1\r\n{H}\r\n", (405,)),
    "CONNECT": (f"CONNECT {HOST}:443 HTTP/1.1\r\n{H}\r\n", (400, 405)),
    "a method in small letters": (f"get / HTTP/1.1\r\n{H}\r\n", (400, 501)),
    "HTTP/1.2": (f"GET / HTTP/1.2\r\n{H}\r\n", (400, 505)),
    "HTTP/2.0 in words": (f"GET / HTTP/2.0\r\n{H}\r\n", (400, 505)),
    "a trailer with a length": (f"{CHUNKED}\r\n0\r\nContent-Length: 50\r\nAuthorization: x\r\n\r\n", (200, 400)),
    "hop by hop by name": (f"GET / HTTP/1.1\r\n{H}Connection: close, X-Forwarded-For\r\n\r\n", (200,)),
    "two in a row": (f"GET /1 HTTP/1.1\r\n{H}\r\nGET /2 HTTP/1.1\r\n{H}\r\n", (200,)),
    "a good one and a bad one": (f"GET /1 HTTP/1.1\r\n{H}\r\nGET /2 HTTP/1.1\r\nHost : x\r\n\r\n", (200,)),
}


class Counting(socketserver.ThreadingTCPServer):
    """A server that reads by the letter: what it takes for a request is counted, and its head kept."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.heads = []
        super().__init__(("127.0.0.1", 0), CountingHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.port = self.server_address[1]


class CountingHandler(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError, ValueError):
            while self.once():
                pass

    def once(self):
        head = []
        while (line := self.rfile.readline(65_536)) not in (b"\r\n", b""):
            head.append(line.decode("latin-1").rstrip("\r\n"))
        if not head:
            return False
        self.server.heads.append(head)
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        if fields.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
        self.rfile.read(int(fields.get("content-length", 0)))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return True


def statuses(connection, data):
    """Every status that comes back, in order: one for each request that is written there, or none after a refusal."""
    received, wanted = b"", max(data.count(b" HTTP/1."), 1)
    connection.settimeout(10.0)
    with contextlib.suppress(OSError):
        connection.sendall(data)
    while True:
        found = [int(answer[2:5]) for answer in received.split(b"HTTP/1.")[1:] if answer[2:5].isdigit()]
        if len(found) >= wanted or any(status >= 400 for status in found):
            return found
        try:
            part = connection.recv(65_536)
        except OSError:
            return found
        if not part:
            return found
        received += part


@pytest.fixture
def both(at_the_edge, authority, tmp_path):  # noqa: F811
    """The two ways to send bytes, and the servers behind them."""
    behind_edge, behind_nginx = Counting(), Counting()
    nginx = Nginx.before(tmp_path, behind_nginx.port).start()
    _, visitors = at_the_edge([{"path": "/", "to": f"http://127.0.0.1:{behind_edge.port}"}])
    trusted = ssl.create_default_context(cafile=authority.file)

    def by_edge(data):
        before = len(behind_edge.heads)
        with socket.create_connection(("127.0.0.1", visitors.https), 10) as plain:
            connection = trusted.wrap_socket(plain, server_hostname=HOST)
            got = statuses(connection, data)
            connection.close()
        return got, behind_edge.heads[before:]

    def by_nginx(data):
        before = len(behind_nginx.heads)
        with socket.create_connection(("127.0.0.1", nginx.port), 10) as connection:
            got = statuses(connection, data)
        return got, behind_nginx.heads[before:]

    yield by_edge, by_nginx
    nginx.stop()
    for server in (behind_edge, behind_nginx):
        server.shutdown()
        server.server_close()


def test_scenario_g12_what_could_be_read_in_two_ways_is_refused_and_never_handed_on(both):
    by_edge, by_nginx = both
    wrong, told = [], []
    for name, (text, expected) in CASES.items():
        data = text.encode("latin-1")
        (ours, heads), (theirs, _) = by_edge(data), by_nginx(data)
        told.append(f"{name:40} edge {ours} nginx {theirs}")
        good = sum(1 for status in ours if status == 200)
        if not ours or ours[0] not in expected:
            wrong.append(f"{name}: answered {ours}, not {expected}")
        if len(heads) != good:
            wrong.append(f"{name}: {good} answered, and {len(heads)} reached the server: {heads}")
        if theirs and theirs[0] >= 400 and ours[:1] == [200] and name != "a name with an underscore":
            wrong.append(f"{name}: nginx refuses it ({theirs[0]})")
        for head in heads:
            spoken = [line.lower() for line in head[1:]]
            if any(line.startswith("x_forwarded_for") or "6.6.6.6" in line for line in spoken):
                wrong.append(f"{name}: a forged address was handed on: {head}")
            if sum(1 for line in spoken if line.startswith("x-forwarded-for: 127.0.0.1")) != 1:
                wrong.append(f"{name}: the client's address is not told once: {head}")
    print("\n".join(told))
    assert not wrong, "\n".join(wrong)
