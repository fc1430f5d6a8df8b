"""What the house tells of itself: metrics to a real Prometheus, traces and metrics to a receiver that reads with OpenTelemetry's
official messages, and the files that `tollhouse export` writes for Prometheus, Grafana and Kibana."""

import gzip
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from house import until
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus import Prometheus, promtool
from test_reload import reload

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER, CLIENT = 2, 3  # kinds of spans


def scripted_house(make_house, scripted, **config):
    return make_house(upstreams={"scripted": {"kind": "openai", "url": scripted.url}}, **config)


def figures(house, key, **options):
    """All values by name and labels, as they stand in the text."""
    answer = house.get("/metrics", key, **options)
    assert answer.status_code == 200, answer.text
    lines = (line for line in answer.text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in (line.split(" # ")[0].rsplit(" ", 1) for line in lines)}


def test_metrics_are_for_keys_that_may_read_them(make_house, scripted):
    upstreams = {"scripted": {"kind": "openai", "url": scripted.url}}
    house = make_house(upstreams=upstreams)
    key = house.taken(house.create_key("prometheus", "--role", "metrics:read")["key"])
    refused = house.get("/metrics", "")
    assert refused.status_code == 401 and refused.headers["www-authenticate"] == 'Bearer realm="metrics"'
    assert house.get("/metrics", house.key).status_code == 403, "a user's key"
    assert house.get("/metrics", house.reader).status_code == 200, "who reads the records"
    with house.client("") as client:
        assert client.get("/metrics", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/metrics", auth=("prometheus", key)).status_code == 200
        assert client.get("/metrics", auth=("prometheus", "th_wrong")).status_code == 401
    assert house.post("/metrics", {}, key).status_code == 405
    # The key is good for nothing else.
    assert house.chat(key=key).status_code == 403
    assert house.get("/es/_search", key).status_code == 403
    assert house.get("/metrics", key, headers={"host": "evil.example"}).status_code == 421

    assert reload(house, upstreams=upstreams, telemetry={"metrics": "/figures"})["changed"] == ["telemetry.metrics"]
    assert house.get("/figures", key).status_code == 200
    assert "tollhouse_" not in house.get("/metrics", key).text
    reload(house, upstreams=upstreams, telemetry={"metrics": "off"})
    assert "tollhouse_" not in house.get("/figures", key).text


def test_figures_are_counted_and_names_of_strangers_are_no_labels(make_house, scripted):
    house = scripted_house(
        make_house, scripted, limits={"prompt_chars": 100}, access={"rate_limit": {"requests": 12, "per": "60s"}}
    )
    for number in range(5):
        assert house.chat(f"hello {number}", stream=number % 2 == 0).status_code == 200
    assert house.chat("x" * 101).status_code == 400
    assert house.chat(model="broken").status_code == 503
    for number in range(3):
        assert house.chat(model=f"invented-{number}").status_code == 404
    while house.chat().status_code == 200:
        pass
    assert house.chat(key="th_wrong").status_code == 401
    told = figures(house, house.reader)
    of = 'model="echo",upstream="scripted",origin="user"'
    assert told[f'tollhouse_requests_total{{{of},outcome="ok",status="2xx"}}'] == 7
    assert told['tollhouse_requests_total{model="broken",upstream="scripted",origin="user",outcome="failed",status="5xx"}'] == 1
    assert told[f"tollhouse_request_duration_seconds_count{{{of}}}"] == 7
    assert told[f"tollhouse_time_to_first_token_seconds_count{{{of}}}"] == 7
    assert told[f'tollhouse_tokens_total{{{of},type="input"}}'] > 0
    assert told['tollhouse_refusals_total{reason="prompt_too_long"}'] == 1
    assert told['tollhouse_refusals_total{reason="unknown_model"}'] == 3
    assert told['tollhouse_refusals_total{reason="rate_limit"}'] == told['tollhouse_limits_hit_total{limit="requests"}'] >= 1
    assert told['tollhouse_limits_hit_total{limit="prompt_chars"}'] == 1
    assert told['tollhouse_refusals_total{reason="invalid_key"}'] == 1
    assert told['tollhouse_upstream_breaker_state{upstream="scripted",state="closed"}'] == 1
    assert told['tollhouse_journal_disk_state{state="ok"}'] == 1
    assert told["tollhouse_journal_seq"] >= 13
    # A sync comes within `logging.sync` of a write, not with it.
    until("a sync is counted", lambda: figures(house, house.reader)["tollhouse_journal_fsync_seconds_count"] >= 1)
    assert told["tollhouse_process_resident_memory_bytes"] > 1e6
    assert not any("invented" in name for name in told), "a client's own words are no labels"
    text = house.get("/metrics", house.reader).text
    assert "hello" not in text and house.key not in text
    promtool("check", "metrics", input=text)


class Receiver:
    """Takes what is told by OTLP, and reads it with the official messages."""

    def __init__(self):
        self.spans, self.metrics, self.resources, self.status, self.keys = [], {}, [], 200, set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                assert self.headers["content-type"] == "application/x-protobuf"
                receiver.keys.add(self.headers["authorization"])
                if receiver.status == 200:
                    receiver.take(self.path, body)
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, body):
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            # Byte for byte what the official library would have sent.
            assert request.SerializeToString(deterministic=True) == body
            self.resources += [values(of.resource.attributes) for of in request.resource_spans]
            spans = [span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans]
            self.spans += spans
        else:
            assert path == "/v1/metrics"
            request = ExportMetricsServiceRequest.FromString(body)
            self.metrics = {
                metric.name: metric
                for of in request.resource_metrics
                for scope in of.scope_metrics
                for metric in scope.metrics
            }

    def tree(self, request_id):
        """The spans of a request by name, the root first."""
        roots = [span for span in self.spans if values(span.attributes).get("tollhouse.request_id") == request_id]
        if not roots:
            return None
        return [span for span in self.spans if span.trace_id == roots[0].trace_id]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def values(attributes):
    def plain(value):
        kind = value.WhichOneof("value")
        return [plain(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {item.key: plain(item.value) for item in attributes}


@pytest.fixture
def receiver():
    taken = Receiver()
    yield taken
    taken.stop()


def test_each_request_is_a_tree_of_spans_below_the_clients(make_house, scripted, receiver):
    otlp = {"url": receiver.url, "key": "th_receiver"}
    upstreams = {"away": {"kind": "openai", "url": "http://127.0.0.1:9"}, "scripted": {"kind": "openai", "url": scripted.url}}
    house = make_house(
        upstreams=upstreams, models={"slow": {"upstreams": ["away", "scripted"]}}, telemetry={"otlp": otlp}
    )
    answer = house.chat("tell me a secret", model="slow", stream=True, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert answer.status_code == 200
    request_id = answer.headers["x-request-id"]
    spans = until("the trace has come", lambda: receiver.tree(request_id))
    by_name = {span.name: span for span in spans}
    root = by_name["chat slow"]
    told = values(root.attributes)
    assert root.trace_id.hex() == TRACE and root.parent_span_id.hex() == SPAN and root.kind == SERVER
    assert told["gen_ai.operation.name"] == "chat" and told["gen_ai.request.model"] == "slow"
    assert told["gen_ai.usage.output_tokens"] > 0 and told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["http.response.status_code"] == 200 and told["tollhouse.attempts"] == 2
    failed, answered = by_name["attempt away"], by_name["attempt scripted"]
    assert values(failed.attributes)["error.type"] == "connect" and failed.status.code == 2
    assert answered.kind == CLIENT and answered.parent_span_id == root.span_id
    assert by_name["decode"].parent_span_id == answered.span_id
    for span in spans:
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    assert failed.end_time_unix_nano <= answered.start_time_unix_nano
    assert not any("secret" in str(span) for span in spans), "no prompt is told"
    assert receiver.resources[0]["service.name"] == "clawdbot-qwen3" and receiver.keys == {"Bearer th_receiver"}

    # The model server works below our span, and the record has the trace.
    asked = scripted.calls[-1].headers
    sent = {name.lower(): value for name, value in dict(asked).items()}["traceparent"]
    assert sent == f"00-{TRACE}-{root.span_id.hex()}-01"
    assert house.record(request_id)["trace_id"] == TRACE

    # Who names no trace begins one; whose trace is not kept is not told.
    plain = house.chat(model="slow")
    quiet = house.chat(model="slow", headers={"traceparent": f"00-{TRACE[::-1]}-{SPAN}-00"})
    spans = until("the second trace has come", lambda: receiver.tree(plain.headers["x-request-id"]))
    assert spans[0].parent_span_id == b""
    assert house.record(plain.headers["x-request-id"])["trace_id"] == spans[0].trace_id.hex()
    house.stop()
    assert receiver.tree(quiet.headers["x-request-id"]) is None
    duration = receiver.metrics["gen_ai.server.request.duration"].histogram.data_points
    slow = [point for point in duration if values(point.attributes)["gen_ai.response.model"] == "slow"]
    assert sum(point.count for point in slow) == 3
    assert receiver.metrics["tollhouse_requests_total"].sum.is_monotonic


def test_a_receiver_that_is_away_holds_up_nobody(make_house, scripted, receiver):
    receiver.status = 503
    upstreams = {"scripted": {"kind": "openai", "url": scripted.url}}
    house = make_house(upstreams=upstreams, telemetry={"otlp": receiver.url})
    assert all(house.chat().status_code == 200 for _ in range(20))
    failures = 'tollhouse_otlp_failures_total{signal="traces"}'
    until("it was tried", lambda: figures(house, house.reader)[failures] >= 1)
    receiver.status = 200
    sent = "tollhouse_otlp_requests_sent_total"
    until("all have come", lambda: figures(house, house.reader)[sent] >= 20, within=20)
    changed = reload(house, upstreams=upstreams)["changed"]
    assert changed == ["telemetry.otlp"]
    house.chat()
    assert figures(house, house.reader)["tollhouse_otlp_requests_waiting"] == 0


def series(name, values, **labels):
    labels = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{labels}}}", "values": values}


def requests(outcome, values):
    status = "5xx" if outcome == "failed" else "2xx"
    labels = {"model": "m", "upstream": "u", "origin": "user", "outcome": outcome, "status": status}
    return series("tollhouse_requests_total", values, **labels)


def alert(name, at, samples):
    return {
        "expr": f'sum by (alertname, model) (ALERTS{{alertname="{name}",alertstate="firing"}})',
        "eval_time": at,
        "exp_samples": samples,
    }


def fires(name, at):
    return alert(name, at, [{"labels": f'{{alertname="{name}",model="m"}}', "value": 1}])


def silent(name, at):
    return alert(name, at, [])


# Fifty requests a day are one in 29 minutes.
QUIET = " ".join(f"{number}x28" for number in range(60))
RULES = {
    "rule_files": ["tollhouse-rules.yml"],
    "evaluation_interval": "5m",
    "tests": [
        {
            "name": "a failure in a quiet night is no fire",
            "interval": "1m",
            "input_series": [requests("ok", QUIET), requests("failed", "0x600 1x900")],
            "promql_expr_test": [
                silent(f"TollhouseBurnAvailability{window}", at)
                for window in ("1h", "6h", "3d")
                for at in ("10h5m", "10h30m", "11h", "14h", "24h")
            ],
        },
        {
            "name": "every fifth of many fails",
            "interval": "1m",
            "input_series": [requests("ok", "0+4x180"), requests("failed", "0x60 0+1x120")],
            "promql_expr_test": [
                silent("TollhouseBurnAvailability1h", "50m"),
                fires("TollhouseBurnAvailability1h", "1h40m"),
                fires("TollhouseBurnAvailability6h", "2h"),
            ],
        },
        {
            "name": "it ends soon after the cause",
            "interval": "1m",
            "input_series": [requests("ok", "0+4x240"), requests("failed", "0+1x60 60x180")],
            "promql_expr_test": [
                fires("TollhouseBurnAvailability1h", "50m"),
                silent("TollhouseBurnAvailability1h", "1h10m"),
            ],
        },
        {
            "name": "slow first tokens and thin answers",
            "interval": "1m",
            "input_series": [
                series(f"{metric}_{what}", values, model="m", upstream="u", origin="user", **more)
                for metric, bound in [
                    ("tollhouse_time_to_first_token_seconds", "2"),
                    ("tollhouse_token_efficiency", "0.05"),
                    ("tollhouse_output_tokens_per_second", "10"),
                ]
                for what, values, more in [("count", "0+5x180", {}), ("bucket", "0+0x180" if "first" in metric else "0+5x180", {"le": bound})]
            ],
            "promql_expr_test": [
                fires("TollhouseBurnTtft1h", "2h"),
                # Its budget of a tenth can burn ten times too fast at most, and the bound of an hour is 14.4 times.
                silent("TollhouseBurnTokenEfficiency1h", "2h"),
                fires("TollhouseBurnTokenEfficiency6h", "2h"),
                fires("TollhouseBurnSpeed1h", "2h"),
            ],
        },
        {
            "name": "the house itself",
            "interval": "1m",
            "input_series": [
                series("up", "1x10 0x20", job="tollhouse"),
                series("tollhouse_journal_disk_state", "0x10 1x20", state="full"),
                series("tollhouse_ship_lag_seconds", "0x5 700x40", destination="es", type="elasticsearch"),
            ],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertstate="firing"}) by (alertname)',
                    "eval_time": "20m",
                    "exp_samples": [
                        {"labels": f'{{alertname="{name}"}}', "value": 1}
                        for name in ("TollhouseDown", "TollhouseJournalDisk", "TollhouseShipLag")
                    ],
                }
            ],
        },
    ],
}


