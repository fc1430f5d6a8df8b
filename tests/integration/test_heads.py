"""Heads of requests that two servers could read in two ways are refused, and what follows them is never read.

A sample of the cases that the head guard's own tests have, through the whole program: the answer's status, that the
connection ends, and that the model server has heard nothing.
"""

import contextlib
import itertools
import random
import socket
import time

import pytest
import raw
from house import in_time, until

BODY = b'{"model":"echo","messages":[{"role":"user","content":"hi"}]}'
CHAT = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"

# name → (what stands after the common head, statuses that may come). `{n}` is the body's length.
BAD_FRAMING = {
    "length and chunks": ("Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n", {400}),
    "chunks and length": ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", {400}),
    "two lengths": ("Content-Length: {n}\r\nContent-Length: 5\r\n\r\n", {400}),
    "the same length twice": ("Content-Length: {n}\r\nContent-Length: {n}\r\n\r\n", {400}),
    "a list of lengths": ("Content-Length: {n}, {n}\r\n\r\n", {400}),
    "a length with a sign": ("Content-Length: +{n}\r\n\r\n", {400}),
    "a hexadecimal length": ("Content-Length: 0x3c\r\n\r\n", {400}),
    "a length of 20 digits": ("Content-Length: 99999999999999999999\r\n\r\n", {400, 413}),
    "an unknown coding": ("Transfer-Encoding: xchunked\r\n\r\n", {400, 501}),
    "a coding after chunked": ("Transfer-Encoding: chunked, identity\r\n\r\n", {400, 501}),
    "two codings": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", {400}),
    "a folded field": ("Content-Length: {n}\r\nX-A: b\r\n c\r\n\r\n", {400}),
    "a space before the colon": ("Content-Length : {n}\r\n\r\n", {400}),
    "bare line feeds": ("Content-Length: {n}\nX-A: b\n\n", {400}),
    "a bare carriage return": ("X-A: b\rc\r\nContent-Length: {n}\r\n\r\n", {400}),
    "a NUL": ("X-A: b\0c\r\nContent-Length: {n}\r\n\r\n", {400}),
    "a second Host": ("Host: localhost\r\nContent-Length: {n}\r\n\r\n", {400}),
    "a bad chunk size": ("Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", {400}),
    "a negative chunk size": ("Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", {400}),
    "a chunk extension with a line feed": ("Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", {400}),
    "chunk data without its end": ("Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n", {400}),
    "an unknown expectation": ("Expect: 200-ok\r\nContent-Length: {n}\r\n\r\n", {417}),
}
BAD_LINES = {
    "no Host": ("GET /v1/models HTTP/1.1\r\nX-Api-Key: {key}\r\n\r\n", {400}),
    "a Host with a path": ("GET /v1/models HTTP/1.1\r\nHost: localhost/x\r\nX-Api-Key: {key}\r\n\r\n", {400}),
    "another Host in the target": (
        "GET http://evil.example/v1/models HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n",
        {400, 421},
    ),
    "an encoded slash": ("GET /v1%2fmodels HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n", {400, 404}),
    "two dots": ("GET /es/../v1/models HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n", {400, 404}),
    "CONNECT": ("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", {400, 405, 501}),
    "TRACE": ("TRACE /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n", {400, 405, 501}),
    "an unknown version": ("GET /v1/models HTTP/1.2\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n", {400, 505}),
    "a line of 64 KiB": ("GET /" + "x" * 65536 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", {414, 431}),
    "a head of 64 KiB": ("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + "x" * 65536 + "\r\n\r\n", {431}),
    "a thousand fields": ("GET / HTTP/1.1\r\nHost: localhost\r\n" + "X-A: b\r\n" * 1000 + "\r\n", {431}),
}


def refused(house, data, statuses):
    received, closed = raw.everything(house.port, data)
    assert closed, "the connection stays open"
    assert received.count(b"HTTP/1.1 ") == 1, received
    status = int(received.split(b" ", 2)[1])
    assert status in statuses, received[:300]
    for internal in (b"hyper", b"panicked", b"src/"):
        assert internal not in received


@pytest.mark.parametrize("name", BAD_FRAMING)
def test_a_body_that_could_be_read_in_two_ways(house, scripted, name):
    rest, statuses = BAD_FRAMING[name]
    head = (CHAT + rest).format(key=house.key, n=len(BODY)).encode()
    refused(house, head + BODY + SMUGGLED, statuses)
    assert scripted.chats() == []


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_head_that_could_be_read_in_two_ways(house, scripted, name):
    line, statuses = BAD_LINES[name]
    refused(house, line.format(key=house.key).encode() + SMUGGLED, statuses)


def test_good_requests_before_a_bad_one_are_answered_in_order(house, scripted):
    good = (CHAT + "Content-Length: {n}\r\n\r\n").format(key=house.key, n=len(BODY)).encode() + BODY
    received, closed = raw.everything(house.port, good * 5 + b"GET / HTTP/1.1\nHost: x\n\n" + good * 5)
    statuses = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert closed and statuses == [200] * 5 + [400]
    assert len(scripted.chats()) == 5


def test_a_head_that_never_ends_is_let_go(house):
    """Ten seconds from accept to the end of the head, however steadily it drips."""
    began = time.monotonic()
    received, closed = raw.everything(house.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n", within=14)
    took = time.monotonic() - began
    assert closed and took >= 8
    in_time("it is let go", took, 13)
    assert received == b"" or received.startswith(b"HTTP/1.1 408")


def test_one_address_cannot_hold_all_connections(make_house, scripted):
    house = make_house(upstreams={"scripted": scripted.upstream()}, limits={"per_address": 8}, source="127.0.0.9")
    with contextlib.ExitStack() as stack:
        here, there = ("127.0.0.8", 0), ("127.0.0.1", house.port)
        held = [stack.enter_context(socket.create_connection(there, 5, source_address=here)) for _ in range(20)]
        until("those beyond eight are closed", lambda: sum(map(is_closed, held)) >= 12)
        assert sum(map(is_closed, held)) == 12
        assert house.chat().status_code == 200, "another address is served"


def spellings(path, dice):
    """Other ways to write a path that some server might take for it."""

    def spelt(character):
        encoded = [f"%{ord(character):02x}", f"%{ord(character):02X}", f"%25{ord(character):02x}"]
        followed = [character + after for after in ("\\", ";x=1", "%00", "/./", "//", "/../")]
        return dice.choice([character] * 12 + encoded + followed + [character.swapcase()])

    before = ["", "", "/x/..", "/%2e", "/.", "//localhost", "http://localhost"]
    behind = ["", "", "/", "//", "?", "#", "%20", "%09", ".", ";", "/..", "%2e"]
    while True:
        target = dice.choice(before) + "".join(map(spelt, path)) + dice.choice(behind)
        if target not in (path, path + "?", "http://localhost" + path):
            yield target


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags", "/es/_search", "/api/generate", "/v1/messages"])
def test_no_spelling_of_a_path_leads_past_the_keys(house, scripted, path):
    """Whether a key is asked for, and which part answers, is decided by one and the same reading of the path."""
    method = "POST" if path in ("/api/generate", "/v1/messages") else "GET"
    asked = itertools.islice(spellings(path, random.Random(path)), 200)
    for spelt in asked:
        # Each from another address: without a key one is soon asked to wait.
        source = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        fields = f"Host: localhost\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n"
        request = f"{method} {spelt} HTTP/1.1\r\n{fields}\r\n".encode() + BODY
        received, closed = raw.everything(house.port, request, source=source)
        assert closed, spelt
        status = int(received.split(b" ", 2)[1])
        # The console's page stands behind all that is nothing else; it holds nothing of anybody.
        is_page = status == 200 and b"<!doctype html>" in received.lower()
        assert is_page or status in (400, 401, 403, 404, 405, 421), (spelt, received[:200])
        assert b"echo" not in received, spelt
    assert scripted.chats() == []


def test_what_a_client_names_gets_into_no_head(house):
    """Whatever ends up in a field of the answer cannot end the line that it stands in."""
    for name in ("echo\r\nX-Evil: 1", "echo\nX-Evil: 1", "echo\r\n\r\n<html>", "echo\0", "\u010a\u010dX-Evil: 1"):
        answer = house.chat(model=name)
        assert answer.status_code in (400, 404), answer.text
        assert "x-evil" not in answer.headers
        answer = house.chat(headers={"X-Request-Id": "a" * 10_000})
        assert answer.status_code == 200 and len(answer.headers["x-request-id"]) <= 128


def test_at_most_one_range_is_served(house):
    ranges = "bytes=" + ",".join(f"{start}-{start + 100}" for start in range(1000))
    for path in ("/", "/v1/models", "/healthz"):
        whole = house.get(path)
        answer = house.get(path, headers={"Range": ranges})
        assert answer.status_code in (whole.status_code, 416), path
        if answer.status_code == whole.status_code:
            assert answer.content == whole.content, path


def is_closed(connection):
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True
