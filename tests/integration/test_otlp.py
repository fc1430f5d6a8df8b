"""OpenTelemetry's protocol, in and out: the official Python exporter sends to us, and a receiver that reads with the official
messages takes what we ship; lines over plain HTTP beside it."""

import gzip
import json
import logging
import os
import socket
import subprocess
import threading
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import zstandard
from house import ROOT, Process, free_port, until
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from test_reload import reload

# The whole run takes more; ./test has other things to do.
LINES = int(os.environ.get("TOLLHOUSE_TEST_LINES", "20000")) // 4
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def taking(port, **more):
    return {"otlp": {"type": "http", "address": f"127.0.0.1:{port}", **more}}


def kept(house, source="otlp"):
    """The collected lines in the journal."""
    return house.journal(kind="log", source=source)


@pytest.fixture
def writing(make_house):
    """A house with such a source, its port, and a key that may write logs."""
    port = free_port()
    house = make_house(sources=taking(port))
    return house, port, house.taken(house.create_key("sender", "--role", "logs:write")["key"])


def send(port, path, body, key=None, **headers):
    with httpx.Client(timeout=30) as client:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            headers["authorization"] = f"Bearer {key}"
        return client.post(f"http://127.0.0.1:{port}{path}", content=body, headers=headers)


# The handler has moved into a package that pulls in every instrumentation; what it sends is the same.
@pytest.mark.filterwarnings("ignore:.LoggingHandler. in .opentelemetry-sdk.")
def test_scenario_b04_the_official_exporter_of_opentelemetry_sends_to_us(writing):
    house, port, key = writing
    resource = Resource.create({"service.name": "openclaw", "host.name": "böx"})
    exporter = OTLPLogExporter(
        endpoint=f"http://127.0.0.1:{port}/v1/logs", headers={"authorization": f"Bearer {key}"}, compression=None
    )
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_export_batch_size=512))
    logger = logging.getLogger("test_otlp")
    logger.setLevel(logging.DEBUG)
    handler = LoggingHandler(logger_provider=provider)
    logger.addHandler(handler)
    try:
        for number in range(1_000):
            logger.warning("turn %s größer 中文", number, extra={"number": number, "request_id": f"r-{number}"})
    finally:
        logger.removeHandler(handler)
    assert provider.force_flush(30_000)
    provider.shutdown()

    lines = kept(house)
    assert [line["number"] for line in lines] == list(range(1_000))
    assert lines[7]["msg"] == "turn 7 größer 中文" and lines[7]["level"] == "warn"
    assert lines[7]["service.name"] == "openclaw" and lines[7]["host.name"] == "böx"
    assert lines[7]["caller"] == "collect/http" and lines[7]["request_id"] == "r-7"
    until("all are in the index", lambda: house.count("kind:log AND source:otlp AND level:warn") == 1_000)


def json_request(*records):
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}).encode()


