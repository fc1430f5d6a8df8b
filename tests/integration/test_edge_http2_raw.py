"""HTTP/2 by a raw client: what could become two requests behind the edge, and what floods it. Each beside a real nginx.

The client is made of frames alone (hyperframe, hpack): it says what it is told to. Behind both stands a server that counts what it takes for a
request.
"""

import contextlib
import socket
import ssl
import time
from pathlib import Path

import hpack
import pytest
from edges import HOST, Nginx
from house import until
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from test_edge import at_the_edge, authority  # noqa: F401 (fixtures)
from test_edge_strict import Counting

CALM = 0xB  # ENHANCE_YOUR_CALM
# What a connection may cost, whatever comes on it (28 of the catalogue), in bytes of resident memory.
COST_MAX = 16 * 1024 * 1024
GET = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]


def with_path(path, head=GET):
    return [*head[:3], (":path", path)]


# Heads, and a body, that would be read in two ways once they are text: none of them may reach a server (29 of the catalogue).
TWO_WAYS = {
    "a line end in a value": ([*GET, ("x-a", "b\r\nhost: evil")], None),
    "a carriage return in a value": ([*GET, ("x-a", "b\rc")], None),
    "a zero in a value": ([*GET, ("x-a", "b\0c")], None),
    "a line end in a name": ([*GET, ("x-a\r\nx-b", "c")], None),
    "a colon in a name": ([*GET, ("x-a: b\r\nx-c", "d")], None),
    "capitals in a name": ([*GET, ("X-A", "b")], None),
    "transfer-encoding": ([*POST, ("transfer-encoding", "chunked")], b"0\r\n\r\n"),
    "connection": ([*GET, ("connection", "keep-alive")], None),
    "upgrade": ([*GET, ("upgrade", "websocket")], None),
    "te of another kind": ([*GET, ("te", "gzip")], None),
    "a space in the path": (with_path("/a b"), None),
    "a line end in the path": (with_path("/ HTTP/1.1\r\nx: y"), None),
    "no path": (GET[:3], None),
    "an empty path": (with_path(""), None),
    "a path that is none": (with_path("elsewhere"), None),
    "an encoded slash": (with_path("/a%2fb"), None),
    "two paths": ([*GET, (":path", "/b")], None),
    "a pseudo field behind others": ([*GET[:3], ("x-a", "b"), (":path", "/")], None),
    "an unknown pseudo field": ([*GET, (":x", "b")], None),
    "a method with a space": ([(":method", "GET /x HTTP/1.1"), *GET[1:]], None),
    "CONNECT": ([(":method", "CONNECT"), (":authority", f"{HOST}:443")], None),
    "TRACE": ([(":method", "TRACE"), *GET[1:]], None),
    "another host beside the authority": ([*GET, ("host", "evil.example.test")], None),
    "an authority with a path": ([*GET[:2], (":authority", f"{HOST}/x"), GET[3]], None),
    "a body longer than announced": ([*POST, ("content-length", "3")], b"hello"),
    "a body shorter than announced": ([*POST, ("content-length", "9")], b"hello"),
    "two lengths": ([*POST, ("content-length", "5"), ("content-length", "6")], b"hello"),
    "a length that is none": ([*POST, ("content-length", "+5")], b"hello"),
    "a name with an underscore": ([*GET, ("x_forwarded_for", "6.6.6.6")], None),
}


class Raw:
    """One connection of HTTP/2 whose client says what it is told to."""

    def __init__(self, port, trusted):
        self.socket = trusted.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname=HOST)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.received = b""
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frames(SettingsFrame(0))

    def frames(self, *frames):
        """Sends frames as they are; once the other side has closed, nothing more."""
        with contextlib.suppress(OSError):
            self.socket.sendall(b"".join(frame.serialize() for frame in frames))

    def headers(self, stream, head, is_end=True):
        frame = HeadersFrame(stream, data=self.encoder.encode(head), flags=["END_HEADERS"])
        if is_end:
            frame.flags.add("END_STREAM")
        return frame

    def ask(self, head, body=None, stream=1):
        """What comes of a request: (`status`, …), (`reset`, code) or (`closed`, code)."""
        frames = [self.headers(stream, head, body is None)]
        if body is not None:
            frames.append(DataFrame(stream, data=body, flags=["END_STREAM"]))
        self.frames(*frames)
        return self.outcome(stream)

    def outcome(self, stream=None, within=15.0):
        """Reads until something came of this stream, or the connection was ended."""
        over = time.monotonic() + within
        while time.monotonic() < over:
            for frame in self.whole_frames():
                if isinstance(frame, HeadersFrame):
                    # Always, since both tables have to stay the same.
                    head = dict(self.decoder.decode(frame.data))
                    if frame.stream_id == stream:
                        return ("status", int(head[":status"]))
                elif isinstance(frame, RstStreamFrame) and frame.stream_id == stream:
                    return ("reset", frame.error_code)
                elif isinstance(frame, GoAwayFrame):
                    return ("closed", frame.error_code)
                elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                    self.frames(SettingsFrame(0, flags=["ACK"]))
            self.socket.settimeout(max(over - time.monotonic(), 0.01))
            try:
                received = self.socket.recv(65_536)
            except TimeoutError:
                break
            except OSError:
                received = b""
            if not received:
                return ("closed", None)
            self.received += received
        return ("nothing", None)

    def whole_frames(self):
        """The frames that have come, each once."""
        while len(self.received) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.received[:9]))
            if len(self.received) < 9 + length:
                return
            frame.parse_body(memoryview(self.received[9 : 9 + length]))
            self.received = self.received[9 + length :]
            yield frame

    def close(self):
        self.socket.close()


