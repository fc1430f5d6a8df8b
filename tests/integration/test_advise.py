"""`tollhouse advise`: journals with a known truth, and what is advised by searches over them."""

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta

from house import until

HOURS = 30


def write_journal(file, records):
    """A journal as the program itself writes it: `seq` without gaps, and each line with the digest of the one before."""
    before, lines = "0" * 32, []
    for seq, (at, record) in enumerate(sorted(records, key=lambda pair: pair[0]), 1):
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
        line = json.dumps({"ts": stamp, "level": "info", "service": "clawdbot-qwen3", **record, "seq": seq, "prev": before}, separators=(",", ":"))
        before = hashlib.sha256(line.encode()).hexdigest()[:32]
        lines.append(line)
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")
    return len(lines)


def world(seed, ms_per_token=0.05, fight=False, wait=False, cut=0.0, card=50.0):
    """Thirty hours of two models; what is true of them is said by the arguments."""
    dice = random.Random(seed)
    begin = datetime.now(UTC) - timedelta(hours=HOURS)
    for number in range(HOURS * 40):
        at = begin + timedelta(minutes=number * 1.5)
        tokens = dice.randrange(200, 6000)
        # By turns where they fight; else the second one comes rarely, and lies beside the first.
        model = "qwen3:32b" if (number // 4) % 2 == 0 else "deepseek-r1:32b"
        load = 9000.0 if fight and number % 4 == 0 else 40.0
        queue = dice.choice([0.0, 5000.0, 8000.0]) if wait else 0.0
        reading = tokens * ms_per_token + abs(dice.gauss(0, 30))
        first = 100 + queue + load + reading
        record = {
            "kind": "request", "msg": "request done", "request_id": f"r-{number}", "model": model, "upstream": "local",
            "user_id": "ann" if model == "qwen3:32b" else "bot", "key_id": "k", "status": 200, "input_tokens": tokens,
            "output_tokens": 50, "duration_ms": first + 900, "ttft_ms": first, "queue_ms": queue, "load_ms": load,
            "prefill_ms": reading, "context_limit": 8192, "num_ctx": 8192, "attempts": 1,
        }  # fmt: skip
        if dice.random() < cut:
            record |= {"truncated": True, "prompt_tokens_counted": 11_000}
        yield at, record
        if card and number % 10 == 0:
            used = {"gpu": "0", "gpu_memory_used_percent": card - dice.random(), "gpu_memory_total_bytes": 24 << 30}
            yield at, {"kind": "resource", "msg": "resources sampled", **used}


def advised(make_house, name, **truth):
    house = make_house(start=False, name=name, probes={"processes": [], "disks": [], "memory": "off", "gpu": "off"}, upstreams={"local": {"kind": "demo"}})
    count = write_journal(house.journal_file, world(7, **truth))
    house.start()
    until("all are in the index", lambda: house.count("*") >= count, within=60)
    told = json.loads(house.run("advise", "--json").stdout)
    for row in told["advice"]:
        assert row["found"] and row["sure"] and told["queries"][row["query"]]
        # The same by codes, for pages in other languages.
        assert row["found_said"] and row["sure_said"] and bool(row["change"]) == bool(row["change_said"])
    changes = {(row["id"], row["code"]): row for row in told["advice"] if row["advice"] == "change"}
    assert told["change_needed"] == bool(changes)
    return house, told, changes


def test_scenario_b14_the_records_say_what_to_change(make_house):
    _, told, changes = advised(make_house, "calm")
    assert changes == {} and {row["advice"] for row in told["advice"]} == {"keep"}

    # Reading costs 2 ms a token: shorter prompts. Every tenth prompt is cut: a larger context.
    house, told, changes = advised(make_house, "long", ms_per_token=2.0, cut=0.1)
    assert {code for code in changes} == {("prompts", "shorten"), ("context", "raise")}
    figures = changes["prompts", "shorten"]["figures"]
    assert figures["low"] <= 2030 and figures["high"] >= 2000 and figures["high"] - figures["low"] < 60, figures
    # The search behind it can be run by itself.
    search = house.directory / "search.json"
    search.write_text(json.dumps({**told["queries"]["requests"], "size": 1}))
    assert house.run("search", "--dsl", search, "--json").stdout
    text = house.run("advise").stdout
    assert "to change:" in text and "how sure:" in text and "things should change" in text

    # Two models push each other out of a card that is full, and people wait.
    _, _, changes = advised(make_house, "fight", fight=True, wait=True, card=98.0)
    assert {code for code in changes} == {("loads", "fight"), ("queue", "raise_parallel"), ("memory", "larger_card")}
    pairs = changes["loads", "fight"]["figures"]["pairs"]
    assert pairs[0]["models"] == "deepseek-r1:32b + qwen3:32b" and pairs[0]["count"] >= 250
    assert "48 GB" in changes["memory", "larger_card"]["change"]


def test_advice_says_where_too_little_is_known(make_house):
    house = make_house(upstreams={"local": {"kind": "demo"}})
    told = json.loads(house.run("advise", "--json", "--within", "1h").stdout)
    assert not told["change_needed"] and {row["advice"] for row in told["advice"]} == {"unknown"}
    assert "no change needed" in house.run("advise").stdout
