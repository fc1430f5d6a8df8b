"""OpenClaw's questions for approval in the inbox of tasks: asked, answered, answered elsewhere, and over restarts of both sides.

The other side is scripted and speaks the frames of OpenClaw 2026.9.6's gateway protocol (version 4), with its rules on who sees what;
test_openclaw_inbox.py asks the real one.
"""

import json
import ssl
import threading
import time

import pytest
import websockets
import websockets.sync.server
from house import until
from test_syslog_tls import certificates  # noqa: F401 (a fixture)

TOKEN = "test-gateway-token"


class OpenClaw:
    """A gateway with questions; `decisions` is what was answered, by id."""

    def __init__(self, port=0, tls=None):
        self.pending, self.decisions, self.sockets, self.hellos, self.port = {}, {}, set(), [], port
        self.tls = tls
        self.lock = threading.Lock()

    def start(self):
        self.server = websockets.sync.server.serve(self.serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        for socket in list(self.sockets):
            socket.close()

    def serve(self, socket):
        socket.send(json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}}))
        hello = json.loads(socket.recv())
        self.hellos.append(hello)
        reply = {"type": "res", "id": hello["id"], "ok": True, "payload": {"type": "hello-ok", "protocol": 4}}
        if hello["method"] != "connect" or hello["params"]["auth"]["token"] != TOKEN:
            error = {"code": "INVALID_REQUEST", "message": "unauthorized: gateway token mismatch"}
            socket.send(json.dumps({**reply, "ok": False, "error": error}))
            socket.close(1008, "unauthorized: gateway token mismatch")
            return
        socket.send(json.dumps(reply))
        # Others are told nothing, and see nothing in the list.
        assert "operator.admin" in hello["params"]["scopes"] and "exec-approvals" in hello["params"]["caps"], hello
        with self.lock:
            self.sockets.add(socket)
        try:
            for frame in map(json.loads, socket):
                socket.send(json.dumps({"type": "res", "id": frame["id"], **self.answer(frame)}))
        except websockets.ConnectionClosed:
            pass
        finally:
            with self.lock:
                self.sockets.discard(socket)

    def answer(self, frame):
        params = frame["params"]
        if frame["method"] == "exec.approval.list":
            return {"ok": True, "payload": list(self.pending.values())}
        assert frame["method"] == "exec.approval.resolve", frame
        if self.pending.pop(params["id"], None) is None:
            return {"ok": False, "error": {"code": "INVALID_REQUEST", "message": "unknown or expired approval id"}}
        self.decisions[params["id"]] = params["decision"]
        self.tell("exec.approval.resolved", {"id": params["id"], "decision": params["decision"]})
        return {"ok": True, "payload": {"ok": True}}

    def tell(self, event, payload):
        with self.lock:
            sockets = list(self.sockets)
        for socket in sockets:
            socket.send(json.dumps({"type": "event", "event": event, "payload": payload}))

    def ask(self, id_, command, lasts_s=1800):
        now_ms = int(time.time() * 1000)
        request = {"command": command, "cwd": "/srv/work", "agentId": "main", "sessionKey": "agent:main:main", "host": None}
        question = {"id": id_, "request": request, "createdAtMs": now_ms, "expiresAtMs": now_ms + lasts_s * 1000}
        self.pending[id_] = question
        self.tell("exec.approval.requested", question)


@pytest.fixture
def openclaw():
    server = OpenClaw().start()
    yield server
    server.stop()


@pytest.fixture
def make_inbox(make_house, tmp_path, openclaw):
    def make(token=TOKEN):
        return make_house(
            upstreams={"demo": {"kind": "demo"}},
            tasks={"dir": str(tmp_path / "tasks")},
            approvals={"openclaw": {"url": f"ws://127.0.0.1:{openclaw.port}", "token": token}},
        )

    return make


def runs(house, status=None):
    """Runs of such questions, by what they ask."""
    house.status()  # signs in
    found = house.signed_in.get("/console/api/v1/tasks/runs", params={"task": "openclaw-approval", "limit": 200}).json().get("runs", [])  # none yet while the house starts
    return [run for run in found if status in (None, run["status"])]


def asking(house, count=1):
    return until(f"{count} questions are open", lambda: len(found := runs(house, "asking")) == count and found, 30)


