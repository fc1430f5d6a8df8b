"""Probes: against a real Ollama, a real TLS server, a full disk, pages that say 200 to everything, and a fake nvidia-smi."""

import contextlib
import http.server
import json
import math
import os
import ssl
import subprocess
import threading
import time

import httpx
import pytest
from conftest import QWEN
from house import BINARY, Ollama, finished, free_port, in_time, until

CHANCE_MAX = 1e-6
WINDOWS = [1, 2, 3, 4, 6, 8, 12, 16]
QUIET = {"processes": [], "disks": [], "gpu": "off", "memory": "off"}  # nothing but what a test names
CONSOLE = {"x-tollhouse-console": "1"}


@pytest.fixture
def serve():
    """Small HTTP servers that answer each path with what a test says; stopped after it."""
    made = []

    def make(answer, tls=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, kind, text = answer(self.path, body)
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
        return server.server_address[1]

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


class Model:
    """A model server (OpenAI's API) whose answers a test writes."""

    def __init__(self, serve):
        self.answers = lambda prompt: "yes"
        self.asked = []
        self.port = serve(self.answer)
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path, body):
        if not path.endswith("/chat/completions"):
            return 200, "application/json", json.dumps({"object": "list", "data": [{"id": "stub", "object": "model"}]})
        prompt = json.loads(body)["messages"][-1]["content"]
        self.asked.append(prompt)
        chunks = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": self.answers(prompt)}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}},
        ]
        lines = [f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks]
        return 200, "text/event-stream", "".join(lines) + "data: [DONE]\n\n"


def probe(house, *options):
    """`tollhouse probe --json`: its exit status, and its results by kind and name."""
    done = house.run("probe", "--json", *options, check=False, timeout=120)
    told = json.loads(done.stdout) if done.stdout else {"status": done.stderr, "results": []}
    return done.returncode, told["status"], {(result["kind"], result["name"]): result for result in told["results"]}


@contextlib.contextmanager
def console(house):
    with httpx.Client(base_url=house.url, timeout=30, headers=CONSOLE) as client:
        assert client.get(house.console_address()).status_code == 303
        yield client


def board(client):
    return client.get("/console/api/v1/probes").json()


def run(client, kind):
    """Runs the probe of this kind now, and returns what it found."""
    ids = [row["id"] for row in board(client)["probes"] if row["kind"] == kind]
    answer = client.post(f"/console/api/v1/probes/{ids[0]}/run")
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def chance(before, right_before, now, right_now):
    """Fisher's exact test, one-sided: how likely so few right answers are if nothing has changed."""
    every, right = before + now, right_before + right_now
    ways = sum(math.comb(right, k) * math.comb(every - right, now - k) for k in range(max(0, now - every + right), right_now + 1))
    return ways / math.comb(every, now)


def runs_to_tell(baseline, samples, passed):
    """After how many runs a type is told of that always has so many of its samples right, all having been right before."""
    for runs in range(1, 100):
        if any(chance(baseline, baseline, samples * w, passed * w) < CHANCE_MAX for w in WINDOWS if w <= runs):
            return runs
    raise AssertionError("never")


