"""Lines on their way into the journal: programs, kinds, dead letters and their replay, caps on crash loops."""

import base64
import json
import os
import re
import time

from house import ROOT, until
from test_collect_files import append, collected, files
from test_kill import check_chain
from test_reload import reload

# A long run has more of both.
LINES = int(os.environ.get("TOLLHOUSE_TEST_LINES", "4000"))
KILLS = int(os.environ.get("TOLLHOUSE_TEST_KILLS", "6"))
CAP = 200

TYPED = ".took = to_int!(.took)\ndel(.secret)"
MENDED = ".took = to_int(.took) ?? null\ndel(.secret)"


def numbers(records):
    return sorted(record["number"] for record in records)


def written(number):
    """Each tenth line has a number that is none."""
    took = "fast" if number % 10 == 0 else str(number)
    return json.dumps({"level": "info", "msg": f"done {number}", "number": number, "took": took, "secret": "s3cret"})


def letters(house, *options):
    return json.loads(house.run("dead", "list", "--json", "--size", "1000000", *options).stdout)


def test_scenario_b05_each_line_is_shaped_once_over_rotations_a_failing_program_and_kills(make_house, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    live = logs / "app.log"
    sources = files(live, logs / "app.log.*", format="json")
    program = {"source": "app", "vrl": TYPED, "fields": {"took": "integer"}}
    house = make_house(sources=sources, shape=[program])
    for begin in range(0, LINES, LINES // 8):
        append(live, *(written(number) for number in range(begin, begin + LINES // 8)))
        if begin % 2 == 0:
            until("the file is known", lambda: house.journal(msg="file known"))
            live.rename(logs / f"app.log.{begin}")
    dead = LINES // 10
    until("all lines are kept", lambda: len(collected(house)) + len(house.journal(kind="dead_letter")) >= LINES, within=60)
    kept, lost = collected(house), house.journal(kind="dead_letter")
    assert numbers(kept) == [number for number in range(LINES) if number % 10]
    assert all(line["took"] == line["number"] and "secret" not in line for line in kept)
    assert sorted(letter["event"]["number"] for letter in lost) == list(range(0, LINES, 10))
    assert {letter["program"] for letter in lost} == {"shape[0].vrl"} and "file_mark" in lost[0]
    assert "to_int" in lost[0]["reason"]
    # They are found by what their lines say.
    until("they are searchable", lambda: house.count("kind:dead_letter AND source:app") == dead, within=20)
    assert house.count("kind:dead_letter AND msg:fast") == dead

    listed = letters(house)
    assert len(listed) == dead and {row["state"] for row in listed} == {"waits"}
    one = json.loads(house.run("dead", "show", str(listed[0]["seq"])).stdout)
    assert one["event"]["secret"] == "s3cret" and one["state"] == "waits"
    # What was not mended fails again and stays.
    again = house.run("dead", "replay", "--json", str(listed[0]["seq"]), check=False)
    assert again.returncode == 1 and json.loads(again.stdout)["failed"] == 1, again.stdout + again.stderr

    # Mended, and killed in the middle of the replay again and again: each line once.
    assert reload(house, sources=sources, shape=[{**program, "vrl": MENDED}])["changed"] == ["shape[0].vrl"]
    (house.data / "collect/_replay.request").write_text(json.dumps({"id": "x", "source": "app", "seqs": []}))
    for _ in range(KILLS):
        before = len(collected(house))
        until("some are replayed", lambda: len(collected(house)) > before or len(collected(house)) == LINES, every=0.002)  # noqa: B023
        house.kill()
        house.start()
    until("the replay ends", lambda: house.journal(msg="dead letters replayed", failed=0), within=30)
    kept = collected(house)
    assert numbers(kept) == list(range(LINES))
    replayed = [line for line in kept if "replay_of" in line]
    assert sorted(line["replay_of"] for line in replayed) == sorted(row["seq"] for row in listed)
    assert all(line["took"] is None and line["file"].startswith(str(live)) for line in replayed)
    # Once more does nothing.
    outcome = json.loads(house.run("dead", "replay", "--json").stdout)
    assert (outcome["replayed"], outcome["done_before"]) == (0, dead)
    assert letters(house) == [] and {row["state"] for row in letters(house, "--all")} == {"replayed"}
    assert house.run("dead", "list").stdout == "no dead letters\n"
    append(live, written(LINES + 1))
    until("reading goes on", lambda: len(collected(house)) == LINES + 1)
    house.stop()
    check_chain(house.journal_bytes().splitlines())
    told = house.run("dead", "replay").stdout
    assert "the next one replays them when it starts" in told


def test_a_dead_letter_keeps_its_line_as_it_came_and_a_replay_reads_it_anew(make_house, tmp_path):
    log = tmp_path / "app.log"
    log.touch()
    # The wrong format, and a program that needs what it would have read.
    program = {"source": "app", "vrl": ".status = int!(.status)"}
    house = make_house(sources=files(log, format="json"), shape=[program])
    until("the file is known", lambda: house.journal(msg="file known"))
    lines = [
        "status=503  user=\"böb\"  msg=\"no room\"".encode(),
        b"status=200 user=\\ud800 msg=\"fine\"",
        # Bytes that are no UTF-8, and text that looks like what stands for them.
        b"status=201 user=b\xf6b msg=b\\xf6b",
        # Long ones, the longest that there are.
        b"status=9 user=long msg=\"" + b"x" * 70_000 + b"\"",
        b"status=10 user=" + b"\xff" * ((1 << 20) - 15),
    ]
    assert len(lines[-1]) == 1 << 20
    with log.open("ab") as out:
        out.writelines(line + b"\n" for line in lines)
    dead = until(
        "they are dead letters", lambda: (d := house.journal(kind="dead_letter")) and len(d) == len(lines) and d, within=30
    )
    assert [letter["line"].encode() for letter in dead[:2]] == lines[:2]
    assert [base64.b64decode(letter["line_base64"]) for letter in dead[2:]] == lines[2:]
    assert {letter["line_form"] for letter in dead} == {"json"}
    until("they are indexed", lambda: house.count("kind:dead_letter") == len(lines), within=30)
    # None is lost when the house ends between them, and the longest line of a journal is read from its end.
    house.kill()
    house.start()
    reload(house, sources=files(log, format="logfmt"), shape=[program])
    outcome = json.loads(house.run("dead", "replay", "--json", check=False).stdout)
    assert (outcome["replayed"], outcome["failed"]) == (len(lines), 0), outcome
    kept = collected(house)
    assert [(line["msg"], line["status"], line["user"]) for line in kept[:3]] == [
        ("no room", 503, "böb"),
        ("fine", 200, "\\ud800"),
        ("b\\xf6b", 201, "b\\xf6b"),
    ]
    assert [line.get("utf8") for line in kept] == [None, None, False, None, False]
    assert (kept[3]["msg"], kept[3]["status"], kept[4]["status"]) == ("x" * 70_000, 9, 10)
    assert [line["replay_of"] for line in kept] == [letter["seq"] for letter in dead]
    left = {"line", "line_base64", "line_form", "parse_error"}
    assert not any(left & line.keys() for line in kept)
    house.stop()
    check_chain(house.journal_bytes().splitlines())


def test_scenario_b05_a_crash_loop_takes_its_share_and_other_lines_come_through(make_house, tmp_path):
    log = tmp_path / "app.log"
    log.touch()
    shape = [{"source": "*", "cap": {"lines": CAP, "per": "1s"}}]
    house = make_house(sources=files(log, format="plain"), shape=shape)
    until("the file is known", lambda: house.journal(msg="file known"))
    began, total, others = time.monotonic(), 0, 0
    out = log.open("a")
    for turn in range(30):
        # 10,000 lines a second: the loop, with one line of something else in each turn.
        word = "".join(chr(ord("a") + int(digit)) for digit in f"{turn:03}")
        out.write("".join(f"panic: worker {total + n} died at 0x{total + n:08x}\n" for n in range(1_000)) + f"order {word} is done\n")
        out.flush()
        total, others = total + 1_000, others + 1
        time.sleep(max(0.0, began + (turn + 1) * 0.1 - time.monotonic()))
    out.close()
    until("the last line is there", lambda: [line for line in collected(house) if line["msg"] == f"order {word} is done"], within=30)

    def counts():
        kept = [line for line in collected(house) if line["msg"].startswith("panic")]
        return len(kept), sum(record["suppressed"] for record in house.journal(msg="lines were left out"))

    until("each line of the loop is counted", lambda: sum(counts()) == total, within=15)
    kept, suppressed = counts()
    assert len([line for line in collected(house) if line["msg"].startswith("order")]) == others
    seconds = time.monotonic() - began
    assert CAP <= kept <= CAP * (seconds + 2) and suppressed > kept, (kept, suppressed)
    told = house.journal(msg="lines were left out")[0]
    assert told["patterns"][0]["pattern"].startswith("panic: worker # died at #"), told
    assert told["patterns"][0]["first"] <= told["patterns"][0]["last"] and "file_marks" in told
    # A kill: what was left out and told does not come again, and is not counted twice.
    house.kill()
    house.start()
    append(log, "after the kill")
    until("reading goes on", lambda: [line for line in collected(house) if line["msg"] == "after the kill"])
    assert counts() == (kept, suppressed)


def test_what_is_wrong_with_a_program_is_told_with_its_place(make_house, tmp_path):
    program = tmp_path / "shape.vrl"
    program.write_text(".a = 1\n.home = get_env_var!(\"HOME\")\n")
    house = make_house(start=False, sources=files(tmp_path / "*.log"), shape=[{"source": "app", "vrl": f"file:{program}"}])
    done = house.run("check", check=False)
    assert done.returncode == 78, done.stderr
    assert "programs have no function `get_env_var`: it reads the environment, in line 2, column 9 of the program" in done.stderr
    assert ' 2 | .home = get_env_var!("HOME")\n   |         ^^^^^^^^^^^\n' in done.stderr
    program.write_text(".a = 1\n")
    assert 'vrl: ".a = 1\\n"' in house.run("check").stdout
    # A running house keeps what it has when it is told something wrong.
    house.start()
    refused = reload(house, sources=files(tmp_path / "*.log"), shape=[{"source": "app", "vrl": ".a ="}])
    assert refused["msg"] == "configuration refused" and "shape[0].vrl" in refused["error"]


def test_lines_that_are_not_wanted_are_dropped_and_counted(make_house, tmp_path):
    log = tmp_path / "app.log"
    append(log, *(json.dumps({"level": "debug" if n % 2 else "info", "msg": str(n)}) for n in range(10)))
    shape = [{"source": "app", "vrl": 'if .level == "debug" { abort }', "on_abort": "drop"}]
    house = make_house(sources=files(log), shape=shape)
    until("the others are kept", lambda: len(collected(house)) == 5)
    house.stop()
    assert [record["dropped"] for record in house.journal(msg="lines were left out")] == [5]
    house.start()
    append(log, json.dumps({"level": "info", "msg": "new"}))
    until("reading goes on", lambda: len(collected(house)) == 6)
    assert house.journal(kind="dead_letter") == []


def test_the_examples_of_the_documentation_do_what_they_say(make_house, tmp_path):
    """Each example in docs/shaping.md: a program, a line, and what it becomes."""
    text = (ROOT / "docs/shaping.md").read_text()
    examples = re.findall(r"```coffee\n(.*?)```\s*```json\n(.*?)\n(.*?)\n```", text, re.DOTALL)
    assert len(examples) >= 5
    sources, shape = {}, []
    for number, (program, line, _) in enumerate(examples):
        append(tmp_path / f"{number}.log", line)
        sources[f"s{number}"] = {"type": "file", "paths": [str(tmp_path / f"{number}.log")], "format": "json"}
        shape.append({"source": f"s{number}", "vrl": program})
    house = make_house(sources=sources, shape=shape)
    for number, (program, _, expected) in enumerate(examples):
        record = until(f"the line of {program!r}", lambda: collected(house, f"s{number}"))[0]  # noqa: B023
        expected = json.loads(expected)
        assert {name: record.get(name) for name in expected} == expected, program
        known = {"ts", "level", "kind", "msg", "caller", "service", "source", "time", "file", "file_mark", "seq", "prev"}
        assert set(record) <= known | set(expected), program
