"""Lines of other programs: a real rsyslog, and what Filebeat speaks, into one port."""

import contextlib
import datetime
import hashlib
import json
import os
import random
import signal
import socket
import threading
import time

import pytest
from house import Process, free_port, until
from lumberjack import Lumber, Lumberjack, event
from test_kill import check_chain
from test_reload import reload

# The whole run takes more; ./test has other things to do.
LINES = int(os.environ.get("TOLLHOUSE_TEST_LINES", "20000"))
KILLS, SEED = 12, 20_260_127
# Seconds in which all of them are found, on a machine that has much else to do.
FOUND_WITHIN = max(60, LINES / 250)
FIELDS = ["number", "method", "path", "model", "status", "duration_ms", "input_tokens", "output_tokens", "user_id"]


def gateway_line(number, when=None):
    """A line of the tutorial's gateway, as its logger writes it."""
    when = when or datetime.datetime.now(datetime.UTC)
    return {
        "level": "error" if number % 50 == 0 else "info",
        "ts": when.isoformat(timespec="milliseconds"),
        "caller": "gateway/handler.go:123",
        "msg": "request completed",
        "service": "clawdbot-qwen3",
        "model": "qwen3:32b" if number % 3 else "qwen3:4b",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 500 if number % 50 == 0 else 200,
        "duration_ms": 3001 + number % 7 if number % 40 == 0 else number % 3000,
        "input_tokens": 100 + number % 10,
        "output_tokens": 50 + number % 100,
        "user_id": f"user-größer-中文-{number % 17}",
        "number": number,
    }


def listening(port, **more):
    return {"network": {"type": "listen", "address": f"127.0.0.1:{port}", **more}}


def collected(house, source="network"):
    """The collected lines in the journal."""
    return house.journal(kind="log", source=source)


def wait_until_found(house):
    """Until all lines are in the index."""

    def are_there():
        return house.count("kind:log AND source:network") >= LINES

    until("all lines are in the index", are_there, within=FOUND_WITHIN, every=0.2)


def checksum(lines, names=FIELDS):
    """A sum over these fields of the lines, in their order."""
    whole = hashlib.sha256()
    for line in lines:
        whole.update(json.dumps([line[name] for name in names], ensure_ascii=False).encode() + b"\n")
    return whole.hexdigest()


class Rsyslog(Process):
    """A real rsyslog with a folder and a configuration of its own."""

    def __init__(self, directory, name="rsyslog"):
        super().__init__(name, directory)
        self.directory = directory / name
        self.directory.mkdir()
        self.file = self.directory / "gateway.log"

    def start(self, actions):
        config = self.directory / "rsyslog.conf"
        config.write_text(
            f'global(workDirectory="{self.directory}" maxMessageSize="64k")\n'
            'module(load="imfile" mode="inotify")\n'
            # Several workers, which it starts when much waits, would pass lines on in another order.
            'main_queue(queue.type="linkedlist" queue.workerThreads="1")\n'
            f"{actions}\n"
        )
        self.spawn(["rsyslogd", "-n", "-f", config, "-i", self.directory / "pid"])
        return self

    def tail(self, port, template="RSYSLOG_SyslogProtocol23Format"):
        """The tutorial's way: imfile reads the file, a filter, omfwd forwards over TCP."""
        return self.start(
            f'input(type="imfile" File="{self.file}" Tag="clawdbot-gateway" Severity="info" Facility="local0"'
            ' freshStartTail="off")\n'
            "if $programname == 'clawdbot-gateway' then {\n"
            f'  action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="{template}"\n'
            '         queue.type="linkedlist" action.resumeRetryCount="-1" action.resumeInterval="1")\n'
            "  stop\n"
            "}\n"
        )

    def write(self, lines):
        with self.file.open("a") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


@pytest.fixture
def lumber(tmp_path):
    """A sender of Filebeat's library, yet to be told its port."""
    sender = Lumber(tmp_path, free_port())
    yield sender
    sender.stop()


@pytest.fixture
def rsyslog(tmp_path):
    server = Rsyslog(tmp_path)
    yield server
    server.stop()