def test_scenario_r01_process_answer_and_disk_every_so_often(make_house, tmp_path):
    """Three layers against a real Ollama, which dies and comes back; each look is a record."""
    place = tmp_path / "ollama"
    place.mkdir()
    ollama = Ollama(place).start()
    try:
        ollama.create("qwen3:32b", "--reply", QWEN)
        probes = {
            **QUIET,
            "every": "1s",
            "processes": [{"name": "ollama", "port": ollama.port, "health": "/api/version"}],
            "models": [{"model": "qwen3:32b", "prompt": "法国的首都是哪里？", "expect": ["巴黎"]}],
            "disks": [{"path": str(tmp_path), "above": "99.9%", "inodes_above": "99.9%"}],
        }
        house = make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url}}, probes=probes)
        with console(house) as client:
            have_run = lambda told: told["light"]["colour"] == "green" and all(row["last"] for row in told["probes"])
            light = until("all is well", lambda: have_run(told := board(client)) and told)
            layers = {layer["layer"]: layer["colour"] for layer in light["light"]["layers"]}
            assert layers == {"process": "green", "answer": "green", "quality": "grey", "resource": "green"}
            assert [row["kind"] for row in light["probes"]] == ["process", "model", "disk"]
            assert all(row["every_s"] == 1 and row["last"]["outcome"] == "ok" for row in light["probes"]), light

            record = house.journal(kind="probe", probe_kind="model")[0]
            assert (record["probe"], record["layer"], record["outcome"], record["level"]) == ("qwen3:32b", "answer", "ok", "info")
            assert record["ttft_ms"] > 0 and record["tokens_per_second"] > 0 and len(record["digest"]) > 20
            process = house.journal(kind="probe", probe_kind="process")[0]
            assert process["rss_bytes"] > 1_000_000 and process["port"] == ollama.port and process["pid"] > 1
            # What the probe asked is a request like any other, apart from users' and counted for nobody.
            asked = house.journal(kind="request")
            assert asked and all(r["origin"] == "probe" and r["key_id"] == "tollhouse-probe" for r in asked), asked
            until("the book has them", lambda: house.count("kind:probe AND probe_kind:model AND ttft_ms:>0") > 1)
            assert house.count("kind:request AND NOT origin:probe") == 0
            assert house.get("/health", key="").json()["layers"]["answer"] == "green"

            ollama.stop()
            red = until("the light is red", lambda: (told := board(client)["light"])["colour"] == "red" and told)
            assert red["layer"] == "process" and f"127.0.0.1:{ollama.port}" in red["reason"], red
            assert probe(house)[0] == 1
            ollama.start()
            until("all is well again", lambda: board(client)["light"]["colour"] == "green", 30)
        assert {r["outcome"] for r in house.journal(kind="probe", probe_kind="process")} == {"ok", "fault"}
        assert probe(house)[0] == 0
    finally:
        ollama.stop()


def test_scenario_r01_exit_codes(make_house, serve, tmp_path):
    """1 process, 2 model answer, 3 disk, 5 others; the lowest of several. Without a running house."""
    model = Model(serve)
    closed = free_port()
    full = tmp_path / "full"
    full.mkdir()
    well = {"models": [{"model": "stub", "expect": ["yes"]}]}
    house = make_house(start=False, upstreams={"stub": {"kind": "openai", "url": model.url}}, probes={**QUIET, **well})

    def status(probes, before=""):
        house.configure(upstreams={"stub": {"kind": "openai", "url": model.url}}, probes={**QUIET, **probes})
        command = f"{before} exec '{BINARY}' probe --json --config '{house.config}'"
        done = finished(["unshare", "-rm", "sh", "-c", command] if before else ["sh", "-c", command])
        return done.returncode, [result["found"] for result in json.loads(done.stdout)["results"]]

    assert status(well)[0] == 0
    down = {"processes": [{"name": "no-such-program", "port": closed}]}
    code, found = status({**well, **down})
    assert code == 1 and "no process of that name runs" in found[0], found
    wrong = {"models": [{"model": "stub", "expect": ["no"]}]}
    code, found = status(wrong)
    assert code == 2 and found == ['answered "yes", in which there is none of: no'], found
    mount = f"mount -t tmpfs -o size=1m none '{full}' && head -c 1000000 /dev/zero >'{full}/file';"
    disk = {"disks": [{"path": str(full)}]}
    code, found = status(disk, mount)
    assert code == 3 and "% used (limit 90%)" in found[0], found
    assert status({**disk, **wrong}, mount)[0] == 2 and status({**disk, **down, **wrong}, mount)[0] == 1
    assert status({"http": [{"url": f"http://127.0.0.1:{closed}/"}]})[0] == 5
    # For people: a row a check, and what it all comes to.
    table = house.run("probe", check=False)
    assert table.returncode == 5 and "1 of 1 checks are not well" in table.stdout and "\x1b" not in table.stdout
    assert finished([BINARY, "probe", "--quality", "--config", house.config]).returncode == 1