@pytest.fixture
def both(at_the_edge, authority, tmp_path):  # noqa: F811
    """Connections to the edge and to nginx, and the servers behind them."""
    behind = {"edge": Counting(), "nginx": Counting()}
    house, visitors = at_the_edge([{"path": "/", "to": f"http://127.0.0.1:{behind['edge'].port}"}])
    files = authority.sign(HOST)
    encrypted = f" ssl http2; ssl_certificate {files['cert']}; ssl_certificate_key {files['key']}"
    nginx = Nginx.before(tmp_path, behind["nginx"].port, encrypted).start()
    trusted = ssl.create_default_context(cafile=authority.file)
    trusted.set_alpn_protocols(["h2"])
    ports = {"edge": visitors.https, "nginx": nginx.port}
    yield house, behind, lambda who: contextlib.closing(Raw(ports[who], trusted))
    nginx.stop()
    for server in behind.values():
        server.shutdown()
        server.server_close()


def test_scenario_g12_what_http2_could_hide_from_http1_never_reaches_a_server(both):
    _, behind, to = both
    wrong, told = [], []
    for name, (head, body) in TWO_WAYS.items():
        came = {}
        for who in ("edge", "nginx"):
            before = len(behind[who].heads)
            with to(who) as connection:
                came[who] = connection.ask(head, body)
            came[f"{who} passed"] = len(behind[who].heads) - before
        told.append(f"{name:40} {came}")
        kind, status = came["edge"]
        is_refused = kind in ("reset", "closed") or (kind == "status" and status in (400, 405, 421, 501))
        if not is_refused or came["edge passed"]:
            wrong.append(told[-1])
        if came["nginx passed"]:
            told[-1] += "  (nginx lets it through)"
    print("\n".join(told))
    assert not wrong, "\n".join(wrong)
    # Whatever went before: a good request is served.
    with to("edge") as connection:
        assert connection.ask(POST, b"hello") == ("status", 200)


def rapid_resets(connection):
    for block in range(50):
        first = 1 + 40 * block
        pairs = ((connection.headers(stream, GET), RstStreamFrame(stream, error_code=8)) for stream in range(first, first + 40, 2))
        connection.frames(*(frame for pair in pairs for frame in pair))


def made_resets(connection):
    """Streams that the server has to reset: their windows grow by nothing, which is an error of each (MadeYouReset)."""
    for block in range(50):
        first = 1 + 40 * block
        pairs = ((connection.headers(stream, POST, False), WindowUpdateFrame(stream, window_increment=0x7FFFFFFF)) for stream in range(first, first + 40, 2))
        connection.frames(*(frame for pair in pairs for frame in pair))


def endless_head(connection):
    connection.frames(HeadersFrame(1, data=connection.encoder.encode(GET)))
    for number in range(2_000):
        connection.frames(ContinuationFrame(1, data=connection.encoder.encode([(f"x-{number}", "y" * 100)])))


def growing_head(connection):
    """A long value, put into the table once and named ten thousand times."""
    table = hpack.Encoder()
    bomb = table.encode([*GET, ("x-bomb", "y" * 3_900)])
    connection.frames(HeadersFrame(1, data=bomb + b"\xbe" * 16_000, flags=["END_HEADERS", "END_STREAM"]))


def often(connection, *frames):
    """These frames, six thousand times."""
    for _ in range(30):
        connection.frames(*(frame for _ in range(200) for frame in frames))


