"""The book: what was asked is written, indexed and found, by the same numbers everywhere."""

import collections
import json
import subprocess
import time

import elasticsearch
import pytest
from house import BINARY, Process, finished, in_time, until


def day_of(document):
    """The day in the name of its index."""
    return document["@timestamp"][:10].replace("-", ".")


# The ends of all chats.
CHATS = {"bool": {"filter": [{"term": {"kind": "request"}}, {"term": {"path": "/v1/chat/completions"}}]}}


def buckets(answer, name):
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"][name]["buckets"]}


def send_a_mix(house):
    """Sends chats that end in all sorts of ways and returns how many of each (status, model)."""
    sent = collections.Counter()
    for model, text, key, times in [
        ("echo", "one two three", None, 23),
        ("named", "four five", None, 11),
        ("broken", "six", None, 3),
        ("echo", "x" * 40_000, None, 5),
        ("nobody", "seven", None, 4),
        ("echo", "eight", "wrong", 7),
    ]:
        for number in range(times):
            answer = house.chat(text, model=model, key=key, stream=number % 2 == 1)
            sent[answer.status_code, model] += 1
    return sent


def test_scenario_b05_counts_by_status_and_model(make_house, scripted):
    house = make_house(
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        timeouts={"silent": "3s"},
    )
    sent = send_a_mix(house)
    ended = time.monotonic()
    total = sum(sent.values())
    by_status = collections.Counter()
    for (status, _), number in sent.items():
        by_status[status] += number

    request = {
        "size": 0,
        "query": CHATS,
        "aggs": {
            "by_status": {
                "terms": {"field": "http_status", "size": 50},
                "aggs": {"by_model": {"terms": {"field": "model_name", "size": 50}}},
            }
        },
    }

    def answered():
        answer = house.search(request)
        return answer if answer["hits"]["total"]["value"] == total else None

    answer = until("all requests are found", answered, within=1)
    in_time("they are found, after the last", time.monotonic() - ended, 1.2)
    assert buckets(answer, "by_status") == by_status
    found = {
        (outer["key"], inner["key"]): inner["doc_count"]
        for outer in answer["aggregations"]["by_status"]["buckets"]
        for inner in outer["by_model"]["buckets"]
    }
    # A request with a wrong key is refused before its body is read: there is no model to tell.
    known = {where: number for where, number in sent.items() if where[0] != 401}
    assert {where: number for where, number in found.items() if where[0] != 401} == known

    # The same, counted by jq from the journal file.
    program = (
        'map(select(.kind == "request" and .path == "/v1/chat/completions"))'
        " | group_by([.status, .model]) | map([.[0].status, .[0].model, length])"
    )
    counted = subprocess.run(
        ["jq", "-s", "-c", program, house.journal_file], check=True, capture_output=True, text=True
    )
    rows = json.loads(counted.stdout)
    by_jq = {(status, model): number for status, model, number in rows if status != 401}
    assert by_jq == known
    assert sum(number for status, _, number in rows if status == 401) == by_status[401]


def test_scenario_b05_derived_fields_and_tags(house):
    good = house.document(house.chat("one two three").headers["x-request-id"])
    assert good["kind"] == "request"
    assert good["http_status"] == 200 and good["model_name"] == "echo"
    assert good["service_name"] == "clawdbot-qwen3"
    assert good["token_efficiency"] == 1.0
    assert good.get("tags", []) == []
    for number in ["duration_ms", "input_tokens", "output_tokens", "http_status", "token_efficiency"]:
        assert isinstance(good[number], (int, float)), number

    bad = house.document(house.chat(key="wrong").headers["x-request-id"])
    assert bad["http_status"] == 401 and bad["tags"] == ["error_request"]
    slow = house.document(house.chat("x", model="late").headers["x-request-id"])
    assert slow["tags"] == ["slow_request"] and slow["duration_ms"] > 3000
    for query, number in [
        ('tag:"slow_request"', 1),
        ("tags:slow_request AND status:200", 1),
        ('tag:"error_request"', 1),
        ("duration_ms:>3000 AND kind:request", 1),
        ("kind:request AND NOT http_status:[200 TO 299]", 1),
        ("model:echo AND status:200", 1),
        ("kind:request AND model:(echo OR late) AND service:clawdbot-qwen3", 2),
    ]:
        assert house.count(query) == number, query


