"""The same requests, answered by ours and by a real Elasticsearch and a real OpenSearch over the same records.

The requests are in tests/data/differential, one file for each sort. Each is a search with:

- `name`, and `body`: what is sent to `_search`;
- `bound`: how far numbers may be apart, as a share, where an answer is approximate by nature (percentiles, cardinality). A tenth for
  percentiles: theirs come from a t-digest, which depends on how records fell into segments. Ours are held against the true ones, too;
- `differs`: by server, why its answer is another one. It then has to be another one, or the reason is out of date;
- `unsupported`: ours does not know it, and has to say so by 400. It is never an answer to another question.

The requests of tests/data/differential/endpoints are to other endpoints than `_search`, whose answers are compared whole but
for what is another one on each server anyway. Besides the above, they have:

- `method`, `path`, and `body`, `lines` (of JSON) or `raw`; `{indices}` and `{day}` stand for names of indices;
- `only`: paths in the answer that are compared; `leave_out`: members that are not, wherever they are;
- `columns`: only the names of the columns of a table are compared.

What is compared of searches: the status; the total and its relation; each hit's id, source, sort values and fields; aggregations
whole; of an error, that ours has a type that theirs has, too. Not compared: times taken, scores, shards, texts of errors.
"""

import hashlib
import json
import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from elastic_nodes import ElasticNode
from house import ROOT, until

CASES = [
    (path.stem, case)
    for path in sorted((ROOT / "tests/data/differential").glob("*.json"))
    for case in json.loads(path.read_text())
]
ENDPOINTS = json.loads((ROOT / "tests/data/differential/endpoints/endpoints.json").read_text())
SCROLLS = json.loads((ROOT / "tests/data/differential/endpoints/scrolls.json").read_text())
PEERS = ["elasticsearch", "opensearch"]
RECORDS, SEED = 20_000, 20_260_328
# Three days around a change to summer time, so that hours and days of a zone are not all alike.
BEGIN = datetime(2026, 3, 28, 0, 0, 0, tzinfo=UTC)
SERVICE, DAY, INDICES = "clawdbot-qwen3", "clawdbot-qwen3-2026.03.28", "clawdbot-qwen3-2026.03.*"
# What is another one on each server, whatever is asked.
OWN = {"took", "_shards", "_score", "max_score", "_version", "_seq_no", "_primary_term", "_scroll_id", "pit_id", "reason"}

MODELS = ["qwen3:32b", "qwen3:4b", "llama3.3:70b", "gpt-oss:20b"]
WORDS = "the model answered slowly after loading 重新 加载 qwen cache miss GPU memory spilled to CPU retry upstream".split()


def records():
    """Requests, refusals and collected lines, the same ones in each run."""
    chance = random.Random(SEED)
    at = BEGIN
    for number in range(RECORDS):
        at += timedelta(milliseconds=chance.randrange(1, 25_000))
        kind = chance.choices(["request", "log", "access", "probe"], [80, 15, 3, 2])[0]
        level = chance.choices(["info", "warn", "error"], [90, 7, 3])[0]
        record = {
            "ts": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
            "level": level,
            "kind": kind,
            "msg": " ".join(chance.choices(WORDS, k=chance.randrange(2, 9))),
            "caller": chance.choice(["gateway/stack.rs", "collect/file", "watch/probe.rs"]),
            "service": "clawdbot-qwen3",
        }
        if kind == "request":
            status = chance.choices([200, 400, 401, 429, 500, 503], [85, 3, 3, 5, 2, 2])[0]
            record |= {
                "request_id": f"r-{number:06d}",
                "method": "POST",
                "path": chance.choice(["/v1/chat/completions", "/v1/messages", "/api/chat"]),
                "status": status,
                "duration_ms": round(chance.lognormvariate(6.5, 1.1), 3),
                "client_ip": f"10.0.{chance.randrange(4)}.{chance.randrange(1, 60)}",
            }
            if status != 401:
                record |= {"model": chance.choice(MODELS), "key_id": chance.choice(["prod", "dev", "ci"])}
            if status == 200:
                record |= {
                    "input_tokens": chance.randrange(1, 4000),
                    "output_tokens": chance.randrange(0, 900),
                    "stream": chance.random() < 0.7,
                    "ttft_ms": round(chance.uniform(20, 3000), 3),
                    "finish_reason": chance.choice(["stop", "length", "tool_calls"]),
                }
            if chance.random() < 0.6:
                record["user_id"] = f"user-{int(chance.paretovariate(0.9)) % 300:03d}"
            if chance.random() < 0.05:
                record |= {"cancelled": True, "error": "cancelled"}
        if kind == "log":
            record["source"] = chance.choice(["openclaw", "nginx", "ollama"])
        yield record


