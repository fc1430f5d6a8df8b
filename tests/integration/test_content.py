"""Prompts and answers: kept only where the configuration says so, apart, sealed, erasable."""

import json

from house import until

SECRETS = "mail zhang@example.com, phone 13812345678, id 11010519491231002X, card 4111 1111 1111 1111, sk-abcdefghijklmnopqrst"


def ask(house, text, key=None, **fields):
    answer = house.chat(text, key=key, **fields)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"]


def shown(house, request_id):
    """What was kept of a request, which has to be there soon."""

    def find():
        done = house.run("content", "show", request_id, "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    return until(f"the content of {request_id}", find)


def files_hold(house, text):
    """The first file of the data directory in which these bytes stand."""
    files = (path for path in house.data.rglob("*") if path.is_file())
    return next((path for path in files if text.encode() in path.read_bytes()), None)


def test_scenario_g08_by_default_no_prompt_is_kept_anywhere(make_house, scripted):
    house = make_house(upstreams={"s": {"kind": "openai", "url": scripted.url}})
    request_id = ask(house, "the unlikely word zyzzyva")
    assert "content" not in house.record(request_id)
    house.stop()
    assert files_hold(house, "zyzzyva") is None
    done = house.run("content", "show", request_id, check=False)
    assert done.returncode == 1 and "logging: {content: redacted}" in done.stderr, done.stderr


def test_scenario_g08_redacted_content_is_kept_apart_and_erased_by_user(make_house, scripted):
    config = {"upstreams": {"s": {"kind": "openai", "url": scripted.url}}}
    house = make_house(start=False, **config, logging={"content": "redacted"})
    alice, bob = (house.create_key(name, "--user", name)["key"] for name in ("alice", "bob"))
    house.start()
    first, second = ask(house, SECRETS, alice), ask(house, "hello from bob", bob, stream=True)
    assert house.record(first)["content"] == "kept"
    kept = shown(house, first)
    expected = "mail [email], phone [phone], id [id_number], card [card], [key]"
    assert kept["asked"] == [{"role": "user", "text": expected}]
    # The model says it all again.
    assert "zhang" not in kept["answer"]["text"]
    assert kept["redacted"] == {"email": 2, "phone": 2, "id_number": 2, "card": 2, "key": 2}
    assert shown(house, second)["asked"][0]["text"] == "hello from bob"
    assert "hello from bob" in house.run("content", "show", second).stdout

    # Nothing is done without --yes, and nobody else is erased.
    assert house.run("content", "erase", "--user", "alice", check=False).returncode == 1
    house.run("content", "erase", "--user", "alice", "--yes")
    gone = house.run("content", "show", first, check=False)
    assert gone.returncode == 1 and "was erased" in gone.stderr
    assert shown(house, second)["asked"][0]["text"] == "hello from bob"
    assert house.run("content", "erase", "--user", "alice", "--yes", check=False).returncode == 1
    record = until("a record of the erasure", lambda: house.journal(kind="audit", msg="content erased"))[0]
    assert record["owner"] == "user:alice"

    # Whoever comes again is kept again; nothing lies in the clear, in no file.
    third = ask(house, "alice is back, zyzzyva", alice)
    assert "zyzzyva" in shown(house, third)["asked"][0]["text"]
    house.stop()
    for text in ["zyzzyva", "hello from bob", "zhang@example.com"]:
        assert files_hold(house, text) is None, text


def test_the_mode_changes_while_the_house_runs(make_house, scripted):
    config = {"upstreams": {"s": {"kind": "openai", "url": scripted.url}}}
    house = make_house(**config)
    assert "content" not in house.record(ask(house, "one"))
    for mode in [{"mode": "full", "keep": {"days": 7, "bytes": "5GiB"}}, "off"]:
        house.configure(**config, logging={"content": mode})

        def in_force(wanted=mode != "off"):
            return ("content" in house.record(ask(house, "write to zhang@example.com"))) == wanted

        until(f"content: {mode}", in_force)
    last = [line for line in house.journal(kind="request") if line.get("content")][-1]
    assert shown(house, last["request_id"])["asked"][0]["text"] == "write to zhang@example.com"


PROGRAM = """
if .role == "assistant" { abort }
if .part == "text" && contains(string!(.text), "number") { .seats = to_int!(split(string!(.text), ": ")[1]) }
.text = redact!(.text, filters: [r'KD-[0-9]{6}'])
"""


def test_scenario_g08_a_program_takes_more_out_and_what_it_fails_on_is_not_kept(make_house, scripted):
    config = {"upstreams": {"s": {"kind": "openai", "url": scripted.url}}}
    house = make_house(start=False, **config, logging={"content": {"mode": "redacted", "vrl": "x = 1\n.text = upcase(.text"}})
    done = house.run("check", check=False)
    assert done.returncode == 78 and "logging.content.vrl" in done.stderr and "in line 2, column" in done.stderr, done.stderr

    house.configure(**config, logging={"content": {"mode": "redacted", "vrl": PROGRAM}})
    assert "KD-" in house.run("check").stdout
    house.start()
    # What it takes out, what it says is not to be kept (answers), and what the house takes out behind it.
    kept = shown(house, ask(house, "customer KD-123456, zhang@example.com"))
    assert kept["asked"][0]["text"] == "customer [REDACTED], [email]" and "text" not in kept["answer"]
    assert kept["withheld"] == {"aborted": 1} and kept["redacted"] == {"email": 1}
    assert not house.journal(kind="process", msg="texts were not kept"), "what the program says itself is no fault"

    # On this one it fails: nothing of it is kept, and that is told without any of it.
    request_id = ask(house, "the number: zyzzyva")
    kept = shown(house, request_id)
    assert kept["asked"] == [{"role": "user"}] and kept["withheld"] == {"aborted": 1, "failed": 1}
    assert "texts not kept: aborted 1, failed 1" in house.run("content", "show", request_id).stdout
    told = until("a record of the failure", lambda: house.journal(kind="process", msg="texts were not kept"))
    assert [(it["request_id"], it["program"], it["withheld"], it["failed_at"]) for it in told] == [
        (request_id, "logging.content.vrl", {"aborted": 1, "failed": 1}, "to_int in line 3")
    ]

    # A program that is mended is in force for the next request.
    house.configure(**config, logging={"content": {"mode": "full", "vrl": '.text = "all of it"'}})
    until("the other program", lambda: shown(house, ask(house, "number: x"))["asked"][0].get("text") == "all of it")
    house.stop()
    assert files_hold(house, "zyzzyva") is None and files_hold(house, "KD-123456") is None


def test_all_waiting_content_is_kept_when_the_house_stops(make_house, scripted):
    house = make_house(upstreams={"s": {"kind": "openai", "url": scripted.url}}, logging={"content": "full"})
    requests = [ask(house, f"number {number}") for number in range(50)]
    house.stop()
    assert [shown(house, request)["asked"][0]["text"] for request in requests] == [f"number {n}" for n in range(50)]


def test_a_wrong_word_is_told(make_house, scripted):
    house = make_house(start=False, upstreams={"s": {"kind": "openai", "url": scripted.url}})
    house.configure(logging={"content": "some"})
    done = house.run("check", check=False)
    assert done.returncode == 78 and "logging.content" in done.stderr and "redacted" in done.stderr, done.stderr
