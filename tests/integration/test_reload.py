"""A changed configuration is put in force all or nothing, and no request notices."""

import hashlib
import json
import signal
import threading
import time

import httpx
from house import free_port, until
from test_console import API, SAME_SITE, signed_in

RELOADS = 200
CLIENTS = 6
FIRST = {"requests": 100_000, "per": "60s"}


def settings(scripted, number=0, **more):
    """A configuration that differs with each number: the model servers, the models and the limits."""
    alias = f"alias-{number}"
    return {
        "upstreams": {"scripted": {"kind": "openai", "url": scripted.url, "parallel": 32 + number % 2}},
        "models": {"echo": {"aliases": [alias]}, "slow": {}, "endless": {}},
        "access": {"rate_limit": {**FIRST, "requests": FIRST["requests"] + number}},
        **more,
    }


def reload(house, **config):
    """Writes a configuration, has it read, and returns the record of what came of it."""
    before = len(records(house))
    house.configure(**config)
    house.child.send_signal(signal.SIGHUP)
    return until("the reload is recorded", lambda: records(house)[before:])[0]


def records(house, kind="config"):
    lines = (json.loads(line) for line in house.journal_bytes().splitlines())
    return [line for line in lines if line["kind"] == kind]


def test_no_request_fails_while_the_configuration_changes_200_times(make_house, scripted):
    house = make_house(**settings(scripted))
    stop, failures, answered = threading.Event(), [], [0] * CLIENTS

    def ask(place):
        streamed = place % 2 == 0
        with house.client() as client:
            while not stop.is_set():
                body = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}], "stream": streamed}
                try:
                    answer = client.post("/v1/chat/completions", json=body)
                    if answer.status_code != 200 or (streamed and not answer.text.rstrip().endswith("data: [DONE]")):
                        failures.append((answer.status_code, answer.text))
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                answered[place] += 1

    clients = [threading.Thread(target=ask, args=(place,)) for place in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        with signed_in(house) as console:
            for number in range(1, RELOADS + 1):
                house.configure(**settings(scripted, number))
                answer = console.post(f"{API}/reload", headers=SAME_SITE)
                # The house notices the file by itself too: whoever comes first puts it in force.
                assert answer.status_code == 200, answer.text
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert not failures, failures[:3]
    assert all(count > 10 for count in answered), answered
    reloaded = [record for record in records(house) if record["msg"] == "configuration reloaded"]
    assert len(reloaded) == RELOADS
    assert house.chat(model=f"alias-{RELOADS}").status_code == 200
    assert house.chat(model="alias-1").status_code == 404


def test_a_running_stream_ends_in_the_house_it_came_into(make_house, scripted):
    scripted.pause_s = 0.2
    house = make_house(**settings(scripted))
    body = {"model": "slow", "messages": [{"role": "user", "content": "a b c d e f"}], "stream": True}
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        without = settings(scripted, 1)
        del without["models"]["slow"]
        assert reload(house, **without)["msg"] == "configuration reloaded"
        assert house.chat(model="slow").status_code == 404
        assert "data: [DONE]" in list(lines)


def test_a_bad_file_leaves_the_running_configuration_in_force(make_house, scripted):
    house = make_house(**settings(scripted))
    good = house.config.read_text()
    with signed_in(house) as console:
        house.config.write_text(good.replace('"models"', '"modells"'))
        house.child.send_signal(signal.SIGHUP)
        refused = until("the refusal is recorded", lambda: records(house))[0]
        assert (refused["msg"], refused["level"]) == ("configuration refused", "error")
        assert "unknown key `modells`" in refused["error"] and "tollhouse.yaml:" in refused["error"]
        assert house.chat(model="alias-0").status_code == 200
        answer = console.post(f"{API}/reload", headers=SAME_SITE)
        assert answer.status_code == 400 and "did you mean `models`?" in answer.json()["error"]
        assert console.post(f"{API}/reload").status_code == 403, "without the header it may come from another page"
        house.config.write_text(good.replace("alias-0", "alias-9"))
        answer = console.post(f"{API}/reload", headers=SAME_SITE)
        assert answer.json() == {"changed": ["models.echo.aliases[0]"]}
        assert console.post(f"{API}/reload", headers=SAME_SITE).json() == {"changed": []}
    assert house.chat(model="alias-9").status_code == 200


def test_what_cannot_be_or_needs_a_restart_is_refused_by_its_name(make_house, scripted):
    house = make_house(**settings(scripted))
    missing = settings(scripted, 1, models={"echo": {"tokenizer": "/nowhere/tokenizer.json"}})
    assert "/nowhere/tokenizer.json" in reload(house, **missing)["error"]
    for name, value in [
        ("service", "another"),
        ("data_dir", str(house.directory / "elsewhere")),
        ("store", {"keep": {"days": 7}}),
        ("shared", {"redis": "redis://127.0.0.1:1"}),
        ("logging", {"file": str(house.directory / "other.log")}),
    ]:
        refused = reload(house, **settings(scripted, 1, **{name: value}))
        assert refused["msg"] == "configuration refused"
        assert name in refused["error"] and "needs a restart" in refused["error"], refused["error"]
        assert house.chat(model="alias-1").status_code == 404, "nothing of it is in force"
    assert not (house.directory / "elsewhere").exists()


def test_the_file_is_noticed_by_itself(make_house, scripted):
    house = make_house(**settings(scripted))
    house.configure(**settings(scripted, 5))
    until("the new alias answers", lambda: house.chat(model="alias-5").status_code == 200)
    assert until("the change is recorded", lambda: records(house))[0]["asked_by"] == "file"


def test_another_address_is_listened_on_before_the_old_one_is_left(make_house, scripted):
    scripted.pause_s = 0.2
    house = make_house(**settings(scripted))
    old, new = house.url, f"http://127.0.0.1:{(port := free_port())}"
    body = {"model": "slow", "messages": [{"role": "user", "content": "a b c d e f"}], "stream": True}
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert reload(house, **settings(scripted, 1, listen=f"127.0.0.1:{port}"))["changed"][0] == "listen"
        assert httpx.get(f"{new}/healthz").status_code == 200
        assert "data: [DONE]" in list(lines), "the stream on the old address ends as it should"

    def refused():
        try:
            httpx.get(f"{old}/healthz")
        except httpx.ConnectError:
            return True

    until("the old address is left", refused)
    failed = reload(house, **settings(scripted, 2, listen="192.0.2.1:18789"))
    assert failed["msg"] == "configuration refused" and "listening on 192.0.2.1:18789" in failed["error"]
    assert httpx.get(f"{new}/healthz").status_code == 200


def test_a_key_taken_out_of_the_file_ends_its_streams(make_house, scripted):
    access = {"rate_limit": FIRST}
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ["stays", "goes"]}

    def keys(*names):
        return {**access, "keys": [{"id": name, "sha256": hashes[name]} for name in names]}

    house = make_house(**{**settings(scripted), "access": keys("stays", "goes")})
    began = {name: threading.Event() for name in hashes}
    ended = {}

    def stream(name):
        body = {"model": "endless", "messages": [{"role": "user", "content": "go"}], "stream": True}
        with house.client(name) as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            for _ in answer.iter_lines():
                began[name].set()
                if leave.is_set():
                    return
        ended[name] = time.monotonic()

    leave = threading.Event()
    streams = [threading.Thread(target=stream, args=(name,)) for name in hashes]
    for thread in streams:
        thread.start()
    try:
        assert all(event.wait(10) for event in began.values())
        reload(house, **{**settings(scripted), "access": keys("stays")})
        until("the stream of the key that went ends", lambda: "goes" in ended, within=3)
        assert "stays" not in ended
        assert house.chat(key="goes").status_code == 401
        assert house.chat(key="stays").status_code == 200
    finally:
        leave.set()
        for thread in streams:
            thread.join()