def write_journal(file):
    """A journal as the program itself writes it: `seq` without gaps, and each line with the digest of the one before."""
    before, lines = "0" * 32, []
    for seq, record in enumerate(records(), 1):
        line = json.dumps({**record, "seq": seq, "prev": before}, ensure_ascii=False, separators=(",", ":"))
        before = hashlib.sha256(line.encode()).hexdigest()[:32]
        lines.append(line)
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Ours and both others, with the same documents in indices of the same names."""
    from house import Tollhouse  # after the options of the run are known

    nodes = [ElasticNode(kind).launch() for kind in PEERS]
    directory = tmp_path_factory.mktemp("differential")
    write_journal(directory / "data" / "journal" / "gateway.log")
    house = Tollhouse(
        directory,
        upstreams={"demo": {"kind": "demo"}},
        logging={"keep": {"days": 3650}},
        store={"keep": {"days": 3650}},
    )
    ours = Ours(house)  # its key is known from the start
    try:
        house.start()
        count = {"size": 0, "track_total_hits": True}
        found = lambda: house.search(count, INDICES)["hits"]["total"]["value"]  # noqa: E731
        until("all records are indexed", lambda: found() == RECORDS, within=60)
        mapping = house.get(f"/es/{INDICES}/_mapping", house.reader).json()
        documents = list(all_documents(house))
        assert len(documents) == RECORDS
        for node in nodes:
            load(node.ready(), mapping, documents)
        yield {"ours": ours, **{node.kind: node for node in nodes}}
    finally:
        house.stop()
        for node in nodes:
            node.drop()


class Ours:
    """Ours, asked as the others are."""

    def __init__(self, house):
        self.client = house.client(house.create_key("admin", "--role", "admin")["key"])

    def ask(self, method, path, **options):
        return self.client.request(method, f"/es{path}", **options)


def all_documents(house):
    step = 5000
    for begin in range(0, RECORDS, step):
        query = {"range": {"seq": {"gt": begin, "lte": begin + step}}}
        yield from house.search({"size": step, "query": query, "sort": ["seq"]}, INDICES)["hits"]["hits"]


def load(node, mapping, documents):
    # Other programs ask with our mapping; it has to be one that Elasticsearch takes.
    for index, described in mapping.items():
        settings = {"number_of_shards": 1, "number_of_replicas": 0}
        # All days of a service have its name, too.
        aliases = {SERVICE: {}}
        body = {"settings": settings, "mappings": described["mappings"], "aliases": aliases}
        answer = node.ask("PUT", f"/{index}", json=body)
        assert answer.status_code == 200, answer.text
    for begin in range(0, len(documents), 2000):
        lines = []
        for hit in documents[begin : begin + 2000]:
            lines.append(json.dumps({"create": {"_index": hit["_index"], "_id": hit["_id"]}}))
            lines.append(json.dumps(hit["_source"], ensure_ascii=False))
        headers = {"Content-Type": "application/x-ndjson"}
        answer = node.ask("POST", "/_bulk", content=("\n".join(lines) + "\n").encode(), headers=headers).json()
        assert not answer["errors"], [item for item in answer["items"] if item["create"]["status"] > 299][:3]
    assert node.ask("POST", "/_refresh").status_code == 200


def comparable(answer):
    """What of an answer has to be equal."""
    body = answer.json()
    if answer.status_code != 200:
        return {"status": answer.status_code}
    hits = body["hits"]
    keep = ["_id", "_index", "_source", "sort", "fields", "highlight"]
    compared = {
        "status": 200,
        "total": hits.get("total"),
        "hits": [{name: hit[name] for name in keep if name in hit} for hit in hits["hits"]],
    }
    if "aggregations" in body:
        compared["aggregations"] = without_scores(body["aggregations"])
    return compared


def error_types(error):
    """What an error is called, by itself and by its causes: which of them stands outside depends on the way it took."""
    types = {error.get("type")}
    for cause in [*error.get("root_cause", []), *filter(None, [error.get("caused_by")])]:
        types |= error_types(cause)
    return types


def without_scores(value):
    """Also without the bound of an error that Elasticsearch's `terms` have and ours, which count all, have not."""
    if isinstance(value, dict):
        left_out = {"_score", "max_score", "doc_count_error_upper_bound"}
        return {name: without_scores(inner) for name, inner in value.items() if name not in left_out}
    return [without_scores(inner) for inner in value] if isinstance(value, list) else value


