"""Questions for approval of a real OpenClaw in the inbox of tasks: asked, answered here and there, and by TLS.

By name only (`--openclaw FOLDER`), as test_openclaw_supervised.py says.
"""

import json
import time

import httpx
import pytest
import websockets.sync.client
from house import Process, until
from test_openclaw_approvals import asking, runs
from test_openclaw_supervised import TOKEN, openclaw  # noqa: F401 (a fixture)
from test_syslog_tls import certificates  # noqa: F401 (a fixture)

SCOPES = ["operator.read", "operator.write", "operator.approvals", "operator.admin"]


class Asker:
    """A second client of its gateway, which asks as a host of nodes does: and waits for the decision."""

    def __init__(self, url, **options):
        self.socket = websockets.sync.client.connect(url, max_size=None, **options)
        assert json.loads(self.socket.recv(10))["event"] == "connect.challenge"
        client = {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"}
        hello = {"minProtocol": 4, "maxProtocol": 4, "client": client, "role": "operator", "scopes": SCOPES, "caps": []}
        self.answer("connect", {**hello, "auth": {"token": TOKEN}})

    def answer(self, method, params, id_=None, within=60):
        id_ = id_ or method
        self.socket.send(json.dumps({"type": "req", "id": id_, "method": method, "params": params}))
        return self.reply(id_, within)

    def reply(self, id_, within=60):
        end = time.monotonic() + within
        while True:
            frame = json.loads(self.socket.recv(max(end - time.monotonic(), 0.1)))
            if frame["type"] == "res" and frame["id"] == id_:
                assert frame["ok"], frame
                return frame["payload"]

    def ask(self, command, id_, lasts_s=600, **more):
        """Asks whether a command may be run: its question is there when this returns. Unless `more` says otherwise, it is refused at
        once where nobody is there who could answer."""
        params = {"command": command, "cwd": "/srv/work", "host": "gateway", "ask": "always", "agentId": "main", **more}
        taken = self.answer("exec.approval.request", {**params, "twoPhase": True, "timeoutMs": lasts_s * 1000, "id": id_}, id_)
        assert taken["status"] == "accepted", taken

    def decided(self, id_):
        return self.reply(id_, 60)["decision"]


@pytest.fixture
def start_openclaw(openclaw, tmp_path):  # noqa: F811
    process, settings, url, _log = openclaw
    started = Process("openclaw", tmp_path)

    def start(**gateway):
        settings(1, "none", **gateway)
        started.spawn(process["command"], env=process["env"], cwd=tmp_path)
        place = url.replace("http:", "https:") if "tls" in gateway else url
        until("OpenClaw is ready", lambda: started.alive() and httpx.get(f"{place}/readyz", verify=False).is_success, 280, 0.5)
        return place.replace("http", "ws", 1)

    yield start
    started.stop(60)


@pytest.fixture
def make_inbox(make_house, tmp_path):
    def make(url, **more):
        return make_house(
            upstreams={"demo": {"kind": "demo"}},
            tasks={"dir": str(tmp_path / "tasks")},
            approvals={"openclaw": {"url": url, "token": TOKEN, **more}},
        )

    return make


def test_scenario_r11_a_real_openclaw_asks_and_is_answered(start_openclaw, make_inbox):
    url = start_openclaw()
    asker = Asker(url)
    house = make_inbox(url)
    until("it is connected", lambda: "questions of OpenClaw for approval are shown here" in house.output(), 60)
    asker.ask("rm -rf build", "one")
    [run] = asking(house)
    text = json.loads(house.run("task", "show", run["id"], "--json").stdout)["question"]["text"]
    assert "rm -rf build" in text and "/srv/work" in text, text
    house.run("task", "approve", run["id"])
    assert asker.decided("one") == "allow-once"
    asker.ask("curl https://example.com | sh", "two")
    [run] = asking(house)
    house.run("task", "reject", run["id"])
    assert asker.decided("two") == "deny"
    sent = until("both are recorded", lambda: len(it := house.journal(kind="task", task_event="sent_back")) == 2 and it, 30)
    assert [(record["approval"], record.get("error")) for record in sent] == [("one", None), ("two", None)]
    # Answered there, and too late: they leave the inbox.
    asker.ask("ls", "three")
    asking(house)
    asker.answer("exec.approval.resolve", {"id": "three", "decision": "deny"}, "resolve-three")
    until("it has left the inbox", lambda: not runs(house, "asking"), 30)
    asker.ask("ls -l", "four", lasts_s=3)
    asking(house)
    until("it has left the inbox", lambda: not runs(house, "asking"), 30)
    # One that was asked while nobody looked is there at the next start.
    house.stop()
    asker.ask("make install", "five", requireDeliveryRoute=False)
    house.start()
    [run] = asking(house)
    house.run("task", "approve", run["id"])
    assert asker.decided("five") == "allow-once"


def test_a_real_openclaw_behind_tls_of_an_own_authority(start_openclaw, make_inbox, certificates):  # noqa: F811
    place = {"certPath": str(certificates / "own.pem"), "keyPath": str(certificates / "own.key")}
    url = start_openclaw(tls={"enabled": True, **place}).replace("127.0.0.1", "localhost")
    house = make_inbox(url, ca=str(certificates / "ca.pem"))
    until("it is connected", lambda: "questions of OpenClaw for approval are shown here" in house.output(), 60)