def test_keys_in_the_console(make_house, scripted):
    house = make_house(**settings(scripted))
    with signed_in(house) as console:

        def post(path, body=None):
            return console.post(f"{API}/keys{path}", json=body, headers=SAME_SITE)

        assert console.post(f"{API}/keys", json={"name": "x"}).status_code == 403
        assert httpx.get(f"{house.url}{API}/keys").status_code == 401
        wrong = post("", {"name": "team", "weight": 500})
        assert wrong.status_code == 400 and "weight" in wrong.json()["error"]

        made = post("", {"name": "team", "models": ["echo"], "requests": 30, "per_ms": 60000, "priority": "low"})
        assert made.status_code == 201, made.text
        key = made.json()
        assert house.chat(key=key["key"]).status_code == 200, "a change is in force when it is answered"
        assert house.chat(key=key["key"], model="slow").status_code == 403
        listed = console.get(f"{API}/keys")
        assert key["key"] not in listed.text and key["key"].rpartition("_")[2] not in listed.text
        row = next(row for row in listed.json()["keys"] if row["id"] == key["id"])
        assert (row["priority"], row["requests"], row["state"]) == ("low", 30, "in force")

        rotated = post(f"/{key['id']}/rotate", {"overlap": "1h"}).json()
        assert rotated["id"] == key["id"] and rotated["key"] != key["key"]
        assert house.chat(key=rotated["key"]).status_code == 200
        assert house.chat(key=key["key"]).status_code == 200, "the old one too, for an hour"

        assert post(f"/{key['id']}/revoke").status_code == 204
        assert house.chat(key=rotated["key"]).status_code == 401
        assert house.chat(key=key["key"]).status_code == 401
        assert post(f"/{key['id']}/revoke").status_code == 404
        assert post(f"/{key['id']}/rotate").status_code == 404
    told = [record["msg"] for record in records(house, "audit") if record.get("key_id") == key["id"]]
    assert told == [
        "key made in the console",
        "key created",
        "key rotated in the console",
        "key rotated",
        "key revoked in the console",
        "key revoked",
    ]