def difference(ours, theirs, bound, where=""):
    """The first place where two answers differ, or nothing."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in [*theirs, *(set(ours) - set(theirs))]:
            if name not in ours or name not in theirs:
                return f"{where}.{name}: {'only theirs' if name in theirs else 'only ours'}"
            if found := difference(ours[name], theirs[name], bound, f"{where}.{name}"):
                return found
        return None
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{where}: {len(ours)} items, theirs {len(theirs)}"
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((found for at, (a, b) in pairs if (found := difference(a, b, bound, f"{where}[{at}]"))), None)
    if is_number(ours) and is_number(theirs):
        same = math.isclose(ours, theirs, rel_tol=bound, abs_tol=1e-6)
    else:
        same = ours == theirs and type(ours) is type(theirs)
    return None if same else f"{where}: {ours!r}, theirs {theirs!r}"


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("file", "case"), CASES, ids=[f"{file}-{case['name']}" for file, case in CASES])
def test_the_answer_is_that_of_the_real_one(servers, file, case, peer):
    path = f"/{case.get('index', INDICES)}/_search"
    params = case.get("params")
    ours = servers["ours"].ask("POST", path, json=case["body"], params=params)
    theirs = servers[peer].ask("POST", path, json=case["body"], params=params)
    if "unsupported" in case:
        assert ours.status_code == 400, ours.text
        return
    found = difference(comparable(ours), comparable(theirs), case.get("bound", 1e-9))
    if not found and ours.status_code != 200:
        names = error_types(ours.json()["error"]), error_types(theirs.json()["error"])
        found = None if names[0] & names[1] else f"errors {names[0]}, theirs {names[1]}"
    if reason := case.get("differs", {}).get(peer):
        assert found, f"answered alike now, so this is out of date: {reason}"
    else:
        assert found is None, f"{found}\n{json.dumps(case['body'])}\n{ours.text[:500]}\n{theirs.text[:500]}"


def true_share(values, limit):
    return 100 * sum(value <= limit for value in values) / len(values)


def true_percentile(values, percent):
    """Between the two nearest values, as `percentiles` of few values has it."""
    place = percent / 100 * (len(values) - 1)
    low, share = int(place), place % 1
    return values[low] + share * (values[min(low + 1, len(values) - 1)] - values[low])


def test_percentiles_and_ranks_are_near_the_true_ones(servers):
    values = sorted(record["duration_ms"] for record in records() if "duration_ms" in record)
    percents, limits = [1, 5, 25, 50, 75, 90, 95, 99, 99.9], [20, 100, 500, 1000, 3000, 10_000, 30_000]
    aggs = {
        "at": {"percentiles": {"field": "duration_ms", "percents": percents}},
        "share": {"percentile_ranks": {"field": "duration_ms", "values": limits}},
    }
    answer = servers["ours"].ask("POST", f"/{INDICES}/_search", json={"size": 0, "aggs": aggs}).json()["aggregations"]
    for percent in percents:
        true = true_percentile(values, percent)
        assert math.isclose(answer["at"]["values"][str(float(percent))], true, rel_tol=0.002), (percent, true, answer)
    for limit in limits:
        true = true_share(values, limit)
        assert abs(answer["share"]["values"][str(float(limit))] - true) < 0.1, (limit, true, answer)


def asked(server, case):
    """The answer to a request to an endpoint."""
    names = lambda text: text.replace("{indices}", INDICES).replace("{day}", DAY)  # noqa: E731
    options = {"headers": {"Content-Type": "application/json"}}
    if "lines" in case:
        options["content"] = names("".join(json.dumps(line) + "\n" for line in case["lines"]))
    elif "raw" in case:
        options["content"] = case["raw"]
    elif "body" in case:
        options["content"] = names(json.dumps(case["body"]))
    return server.ask(case["method"], names(case["path"]), **options)


def compared(answer, case):
    """What of an endpoint's answer has to be equal."""
    found = {"status": answer.status_code}
    if case["method"] == "HEAD" or not answer.content:
        return found
    if not answer.headers["Content-Type"].startswith("application/json"):
        return found | {"text": answer.text}
    body = answer.json()
    if case.get("columns"):
        return found | {"columns": sorted({name for row in body for name in row})}
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return found
    if "only" in case:
        body = {path: at(body, path.split(".")) for path in case["only"]}
    return found | {"body": without(body, OWN | set(case.get("leave_out", [])))}


