"""The journal's own commands, and what a house does whose journal's disk is full."""

import collections
import csv
import datetime
import gzip
import io
import json
import re
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pyarrow.parquet
import zstandard
from house import BINARY, until
from test_kill import check_chain

DAY_S = 24 * 3600
LINES = 20_000


def journal(house, *arguments, **options):
    return house.run("journal", *arguments, **options)


def verified(house, *arguments, **options):
    done = journal(house, "verify", "--json", *arguments, check=False, **options)
    return done.returncode, json.loads(done.stdout)


def old_lines(count, start=0, age_s=2 * DAY_S):
    """Lines of a program that wrote JSON two days ago, one a second."""
    began = int(time.time()) - age_s
    for number in range(start, start + count):
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began + number % 3600))
        yield json.dumps({"time": when, "level": "warn", "msg": f"old line {number}", "number": number})


def imported(house):
    """How often each numbered line is in the journal."""
    return collections.Counter(record["number"] for record in house.journal(kind="log") if "number" in record)


def test_old_files_come_in_once_and_are_found_on_their_day(house):
    for _ in range(3):
        assert house.chat().status_code == 200
    lines = list(old_lines(300))
    plain, packed, other = (house.directory / name for name in ["app.log", "app.log.2.gz", "app.log.3"])
    plain.write_text("\n".join(lines[:100]) + "\n\nnot JSON\n" + "x" * 200_000 + "\n")
    packed.write_bytes(gzip.compress("\n".join(lines[100:200]).encode()))
    other.write_bytes(zstandard.compress("\n".join(lines[200:]).encode()))
    files = [plain, packed, other]

    refused = journal(house, "import", *files, check=False)
    assert refused.returncode == 1
    assert str(house.child.pid) in refused.stderr and "stop it" in refused.stderr, refused.stderr
    assert house.stop() == 0

    done = journal(house, "import", "--source", "old", *files)
    assert "302 lines read, 302 records kept, 1 cut, 2 not understood" in done.stderr, done.stderr
    assert imported(house) == {number: 1 for number in range(300)}
    assert {record["source"] for record in house.journal(kind="log")} == {"old"}

    # The same content is known under any name and in any form.
    (house.directory / "copy").write_bytes(zstandard.compress("\n".join(lines[100:200]).encode()))
    again = journal(house, "import", house.directory / "copy", *files, check=False)
    assert again.returncode == 1 and again.stderr.count("was imported at") == 3, again.stderr
    assert imported(house) == {number: 1 for number in range(300)}
    journal(house, "import", "--again", packed)
    assert imported(house)[150] == 2

    house.start()
    until("the old lines are indexed", lambda: house.count("source:old AND level:warn") == 300, within=20)
    hits = house.search({"query": {"term": {"number": 250}}})["hits"]["hits"]
    assert len(hits) == 1 and hits[0]["_source"]["@timestamp"] == json.loads(lines[250])["time"].replace("Z", ".000Z")
    assert hits[0]["_index"].endswith(json.loads(lines[250])["time"][:10].replace("-", "."))
    assert house.stop() == 0
    code, found = verified(house, "--index")
    assert (code, found["sound"], found["index"]["missing"]["records"]) == (0, True, 0), found
    assert found["index"]["documents"] == found["journal"]["records"]


def test_an_import_that_was_killed_goes_on_where_it_stopped(house):
    assert house.stop() == 0
    file = house.directory / "big.log.gz"
    file.write_bytes(gzip.compress("\n".join(old_lines(LINES)).encode(), 1))
    command = [BINARY, "journal", "import", file, "--config", house.config]
    kills = 0
    for _ in range(4):
        size = house.journal_file.stat().st_size
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until("lines come in", lambda: house.journal_file.stat().st_size > size + 500_000 or child.poll() is not None)
        child.kill()
        kills += child.wait() == -signal.SIGKILL
    assert kills >= 2, "the import was over too soon to be killed"
    done = journal(house, "import", file)
    assert "going on at byte" in done.stderr, done.stderr
    assert imported(house) == {number: 1 for number in range(LINES)}
    assert verified(house)[0] == 0


def test_what_is_exported(house):
    formula = '=HYPERLINK("http://evil.example","x")'
    assert house.chat(headers={"X-Request-Id": "first"}).status_code == 200
    assert house.chat(model=formula).status_code == 404
    until("both are recorded", lambda: len(house.journal(kind="request")) == 2)

    raw = journal(house, "export").stdout
    # The house may have written more since.
    assert house.journal_bytes().startswith(raw.encode()) and raw.count("\n") > 2
    some = journal(house, "export", "--query", "kind:request AND status:200", "--fields", "request_id,status").stdout
    assert [json.loads(line) for line in some.splitlines()] == [{"request_id": "first", "status": 200}]
    assert journal(house, "export", "--to", "now-1h").stdout == ""
    assert journal(house, "export", "--from", "now-1h").stdout.startswith(raw)

    sheet = house.directory / "records.csv"
    journal(house, "export", "--format", "csv", "--query", "kind:request", "--output", sheet)
    rows = list(csv.DictReader(io.StringIO(sheet.read_text(), newline="")))
    assert [row["http_status"] for row in rows] == ["200", "404"]
    assert rows[1]["model_name"] == "'" + formula
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    kept = journal(house, "export", "--format", "csv", "--output", sheet, check=False)
    assert kept.returncode == 1 and "--force" in kept.stderr
    wrong = journal(house, "export", "--query", "status:[", check=False)
    assert wrong.returncode == 1 and "--query" in wrong.stderr