def test_scenario_b05_fields_have_types(house):
    house.document(house.chat().headers["x-request-id"])
    mapping = house.get("/es/_mapping", house.reader).json()
    fields = next(iter(mapping.values()))["mappings"]["properties"]
    assert fields["@timestamp"]["type"] == "date"
    assert fields["model_name"]["type"] == "keyword"
    assert fields["http_status"]["type"] in ("long", "integer", "short")
    assert fields["duration_ms"]["type"] in ("double", "float", "long")
    assert fields["status"] == {"type": "alias", "path": "http_status"}
    answer = house.search(
        {"query": {"range": {"http_status": {"gte": 100, "lt": 300}}}, "sort": [{"duration_ms": "desc"}]}
    )
    assert answer["hits"]["total"]["value"] >= 1


def test_scenario_b06_day_index_cat_and_search(house):
    document = house.document(house.chat().headers["x-request-id"])
    index = f"clawdbot-qwen3-{day_of(document)}"
    listing = house.get("/es/_cat/indices?v", house.reader).text.splitlines()
    assert listing[0].split() == [
        "health",
        "status",
        "index",
        "uuid",
        "pri",
        "rep",
        "docs.count",
        "docs.deleted",
        "store.size",
        "pri.store.size",
        *(["dataset.size"] if "dataset.size" in listing[0] else []),
    ]
    row = next(line.split() for line in listing[1:] if index in line)
    assert row[0] in ("green", "yellow") and row[1] == "open" and int(row[6]) >= 1

    answer = house.get(f"/es/{index}/_search?size=1", house.reader).json()
    assert len(answer["hits"]["hits"]) == 1 and answer["hits"]["total"]["value"] >= 1
    assert answer["hits"]["hits"][0]["_index"] == index
    assert (
        house.get("/es/clawdbot-qwen3-*/_search?q=kind:request&size=1", house.reader).json()["hits"]["total"]["value"]
        >= 1
    )
    missing = house.get("/es/no-such-index/_search", house.reader)
    assert missing.status_code == 404 and missing.json()["error"]["type"] == "index_not_found_exception"


def test_scenario_b06_the_official_python_client(house):
    for number in range(6):
        house.chat("one two", model="echo" if number % 3 else "named")
    last = house.chat("one two three four", model="echo")
    house.document(last.headers["x-request-id"])
    with elasticsearch.Elasticsearch(f"{house.url}/es", headers={"X-Api-Key": house.reader}) as client:
        assert client.info()["version"]["number"].startswith("8.")
        assert client.ping()
        assert client.count(index="clawdbot-qwen3-*", query=CHATS)["count"] == 7
        answer = client.search(
            index="clawdbot-qwen3-*",
            query={"bool": {"must": [{"match_all": {}}], "filter": [CHATS]}},
            sort=[{"@timestamp": "desc"}],
            size=3,
            aggs={
                "minutes": {
                    "date_histogram": {"field": "@timestamp", "fixed_interval": "1m"},
                    "aggs": {
                        "models": {
                            "terms": {"field": "model_name"},
                            "aggs": {"mean": {"avg": {"field": "duration_ms"}}},
                        },
                        "times": {"percentiles": {"field": "duration_ms", "percents": [50, 95, 99]}},
                    },
                }
            },
        )
        assert answer["hits"]["total"] == {"value": 7, "relation": "eq"}
        assert len(answer["hits"]["hits"]) == 3
        assert answer["hits"]["hits"][0]["_source"]["request_id"] == last.headers["x-request-id"]
        minutes = answer["aggregations"]["minutes"]["buckets"]
        assert sum(minute["doc_count"] for minute in minutes) == 7
        models = collections.Counter()
        for minute in minutes:
            for model in minute["models"]["buckets"]:
                models[model["key"]] += model["doc_count"]
                assert model["mean"]["value"] > 0
            if minute["doc_count"]:
                times = minute["times"]["values"]
                assert 0 < times["50.0"] <= times["95.0"] <= times["99.0"]
        assert models == {"named": 2, "echo": 5}
        with pytest.raises(elasticsearch.NotFoundError):
            client.search(index="no-such-index")
        with pytest.raises(elasticsearch.BadRequestError):
            client.search(index="clawdbot-qwen3-*", query={"no_such_query": {}})
        paged = [
            client.search(query=CHATS, sort=[{"seq": "asc"}], from_=start, size=2)["hits"]["hits"]
            for start in range(0, 8, 2)
        ]
        seqs = [hit["_source"]["seq"] for page in paged for hit in page]
        assert len(seqs) == 7 and seqs == sorted(set(seqs))
        assert client.indices.get_mapping(index="clawdbot-qwen3-*")
        assert client.cluster.health()["status"] in ("green", "yellow")