def pings(connection):
    often(connection, PingFrame(0, opaque_data=b"12345678"))


def answers_to_no_ping(connection):
    often(connection, PingFrame(0, opaque_data=b"12345678", flags=["ACK"]))


def settings(connection):
    often(connection, SettingsFrame(0, settings={4: 65_535}))


def priorities(connection):
    often(connection, PriorityFrame(1, depends_on=3, stream_weight=10))


def empty_data(connection):
    connection.frames(connection.headers(1, POST, False))
    often(connection, DataFrame(1))


def padding(connection):
    """Pieces of a body that are nothing but padding: each of them takes up a part of the window, which is given back at once."""
    connection.frames(connection.headers(1, POST, False))
    often(connection, DataFrame(1, pad_length=20, flags=["PADDED"]))


def crumbs(connection):
    """A body byte by byte, as far as the window goes."""
    connection.frames(connection.headers(1, POST, False))
    for _ in range(300):
        connection.frames(*(DataFrame(1, data=b"x") for _ in range(200)))


def windows(connection):
    """Windows that grow by a byte, and for nothing: no answer has used them up."""
    connection.frames(connection.headers(1, POST, False))
    often(connection, WindowUpdateFrame(0, window_increment=1), WindowUpdateFrame(1, window_increment=1))


def streams(connection):
    """More requests than may be open at once, none of which ends."""
    for block in range(50):
        first = 1 + 400 * block
        connection.frames(*(connection.headers(stream, POST, False) for stream in range(first, first + 400, 2)))


FLOODS = [
    *(rapid_resets, made_resets, endless_head, growing_head, pings, answers_to_no_ping, settings, priorities),
    *(empty_data, padding, crumbs, windows, streams),
]
# What h2 takes for an error of its own kind, or for none.
OTHERWISE = (made_resets, endless_head, growing_head, crumbs)


def settle(house):
    """The index takes some 20 MiB with its first record, and a search some more: that is no flood's."""
    until("a good request's record is found", lambda: house.count("kind:access") > 0)


def resident(house):
    status = Path(f"/proc/{house.child.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_scenario_g12_floods_of_frames_end_their_connection_and_nobody_elses(both, flood):
    house, behind, to = both
    with to("edge") as good:
        assert good.ask(GET) == ("status", 200)
        settle(house)
        before, heard = resident(house), len(behind["edge"].heads)
        with to("edge") as connection:
            flood(connection)
            came = connection.outcome(stream=1 if flood is growing_head else None, within=3 if flood is crumbs else 15)
            cost = resident(house) - before
        with to("nginx") as connection:
            flood(connection)
            beside = connection.outcome(stream=1 if flood is growing_head else None, within=3)
        print(f"{flood.__name__}: edge {came}, {len(behind['edge'].heads) - heard} reached the server, {cost / 1024:.0f} KiB; nginx {beside}")
        if flood is growing_head:
            assert came in (("status", 431), ("status", 400)) or came[0] in ("closed", "reset"), came
        elif flood is not crumbs:
            # A body that comes byte by byte is one that may be read: only what nobody reads of it ends the connection.
            assert came[0] == "closed", came
        if flood not in OTHERWISE:
            assert came[1] in (CALM, None), came
        assert cost < COST_MAX, f"{cost / 1024:.0f} KiB"
        # Another connection does not notice.
        assert good.ask(GET, stream=3) == ("status", 200)


def test_scenario_g12_a_window_that_stays_shut_costs_little(at_the_edge, authority, tmp_path):  # noqa: F811
    (tmp_path / "www").mkdir()
    (tmp_path / "www/large.bin").write_bytes(b"x" * 4_000_000)
    house, visitors = at_the_edge([{"path": "/", "to": f"dir:{tmp_path}/www"}])
    trusted = ssl.create_default_context(cafile=authority.file)
    trusted.set_alpn_protocols(["h2"])
    with contextlib.closing(Raw(visitors.https, trusted)) as connection:
        connection.ask(with_path("/none"))
        settle(house)
        before = resident(house)
        # A hundred answers of four megabytes, and no byte of a window for any of them.
        connection.frames(SettingsFrame(0, settings={4: 0}))
        connection.frames(*(connection.headers(stream, with_path("/large.bin")) for stream in range(3, 203, 2)))
        assert connection.outcome(stream=201) == ("status", 200)
        cost = resident(house) - before
        print(f"a hundred answers that nobody takes: {cost / 1024 / 1024:.1f} MiB")
        # All answers together are 400 MB.
        assert cost < COST_MAX