def test_scenario_b15_promtool_checks_the_rules_and_a_real_prometheus_scrapes(make_house, scripted, tmp_path):
    house = scripted_house(make_house, scripted)
    key_file = tmp_path / "tollhouse.key"
    key_file.write_text(house.taken(house.create_key("prometheus", "--role", "metrics:read")["key"]))
    exported = tmp_path / "exported"
    house.run("export", "prometheus", "--out", str(exported), "--key-file", str(key_file))
    rules, scrape = exported / "tollhouse-rules.yml", exported / "tollhouse.yml"
    assert "SUCCESS" in promtool("check", "rules", rules).stdout
    (exported / "tests.yml").write_text(json.dumps(RULES))
    promtool("test", "rules", exported / "tests.yml", cwd=exported)
    # The checks see what is wrong.
    wrong = tmp_path / "wrong"
    shutil.copytree(exported, wrong)
    (wrong / "tollhouse-rules.yml").write_text(rules.read_text().replace(">= 20", ">= 2000"))
    (wrong / "tests.yml").write_text(json.dumps({**RULES, "tests": RULES["tests"][1:2]}))
    assert promtool("test", "rules", wrong / "tests.yml", cwd=wrong, check=False).returncode != 0

    config = tmp_path / "prometheus.yml"
    text = scrape.read_text().replace("scrape_interval: 15s", "scrape_interval: 1s")
    config.write_text(f"rule_files: [{rules}]\n{text}")
    promtool("check", "config", config)
    asked = [house.chat(f"hello {number}").headers["x-request-id"] for number in range(5)]
    prometheus = Prometheus(tmp_path, config).start()
    try:
        until("it has scraped us", lambda: prometheus.query("tollhouse_requests_total"), within=20)
        assert prometheus.query('up{job="tollhouse"}')[0][1] == 1
        ok = prometheus.query('sum(tollhouse_requests_total{model="echo",outcome="ok"})')
        assert ok[0][1] == 5
        targets = prometheus.api("targets")["activeTargets"]
        assert [target["health"] for target in targets] == ["up"] and targets[0]["lastError"] == ""
        last = house.chat().headers["x-request-id"]
        selector = "tollhouse_request_duration_seconds_bucket"

        def exemplars():
            found = prometheus.api("query_exemplars", query=selector, start="0", end="4102444800")
            return {each["labels"]["request_id"] for series in found for each in series["exemplars"]}

        until("a request stands at a bucket", lambda: last in exemplars())
        assert exemplars() <= {*asked, last}
        known = prometheus.api("metadata")
        assert known["tollhouse_journal_fsync_seconds"][0]["type"] == "histogram"
        assert known["tollhouse_requests"][0]["type"] == "counter", "as OpenMetrics names its family"
        scenario_grafana(house, prometheus, tmp_path)
    finally:
        prometheus.stop()


