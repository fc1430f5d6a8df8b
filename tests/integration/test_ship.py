"""Documents are brought to a real Elasticsearch and a real OpenSearch, whoever is killed meanwhile."""

import contextlib
import hashlib
import json
import os
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from elastic_nodes import ElasticNode
from house import descendants, until
from test_reload import reload

# The whole run takes more; ./test has other things to do.
RECORDS = int(os.environ.get("TOLLHOUSE_TEST_LINES", "20000"))
# More records take longer, and so may each wait.
PATIENCE = max(1, RECORDS // 20_000)
BEGIN = datetime(2026, 3, 28, 6, 0, 0, tzinfo=UTC)
INDICES = "clawdbot-qwen3-*"
# In these two a field is an object first and then a text, which one index cannot have.
OBJECT, TEXT = 100, 200
MODELS = ["qwen3:32b", "qwen3:4b", "llama3.3:70b"]


def record(number):
    """One of a gateway's records; three days of them, however many there are."""
    at = BEGIN + timedelta(days=3) * number / RECORDS
    made = {
        "ts": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
        "level": "info",
        "kind": "request",
        "msg": "request 请求",
        "caller": "gateway/stack.rs",
        "service": "clawdbot-qwen3",
        "request_id": f"r-{number:06d}",
        "model": MODELS[number % len(MODELS)],
        "status": 500 if number % 10 == 0 else 200,
        "duration_ms": number % 4000 + 0.25,
        "input_tokens": number % 100,
        "output_tokens": number % 7,
        "stream": number % 2 == 0,
    }
    return made | {OBJECT: {"odd": {"inner": 1}}, TEXT: {"odd": "text"}}.get(number, {})


def write_journal(file):
    before, lines = "0" * 32, []
    for seq in range(1, RECORDS + 1):
        line = json.dumps({**record(seq), "seq": seq, "prev": before}, ensure_ascii=False, separators=(",", ":"))
        before = hashlib.sha256(line.encode()).hexdigest()[:32]
        lines.append(line)
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")


def settings(node, kind=None):
    return {
        "upstreams": {"demo": {"kind": "demo"}},
        "logging": {"keep": {"days": 3650}},
        "store": {"keep": {"days": 3650}},
        "ship": {"far": {"kind": kind or node.kind, "url": node.url}},
    }


def reached(house):
    """The number of the next record to be delivered."""
    cursor = house.data / "ship" / "far.json"
    position = cursor.exists() and json.loads(cursor.read_text())["next"]
    return position["seq"] if position else 1


def status(house):
    return json.loads(house.run("ship", "status", "--json").stdout)[0]


def is_done(house):
    return reached(house) > RECORDS and status(house)["behind"] == 0


def told(house, state):
    """The records that tell that the destination came into this state."""
    return [line for line in house.journal(kind="process", caller="ship") if line["state"] == state]


def kill(node):
    """The node and what it started: Elasticsearch's own process is a child of the one that was called."""
    for pid in [*descendants(node.child.pid), node.child.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.child.wait()


def all_seqs(node):
    """The numbers of all documents that the node has, in order."""
    assert node.ask("POST", f"/{INDICES}/_refresh").status_code == 200
    seqs, after = [], 0
    while True:
        # No page is full: a number that was there twice would not be cut off at its end.
        query = {"range": {"seq": {"gt": after, "lte": after + 4000}}}
        body = {"size": 10_000, "_source": False, "docvalue_fields": ["seq"], "query": query, "sort": ["seq"]}
        hits = node.ask("POST", f"/{INDICES}/_search", json=body).json()["hits"]["hits"]
        if not hits:
            return seqs
        seqs += [hit["fields"]["seq"][0] for hit in hits]
        after += 4000


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_scenario_b06_each_record_is_there_once_whoever_is_killed(make_house, kind):
    other = {"elasticsearch": "opensearch", "opensearch": "elasticsearch"}[kind]
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}})
    write_journal(house.journal_file)
    node = ElasticNode(kind, heap="1g").launch()
    try:
        house.configure(**settings(node))
        # It begins before the node is there.
        house.start()
        until("the node is seen not to be there", lambda: told(house, "unreachable"), within=30 * PATIENCE)
        node.ready()
        until("documents are delivered", lambda: reached(house) > RECORDS // 10, within=60 * PATIENCE)
        kill(node)
        until("that is told", lambda: len(told(house, "unreachable")) >= 2 or reached(house) > RECORDS, within=60 * PATIENCE)
        house.kill()
        node.start()
        house.start()
        until("more is delivered", lambda: reached(house) > RECORDS // 3, within=90 * PATIENCE)
        house.child.send_signal(signal.SIGKILL)
        house.child.wait()
        house.start()
        until("more is delivered", lambda: reached(house) > RECORDS // 2, within=90 * PATIENCE)
        node.stop(within=40 * PATIENCE)
        node.start()

        # Another kind is wrong, where the node tells what it is: nothing is sent there, and nothing is lost.
        changed = reload(house, **settings(node, other))
        assert changed["changed"] == ["ship.far.kind"], changed
        if kind == "opensearch":
            until("the wrong kind is told", lambda: told(house, "rejected"), within=60)
            assert f"write `kind: {kind}`" in told(house, "rejected")[-1]["error"]
        reload(house, **settings(node))
        # House and courier tell of themselves, too: the end is when nothing waits.
        until("nothing waits", lambda: is_done(house), within=180 * PATIENCE, every=0.5)

        compared = house.run("ship", "verify", "far", "--json", timeout=30 * PATIENCE)
        found = json.loads(compared.stdout)
        assert found["equal"] and found["others"] == 0 and found["dead_letters"] == 1, found
        last = found["last_seq"]
        assert found["records"] == last >= RECORDS
        seqs = [seq for seq in all_seqs(node) if seq <= last]
        assert seqs == [seq for seq in range(1, last + 1) if seq != TEXT]

        # What does not fit is kept with its reason.
        letters = house.journal(kind="dead_letter")
        assert {letter["of_seq"] for letter in letters} == {TEXT}
        assert "odd" in letters[0]["reason"] and letters[0]["index"].startswith("clawdbot-qwen3-2026.03.2")
        assert status(house)["dead_letters"] >= 1

        types_are_right(node)

        # A document that is gone is missed by its number.
        query = {"query": {"term": {"seq": 777}}}
        [hit] = node.ask("POST", f"/{INDICES}/_search", json=query).json()["hits"]["hits"]
        gone = node.ask("DELETE", f"/{hit['_index']}/_doc/{hit['_id']}?refresh=true").json()
        assert gone["result"] == "deleted", gone
        for command in [("ship", "verify", "far"), ("journal", "verify", "--against", "far")]:
            compared = house.run(*command, check=False, timeout=30 * PATIENCE)
            assert compared.returncode == 1 and "1 missing: 777" in compared.stdout, compared.stdout
        house.stop()
    finally:
        node.drop()


def types_are_right(node):
    """The template came before the first document: the cluster answers the console's questions."""
    mapping = node.ask("GET", "/clawdbot-qwen3-2026.03.28/_mapping").json()
    fields = mapping["clawdbot-qwen3-2026.03.28"]["mappings"]["properties"]
    wanted = {"@timestamp": "date", "model_name": "keyword", "duration_ms": "double", "http_status": "long"}
    wanted |= {"msg": "text", "stream": "boolean", "status": "alias", "tags": "keyword"}
    assert {name: fields[name]["type"] for name in wanted} == wanted
    made = [record(number) for number in range(1, RECORDS + 1) if number != TEXT]
    body = {
        "size": 0,
        "track_total_hits": True,
        # By the name that the field has in the journal.
        "query": {"query_string": {"query": "kind:request AND service:clawdbot-qwen3 AND status:500"}},
        "aggs": {
            "models": {"terms": {"field": "model_name"}},
            "days": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day", "format": "yyyy-MM-dd"}},
            "longest": {"max": {"field": "duration_ms"}},
        },
    }
    answer = node.ask("POST", f"/{INDICES}/_search", json=body).json()
    failed = [line for line in made if line["status"] == 500]
    assert answer["hits"]["total"]["value"] == len(failed)
    buckets = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["models"]["buckets"]}
    assert buckets == Counter(line["model"] for line in failed)
    buckets = {bucket["key_as_string"]: bucket["doc_count"] for bucket in answer["aggregations"]["days"]["buckets"]}
    assert buckets == Counter(line["ts"][:10] for line in failed)
    assert answer["aggregations"]["longest"]["value"] == max(line["duration_ms"] for line in failed)
    tagged = node.ask("POST", f"/{INDICES}/_count", json={"query": {"term": {"tags": "slow_request"}}}).json()
    assert tagged["count"] == sum(line["duration_ms"] > 3000 for line in made)