def test_scenario_r02_the_type_that_becomes_worse_is_told_when_it_is_certain(make_house, serve, tmp_path):
    """The tutorial's file as it is. One type slowly fails: exactly that one is told, after as many runs as it takes."""
    model = Model(serve)
    tests = [
        {"type": "math", "prompt": "计算 15 * 12 等于多少？", "expected_keywords": ["180"]},
        {"type": "math", "prompt": "What is 17 + 25?", "expected_keywords": ["42", "forty-two"]},
        {"type": "logic", "prompt": "Is every cat an animal?", "expected_keywords": ["yes"]},
    ]
    file = tmp_path / "reasoning_tests.json"
    file.write_text(json.dumps({"tests": tests}, ensure_ascii=False))
    right = {tests[0]["prompt"]: "结果是 180。", tests[1]["prompt"]: "It is forty-two.", tests[2]["prompt"]: "Yes."}
    model.answers = right.get
    quality = {"file": str(file), "model": "stub", "samples": 3, "baseline": 5, "every": "1s"}
    upstreams = {"stub": {"kind": "openai", "url": model.url}}
    house = make_house(start=False, upstreams=upstreams, probes={**QUIET, "quality": quality})
    for number in range(1, 6):
        code, status, results = probe(house, "--quality")
        assert (code, status) == (0, "ok"), results
        types = results["quality", "stub"]["fields"]["types"]
        assert [(row["test_type"], row["passed"], row["samples"]) for row in types] == [("math", 6, 6), ("logic", 3, 3)]
        assert len(model.asked) == 9 * number

    # One of the two tests of `math` fails from now on: 3 of 6.
    model.answers = {**right, tests[1]["prompt"]: "It is 43."}.get
    expected = runs_to_tell(30, 6, 3)
    assert 3 < expected < 12
    codes = []
    for _ in range(expected):
        code, _, results = probe(house, "--quality")
        codes.append(code)
    assert codes == [0] * (expected - 1) + [4]
    found = results["quality", "stub"]["found"]
    assert found.startswith("Model degradation detected in math: 50% of "), found
    types = {row["test_type"]: row["outcome"] for row in results["quality", "stub"]["fields"]["types"]}
    assert types == {"math": "fault", "logic": "ok"}

    # A house goes on from there: one record for each type, found in the book.
    house.start()
    until("the fall is in the book", lambda: house.count("kind:probe AND outcome:fault AND test_type:math AND score:0.5"))
    assert house.count("kind:probe AND probe_kind:quality AND outcome:fault AND NOT test_type:math") == 0
    record = house.journal(kind="probe", test_type="math")[0]
    assert (record["level"], record["baseline_score"], record["samples"]) == ("error", 1.0, 6)
    assert record["msg"].startswith("stub: Model degradation detected in math")
    with console(house) as client:
        assert board(client)["light"]["layer"] == "quality"
        model.answers = right.get
        until("it is over", lambda: board(client)["light"]["colour"] == "green")