def at(value, path):
    for name in path:
        value = value[int(name)] if isinstance(value, list) else value.get(name)
    return value


def without(value, left_out):
    if isinstance(value, dict):
        return {name: without(inner, left_out) for name, inner in value.items() if name not in left_out}
    return [without(inner, left_out) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", ENDPOINTS, ids=[case["name"] for case in ENDPOINTS])
def test_the_endpoint_answers_as_the_real_one(servers, case, peer):
    ours, theirs = asked(servers["ours"], case), asked(servers[peer], case)
    found = difference(compared(ours, case), compared(theirs, case), 1e-9)
    errors = [told_error(answer) for answer in (ours, theirs)]
    if not found and all(errors):
        names = [error_types(error) for error in errors]
        found = None if names[0] & names[1] else f"errors {names[0]}, theirs {names[1]}"
    if reason := case.get("differs", {}).get(peer):
        assert found, f"answered alike now, so this is out of date: {reason}"
    else:
        assert found is None, f"{found}\n{json.dumps(case)}\n{ours.text[:800]}\n{theirs.text[:800]}"


def told_error(answer):
    """The error of an answer, where it is more than a text."""
    error = answer.json().get("error") if answer.status_code >= 400 and answer.content else None
    return error if isinstance(error, dict) else None


def pages(server, body):
    """All pages of a scroll, and that it is closed at the end."""
    answer = server.ask("POST", f"/{INDICES}/_search?scroll=1m", json=body).json()
    found = [answer]
    while answer["hits"]["hits"]:
        scroll = {"scroll": "1m", "scroll_id": answer["_scroll_id"]}
        answer = server.ask("POST", "/_search/scroll", json=scroll).json()
        found.append(answer)
    ids = {"scroll_id": answer["_scroll_id"]}
    closed = [server.ask("DELETE", "/_search/scroll", json=ids) for _ in range(2)]
    assert [close.status_code for close in closed] == [200, 404]
    return [without(page, OWN | {"_type"}) for page in found]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", SCROLLS, ids=[case["name"] for case in SCROLLS])
def test_a_scroll_gives_the_same_pages(servers, case, peer):
    assert difference(pages(servers["ours"], case["body"]), pages(servers[peer], case["body"]), 1e-9) is None


def test_there_are_enough_cases():
    assert len(CASES) >= 150 and len({(file, case["name"]) for file, case in CASES}) == len(CASES)