def scenario_grafana(house, prometheus, tmp_path):
    """Every question of the exported dashboard is asked: those for figures of the real Prometheus, those for records of ours."""
    folder = tmp_path / "grafana"
    house.run("export", "grafana", "--out", str(folder))
    dashboard = json.loads((folder / "tollhouse.json").read_text())
    sources = (folder / "datasources" / "tollhouse.yml").read_text()
    uids = set(re.findall(r"uid: (\S+)", sources))
    asked = 0
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] in uids
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                expression = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1h")
                prometheus.query(expression.replace("$model", ".+"))
                asked += 1
                continue
            query = {
                "size": 200,
                "query": {"bool": {"filter": [{"query_string": {"analyze_wildcard": True, "query": target["query"]}}]}},
                "sort": {"@timestamp": {"order": "desc", "unmapped_type": "boolean"}, "_doc": {"order": "desc"}},
            }
            head = {"ignore_unavailable": True, "index": "clawdbot-qwen3-*", "search_type": "query_then_fetch"}
            body = f"{json.dumps(head)}\n{json.dumps(query)}\n".encode()
            answer = house.post("/es/_msearch", body, house.reader, {"content-type": "application/x-ndjson"}).json()
            assert "error" not in answer["responses"][0], answer
            asked += 1
    assert asked >= 15


