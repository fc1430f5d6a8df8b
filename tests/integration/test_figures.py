"""The bench of the book, with few records and without the other servers: that it still measures."""

import json
import subprocess
import sys

from house import BINARY, ROOT

RECORDS = 20_000


def test_the_bench_of_the_book_measures(tmp_path):
    raw = tmp_path / "raw.json"
    command = [sys.executable, ROOT / "bench/book.py", "--program", BINARY, "--records", str(RECORDS), "--rounds", "2"]
    done = subprocess.run([*command, "--peers", "--raw", raw], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "### Loading 20,000 records" in done.stdout and "### Twelve questions" in done.stdout, done.stdout
    measured = json.loads(raw.read_text())
    ours, answers = measured["figures"]["tollhouse"], measured["answers"]["tollhouse"]
    assert 300 * RECORDS < measured["raw_bytes"] < 340 * RECORDS
    assert all(ours[name] > 0 for name in ("seconds", "cpu", "peak", "disk", "journal"))
    assert len(answers) == 12 and all(len(answer["warm"]) == 2 for answer in answers.values())
    said = {name: answer["said"] for name, answer in answers.items()}
    assert said["rate by minute"]["total"] == RECORDS and said["request by id"]["total"] == 1
    assert said["search for a word"]["total"] > 0 and said["newest 50"]["total"] > 50
