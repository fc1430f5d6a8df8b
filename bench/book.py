#!/usr/bin/env python3
"""Measures the book against a real Elasticsearch and a real OpenSearch: same records, same questions, same core, one run.

  cargo build --release -p tollhouse && bench/book.py                  2,000,000 records, about twenty minutes
  bench/book.py --records 20000 --peers --rounds 3                     ours and jq alone, in seconds

Needs jq and taskset, and for the other servers what tests/tools/elastic.sh needs and the Python of the tests (httpx, zstandard).
Each server runs alone on core 0, whoever asks on core 1. Ours reads the records from a file; to the others they are sent
by `_bulk`, as the documents that ours makes of them, with the types of ours. Then all are asked the same twelve questions of a
dashboard, and it is checked that they say the same. CPU time and memory are the processes' own counters.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

import records
from rig import (
    LOAD_CORE,
    PROXY_CORE,
    ROOT,
    cpu_by_thread,
    cpu_seconds,
    family,
    free_port,
    make_key,
    need,
    pinned,
    stop,
    wait_for,
)

sys.path.insert(0, str(ROOT / "tests/integration"))

INDEX = f"{records.SERVICE}-2026.01.27"
HEAP = "2g"
BULK_BYTES = 5 << 20
JQ = (
    '{"@timestamp": .ts, level, msg, model_name: .model, http_status: .status, duration_ms,'
    " token_efficiency: (if .input_tokens > 0 then .output_tokens / .input_tokens else null end)}"
)
TIME = {"gte": records.stamp(records.DAY_MS // 4), "lt": records.stamp(records.DAY_MS // 2)}
DURATION = {"avg": {"field": "duration_ms"}}


def terms(field, size=10, **inner):
    return {"terms": {"field": field, "size": size, **inner.pop("own", {})}, **({"aggs": inner} if inner else {})}


def counted(**aggs):
    return {"size": 0, "track_total_hits": True, "aggs": aggs}


def questions(file):
    """The twelve panels of a dashboard, by name; one asks for a request in the middle of the file."""
    with file.open("rb") as lines:
        lines.seek(file.stat().st_size // 2)
        lines.readline()
        middle = json.loads(lines.readline())
    day = {"min": records.stamp(0), "max": records.stamp(2 * records.DAY_MS - 1)}
    newest = {"sort": [{"@timestamp": "desc"}], "track_total_hits": True}
    filters = {
        "errors": {"range": {"http_status": {"gte": 500}}},
        "refused": {"range": {"http_status": {"gte": 400, "lt": 500}}},
        "slow": {"range": {"duration_ms": {"gt": 3000}}},
        "empty": {"term": {"output_tokens": 0}},
    }
    return {
        "rate by minute": counted(minutes={"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}}),
        "duration p50, p95, p99": counted(spread={"percentiles": {"field": "duration_ms", "percents": [50, 95, 99]}}),
        "status × model, duration": counted(status=terms("http_status", model=terms("model_name", duration=DURATION))),
        "top users by tokens": counted(
            users=terms("user_id", own={"order": {"out": "desc"}}, out={"sum": {"field": "output_tokens"}})
        ),
        "tokens by model": counted(
            models=terms(
                "model_name",
                asked={"sum": {"field": "input_tokens"}},
                given={"sum": {"field": "output_tokens"}},
                efficiency={"avg": {"field": "token_efficiency"}},
            )
        ),
        "errors by user": {
            "query": {"bool": {"filter": [{"range": {"http_status": {"gte": 400}}}]}},
            **counted(users=terms("user_id", statuses=terms("http_status"))),
        },
        "search for a word": {"query": {"query_string": {"query": "msg:memory AND http_status:>=500"}}, "size": 20, **newest},
        "request by id": {"query": {"term": {"request_id": middle["request_id"]}}, "size": 1, "track_total_hits": True},
        "four filters": counted(which={"filters": {"filters": filters}, "aggs": {"duration": DURATION}}),
        "two days by hour": counted(
            hours={
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": "1h",
                    "min_doc_count": 0,
                    "extended_bounds": day,
                },
                "aggs": {"duration": DURATION},
            }
        ),
        "number of users": counted(users={"cardinality": {"field": "user_id"}}),
        "newest 50": {
            "query": {"bool": {"filter": [{"term": {"model_name": "qwen3:32b"}}, {"range": {"@timestamp": TIME}}]}},
            "size": 50,
            **newest,
        },
    }


class Server:
    """A server that was loaded: how to ask it, and what it cost."""

    def __init__(self, name, pid, port, base="", key=None):
        self.name, self.pid, self.port, self.base = name, pid, port, base
        self.headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.figures = {}

    def ask(self, method, path, body=None, **headers):
        body = json.dumps(body) if isinstance(body, dict) else body
        self.connection.request(method, self.base + path, body, self.headers | headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{self.name}: {method} {path}: {answer.status} {data[:500]}")
        return json.loads(data) if data[:1] in b"{[" else data

    def search(self, body):
        return self.ask("POST", f"/{INDEX}/_search?request_cache=false" if not self.base else f"/{INDEX}/_search", body)

    def count(self):
        return self.ask("GET", f"/{INDEX}/_count")["count"]

    def peak_bytes(self):
        """Of the largest of its processes: the others only start it."""
        peaks = []
        for pid in family(self.pid):
            found = re.search(r"^VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
            peaks.append(int(found[1]) * 1024)
        return max(peaks)

    def settle(self):
        """Waits until it has hardly anything more to do by itself, as merging; a minute at most."""
        calm, before = 0, cpu_seconds(self.pid)
        for _ in range(60):
            time.sleep(1)
            now = cpu_seconds(self.pid)
            calm, before = (calm + 1 if now - before < 0.1 else 0), now
            if calm == 3:
                return


@contextlib.contextmanager
def tollhouse(directory, program, file, count):
    """Ours, with the records in its journal and its index."""
    root, port = directory / "house", free_port()
    root.mkdir()
    config = {
        "service": records.SERVICE,
        "data_dir": f"{root}/data",
        "listen": f"127.0.0.1:{port}",
        "upstreams": {"demo": {"kind": "demo"}},
        "logging": {"keep": {"days": 3650}},
        "store": {"keep": {"days": 3650}},
        "sources": {"gateway": {"type": "file", "paths": [str(file)], "format": "json"}},
    }
    (root / "tollhouse.yaml").write_text(json.dumps(config))
    key = make_key(program, root, "--role", "logs:read")
    began = time.monotonic()
    with (root / "stderr").open("w") as log:
        process = pinned(PROXY_CORE, [program, "up", "--config", root / "tollhouse.yaml"], stderr=log)
    try:
        wait_for(port)
        server = Server("tollhouse", process.pid, port, "/es", key)
        wait_until(lambda: day_is_there(server) and server.count() >= count)
        found = {"seconds": time.monotonic() - began}
        server.settle()
        data = root / "data"
        found |= {
            "cpu": cpu_seconds(process.pid),
            "threads": cpu_by_thread(process.pid),
            "peak": server.peak_bytes(),
            "disk": folder_bytes(data / "index"),
            "journal": folder_bytes(data / "journal"),
        }
        server.figures = found
        yield server
        server.figures["peak after the questions"] = server.peak_bytes()
    finally:
        stop(process)


def day_is_there(server):
    return any(index["index"] == INDEX for index in server.ask("GET", "/_cat/indices?format=json"))


@contextlib.contextmanager
def peer(kind, bodies, mapping, count):
    """Another server, with the same documents."""
    from elastic_nodes import ElasticNode  # wants the Python of the tests

    node = ElasticNode(kind, heap=HEAP)
    # What it starts has the core of who starts it.
    os.sched_setaffinity(0, {PROXY_CORE})
    try:
        node.launch()
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})
    try:
        node.ready()
        server = Server(kind, node.child.pid, node.port)
        settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "5s"}
        template = {"settings": settings, "mappings": mapping}
        server.ask("PUT", "/_index_template/bench", {"index_patterns": [f"{records.SERVICE}-*"], "template": template})
        server.settle()
        began, cpu = time.monotonic(), cpu_seconds(server.pid)
        for body in bodies:
            if server.ask("POST", f"/{INDEX}/_bulk?filter_path=errors", body.read_bytes())["errors"]:
                raise SystemExit(f"{kind}: documents were refused")
        server.ask("POST", f"/{INDEX}/_refresh")
        seconds = time.monotonic() - began
        if server.count() != count:
            raise SystemExit(f"{kind} has {server.count()} documents")
        server.settle()
        server.ask("POST", f"/{INDEX}/_flush")
        stats = server.ask("GET", f"/{INDEX}/_stats/store")
        server.figures = {
            "seconds": seconds,
            "cpu": cpu_seconds(server.pid) - cpu,
            "peak": server.peak_bytes(),
            "disk": stats["_all"]["primaries"]["store"]["size_in_bytes"],
        }
        yield server
    finally:
        node.drop()


def write_bulks(directory, file):
    """Bodies of `_bulk` as files, so that making them is not measured as loading them."""
    bodies, body, size = [], [], 0

    def end():
        bodies.append(directory / f"bulk-{len(bodies):05}")
        bodies[-1].write_text("".join(body))
        body.clear()

    with file.open("rb") as lines:
        for seq, line in enumerate(lines, 1):
            text = json.dumps(records.document(line, seq, file), separators=(",", ":"))
            body.append('{"create":{}}\n' + text + "\n")
            size += len(body[-1])
            if size >= BULK_BYTES:
                end()
                size = 0
    if body:
        end()
    return bodies


def jq(file):
    """What it costs to read and write the lines with another program."""
    began = time.monotonic()
    with file.open("rb") as lines, pathlib.Path("/dev/null").open("wb") as nowhere:
        done = pinned(PROXY_CORE, ["jq", "-c", JQ], stdin=lines, stdout=nowhere)
        _, status, used = os.wait4(done.pid, 0)
    if status:
        raise SystemExit("jq failed")
    return {"seconds": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024}


def asked(server, file, rounds):
    """For each question: milliseconds of the first time and of the others, and what was answered."""
    found = {}
    for name, body in questions(file).items():
        times = []
        for _ in range(rounds + 1):
            began = time.monotonic()
            answer = server.search(body)
            times.append((time.monotonic() - began) * 1000)
        found[name] = {"cold": times[0], "warm": sorted(times[1:]), "said": said(answer)}
    return found


def said(answer):
    """Of an answer, what has to be the same everywhere: numbers of documents by their buckets."""
    def counts(value):
        if isinstance(value, dict):
            own = {key: value[key] for key in ("key", "doc_count") if key in value}
            inner = {key: counts(part) for key, part in value.items() if isinstance(part, dict | list)}
            return own | {key: part for key, part in inner.items() if part}
        if isinstance(value, list):
            return [counts(part) for part in value if isinstance(part, dict)]
        return None

    return {"total": answer["hits"]["total"]["value"], "aggregations": counts(answer.get("aggregations", {}))}


def folder_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def wait_until(ask, seconds=3600):
    end = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > end:
            raise SystemExit("it does not get done")
        time.sleep(0.25)


def mapping_of(server):
    """The types of ours, for the others."""
    return next(iter(server.ask("GET", f"/{INDEX}/_mapping").values()))["mappings"]


def check_document(server, file):
    """That the others get the documents that ours has."""
    with file.open("rb") as lines:
        line = next(lines)
    request = {"query": {"term": {"request_id": json.loads(line)["request_id"]}}}
    ours = server.search(request)["hits"]["hits"][0]["_source"]
    made = records.document(line, ours["seq"], file)
    if ours != made:
        raise SystemExit(f"ours: {ours}\nmade: {made}")


def threads_table(figures, count):
    """Where the time went: threads that ended, as those of merges do, are what is left."""
    threads, all_of_it = figures["threads"], figures["cpu"] / count * 1e6
    print("\n### Loading, by threads\n\n| | µs a line | of that in the system |\n|---|---|---|")
    for name, (user, system) in sorted(threads.items(), key=lambda thread: -sum(thread[1])):
        if user + system > 0.01 * figures["cpu"]:
            print(f"| {name} | {(user + system) / count * 1e6:.2f} | {system / count * 1e6:.2f} |")
    rest = all_of_it - sum(user + system for user, system in threads.values()) / count * 1e6
    print(f"| threads that ended | {rest:.2f} | |")


def loading_table(figures, raw, count):
    print(f"\n### Loading {count:,} records, {raw / 1e6:.0f} MB ({raw / count:.0f} bytes a line)\n")
    print("| | MB/s | lines/s | CPU per line, µs | peak memory, MiB | index ÷ raw |\n|---|---|---|---|---|---|")
    for name, found in figures.items():
        share = f"{found['disk'] / raw:.2f}" if "disk" in found else ""
        print(
            f"| {name} | {raw / 1e6 / found['seconds']:.1f} | {count / found['seconds']:,.0f} "
            f"| {found['cpu'] / count * 1e6:.1f} | {found['peak'] / 2**20:.0f} | {share} |"
        )
    if "tollhouse" in figures:
        ours = figures["tollhouse"]
        print(f"| goal for tollhouse | | | ≤ 8 | ≤ 300 | ≤ 0.25 |\n\nJournal ÷ raw: {ours['journal'] / raw:.2f}.", end=" ")
        print(f"Peak after the questions: {ours['peak after the questions'] / 2**20:.0f} MiB.")


def asking_table(answers, rounds):
    names = list(answers)
    print(f"\n### Twelve questions: milliseconds; first time, median and p95 of {rounds} more\n")
    ratio = " ours ÷ Elasticsearch (goal ≤ 0.5) |" if "elasticsearch" in names else ""
    print("| |" + "".join(f" {name}: first | median | p95 |" for name in names) + ratio)
    print("|---|" + "---|---|---|" * len(names) + ("---|" if ratio else ""))
    for question in answers[names[0]]:
        cells = []
        for name in names:
            found = answers[name][question]
            p95 = found["warm"][min(len(found["warm"]) - 1, int(len(found["warm"]) * 0.95))]
            cells += [f"{found['cold']:.1f}", f"{statistics.median(found['warm']):.1f}", f"{p95:.1f}"]
        if ratio:
            medians = [statistics.median(answers[name][question]["warm"]) for name in ("tollhouse", "elasticsearch")]
            cells.append(f"{medians[0] / medians[1]:.2f}")
        print(f"| {question} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/release/tollhouse")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", nargs="*", choices=["elasticsearch", "opensearch"], default=["elasticsearch", "opensearch"])
    parser.add_argument("--raw", type=pathlib.Path, help="also writes what was measured into this file, as JSON")
    args = parser.parse_args()
    need("jq", "taskset")
    os.sched_setaffinity(0, {LOAD_CORE})
    figures, answers = {}, {}
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        file = directory / "gateway.log"
        raw = records.write(file, args.records)
        figures["jq -c"] = jq(file)
        with tollhouse(directory, args.program, file, args.records) as server:
            check_document(server, file)
            mapping = mapping_of(server)
            answers["tollhouse"] = asked(server, file, args.rounds)
        figures["tollhouse"] = server.figures
        bodies = write_bulks(directory, file) if args.peers else []
        for kind in args.peers:
            with peer(kind, bodies, mapping, args.records) as server:
                answers[kind] = asked(server, file, args.rounds)
                figures[kind] = server.figures
    loading_table(figures, raw, args.records)
    threads_table(figures["tollhouse"], args.records)
    asking_table(answers, args.rounds)
    if args.raw:
        args.raw.write_text(json.dumps({"figures": figures, "answers": answers, "raw_bytes": raw}, ensure_ascii=False))
    for kind in args.peers:
        for question, found in answers["tollhouse"].items():
            if found["said"] != answers[kind][question]["said"]:
                raise SystemExit(f"{kind} says something else: {question}")


if __name__ == "__main__":
    main()