def test_scenario_r02_what_changed_is_told_with_a_real_ollama(make_house, ollama, tmp_path):
    """Other weights under the same name: the digest that changed stands beside the fall."""
    file = tmp_path / "tests.json"
    tests = [{"type": "math", "prompt": "15 * 12 = ?", "expected_keywords": ["180"], "numeric": {"value": 180}}]
    file.write_text(json.dumps({"tests": tests}))
    ollama.create("probed", "--reply", "The result is 180.")
    quality = {"file": str(file), "model": "probed", "samples": 6, "baseline": 2}
    upstreams = {"local": {"kind": "ollama", "url": ollama.url}}
    house = make_house(start=False, upstreams=upstreams, probes={**QUIET, "quality": quality})
    for _ in range(2):
        code, _, results = probe(house, "--quality")
        assert code == 0, results
    before = results["quality", "probed"]["fields"]["digest"]
    ollama.create("probed", "--reply", "I do not know that.")
    runs = runs_to_tell(12, 6, 0)
    codes = [(result := probe(house, "--quality"))[0] for _ in range(runs)]
    assert codes == [0] * (runs - 1) + [4]
    told = result[2]["quality", "probed"]
    assert told["fields"]["digest"] != before
    assert f"digest changed from {before[:24]}" in told["found"], told
    # A change that is meant: the next runs make a new baseline.
    assert probe(house, "--quality", "--new-baseline")[0] == 4, "none right, and nothing to compare with"
    ollama.create("probed", "--reply", "It is 180.")
    assert probe(house, "--quality", "--new-baseline")[0] == 0


def test_scenario_r09_a_page_for_everything_is_no_health(make_house, serve):
    """Process, then answer, then quality: the lowest that fails is the reason, and 200 alone is nothing."""
    page = {"on": True}

    def answer(path, _):
        if page["on"]:
            return 200, "text/html; charset=utf-8", "<!doctype html><title>Control</title>"
        if path == "/readyz":
            return 200, "application/json", json.dumps({"ready": True, "failing": [], "eventLoop": {"delayP99Ms": 22.3}})
        return 200, "application/json", '{"ok": true, "status": "live"}'

    port, model = serve(answer), Model(serve)
    probes = {
        **QUIET,
        "processes": [{"name": "openclaw", "process": "off", "port": port, "health": "/healthz", "ready": "/readyz"}],
        "models": [{"model": "stub", "expect": ["yes"]}],
    }
    house = make_house(upstreams={"stub": {"kind": "openai", "url": model.url}}, probes=probes)
    with console(house) as client:
        assert board(client)["light"]["colour"] == "grey"
        assert run(client, "model")["last"]["outcome"] == "ok"
        fault = run(client, "process")["last"]
        assert fault["outcome"] == "fault" and "catch-all" in fault["found"], fault
        light = board(client)["light"]
        assert (light["colour"], light["layer"]) == ("red", "process")
        assert light["layers"][1]["colour"] == "grey", "what stands on a program that is down is not known"
        page["on"] = False
        well = run(client, "process")["last"]
        assert well["outcome"] == "ok" and well["fields"]["event_loop_delay_ms"] == 22.3, well
        assert board(client)["light"]["colour"] == "green"
        model.answers = lambda prompt: ""
        assert run(client, "model")["last"]["outcome"] == "fault"
        assert board(client)["light"]["layer"] == "answer"
        assert client.post("/console/api/v1/probes/no-such/run").status_code == 404
    assert httpx.get(f"{house.url}/console/api/v1/probes").status_code == 401


