"""The Elasticsearch-compatible API with the programs that people use it with: official clients, elasticdump, rsyslog."""

import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import sys
import threading

import httpx
import opensearchpy
import pytest
from house import ROOT, Tollhouse, finished, until
from opensearchpy import helpers
from test_collect import LINES, Rsyslog, gateway_line
from test_kill import check_chain

NODE = ROOT / "tests/node"
CLIENT = ROOT / "tests/integration/elastic_client.py"
# Two major versions of the client cannot be in one environment: ./test puts the newer one here.
NEWER = os.path.join(os.environ.get("TOLLHOUSE_CACHE", os.path.expanduser("~/.cache/tollhouse-test")), "elasticsearch-9")
SEED = 20_261_121


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """One house for all tests here, each with indices of its own; it keeps what is old."""
    keep = {"keep": {"days": 3650}}
    house = Tollhouse(tmp_path_factory.mktemp("elastic"), upstreams={"demo": {"kind": "demo"}}, logging=keep, store=keep)
    house.writer = house.create_key("writer", "--role", "logs:write")["key"]
    house.admin = house.create_key("admin", "--role", "admin")["key"]
    house.start()
    try:
        yield house
    finally:
        house.stop()


def ndjson(*lines):
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def bulk(house, path, *lines, key=None, **headers):
    return house.post(f"/es{path}", ndjson(*lines), key or house.writer, {"Content-Type": "application/x-ndjson", **headers})


def test_keys_may_do_what_their_role_says(house):
    document = [{"create": {"_index": "roles-2026.01.27"}}, {"message": "x"}]
    for key, write, read, delete in [
        (house.writer, 200, 403, 403),
        (house.reader, 403, 200, 403),
        (house.key, 403, 403, 403),
        ("wrong", 401, 401, 401),
        (house.admin, 200, 200, 200),
    ]:
        assert bulk(house, "/_bulk?refresh=true", *document, key=key).status_code == write, key
        assert house.get("/es/_search", key).status_code == read, key
        with house.client(key) as client:
            # The administrator's is last.
            assert client.delete("/es/roles-2026.01.27").status_code == delete, key
        assert house.get("/es/", key).status_code == (200 if key in (house.writer, house.reader, house.admin) else delete)
    deleted = house.journal(kind="index.deleted")
    assert [record["index"] for record in deleted] == [["roles-2026.01.27"]] and deleted[0]["key_id"]
    answer = httpx.get(f"{house.url}/es/_search", auth=("elastic", house.reader))
    assert answer.status_code == 200, "the key as the password of a user"
    answer = httpx.get(f"{house.url}/es/_search", auth=("elastic", "wrong"))
    assert answer.status_code == 401 and answer.json()["error"]["type"] == "security_exception"