def test_scenario_b04_rsyslog_forwards_a_file_whole(make_house, rsyslog):
    port = free_port()
    house = make_house(sources=listening(port))
    until("it says where it listens", lambda: f"collect    network at 127.0.0.1:{port}" in house.output())
    now = datetime.datetime.now(datetime.UTC)
    yesterday = now - datetime.timedelta(days=1)
    lines = [gateway_line(number, yesterday if number % 5 == 0 else now) for number in range(LINES)]
    rsyslog.write(lines)
    rsyslog.tail(port)
    wait_until_found(house)

    kept = collected(house)
    assert len(kept) == LINES == house.count("kind:log AND source:network")
    assert checksum(kept) == checksum(lines)
    check_chain(house.journal_bytes().splitlines())

    # The index has the same: by number, by day of the line's own time, by type.
    answer = house.search(
        {
            "size": 0,
            "track_total_hits": True,
            "query": {"bool": {"filter": [{"term": {"kind": "log"}}, {"term": {"source": "network"}}]}},
            "aggs": {
                "numbers": {"cardinality": {"field": "number", "precision_threshold": 40000}},
                "sum": {"sum": {"field": "number"}},
                "tokens": {"sum": {"field": "output_tokens"}},
            },
        },
        "clawdbot-qwen3-*",
    )
    assert answer["hits"]["total"]["value"] == LINES
    assert answer["aggregations"]["sum"]["value"] == sum(range(LINES))
    assert answer["aggregations"]["tokens"]["value"] == sum(line["output_tokens"] for line in lines)
    for day, expected in [(yesterday, LINES // 5), (now, LINES - LINES // 5)]:
        index = f"clawdbot-qwen3-{day:%Y.%m.%d}"
        query = {"query": {"query_string": {"query": "kind:log AND source:network"}}}
        assert house.post(f"/es/{index}/_count", query, house.reader).json()["count"] == expected, index


def test_scenario_b05_a_forwarded_line_is_typed_as_our_own_requests_are(make_house, rsyslog):
    port = free_port()
    house = make_house(sources=listening(port))
    lines = [gateway_line(number) for number in range(200)]
    rsyslog.write(lines)
    rsyslog.tail(port)
    until("all lines are in the index", lambda: house.count("kind:log AND source:network") == len(lines))
    for query, expected in [
        ('tag:"slow_request" AND source:network', sum(line["duration_ms"] > 3000 for line in lines)),
        ('tag:"error_request" AND source:network', sum(line["status"] >= 300 for line in lines)),
        ("level:error AND source:network", sum(line["level"] == "error" for line in lines)),
        ("model:qwen3\\:4b AND source:network", sum(line["model"] == "qwen3:4b" for line in lines)),
        ("http_status:[200 TO 299] AND duration_ms:<10 AND source:network", None),
        ('msg:"request completed" AND service:clawdbot-qwen3 AND caller:"gateway/handler.go:123"', len(lines)),
        ("host.name:* AND process.name:clawdbot-gateway AND log.syslog.facility.name:local0", len(lines)),
        ("_exists_:parse_error OR tags:ingest_error", 0),
    ]:
        if expected is None:
            expected = sum(line["status"] == 200 and line["duration_ms"] < 10 for line in lines)
        assert house.count(query) == expected, query
    document = house.search({"query": {"query_string": {"query": "number:40"}}})["hits"]["hits"][0]["_source"]
    assert document["token_efficiency"] == round(document["output_tokens"] / document["input_tokens"], 2)
    assert document["tags"] == ["slow_request"] and document["http_status"] == 200
    assert "time" not in document and document["peer"] == "127.0.0.1"
    written = datetime.datetime.fromisoformat(lines[40]["ts"])
    assert datetime.datetime.fromisoformat(document["@timestamp"]) == written


@pytest.mark.parametrize(
    "forward",
    [
        '*.* @@127.0.0.1:{port}',
        '*.* @@(o)127.0.0.1:{port};RSYSLOG_SyslogProtocol23Format',
        '*.* @@127.0.0.1:{port};RSYSLOG_ForwardFormat',
        '*.* @127.0.0.1:{port}',
    ],
    ids=["tcp-rfc3164", "tcp-counted", "tcp-forward-format", "udp-rfc3164"],
)
def test_scenario_b04_other_ways_of_rsyslog(make_house, rsyslog, forward):
    port = free_port()
    house = make_house(sources=listening(port, udp=True))
    lines = [gateway_line(number) for number in range(20)]
    rsyslog.write(lines)
    rsyslog.start(
        f'input(type="imfile" File="{rsyslog.file}" Tag="gateway:" freshStartTail="off")\n{forward.format(port=port)}'
    )
    until("all lines are in the journal", lambda: len(collected(house)) >= len(lines))
    by_number = sorted((line for line in collected(house) if "number" in line), key=lambda line: line["number"])
    assert checksum(by_number) == checksum(lines)
    assert {line["process"]["name"] for line in by_number} == {"gateway"}
    assert {line["peer"] for line in by_number} == {"127.0.0.1"}


def test_scenario_b04_nothing_acknowledged_is_lost_when_the_house_is_killed(make_house):
    chance = random.Random(SEED)
    port = free_port()
    house = make_house(sources=listening(port), logging={"rotate": {"size": "1MiB"}})
    acknowledged, sent, over = [], [0], threading.Event()

    def send():
        """As Filebeat does: a window again and again until it is acknowledged."""
        number = 0
        while not over.is_set():
            events = [event(f"line {line} größer 中文") for line in range(number, number + 50)]
            sent[0] = number + 50
            while True:
                with contextlib.suppress(OSError), Lumberjack(port) as sender:
                    sender.send(events, compressed=number % 100 == 0)
                    break
                time.sleep(0.005)
            acknowledged.extend(range(number, number + 50))
            number += 50

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    for _ in range(KILLS):
        before = len(acknowledged)
        until("the sender gets on", lambda before=before: len(acknowledged) > before + 100, within=30)
        time.sleep(chance.random() * 0.05)
        house.kill()
        known = len(acknowledged)
        kept = {line["msg"] for line in collected(house)}
        missing = [number for number in range(known) if f"line {number} größer 中文" not in kept]
        assert not missing, f"acknowledged, but not in the journal: {missing[:10]}"
        house.start()
    over.set()
    sender.join(30)
    kept = [int(line["msg"].split()[1]) for line in collected(house)]
    assert sorted(set(kept)) == list(range(sent[0]))
    # At least once: only a window that was cut off may be there twice.
    assert len(kept) - len(set(kept)) <= KILLS * 50
    check_chain(house.journal_bytes().splitlines())
    until("the index has them all", lambda: house.count("kind:log AND source:network") == len(kept))


def test_scenario_b04_a_lumberjack_client_brings_all_lines_whole(make_house):
    port, window = free_port(), 1_000
    house = make_house(sources=listening(port))
    lines = [gateway_line(number) for number in range(LINES)]
    with Lumberjack(port) as sender:
        for start in range(0, LINES, window):
            events = [event(json.dumps(line, ensure_ascii=False)) for line in lines[start : start + window]]
            sender.send(events, compressed=start // window % 2 == 0)
        # The last window was acknowledged: all of them are on the disk.
        kept = collected(house)
    assert len(kept) == LINES
    assert checksum(kept) == checksum(lines)
    check_chain(house.journal_bytes().splitlines())
    wait_until_found(house)
    assert house.count("kind:log AND source:network") == LINES
    total = house.search({"size": 0, "aggs": {"sum": {"sum": {"field": "number"}}}}, "clawdbot-qwen3-*")
    assert total["aggregations"]["sum"]["value"] == sum(range(LINES))


def test_scenario_b04_filebeats_own_library_brings_all_lines_whole(make_house, lumber):
    house = make_house(sources=listening(lumber.port))
    lines = [gateway_line(number) for number in range(LINES)]
    lumber.start(event(json.dumps(line, ensure_ascii=False)) for line in lines)
    until("all lines are acknowledged", lumber.has_sent_all, within=FOUND_WITHIN)
    # All that is acknowledged is on the disk.
    kept = collected(house)
    assert (lumber.acknowledged, lumber.connections, len(kept)) == (LINES, 1, LINES)
    assert checksum(kept) == checksum(lines)
    wait_until_found(house)
    assert house.count("kind:log AND source:network") == LINES


def test_scenario_b04_filebeats_own_library_loses_nothing_when_the_house_is_killed(make_house, lumber):
    house = make_house(sources=listening(lumber.port))
    lumber.start(event(f"line {number} größer 中文") for number in range(LINES))
    for turn in range(1, 4):
        until("some are acknowledged", lambda turn=turn: lumber.acknowledged >= LINES * turn // 5, within=60, every=0.005)
        house.kill()
        known = lumber.acknowledged
        kept = {line["msg"] for line in collected(house)}
        assert [number for number in range(known) if f"line {number} größer 中文" not in kept] == []
        house.start()
    until("all lines are acknowledged", lumber.has_sent_all, within=FOUND_WITHIN)
    kept = [int(line["msg"].split()[1]) for line in collected(house)]
    assert sorted(set(kept)) == list(range(LINES))
    # At least once: only windows that were under way may be there twice, two a kill.
    assert lumber.connections >= 4 and len(kept) - LINES <= 3 * 2 * 2048
    check_chain(house.journal_bytes().splitlines())


def test_a_beat_is_acknowledged_when_its_events_are_on_the_disk(make_house):
    port = free_port()
    house = make_house(sources=listening(port))
    inner = json.dumps(gateway_line(7), ensure_ascii=False)
    dated = event("plain größer 中文", **{"@timestamp": "2026-01-27T08:00:00.000Z"})
    with Lumberjack(port) as sender:
        sender.send([dated, event(inner), event("bad", log={"level": "error"})], compressed=True)
    plain, typed, bad = collected(house)
    assert plain["msg"] == "plain größer 中文" and plain["time"] == "2026-01-27T08:00:00.000Z"
    assert plain["host"] == {"name": "web1"} and plain["agent"]["id"] == "a-1"
    assert typed["msg"] == "request completed" and typed["number"] == 7 and typed["status"] == 200
    assert typed["own_caller"] == "gateway/handler.go:123" and typed["caller"] == "collect/listen"
    assert bad["level"] == "error"


def test_reload_moves_a_port_and_leaves_the_other_alone(make_house):
    first, second, other = free_port(), free_port(), free_port()

    def sources(port):
        untouched = {"other": {"type": "listen", "address": f"127.0.0.1:{other}"}}
        return {**listening(port), **untouched}

    house = make_house(sources=sources(first))
    with Lumberjack(other) as stays, Lumberjack(first) as moves:
        stays.send([event("other 1")])
        moves.send([event("before")])
        assert reload(house, sources=sources(second))["changed"] == ["sources.network.address"]
        with Lumberjack(second) as sender:
            sender.send([event("after")])
        # The connection to the old address is ended in order, the other one is not touched.
        assert moves.socket.recv(6) == b""
        stays.send([event("other 2")])
    with pytest.raises(ConnectionRefusedError):
        Lumberjack(first)
    assert [line["msg"] for line in collected(house)] == ["before", "after"]
    assert [line["msg"] for line in collected(house, "other")] == ["other 1", "other 2"]

    # Another setting at the same address goes on with the same socket.
    allowed = {"type": "listen", "address": f"127.0.0.1:{second}", "allow": ["127.0.0.2"]}
    record = reload(house, sources={"network": allowed})
    assert sorted(record["changed"]) == ["sources.network.allow", "sources.other"]
    with Lumberjack(second, source="127.0.0.2") as sender:
        sender.send([event("allowed")])
    # A port that is taken leaves everything as it was.
    taken = {"type": "listen", "address": f"127.0.0.1:{house.port + 0}"}
    with socket.create_server(("127.0.0.1", first)):
        taken["address"] = f"127.0.0.1:{first}"
        assert reload(house, sources={"network": taken})["level"] == "error"
    with Lumberjack(second, source="127.0.0.2") as sender:
        sender.send([event("still here")])
    assert [line["msg"] for line in collected(house)][-2:] == ["allowed", "still here"]
    stopped = house.journal(kind="process", msg="source stopped")
    assert {line["source"]: line["beats"] for line in stopped} == {"network": 1, "other": 2}


def test_strangers_and_nonsense_are_refused_and_told(make_house):
    port = free_port()
    house = make_house(sources=listening(port, allow=["127.0.0.2"], udp=True))
    with socket.create_connection(("127.0.0.1", port), 5) as stranger:
        with contextlib.suppress(OSError):
            stranger.sendall(b"<13>1 - - - - - - from a stranger\n")
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    with socket.socket(type=socket.SOCK_DGRAM) as friend:
        friend.bind(("127.0.0.2", 0))
        friend.sendto(b"<13>1 - - - - - - from a friend", ("127.0.0.1", port))
    with socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.2", 0)) as browser:
        browser.sendall(b"POST / HTTP/1.1\r\n\r\n<13>1 - - - - - - from a page\n")
        with contextlib.suppress(ConnectionResetError):
            assert browser.recv(1) == b""
    refusals = until("both are told", lambda: [*house.journal(kind="access")] if len(house.journal(kind="access")) > 1 else [])
    assert [(line["reason"], line["client_ip"], line["source"]) for line in refusals] == [
        ("not_allowed", "127.0.0.1", "network"),
        ("unknown", "127.0.0.2", "network"),
    ]
    until("the friend is heard", lambda: collected(house))
    assert [line["msg"] for line in collected(house)] == ["from a friend"]
    assert house.get("/healthz").is_success


def test_a_clean_stop_keeps_what_was_sent(make_house):
    port = free_port()
    house = make_house(sources=listening(port))
    with socket.create_connection(("127.0.0.1", port), 5) as sender:
        sender.sendall(b"".join(b"<13>1 - - - - - - line %d\n" % number for number in range(5_000)))
        house.child.send_signal(signal.SIGTERM)
        assert sender.recv(1) == b"", "we leave in order"
    assert house.stop() == 0
    assert [line["msg"] for line in collected(house)] == [f"line {number}" for number in range(5_000)]
    last = house.journal()[-1]
    assert (last["kind"], last["msg"]) == ("process", "stopped")