def test_a_table_by_columns_has_every_value(house):
    asked = {"model": "=1+1", "http_status": "200", "duration_ms": 12, "stream": True, "own": {"a": [1, None, "é"]}}
    file = house.directory / "odd.ndjson"
    odd = [{"time": "2026-01-27T10:20:30.456+08:00", "msg": "odd", **asked}, {"msg": "", "user_id": ["a", "b"]}]
    file.write_text("".join(json.dumps(line) + "\n" for line in odd))
    assert house.chat(headers={"X-Request-Id": "first"}).status_code == 200
    assert house.stop() == 0
    journal(house, "import", "--format", "json", file)
    table = house.directory / "records.parquet"
    journal(house, "export", "--format", "parquet", "--output", table)
    fields = pyarrow.parquet.read_schema(table)
    names = set(fields.names) - {"other_fields"}
    assert str(fields.field("@timestamp").type) == "timestamp[ms, tz=UTC]"
    assert [str(fields.field(name).type) for name in ("http_status", "duration_ms", "stream")] == ["int64", "double", "bool"]
    rows = pyarrow.parquet.read_table(table).to_pylist()
    # The same documents as NDJSON, which has a name for each field that is somewhere.
    lines = [json.loads(line) for line in house.journal_bytes().splitlines()]
    every = sorted(names | {name for line in lines for name in line} - {"ts", "service", "model", "status", "tag", "time"})
    told = journal(house, "export", "--fields", ",".join(every)).stdout
    documents = [json.loads(line) for line in told.splitlines()]
    assert len(rows) == len(documents) == len(lines) > 5
    for row, document in zip(rows, documents, strict=True):
        own = json.loads(row.pop("other_fields") or "{}")
        at = datetime.datetime.fromisoformat(document.pop("@timestamp"))
        assert abs(row.pop("@timestamp") - at) < datetime.timedelta(milliseconds=1)
        assert own | {name: value for name, value in row.items() if value is not None} == document
    kept = next(row for row in rows if row["msg"] == "odd")
    assert (kept["model_name"], kept["http_status"], kept["duration_ms"], kept["stream"]) == ("=1+1", 200, 12.0, True)

    some = house.directory / "some.parquet"
    journal(house, "export", "--format", "parquet", "--query", "kind:request", "--fields", "status,request_id", "--output", some)
    assert pyarrow.parquet.read_table(some).to_pylist() == [{"status": 200, "request_id": "first", "other_fields": None}]


def test_changed_and_missing_records_are_found(house):
    for _ in range(5):
        assert house.chat().status_code == 200
    assert house.stop() == 0
    assert verified(house, "--index")[0] == 0

    # An index that knows nothing of the last records, and one that knows more than the journal.
    index = house.data / "index"
    shutil.copytree(index, house.directory / "kept")
    house.start()
    assert house.chat().status_code == 200
    assert house.stop() == 0
    last = house.journal()[-1]["seq"]
    shutil.rmtree(index)
    shutil.copytree(house.directory / "kept", index)
    code, found = verified(house, "--index")
    assert code == 0 and found["index"]["not_yet_indexed"] > 0
    house.start()
    until("the index has caught up", lambda: house.count(f"seq:{last}") == 1)
    assert house.stop() == 0

    lines = house.journal_file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"level":"', b'"level":"x')
    house.journal_file.write_bytes(b"".join(lines[:4] + lines[5:]))
    code, found = verified(house, "--index")
    assert (code, found["sound"]) == (1, False)
    assert found["journal"]["gaps"]["listed"] == [{"after": 4, "next": 6}]
    assert found["journal"]["breaks"]["total"] == 2
    assert found["index"]["unknown"]["ranges"] == [[5, 5]]
    told = journal(house, "verify", check=False).stdout
    assert "after seq 4 comes seq 6" in told and "something is wrong" in told


def test_documents_that_are_there_twice_are_told(house):
    for _ in range(5):
        assert house.chat().status_code == 200
    assert house.stop() == 0
    assert verified(house, "--index")[0] == 0
    # A segment of the index a second time, under another name.
    (day,) = [meta.parent for meta in (house.data / "index").glob("*/meta.json")]
    meta = json.loads((day / "meta.json").read_text())
    segment, twin = meta["segments"][0], uuid.uuid4()
    for file in day.glob(f"{uuid.UUID(segment['segment_id']).hex}.*"):
        shutil.copy(file, day / f"{twin.hex}{file.suffix}")
    meta["segments"].append({**segment, "segment_id": str(twin)})
    (day / "meta.json").write_text(json.dumps(meta))

    code, found = verified(house, "--index")
    ranges = found["index"]["doubled"]["ranges"]
    assert (code, found["sound"]) == (1, False) and found["index"]["missing"]["ranges"] == []
    doubled = sum(last - first + 1 for first, last in ranges)
    assert doubled == segment["max_doc"] and found["index"]["documents"] == len(house.journal()) + doubled
    told = journal(house, "verify", "--index", check=False).stdout
    first, last = ranges[0]
    assert re.search(rf"^doubled .*\b{first}\b.*\b{last}\b", told, re.M), told