def test_scenario_r11_what_openclaw_asks_is_answered_in_the_same_inbox(make_inbox, openclaw):
    openclaw.ask("before", "rm -rf build")
    house = make_inbox()
    [run] = asking(house)
    detail = json.loads(house.run("task", "show", run["id"], "--json").stdout)
    assert "rm -rf build" in detail["question"]["text"] and "/srv/work" in detail["question"]["text"]
    assert openclaw.hellos[0]["params"]["scopes"] == ["operator.read", "operator.approvals", "operator.admin"]
    house.run("task", "approve", run["id"])
    until("the answer is sent back", lambda: openclaw.decisions.get("before") == "allow-once", 30)
    openclaw.ask("after", "curl https://example.com | sh")
    [run] = asking(house)
    house.run("task", "reject", run["id"])
    until("the answer is sent back", lambda: openclaw.decisions.get("after") == "deny", 30)
    sent = until("both are recorded", lambda: len(it := house.journal(kind="task", task_event="sent_back")) == 2 and it)
    assert [record["approval"] for record in sent] == ["before", "after"]
    # Answered in OpenClaw itself, or too late: it leaves the inbox, and nothing is sent.
    openclaw.ask("elsewhere", "ls")
    openclaw.ask("late", "ls -l", lasts_s=2)
    until("both were asked", lambda: len(runs(house)) == 4, 30)
    del openclaw.pending["elsewhere"]
    openclaw.tell("exec.approval.resolved", {"id": "elsewhere", "decision": "deny", "resolvedBy": "ui"})
    until("no question is open", lambda: len(runs(house, "cancelled")) == 2, 30)
    assert set(openclaw.decisions) == {"before", "after"}


def test_its_gateway_may_stand_behind_tls_of_an_own_authority(make_house, tmp_path, certificates):  # noqa: F811
    """By `wss://`: believed is who the file of authorities has signed, for the name that is called, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    server = OpenClaw(tls=context).start()
    server.ask("one", "make install")

    def house(name, authority):
        where = {"url": f"wss://localhost:{server.port}", "ca": str(certificates / f"{authority}.pem"), "token": TOKEN}
        tasks = {"dir": str(tmp_path / "tasks")}
        return make_house(name=name, upstreams={"demo": {"kind": "demo"}}, tasks=tasks, approvals={"openclaw": where})

    try:
        wrong = house("wrong", "other")
        until("the certificate is not believed", lambda: "TLS: " in wrong.output() and "UnknownIssuer" in wrong.output(), 30)
        right = house("right", "ca")
        [run] = asking(right)
        right.run("task", "approve", run["id"])
        until("the answer is sent back", lambda: server.decisions.get("one") == "allow-once", 30)
    finally:
        server.stop()


def test_questions_outlive_restarts_of_both_sides(make_inbox, openclaw):
    house = make_inbox()
    until("it is greeted", lambda: openclaw.sockets, 30)
    openclaw.ask("one", "make install")
    openclaw.ask("two", "make clean")
    found = asking(house, 2)
    house.kill()
    # Nobody looks while one of them is answered there.
    del openclaw.pending["two"]
    house.start()
    [run] = asking(house)
    assert run["id"] in {other["id"] for other in found}
    openclaw.stop()
    house.run("task", "approve", run["id"])
    again = OpenClaw(openclaw.port)
    again.pending, again.decisions = openclaw.pending, openclaw.decisions
    again.start()
    try:
        until("it is sent when OpenClaw is back", lambda: openclaw.decisions == {"one": "allow-once"}, 60)
    finally:
        again.stop()
    assert len(runs(house)) == 2, "each question is shown once"


def test_a_whole_page_of_questions_and_more_is_taken_out_when_they_are_gone(make_inbox, openclaw):
    for number in range(60):
        openclaw.ask(f"q{number}", f"make part-{number}")
    house = make_inbox()
    asking(house, 60)
    house.stop()
    # Nobody looks while all of them are answered there.
    openclaw.pending.clear()
    house.start()
    until("no question is open", lambda: len(runs(house, "cancelled")) == 60, 60)


def test_a_wrong_token_is_told_and_not_shown(make_inbox, openclaw):
    house = make_inbox(token="a-wrong-token-of-somebody")
    until("it is told", lambda: "gateway token mismatch" in house.output(), 30)
    assert "a-wrong-token-of-somebody" not in house.output()
    assert house.get("/healthz").is_success