def test_answers_are_those_of_the_protocol(writing):
    house, port, key = writing
    record = {"severityNumber": 17, "body": {"stringValue": "boom"}, "traceId": TRACE, "spanId": SPAN}
    as_json = {"content_type": "application/json"}
    answer = send(port, "/v1/logs", json_request(record), key, **as_json)
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, {}, "application/json")
    answer = send(port, "/v1/logs", json_request(record, 7), key, **as_json)
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"

    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.log_records.add().body.string_value = "kept"
    scope.log_records.add().body.string_value = "x" * (1 << 20)
    packed = gzip.compress(request.SerializeToString())
    as_protobuf = {"content_type": "application/x-protobuf"}
    answer = send(port, "/v1/logs", packed, key, content_encoding="gzip", **as_protobuf)
    told = ExportLogsServiceResponse.FromString(answer.content)
    assert answer.status_code == 200 and told.partial_success.rejected_log_records == 1
    assert answer.headers["content-type"] == "application/x-protobuf"

    assert [line["msg"] for line in kept(house)] == ["boom", "boom", "kept"]
    assert kept(house)[0]["trace_id"] == TRACE and kept(house)[0]["level"] == "error"
    huge = gzip.compress(b"\0" * (21 << 20))
    for body, headers, status in [
        (b"{", as_json, 400),
        (b"\xff", as_protobuf, 400),
        (packed[:-4], {"content_encoding": "gzip", **as_protobuf}, 400),
        (huge, {"content_encoding": "gzip", **as_protobuf}, 413),
        (b"{}", {"content_type": "text/plain"}, 415),
        (b"{}", {"content_encoding": "br", **as_json}, 415),
    ]:
        assert send(port, "/v1/logs", body, key, **headers).status_code == status, headers
    for wrong, status in [(None, 401), ("th_wrong", 401), (house.reader, 403)]:
        answer = send(port, "/v1/logs", json_request(record), wrong, **as_json)
        assert answer.status_code == status and "message" in answer.json()
    assert send(port, "/other", b"", key).status_code == 404
    with httpx.Client() as client:
        assert client.get(f"http://127.0.0.1:{port}/", headers={"authorization": f"Bearer {key}"}).status_code == 405
    assert len(kept(house)) == 3

    def refused():
        return {line.get("status") for line in house.journal(kind="access", caller="collect/http")} - {None}

    # A refusal is answered before its record is written.
    until("each refusal has its record", lambda: refused() == {400, 401, 403, 404, 405, 413, 415})


def test_lines_come_in_many_forms(writing):
    house, port, key = writing
    lines = [{"level": "warn", "msg": f"line {number}", "number": number} for number in range(10)]
    ndjson = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for path, body, headers in [
        ("/", ndjson, {}),
        ("/lines", gzip.compress(ndjson), {"content_encoding": "gzip"}),
        ("/", zlib.compress(ndjson), {"content_encoding": "deflate"}),
        ("/", zstandard.compress(ndjson), {"content_encoding": "zstd", "content_type": "application/x-ndjson"}),
        ("/", json.dumps(lines).encode(), {"content_type": "application/json"}),
    ]:
        answer = send(port, path, body, key, **headers)
        assert (answer.status_code, answer.json()) == (200, {"lines": 10}), answer.text
    assert send(port, "/", b"plain text\nlevel=error msg=oops n=1\n", key).json() == {"lines": 2}
    found = kept(house)
    assert Counter(line.get("number") for line in found) == Counter({number: 5 for number in range(10)} | {None: 2})
    assert [(line["msg"], line["level"]) for line in found[-2:]] == [("plain text", "info"), ("oops", "error")]
    assert send(port, "/", b"", key).json() == {"lines": 0}


def test_without_keys_only_programs_of_this_machine_may_send(make_house):
    port = free_port()
    house = make_house(sources=taking(port), access={"auth": "off"})
    assert send(port, "/", b"hello\n").status_code == 200
    for headers in [{"origin": "http://evil.example"}, {"sec_fetch_site": "cross-site"}, {"host": "evil.example"}]:
        assert send(port, "/", b"hello\n", **headers).status_code == 403, headers
    assert len(kept(house)) == 1
    house.configure(sources={"otlp": {"type": "http", "address": f"0.0.0.0:{port}"}}, access={"auth": "off"})
    assert "nobody is asked for a key" in house.run("check", check=False).stderr


def test_only_named_networks_may_send(make_house):
    port = free_port()
    house = make_house(sources=taking(port, allow=["127.0.0.2"], format="logfmt"))
    key = house.taken(house.create_key("sender", "--role", "logs:write")["key"])
    assert send(port, "/", b"msg=a\n", key).status_code == 403
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
        answer = client.post(f"http://127.0.0.1:{port}/", content=b"msg=a n=1\n", headers={"x-api-key": key})
    assert answer.json() == {"lines": 1}
    assert [(line["msg"], line["peer"]) for line in kept(house)] == [("a", "127.0.0.2")]


