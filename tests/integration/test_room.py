"""A small disk that gets full: what can be had again goes first, and each step is told."""

import json
import os
import subprocess

import pytest
from house import until

SIZE = 96 << 20
DAYS = 5


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    yield place
    # What the house has open goes with it; it is stopped before.
    subprocess.run(["umount", "--lazy", place], check=True)


def free(place):
    about = os.statvfs(place)
    return about.f_bavail * about.f_frsize


def fill(place, until_free):
    """Takes room until so much is left."""
    with (place / "ballast").open("ab") as ballast:
        while (left := free(place) - until_free) > 0:
            ballast.write(bytes(min(left, 1 << 20)))
            ballast.flush()


def days(house):
    answer = house.get("/es/_cat/indices?format=json", house.reader)
    return sorted(row["index"] for row in answer.json())


def test_when_a_disk_gets_full_what_can_be_had_again_goes_first(make_house, small_disk, tmp_path):
    logs = small_disk / "logs"
    logs.mkdir()
    rotated = [logs / f"app.log-2026012{number}T000000" for number in range(4)]
    for file in rotated:
        file.write_bytes(b"x" * 999_999 + b"\n")
    (logs / "app.log").write_text("one line\n")
    house = make_house(
        start=False,
        data_dir=str(small_disk / "data"),
        upstreams={"demo": {"kind": "demo"}},
        logging={"rotate": {"size": "1MiB"}, "compress": "none", "keep": {"bytes": "40MiB"}},
        store={"keep": {"bytes": "8MiB", "days": 3650}},
        sources={"app": {"type": "file", "paths": [f"{logs}/*.log"], "rotate": {"size": "90MiB"}, "keep": {"bytes": "8MiB", "days": 36500}}},
    )
    house.data = small_disk / "data"
    writer = house.create_key("writer", "--role", "logs:write")["key"]
    house.start()
    for day in range(DAYS):
        # Words that are nowhere else, so that the index has something to keep.
        words = lambda: " ".join(os.urandom(4).hex() for _ in range(60))
        documents = ({"msg": words(), "@timestamp": f"2026-01-2{day}T12:00:00Z"} for _ in range(800))
        body = "".join('{"create":{}}\n' + json.dumps(document) + "\n" for document in documents)
        answer = house.post(f"/es/small-2026.01.2{day}/_bulk", body.encode(), writer, {"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 200 and not answer.json()["errors"], answer.text[:500]
    until("all days are there", lambda: len([day for day in days(house) if "2026.01.2" in day]) >= DAYS, 30, 0.2)
    before, closed = days(house), sorted(file.name for file in house.data.glob("journal/gateway-*"))
    assert len(closed) >= 2
    sizes = [row["store.size"] for row in house.get("/es/_cat/indices?format=json&bytes=b", house.reader).json()]
    assert sum(map(int, sizes)) > 2 << 20, sizes
    # A disk of this size is tight below a twentieth, twice that comes before: rotated files go, which are in the journal.
    tight = SIZE // 20
    fill(small_disk, 2 * tight - (256 << 10))
    removed = until("rotated files are gone", lambda: [r for r in house.journal(kind="process", source="app") if r["msg"] == "a rotated file was removed"], 30, 0.2)
    assert {record["reason"] for record in removed} == {"tight"} and removed[0]["file"] == str(rotated[0])
    until("a quarter of their budget is left", lambda: sum(file.exists() for file in rotated) == 2, every=0.2)
    assert days(house) == before
    # Then days of the index.
    fill(small_disk, tight + tight // 4)
    dropped = until("days were dropped", lambda: [r for r in house.journal(kind="resource", store="index") if r.get("reason") == "tight"], 60, 0.2)
    assert dropped[0]["index"] == "small-2026.01.20" and dropped[0]["level"] == "warn", dropped
    left = days(house)
    assert "small-2026.01.20" not in left and [day for day in before if not day.startswith("small")] == [day for day in left if not day.startswith("small")]
    assert sorted(file.name for file in house.data.glob("journal/gateway-*")) == closed
    # And only then the journal's own files.
    fill(small_disk, tight - (512 << 10))
    until("it is told", lambda: [r for r in house.journal(kind="resource") if r.get("disk") == "tight" or r.get("reason") == "tight" and "files" in r], 60, 0.2)
    assert house.chat(model="demo").status_code == 200