def test_a_file_of_somebody_else_is_refused_and_left_as_it_is(house):
    assert house.stop() == 0
    diary = house.directory / "diary.txt"
    diary.write_text("Dear diary,\nno line end behind this")
    house.configure(logging={"file": str(diary)})
    refused = house.run("up", check=False)
    assert refused.returncode == 1
    for word in [str(diary), "no journal", "not changed", "logging.file"]:
        assert word in refused.stderr, refused.stderr
    assert diary.read_text() == "Dear diary,\nno line end behind this"
    assert [file.name for file in house.directory.glob("diary*")] == ["diary.txt"]


def test_what_is_no_record_is_told_by_verify_and_by_the_next_start(house):
    assert house.chat().status_code == 200
    assert house.stop() == 0
    whole = house.journal_file.read_bytes()
    half = b'{"ts":"2026'
    house.journal_file.write_bytes(whole + half)
    code, found = verified(house)
    assert (code, found["sound"]) == (0, True)
    assert found["journal"]["half_line"] == {"file": "gateway.log", "bytes": len(half)}
    assert "half line" in journal(house, "verify").stdout

    lines = whole.splitlines(keepends=True)
    house.journal_file.write_bytes(b"".join(lines[:2]) + b"plain text\n\xff\xfe\n" + b"".join(lines[2:]) + half)
    code, found = verified(house)
    assert (code, found["sound"]) == (1, False)
    assert found["journal"]["strays"] == {"total": 2, "listed": [{"file": "gateway.log", "after": 2, "lines": 2}]}
    assert (found["journal"]["records"], found["journal"]["breaks"]["total"]) == (len(lines), 0)
    told = journal(house, "verify", check=False).stdout
    assert "2 after seq 2 in gateway.log" in told and "something is wrong" in told, told

    house.journal_file.write_bytes(whole + half)
    house.start()
    (torn,) = [record for record in house.journal(kind="log") if "torn_bytes" in record]
    quarantine = house.journal_file.with_suffix(".torn")
    assert (torn["torn_bytes"], torn["dropped_bytes"], torn["file"]) == (len(half), 0, str(quarantine))
    assert quarantine.read_bytes() == half + b"\n"


class Cramped:
    """A house whose journal lies on a disk of its own of half a MiB."""

    def __init__(self, house):
        self.house, self.place = house, house.directory / "small"
        self.place.mkdir()
        mount = f"mount -t tmpfs -o size=512k none '{self.place}' && exec '{BINARY}' up --config '{house.config}'"
        command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount]
        house.launch = lambda: house.spawn(command, cwd=house.directory)

    @property
    def inside(self):
        """The disk as the house sees it."""
        return Path(f"/proc/{self.house.child.pid}/root{self.place}")

    def fill(self):
        with (self.inside / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 512):
                    pass
            except OSError:
                return

    def empty(self):
        (self.inside / "filler").unlink()

    def lines(self):
        return (self.inside / "gateway.log").read_bytes().splitlines()

    def disk(self):
        return self.house.get("/health", key="").json()["journal"]["disk"]


def test_a_full_disk_is_a_state_and_the_gate_goes_on(make_house, scripted, tmp_path):
    place = tmp_path / "tollhouse" / "small"
    house = make_house(
        start=False,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        logging={"file": str(place / "gateway.log"), "sync": "20ms"},
    )
    cramped = Cramped(house)
    house.start()
    assert house.chat().status_code == 200 and cramped.disk() == "ok"

    answered = 1
    for _ in range(2):
        cramped.fill()
        for _ in range(200):
            answered += 1
            assert house.chat().status_code == 200, "the gate goes on"
            if cramped.disk() == "full":
                break
        health = house.get("/health", key="")
        assert (health.status_code, health.json()["status"]) == (200, "fault")
        for stream in [True, False] * 5:
            answered += 1
            answer = house.chat(stream=stream)
            assert answer.status_code == 200 and (not stream or "[DONE]" in answer.text)
        cramped.empty()
        # It notices by itself, also when nobody asks for anything.
        until("the disk is well again", lambda: cramped.disk() == "ok")

    lines = cramped.lines()
    check_chain(lines)
    records = [json.loads(line) for line in lines]
    kept = sum(record["kind"] == "request" for record in records)
    gaps = [record for record in records if record["kind"] == "gap"]
    missing = sum(gap["not_kept_by_kind"].get("request", 0) for gap in gaps)
    assert len(gaps) >= 2 and missing >= 20
    assert kept + missing == answered, "each request is recorded or counted"
    assert all(gap["from"] <= gap["to"] <= gap["ts"] for gap in gaps)
    assert house.chat().status_code == 200
    assert house.stop() == 0