def test_scenario_b10_from_the_end_of_a_request_to_its_row(house):
    waits = []
    for number in range(10):
        answer = house.chat(stream=number % 2 == 1)
        ended = time.monotonic()
        house.document(answer.headers["x-request-id"], within=1)
        waits.append(time.monotonic() - ended)
    in_time(f"the row of a request, of {waits}", max(waits), 1)


def test_every_record_has_its_document(house):
    send_a_mix(house)
    last = house.journal()[-1]["seq"]
    until("the index has the whole journal", lambda: house.count(f"seq:{last}") == 1)
    hits = house.search({"size": 10_000, "query": {"range": {"seq": {"lte": last}}}})["hits"]["hits"]
    assert sorted(hit["_source"]["seq"] for hit in hits) == [record["seq"] for record in house.journal()[: len(hits)]]
    assert len(hits) == last - house.journal()[0]["seq"] + 1


def test_a_clean_restart_keeps_all(house):
    sent = [house.chat(f"number {number}").headers["x-request-id"] for number in range(20)]
    assert house.stop() == 0
    house.start()
    for request_id in sent:
        house.record(request_id)
        house.document(request_id)
    house.chat()
    seqs = [record["seq"] for record in house.journal()]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_a_second_house_on_the_same_data_is_refused(house):
    other = house.directory / "other.yaml"
    other.write_text(house.config.read_text().replace(f":{house.port}", ":0"))
    second = finished([BINARY, "up", "--config", other])
    assert second.returncode != 0
    assert str(house.child.pid) in second.stderr, "says who has it"
    assert house.chat().status_code == 200


def test_search_on_the_command_line(house):
    slow = house.chat("x", model="late").headers["x-request-id"]
    house.document(slow)
    assert slow in house.run("search", 'tag:"slow_request"', "--json").stdout
    assert slow in house.run("search", 'tag:"slow_request"').stdout
    house.stop()
    assert slow in house.run("search", f"request_id:{slow}", "--json").stdout


def test_the_newest_records_and_those_that_come(house):
    first = house.chat().headers["x-request-id"]
    until("it is in the index", lambda: house.count(f"request_id:{first} AND kind:request") == 1)
    lines = house.run("logs", "kind:request", "-n", "5").stdout.splitlines()
    assert len(lines) == 1 and f"id={first}" in lines[0] and "status=200" in lines[0]
    follower = Process("logs", house.directory)
    follower.spawn([BINARY, "logs", "-f", "-n", "1", "--json", "kind:request", "--config", house.config])
    try:
        until("it has begun", lambda: follower.alive() and first in follower.output(), within=30)
        second = house.chat().headers["x-request-id"]
        until("the second came", lambda: follower.alive() and second in follower.output(), within=30)
        records = [json.loads(line) for line in follower.output().splitlines()]
        assert [record["request_id"] for record in records] == [first, second]
    finally:
        follower.stop()