def test_a_reload_keeps_the_address_and_takes_the_new_format(writing):
    house, port, key = writing
    assert send(port, "/", b"a=1 b=2\n", key).status_code == 200
    reload(house, sources=taking(port, format="plain"))
    assert send(port, "/", b"a=1 b=2\n", key).status_code == 200
    assert [(line["msg"], line.get("a")) for line in kept(house)] == [("a=1 b=2", 1), ("a=1 b=2", None)]
    reload(house, sources={})

    def is_gone():
        try:
            send(port, "/", b"x\n", key)
        except httpx.HTTPError:
            return True
        return False

    until("nobody listens", is_gone)
    stopped = house.journal(msg="source stopped", caller="collect/http")
    assert [line["confirmed"] for line in stopped] == [1, 1]


# Out


class Receiver:
    """Takes what is shipped by OTLP, reads it with the official messages, and answers as it is told."""

    def __init__(self):
        self.records, self.uids, self.plan, self.requests = [], [], [], 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/logs" and self.headers["content-type"] == "application/x-protobuf"
                request = ExportLogsServiceRequest.FromString(gzip.decompress(body))
                status, headers, answer = receiver.take(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request):
        records = [
            (record, {item.key: item.value for item in record.attributes})
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        if not records:  # a look whether we are there
            return 200, {"content-type": "application/x-protobuf"}, b""
        self.requests += 1
        status, headers, rejected = self.plan.pop(0) if self.plan else (200, {}, 0)
        if status != 200:
            return status, headers, b""
        self.records += records
        self.uids += [attributes["log.record.uid"].string_value for _, attributes in records]
        answer = ExportLogsServiceResponse()
        if rejected:
            answer.partial_success.rejected_log_records = rejected
            answer.partial_success.error_message = "too old"
        return 200, {"content-type": "application/x-protobuf"}, answer.SerializeToString()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    taken = Receiver()
    yield taken
    taken.stop()


def status(house, name="far"):
    return next(row for row in json.loads(house.run("ship", "status", "--json").stdout) if row["name"] == name)


def shipped(house, seqs):
    """Whether the journal's records up to now are among these numbers."""
    numbers = set(seqs)
    return all(line["seq"] in numbers for line in house.journal())


def test_otlp_out_is_read_by_the_official_messages(make_house, receiver):
    receiver.plan = [(503, {"retry-after": "1"}, 0), (429, {}, 0), (502, {}, 0)]
    house = make_house(
        upstreams={"demo": {"kind": "demo"}},
        ship={"far": {"kind": "otlp", "url": f"http://127.0.0.1:{receiver.port}"}},
    )
    answers = [house.chat(f"hello {number}", model="demo") for number in range(5)]
    asked = {answer.headers["x-request-id"] for answer in answers}

    def requests():
        return {
            attributes["request_id"].string_value
            for _, attributes in receiver.records
            if attributes["kind"].string_value == "request"
        }

    until("all requests are there", lambda: requests() >= asked, within=20)
    assert len(receiver.uids) == len(set(receiver.uids)), "each once"
    record, attributes = next(pair for pair in receiver.records if pair[1]["kind"].string_value == "request")
    assert record.severity_number == 9 and record.time_unix_nano > 0 and record.body.string_value == "request completed"
    assert attributes["http_status"].int_value == 200
    until("nothing waits", lambda: status(house)["state"] == "connected")
    assert status(house)["kind"] == "otlp" and status(house)["acknowledged"] is True
    # What a receiver turns down without saying which is one dead letter.
    receiver.plan = [(200, {}, 1)]
    house.chat("again", model="demo")
    letters = until("the dead letter is there", lambda: house.journal(kind="dead_letter"))
    assert letters[0]["reason"] == "too old"
    assert sum(letter.get("count", 1) for letter in letters) == 1


def test_two_houses_ship_to_one_another_by_otlp(make_house, writing):
    far, port, key = writing
    near = make_house(
        name="near",
        upstreams={"demo": {"kind": "demo"}},
        sources={"lines": {"type": "http", "address": f"127.0.0.1:{(lines_port := free_port())}"}},
        ship={"far": {"kind": "otlp", "url": f"http://127.0.0.1:{port}", "api_key": key}},
    )
    sender = near.taken(near.create_key("sender", "--role", "logs:write")["key"])
    body = "".join(f'{{"msg":"line {number}","number":{number}}}\n' for number in range(LINES)).encode()
    assert send(lines_port, "/", body, sender).json() == {"lines": LINES}
    until("all are far away", lambda: sum("number" in line for line in kept(far)) >= LINES, within=30, every=0.2)
    there = [line for line in kept(far) if "number" in line]
    assert [line["number"] for line in there] == list(range(LINES))
    assert there[7]["msg"] == "line 7" and there[7]["own_source"] == "lines" and there[7]["own_kind"] == "log"
    # A wrong key is told, and nothing is lost by it.
    near.configure(
        upstreams={"demo": {"kind": "demo"}},
        ship={"far": {"kind": "otlp", "url": f"http://127.0.0.1:{port}", "api_key": "th_wrong"}},
    )
    near.stop()
    near.start()
    until("it is told", lambda: status(near)["state"] == "rejected")
    assert "401" in status(near)["last_error"]


class Collector(Process):
    """A real OpenTelemetry Collector that passes on to a house what it takes, and holds nothing itself."""

    def __init__(self, directory, far, key):
        super().__init__("otelcol", directory)
        self.port, self.config = free_port(), directory / "otelcol.yaml"
        exporter = {
            "endpoint": f"http://127.0.0.1:{far}",
            "headers": {"authorization": f"Bearer {key}"},
            # What it acknowledges has been acknowledged to it.
            "sending_queue": {"enabled": False},
            "retry_on_failure": {"enabled": False},
        }
        receiver = {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}
        pipeline = {"receivers": ["otlp"], "exporters": ["otlphttp"]}
        service = {"pipelines": {"logs": pipeline}, "telemetry": {"metrics": {"level": "none"}}}
        config = {"receivers": {"otlp": receiver}, "exporters": {"otlphttp": exporter}, "service": service}
        self.config.write_text(json.dumps(config))

    def start(self):
        built = subprocess.run([ROOT / "tests/tools/otelcol.sh"], check=True, capture_output=True, text=True)
        self.spawn([built.stdout.strip().splitlines()[-1], f"--config={self.config}"])
        return self


def test_scenario_b04_records_go_through_a_real_collector_of_opentelemetry_whole(make_house, writing, tmp_path):
    far, port, key = writing
    collector = Collector(tmp_path, port, key).start()
    near = make_house(
        name="near",
        upstreams={"demo": {"kind": "demo"}},
        sources={"lines": {"type": "http", "address": f"127.0.0.1:{(lines_port := free_port())}"}},
        ship={"far": {"kind": "otlp", "url": f"http://127.0.0.1:{collector.port}"}},
    )
    sender = near.taken(near.create_key("sender", "--role", "logs:write")["key"])
    nested = '{"deep":[1,"größer 中文",null,{"a":true}],"half":0.5}'

    def give(numbers):
        body = "".join(
            f'{{"msg":"line {number}","level":"warn","number":{number},"nested":{nested}}}\n' for number in numbers
        )
        assert send(lines_port, "/", body.encode(), sender).status_code == 200

    def there():
        """By the id of its record: a line that is sent again when a collector was killed has the same one."""
        return {line["log.record.uid"]: line for line in kept(far) if "number" in line}

    try:
        for part in range(4):
            give(range(part * LINES // 4, (part + 1) * LINES // 4))
            until("some of this part are far away", lambda: len(there()) > part * LINES // 4, within=30, every=0.05)  # noqa: B023
            # The collector and the house behind it go without a word.
            (collector if part % 2 == 0 else far).kill()
            (collector if part % 2 == 0 else far).start()
        until("all are far away", lambda: len(there()) >= LINES, within=60, every=0.2)
    finally:
        collector.stop()
    lines = sorted(there().values(), key=lambda line: line["number"])
    assert [line["number"] for line in lines] == list(range(LINES))
    assert all(line["msg"] == f"line {line['number']}" and line["level"] == "warn" for line in lines)
    # OpenTelemetry's attributes have names with dots where ours have objects.
    assert all({"deep": line["nested.deep"], "half": line["nested.half"]} == json.loads(nested) for line in lines)
    assert {line["own_source"] for line in lines} == {"lines"} and not far.journal(kind="dead_letter")


class Rsyslog(Process):
    """A real rsyslog that writes what comes over TCP into a file."""

    def __init__(self, directory):
        super().__init__("rsyslog-in", directory)
        self.directory = directory / "rsyslog-in"
        self.directory.mkdir()
        self.port, self.file = free_port(), self.directory / "out.log"

    def start(self):
        config = self.directory / "rsyslog.conf"
        config.write_text(
            f'global(workDirectory="{self.directory}" maxMessageSize="256k")\n'
            'module(load="imtcp")\n'
            'template(name="all" type="string" string="%timereported:::date-rfc3339% %syslogseverity-text% %app-name% '
            '%msgid% %structured-data%%msg%\\n")\n'
            f'input(type="imtcp" address="127.0.0.1" port="{self.port}")\n'
            f'action(type="omfile" file="{self.file}" template="all")\n'
        )
        self.spawn(["rsyslogd", "-n", "-f", config, "-i", self.directory / "pid"])
        return self

    def lines(self):
        return self.file.read_text().splitlines() if self.file.exists() else []


def test_scenario_b04_syslog_out_into_a_real_rsyslog_is_equal(make_house, tmp_path):
    server = Rsyslog(tmp_path).start()
    port = free_port()
    house = make_house(
        upstreams={"demo": {"kind": "demo"}},
        sources=taking(port),
        ship={"far": {"kind": "syslog", "url": f"tcp://127.0.0.1:{server.port}"}},
    )
    key = house.taken(house.create_key("sender", "--role", "logs:write")["key"])
    try:
        body = "".join(f'{{"msg":"line {number} größer 中文","number":{number}}}\n' for number in range(LINES)).encode()
        assert send(port, "/", body, key).json() == {"lines": LINES}

        def documents():
            found = (json.loads(line[line.index("{") :]) for line in server.lines() if "{" in line)
            return [document for document in found if document.get("source") == "otlp" and document["kind"] == "log"]

        until("all are there", lambda: len(documents()) >= LINES, within=30, every=0.3)
        assert [document["number"] for document in documents()] == list(range(LINES))
        assert documents()[5]["msg"] == "line 5 größer 中文"
        line = next(line for line in server.lines() if '"number":5,' in line or '"number":5}' in line)
        assert line.split()[1:4] == ["info", "clawdbot-qwen3", "log"] and "[tollhouse@32473 seq=" in line
        told = status(house)
        assert told["kind"] == "syslog" and told["acknowledged"] is False and told["delivered"] >= LINES
        assert "acknowledges nothing" in house.run("ship", "status").stdout
        assert house.run("ship", "verify", "far", check=False).returncode != 0

        # The server goes away and comes back: what was written last comes again, and nothing is missing.
        server.stop()
        more = "".join(f'{{"msg":"more","number":{LINES + number}}}\n' for number in range(100)).encode()
        assert send(port, "/", more, key).json() == {"lines": 100}
        server.start()
        wanted = set(range(LINES + 100))
        until("the rest is there", lambda: {d["number"] for d in documents()} == wanted, within=30, every=0.3)
    finally:
        server.stop()


def test_syslog_over_udp_is_counted(make_house, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        url = f"udp://127.0.0.1:{server.getsockname()[1]}"
        house = make_house(
            upstreams={"demo": {"kind": "demo"}},
            ship={"far": {"kind": "syslog", "url": url, "message": "fields"}},
        )
        asked = house.chat("hello", model="demo").headers["x-request-id"]
        while True:
            message = server.recv(65_536).decode()
            if f'request_id="{asked}"' in message and " - request [" in message:
                break
        assert message.startswith("<134>1 ") and message.endswith("] request completed")