@pytest.mark.parametrize("version", ["8", "9"])
def test_the_official_python_client(house, version):
    path = {"8": "", "9": NEWER}[version]
    ran = finished([sys.executable, CLIENT, f"{house.url}/es", house.admin, f"py{version}"], env={**os.environ, "PYTHONPATH": path}, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found.pop("client").startswith(f"{version}."), "the version that was asked for"
    told = found.pop("warnings")
    assert any("without effect" in warning for warning in told), told
    assert found == {
        "info": "8.19.0",
        "ping": True,
        "template": True,
        "before": False,
        "written": 250,
        "again": [409, 409, 409],
        "one": "alone",
        "exists": [True, False],
        "mget": [True, False],
        "count": 251,
        "scan": [-1, 124, 249],
        "pit": [251, 251],
        "msearch": [200, 404],
        "caps": True,
        "cat": ["251"],
        "valid": True,
        "health": "green",
        "delete": "illegal_argument_exception",
        "missing": "index_not_found_exception",
        "gone": True,
        "after": False,
    }


def test_the_official_client_of_opensearch(house):
    client = opensearchpy.OpenSearch(f"{house.url}/es", http_auth=("user", house.admin), http_compress=True)
    actions = [{"_op_type": "create", "_index": "os-2026.01.27", "_id": f"id-{n}", "n": n} for n in range(120)]
    assert helpers.bulk(client, actions, chunk_size=50, refresh=True)[0] == 120
    assert client.count(index="os-*")["count"] == 120
    assert len({hit["_id"] for hit in helpers.scan(client, index="os-2026.01.27", size=50)}) == 120
    assert client.get(index="os-2026.01.27", id="id-5")["_source"]["n"] == 5
    pit = client.create_pit(index="os-2026.01.27", params={"keep_alive": "1m"})["pit_id"]
    found = client.search(body={"pit": {"id": pit}, "size": 1, "sort": [{"n": "desc"}]})
    assert found["hits"]["hits"][0]["_source"]["n"] == 119
    assert client.delete_pit(body={"pit_id": [pit]})["pits"] == [{"successful": True, "pit_id": pit}]
    assert client.cat.indices(index="os-*", format="json")[0]["docs.count"] == "120"


def test_the_official_node_client(house):
    ran = finished(["node", NODE / "elastic.mjs", f"{house.url}/es", house.admin, "node"], timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "version": "8.19.0",
        "written": 120,
        "scrolled": [100, 100],
        "top": 119,
        "found": True,
        "missing": 404,
        "caps": ["long"],
        "table": "120",
    }


def test_elasticdump_takes_out_and_puts_back(house, tmp_path):
    lines = [{"create": {"_id": f"id-{n}"}} if step == 0 else gateway_line(n) for n in range(500) for step in (0, 1)]
    assert not bulk(house, "/dump-2026.01.27/_bulk?refresh=true", *lines).json()["errors"]
    dump = NODE / "node_modules/.bin/elasticdump"
    headers = ["--headers", json.dumps({"X-Api-Key": house.admin})]
    file = tmp_path / "dump.ndjson"

    def run(source, target, *options):
        ran = finished([dump, f"--input={source}", f"--output={target}", *options, *headers], timeout=90)
        assert ran.returncode == 0 and "error" not in ran.stdout.lower(), ran.stdout + ran.stderr

    base, index = f"{house.url}/es", "dump-2026.01.27"
    run(base, file, f"--input-index={index}", "--type=data", "--limit=120")
    run(file, base, "--output-index=back-2026.01.27", "--type=data", "--limit=120")
    run(base, tmp_path / "mapping.json", f"--input-index={index}", "--type=mapping")
    assert len(file.read_text().splitlines()) == 500
    house.post("/es/_refresh", {}, house.reader)

    def documents(index):
        hits = house.search({"size": 1000}, index)["hits"]["hits"]
        # Each record has its own number and index.
        own = {"seq", "index", "own_seq", "own_index", "own_doc_id", "own_kind", "own_source"}
        return {hit["_id"]: {name: value for name, value in hit["_source"].items() if name not in own} for hit in hits}

    out, back = documents("dump-2026.01.27"), documents("back-2026.01.27")
    assert len(out) == 500 and set(out) == set(back)
    assert [back[name] for name in out] == [out[name] for name in out]


def test_rsyslog_writes_by_its_elasticsearch_module(house, tmp_path):
    """The real module: it probes, sends bulks, and repeats what was not answered."""
    rsyslog = Rsyslog(tmp_path)
    number = LINES // 2
    rsyslog.write(gateway_line(n) for n in range(number))
    rsyslog.start(
        'module(load="omelasticsearch")\n'
        'template(name="line" type="list") { property(name="msg") }\n'
        'template(name="day" type="string" string="rsyslog-2026.01.27")\n'
        f'input(type="imfile" File="{rsyslog.file}" Tag="gw" freshStartTail="off" ruleset="es")\n'
        'ruleset(name="es") {\n'
        f'  action(type="omelasticsearch" server="http://127.0.0.1:{house.port}/es" searchIndex="day"\n'
        f'         dynSearchIndex="on" searchType="" template="line" bulkmode="on" uid="rsyslog" pwd="{house.writer}"\n'
        '         healthchecktimeout="5000" esVersion.major="8"\n'
        f'         errorFile="{tmp_path}/errors" action.resumeRetryCount="-1" action.resumeInterval="1"\n'
        '         queue.type="linkedlist" queue.dequeuebatchsize="500" queue.size="50000")\n'
        "}\n"
    )
    try:
        until("all lines are there", lambda: house.count("source:bulk AND index:rsyslog-2026.01.27") >= number, within=60, every=0.2)
    finally:
        rsyslog.stop()
    kept = house.journal(kind="log", index="rsyslog-2026.01.27")
    assert [record["number"] for record in kept] == list(range(number))
    assert not (tmp_path / "errors").exists()
    assert house.search({"size": 0, "track_total_hits": True}, "rsyslog")["hits"]["total"]["value"] == number


def test_what_a_beat_asks_before_it_writes(house):
    """Filebeat 8, with its own defaults: license, template, data stream, then `create` into the data stream."""
    with house.client(house.writer, headers={"Content-Type": "application/json"}) as client:
        name = "filebeat-8.17.0"
        assert client.get("/es/").json()["version"]["build_flavor"] == "default"
        assert client.get("/es/_license").json()["license"]["status"] == "active"
        assert client.get("/es/_ilm/policy/filebeat").status_code == 404
        assert client.put("/es/_ilm/policy/filebeat", json={"policy": {"phases": {}}}).status_code == 200
        assert client.head(f"/es/_index_template/{name}").status_code == 404
        template = {"index_patterns": [name], "data_stream": {}, "template": {"mappings": {}}}
        assert client.put(f"/es/_index_template/{name}", json=template).json()["acknowledged"]
        assert client.get(f"/es/_data_stream/{name}").status_code == 404
        assert client.put(f"/es/_data_stream/{name}").json()["acknowledged"]
    event = {"@timestamp": "2026-01-27T10:00:00.000Z", "message": "a line", "log": {"level": "warn"}, "host": {"name": "h"}}
    answer = bulk(house, "/_bulk?filter_path=errors,items.*.error,items.*.status", {"create": {"_index": name}}, event)
    assert answer.json() == {"errors": False, "items": [{"create": {"status": 201}}]}
    found = lambda: house.search({}, name)["hits"]["hits"]  # noqa: E731
    hit = until("the event is there", lambda: found() if house.get(f"/es/{name}", house.reader).status_code == 200 else [])[0]
    assert hit["_index"] == f"{name}-2026.01.27" and hit["_source"]["@timestamp"].startswith("2026-01-27T10:00:00")
    assert (hit["_source"]["msg"], hit["_source"]["level"], hit["_source"]["host"]) == ("a line", "warn", {"name": "h"})


def test_large_and_packed_bulks(house):
    lines = [line for n in range(20_000) for line in ({"index": {}}, gateway_line(n))]
    body = ndjson(*lines)
    answer = house.post(
        "/es/packed-2026.01.27/_bulk?refresh=true&filter_path=errors,took",
        gzip.compress(body, 1),
        house.writer,
        {"Content-Type": "application/vnd.elasticsearch+x-ndjson; compatible-with=8", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 200 and answer.json()["errors"] is False
    assert house.count("index:packed-2026.01.27") == 20_000
    bomb = gzip.compress(b" " * (101 << 20), 9)
    answer = house.post("/es/_bulk", bomb, house.writer, {"Content-Encoding": "gzip"})
    assert answer.status_code == 413 and answer.json()["error"]["type"] == "content_too_long_exception"


def test_what_was_acknowledged_is_there_once_after_kills(make_house):
    """A writer that repeats what was not answered, with ids: nothing lost, nothing doubled."""
    keep = {"keep": {"days": 3650}}
    house = make_house(store=keep, logging=keep)
    writer = house.create_key("writer", "--role", "logs:write")["key"]
    chance, acknowledged, ended = random.Random(SEED), set(), threading.Event()

    def write():
        number = 0
        with house.client(writer, headers={"Content-Type": "application/x-ndjson"}) as client:
            while not ended.is_set() or number % 50:
                ids = [f"id-{n}" for n in range(number, number + 10)]
                lines = [line for name in ids for line in ({"create": {"_id": name}}, {"name": name})]
                with contextlib.suppress(httpx.HTTPError):
                    answer = client.post("/es/kills-2026.01.27/_bulk", content=ndjson(*lines))
                    if answer.status_code == 200:
                        items = [item["create"] for item in answer.json()["items"]]
                        done = {item["_id"] for item in items if item["status"] in (201, 409)}
                        acknowledged.update(done)
                        if len(done) == len(ids):
                            number += 10

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            before = len(acknowledged)
            until("some more are written", lambda before=before: len(acknowledged) >= before + chance.randrange(30, 120), within=30)
            house.child.send_signal(signal.SIGKILL)
            house.child.wait()
            house.start()
    finally:
        ended.set()
        thread.join(30)
    house.post("/es/_refresh", {}, house.reader)
    hits = house.search({"size": 10_000, "_source": ["name"]}, "kills-2026.01.27")["hits"]["hits"]
    found = [hit["_source"]["name"] for hit in hits]
    assert set(found) == acknowledged and len(found) == len(acknowledged) > 150
    assert all(hit["_id"] == hit["_source"]["name"] for hit in hits)
    check_chain(house.journal_bytes().splitlines())


def test_what_was_deleted_stays_deleted(make_house):
    keep = {"keep": {"days": 3650}}
    house = make_house(store=keep, logging=keep)
    admin = house.taken(house.create_key("admin", "--role", "admin")["key"])
    for text in ["before", "after"]:
        for index in ["gone-2026.01.27", "kept-2026.01.27"]:
            house.post(f"/es/{index}/_doc?refresh=true", {"message": text}, admin)
        if text == "before":
            with house.client(admin) as client:
                assert client.delete("/es/gone-2026.01.27").json() == {"acknowledged": True}

    def texts(index):
        return sorted(hit["_source"]["msg"] for hit in house.search({}, index)["hits"]["hits"])

    def check():
        until("the index is whole", lambda: house.count("kind:log AND index:*-2026.01.27") == 3, within=20)
        assert texts("gone") == ["after"] and texts("kept") == ["after", "before"]

    check()
    house.stop()
    house.start()
    check()
    # Made again from the journal, which still has all of it.
    house.stop()
    shutil.rmtree(house.data / "index")
    house.start()
    check()