def test_a_key_of_the_file_can_be_revoked_at_once(make_house, scripted):
    access = {"rate_limit": FIRST, "keys": [{"id": "prod", "sha256": hashlib.sha256(b"secret").hexdigest()}]}
    house = make_house(**{**settings(scripted), "access": access})
    assert house.chat(key="secret").status_code == 200
    house.run("key", "revoke", "prod")
    until("the key is refused", lambda: house.chat(key="secret").status_code == 401, within=2)
    reload(house, **{**settings(scripted, 1), "access": access})
    assert house.chat(key="secret").status_code == 401, "a reload does not bring it back"
    assert "revoked" in house.run("key", "list").stdout


def test_limits_survive_a_restart_and_a_crash(make_house, scripted):
    house = make_house(**settings(scripted))
    made = house.create_key("limited", "--requests", "4/1h")
    until("the house has taken the key", lambda: [r for r in records(house, "audit") if r["key_id"] == made["id"]])
    assert house.chat(key=made["key"]).status_code == 200
    assert house.chat(key=made["key"]).status_code == 200
    house.stop()
    house.start()
    assert house.chat(key=made["key"]).status_code == 200
    house.kill()
    house.start()
    assert house.chat(key=made["key"]).status_code == 200
    refused = house.chat(key=made["key"])
    assert refused.status_code == 429, "four requests were counted over two restarts"
    assert int(refused.headers["retry-after"]) > 3000


def test_why_tells_the_story(make_house, scripted):
    house = make_house(**settings(scripted))
    request_id = house.chat().headers["x-request-id"]
    house.document(request_id)
    told = json.loads(house.run("why", request_id, "--json").stdout)
    known = {"request_id", "verdict", "phases", "attempts", "records", "lines", "resources"}
    assert set(told) == known | {"found", "lines_cut", "neighbours", "events", "queries"}
    assert told["verdict"]["cause"] == "ok" and [attempt["number"] for attempt in told["attempts"]] == [1]
    assert told["records"][-1]["kind"] == "request"
    assert "ok" in house.run("why", request_id).stdout
    refused = house.chat(key="wrong").headers["x-request-id"]
    house.document(refused)
    assert json.loads(house.run("why", refused, "--json").stdout)["verdict"]["cause"] == "refused_key"
    assert house.run("why", "nobody", check=False).returncode != 0