def test_scenario_r13_memory_and_temperature_of_a_card(make_house, scripted, tmp_path, monkeypatch):
    """A fake nvidia-smi first in the path; where a machine has NVIDIA's library, that is asked instead."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()

    def say(used, heat):
        # What is asked of cards, and of programs on them; 0x40 is the hardware's slowdown for heat.
        slowed = "0x0000000000000040" if heat > 85 else "0x0000000000000000"
        programs = "GPU-5c1f, 999999999, /usr/local/bin/ollama, 12000\nGPU-other, 7, /usr/bin/X, 30\nGPU-5c1f, 4711, /opt/models/train.py, 8000"
        fresh = smi.with_suffix(".new")
        fresh.write_text(
            f"#!/bin/sh\ncase \"$*\" in *compute-apps*) echo '{programs}' ;; "
            f"*) echo '0, NVIDIA A10, {used}, 23028, 97, {heat}, {slowed}, GPU-5c1f' ;; esac\n"
        )
        fresh.chmod(0o755)
        fresh.replace(smi)

    say(2000, 50)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    probes = {**QUIET, "gpu": {"memory_above": "90%", "temperature_above": 85, "every": "1h"}}
    house = make_house(upstreams={"s": {"kind": "openai", "url": scripted.url}}, probes=probes)
    with console(house) as client:
        assert run(client, "gpu")["last"]["found"] == "NVIDIA A10 (0): 8.7% of its memory used, 97% busy, 50 °C"
        say(22000, 91)
        # Long before its next time: a sample that goes over the limit lets it look at once.
        records = until("it is told", lambda: house.journal(kind="probe", outcome="warn"))
    assert records[0]["found"] == "NVIDIA A10 (0): 95.5% of its memory used (limit 90%), 91 °C (limit 85 °C), slowed down (heat)"
    assert (records[0]["gpu_memory_used_percent"], records[0]["temperature"], records[0]["gpu_utilisation"]) == (95.5, 91, 97)
    sample = until("samples are kept", lambda: house.journal(kind="resource", gpu="NVIDIA A10 (0)"))[-1]
    assert "outcome" not in sample and sample["gpu_memory_total_bytes"] == 23028 << 20
    # The programs on this card, the largest first.
    runner = {"pid": 999999999, "name": "ollama", "memory_bytes": 12000 << 20}
    assert sample["gpu_processes"] == [runner, {"pid": 4711, "name": "train.py", "memory_bytes": 8000 << 20}], sample


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def test_scenario_r15_certificates_and_pages(make_house, serve, tmp_path):
    """A certificate of an own authority that ends in two days, served and on file; health pages; a wrong name."""
    ca, ca_key, key, request, cert, names = (tmp_path / n for n in ["ca.pem", "ca.key", "s.key", "s.csr", "s.pem", "names"])
    names.write_text("subjectAltName=DNS:localhost")
    new = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-subj", "/CN=own authority", "-days", "30")
    openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    signing = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", names]

    def certify(days):
        openssl("x509", "-req", "-in", request, *signing, "-days", days, "-out", cert)

    certify(2)
    page = lambda path, _: (200, "text/html", "<html>hello") if path == "/ui" else (200, "application/json", '{"ok":true}')
    port = serve(page, tls=(cert, key))
    plain = serve(lambda path, _: (200, "text/html", "<html>everything is a page here"))
    served = {"host": "localhost", "port": port, "ca": str(ca)}
    probes = {
        **QUIET,
        "certificates": [
            {**served, "name": "good chain"},
            {**served, "name": "wrong name", "server_name": "ai.example.com"},
            {"host": "localhost", "port": port, "name": "unknown authority"},
            {"file": str(cert), "name": "file"},
        ],
        "http": [
            {"url": f"http://127.0.0.1:{plain}/health", "name": "catch-all"},
            {"url": f"http://127.0.0.1:{plain}/", "name": "page"},
            {"url": f"http://127.0.0.1:{plain}/", "name": "other page", "expect": "Chat"},
        ],
        "clock": {"urls": [f"http://127.0.0.1:{plain}/"]},
    }
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}}, probes=probes)
    code, status, results = probe(house)
    assert (code, status) == (5, "fault")
    found = {name: (result["status"], result["found"]) for (_, name), result in results.items()}
    assert found["good chain"][0] == "fault" and found["good chain"][1].startswith("ends in 2 days, at "), found
    assert found["wrong name"] == ("fault", "clients will not believe it: it is for another name: localhost")
    assert "does not lead to a known authority" in found["unknown authority"][1]
    assert found["file"][1].startswith("ends in 2 days")
    assert found["catch-all"][0] == "fault" and "catch-all" in found["catch-all"][1]
    assert found["page"] == ("ok", "answers 200") and found["other page"][0] == "fault"
    assert found["clock"][0] == "ok"
    fields = results["certificate", "good chain"]["fields"]
    assert 1.9 <= fields["days_left"] <= 2 and fields["issuer"] == "CN=own authority" and fields["subject"] == "localhost"

    # Renewed: with more than 21 days left nobody is told of it. The same as records of a running house.
    certify(90)
    probes = {**QUIET, "certificates": [{"file": str(cert), "name": "file"}]}
    house.configure(upstreams={"demo": {"kind": "demo"}}, probes=probes)
    assert probe(house)[0] == 0
    house.start()
    with console(house) as client:
        assert run(client, "certificate")["last"]["fields"]["days_left"] > 89
    assert house.journal(kind="probe", probe_kind="certificate")[0]["days_left"] > 89


def test_users_go_first_and_pay_nothing_for_probes(make_house, make_scripted):
    """One place at the server: while a user has it nothing is asked, and a question under way ends when one comes."""
    slow = make_scripted(pause_s=0.05)
    probes = {**QUIET, "models": [{"model": "slow", "prompt": " ".join(["word"] * 200)}]}
    upstreams = {"s": {"kind": "openai", "url": slow.url, "parallel": 1}}
    access = {"rate_limit": {"requests": 3, "per": "1h", "by": "model"}}
    house = make_house(upstreams=upstreams, probes=probes, access=access)
    with console(house) as client:
        with house.client() as user:
            body = {"model": "endless", "stream": True, "messages": [{"role": "user", "content": "go on"}]}
            with user.stream("POST", "/v1/chat/completions", json=body) as stream:
                lines = stream.iter_lines()  # held: an iterator that nobody has closes its answer
                next(lines)
                skipped = run(client, "model")["last"]
                assert skipped["outcome"] == "skipped" and "requests of users" in skipped["found"], skipped
        until("the place is free", lambda: house.status()["s"]["running"] == 0)
        asking = threading.Thread(target=run, args=(client, "model"))
        asking.start()
        until("the probe is being answered", lambda: any(call.path.endswith("completions") and "word word" in call.text for call in slow.calls))
        began = time.monotonic()
        assert house.chat("hello").status_code == 200
        in_time("the user's answer; the probe alone would have taken ten seconds", time.monotonic() - began, 5)
        asking.join(20)
        row = board(client)["probes"][0]
        assert row["last"]["outcome"] == "skipped" and "users came" in row["last"]["found"], row
        # Of the three requests that `slow` may have in an hour, no probe has used one.
        assert [house.chat("a b", model="slow").status_code for _ in range(4)] == [200, 200, 200, 429]
    records = until("both are recorded", lambda: (r := house.journal(kind="probe")) and len(r) == 2 and r)
    assert [record["level"] for record in records] == ["info", "info"]


def test_other_probes_after_a_reload(make_house, tmp_path):
    house = make_house(upstreams={"demo": {"kind": "demo"}}, probes="off")
    with console(house) as client:
        known = board(client)
        light = {name: known["light"][name] for name in ["colour", "layer", "reason"]}
        assert light == {"colour": "grey", "layer": None, "reason": "nothing was checked yet"}
        assert (known["light"]["said"], known["probes"], known["resources"]) == ([{"code": "nothing_yet", "figures": {}}], [], [])
        house.configure(upstreams={"demo": {"kind": "demo"}}, probes={**QUIET, "disks": [{"path": str(tmp_path), "above": "100%"}]})
        until("the new one is there", lambda: [row["name"] for row in board(client)["probes"]] == [str(tmp_path)])
        assert run(client, "disk")["last"]["fields"]["free_bytes"] > 0
        file = tmp_path / "bad.json"
        file.write_text('{"tests": [{"type": "t", "prompt": "p"}]}')
        house.configure(upstreams={"demo": {"kind": "demo"}}, probes={"quality": {"file": str(file), "model": "demo"}})
        refused = client.post("/console/api/v1/reload")
        assert refused.status_code != 200 and "it does not say what is right" in refused.text
        assert len(board(client)["probes"]) == 1