def test_scenario_b16_saved_objects_for_kibana_ask_for_fields_that_there_are(make_house, scripted):
    house = scripted_house(make_house, scripted)
    request_id = house.chat().headers["x-request-id"]
    house.document(request_id)
    lines = [json.loads(line) for line in house.run("export", "kibana").stdout.splitlines()]
    objects, told = lines[:-1], lines[-1]
    assert told["exportedCount"] == len(objects)
    kinds = [each["type"] for each in objects]
    assert kinds.count("lens") == 2 and kinds.count("search") == 5 and kinds.count("dashboard") == 1
    view = next(each for each in objects if each["type"] == "index-pattern")["attributes"]
    assert view["title"] == "clawdbot-qwen3-*" and view["timeFieldName"] == "@timestamp"

    fields = house.get(f"/es/{view['title']}/_field_caps?fields=*", house.reader).json()["fields"]
    used = {"@timestamp"}
    for each in objects:
        attributes = each["attributes"]
        if each["type"] == "search":
            used |= set(attributes["columns"]) | {name for name, _ in attributes["sort"]}
        if each["type"] == "lens":
            layers = attributes["state"]["datasourceStates"]["formBased"]["layers"]
            for layer in layers.values():
                assert set(layer["columnOrder"]) == set(layer["columns"])
                used |= {column["sourceField"] for column in layer["columns"].values()}
    assert used - {"___records___", "msg", "source"} <= set(fields), used - set(fields)
    for version in {each["coreMigrationVersion"] for each in objects} | {each["typeMigrationVersion"] for each in objects}:
        assert tuple(map(int, version.split("."))) <= (8, 8, 0), "a low version, which later ones take"
