"""The index's own commands: what there is, made again from the journal with the same answers, taken away for good."""

import json

from house import until

SERVICE = "clawdbot-qwen3"
KEPT = {"store": {"keep": {"days": 3650}}, "logging": {"keep": {"days": 3650}}}
QUESTIONS = [
    {"query": {"match_all": {}}, "size": 500, "sort": [{"seq": "asc"}]},
    {"query": {"query_string": {"query": "kind:request AND status:200"}}, "size": 50},
    {
        "size": 0,
        "track_total_hits": True,
        "aggs": {
            "kinds": {"terms": {"field": "kind"}, "aggs": {"took": {"percentiles": {"field": "duration_ms"}}}},
            "tokens": {"sum": {"field": "output_tokens"}},
        },
    },
]


def listed(house):
    rows = json.loads(house.run("index", "list", "--json").stdout)
    return {row["index"]: row for row in rows}


def answers(house):
    """By the index as it lies on the disk; how long it took is not an answer."""
    found = []
    for question in QUESTIONS:
        file = house.directory / "question.json"
        file.write_text(json.dumps(question))
        answer = json.loads(house.run("search", "--dsl", file).stdout)
        answer.pop("took")
        found.append(answer)
    return found


def old_lines(house):
    """Two days of another time."""
    file = house.directory / "old.ndjson"
    lines = [
        {"time": f"2026-01-{27 + number % 2}T10:00:{number % 60:02}Z", "msg": f"old line {number}", "number": number}
        for number in range(400)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_scenario_b06_indices_made_again_give_the_same_answers(make_house, scripted):
    house = make_house(upstreams={"scripted": {"kind": "openai", "url": scripted.url}}, **KEPT)
    for number in range(5):
        assert house.chat(text=f"hello {number}").status_code == 200
    # Beside a house that runs, indices are listed and nothing else.
    for command in [["rebuild"], ["drop", f"{SERVICE}-2026.01.27", "--yes"]]:
        refused = house.run("index", *command, check=False)
        assert refused.returncode == 1, refused
    refused = house.run("index", "rebuild", check=False)
    assert str(house.child.pid) in refused.stderr and "stop it" in refused.stderr, refused.stderr
    assert len(listed(house)) == 1
    assert house.stop() == 0
    house.run("journal", "import", "--format", "json", old_lines(house))
    house.start()
    until("the old lines are indexed", lambda: house.count("number:*") == 400, within=60)
    assert house.stop() == 0

    first, second = f"{SERVICE}-2026.01.27", f"{SERVICE}-2026.01.28"
    before, asked = listed(house), answers(house)
    assert (before[first]["docs"], before[second]["docs"]) == (200, 200) and len(before) == 3
    assert {row["state"] for row in before.values()} == {"whole"}

    # One index: the others stay as they are. The commands' own records come to those of today.
    done = house.run("index", "rebuild", first)
    assert "1 indices were made again: 200 documents" in done.stdout, done
    assert listed(house)[second] == before[second]
    old = '{"query": {"exists": {"field": "number"}}, "size": 400, "sort": [{"seq": "asc"}]}'
    assert ask(house, old)["hits"]["total"]["value"] == 400
    assert answers(house)[1] == asked[1]

    # A folder that somebody removed, and then all of them.
    (folder,) = house.directory.glob(f"**/index/{second}")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert second not in listed(house)
    house.run("index", "rebuild", second)
    assert listed(house)[second]["docs"] == 200
    hits = ask(house, old)
    house.run("index", "rebuild")
    again = ask(house, old)
    assert [hit["_source"] for hit in again["hits"]["hits"]] == [hit["_source"] for hit in hits["hits"]["hits"]]
    assert set(listed(house)) == set(before)
    wrong = house.run("index", "rebuild", "../etc", check=False)
    assert wrong.returncode == 1 and "no name of an index" in wrong.stderr

    house.start()
    assert house.chat().status_code == 200
    assert house.stop() == 0
    code = house.run("journal", "verify", "--index", check=False)
    assert code.returncode == 0, code.stdout


def ask(house, question):
    file = house.directory / "question.json"
    file.write_text(question)
    return json.loads(house.run("search", "--dsl", file).stdout)


def test_scenario_b06_an_index_that_was_dropped_stays_away(make_house):
    house = make_house(**KEPT)
    assert house.stop() == 0
    house.run("journal", "import", "--format", "json", old_lines(house))
    house.run("index", "rebuild")
    first, second = f"{SERVICE}-2026.01.27", f"{SERVICE}-2026.01.28"
    assert {first, second} <= set(listed(house))

    only_said = house.run("index", "drop", first)
    assert "200 documents" in only_said.stdout and "--yes" in only_said.stdout
    assert first in listed(house)
    assert house.run("index", "drop", "nothing-2026.01.27", check=False).returncode == 1
    house.run("index", "drop", first, "--yes")
    assert first not in listed(house) and listed(house)[second]["docs"] == 200
    house.run("index", "rebuild")
    assert first not in listed(house) and listed(house)[second]["docs"] == 200
    # The journal has its records still.
    assert len([line for line in house.journal(kind="log") if "number" in line]) == 400
    house.start()
    until("it answers", lambda: house.count("number:*") == 200, within=30)
    assert house.stop() == 0
    verified = house.run("journal", "verify", "--index", check=False)
    assert verified.returncode == 0, verified.stdout
