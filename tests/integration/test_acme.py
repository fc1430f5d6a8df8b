"""Certificates by ACME, from a real Pebble that refuses nonces and fails on purpose, through both challenges."""

import json
import re
import sqlite3
import stat
import threading
from types import SimpleNamespace

import pytest
from edges import HOST, OTHER, Visitors
from house import finished, free_port, until
from pebble import BLOCKED, Pebble

SECOND = "second.example.test"
OWN = [{"path": "/", "to": "console"}]


@pytest.fixture
def make_signed(make_house, tmp_path):
    """Makes a house whose sites have certificates by ACME, with its Pebble and visitors that trust it."""
    made = []

    def make(sites, challenge, misbehaviour=None, bound=None, **acme):
        https, http = free_port(), free_port()
        pebble = Pebble(tmp_path, http, https, bound)
        made.append(pebble)
        pebble.start(**(misbehaviour or {}))
        edge = {"https": f"127.0.0.1:{https}", "sites": {name: {"tls": "acme", "routes": OWN, **site} for name, site in sites.items()}}
        if challenge == "http-01":
            edge["http"] = f"127.0.0.1:{http}"
        edge["acme"] = {
            **{"directory": pebble.directory_url, "terms_agreed": True, "ca": str(pebble.ca), "retry": "1s"},
            **{"contacts": ["ops@example.com"], "challenge": challenge, **acme},
        }
        house = make_house(upstreams={"demo": {"kind": "demo"}}, edge=edge)
        visitors = Visitors(SimpleNamespace(file=pebble.root()), https, http, tmp_path)
        return house, pebble, visitors

    make.made = made
    yield make
    for pebble in made:
        pebble.stop()


def shown(visitors, host=HOST):
    """The certificate that is shown for a name, and its serial number."""
    address = f"127.0.0.1:{visitors.https}"
    told = finished(["openssl", "s_client", "-connect", address, "-servername", host, "-showcerts"]).stdout
    own = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", told, re.DOTALL)
    if not own:
        return None, None
    serial = finished(["openssl", "x509", "-noout", "-serial"], input=own[0], stdin=None).stdout
    return own[0] + "\n", serial.strip().partition("=")[2]


def days_left(house, host):
    return [record["days_left"] for record in house.journal(kind="certificate", msg="certificate obtained", host=host)]


def examined(house):
    """What the doctor says of the renewals."""
    told = json.loads(house.run("doctor", "--json", "--all", check=False).stdout)
    return [check for check in told["checks"] if check["id"] == "edge.acme"]


def change(house, **site):
    """Changes the first site in the configuration that the house runs with."""
    config = json.loads(house.config.read_text())
    config["edge"]["sites"][HOST].update(site)
    house.config.write_text(json.dumps(config))


def let_time_pass(house):
    """Lets the memory of a house that does not run think that it is time to ask its authority again."""
    with sqlite3.connect(house.data / "state/state.db") as database:
        for column in ("ask_at", "retry_at"):
            database.execute(f"UPDATE certificates SET body = json_set(body, '$.{column}', 0)")
    database.close()


class Watching:
    """Visits a site again and again, and keeps what was not as it should be."""

    def __init__(self, visitors, path="/healthz"):
        self.visitors, self.path, self.visits, self.wrong = visitors, path, 0, []
        self.stopped, self.thread = threading.Event(), threading.Thread(target=self.visit)

    def visit(self):
        while not self.stopped.is_set():
            seen = self.visitors.ask(self.path)
            self.visits += 1
            if seen.status != 200:
                self.wrong.append((seen.code, seen.status, seen.error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def test_scenario_g13_certificates_come_by_http_and_are_renewed_when_the_authority_wants(make_signed):
    # A third of all nonces is refused, and a chain has two certificates between.
    sites = {HOST: {"aliases": [OTHER]}, SECOND: {}}
    misbehaviour = {"PEBBLE_WFE_NONCEREJECT": "33", "PEBBLE_CHAIN_LENGTH": "2"}
    house, pebble, visitors = make_signed(sites, "http-01", misbehaviour, profile="default")
    for host in (HOST, SECOND):
        left = until(f"a certificate for {host}", lambda host=host: days_left(house, host), within=60)
        assert 89 < left[0] <= 90
    for host in (HOST, OTHER, SECOND):
        until(f"{host} is served", lambda host=host: visitors.ask("/healthz", host=host).status == 200)
    assert shown(visitors)[1] == shown(visitors, OTHER)[1] != shown(visitors, SECOND)[1], "one for both names, one for the third"
    led = visitors.ask("/.well-known/acme-challenge/none", plain=True)
    assert led.status == 301, "where nobody looks, it is a path as any other"
    # Keys are their owner's alone, and nowhere else.
    folder = house.data / "state/acme"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert set(names.values()) == {0o600} and {f"{HOST}.pem", f"{SECOND}.pem"} < set(names) and len(names) == 3, names
    assert b"PRIVATE" not in (house.data / "state/state.db").read_bytes() and "PRIVATE" not in house.output()

    # A trial of the renewal orders nothing, and finds it in order.
    seen = examined(house)
    assert [check["code"] for check in seen] == ["ok", "ok"] and "knows our account" in seen[0]["found"], seen[0]["found"]

    # Killed and started again: served at once, and nothing is ordered.
    before, serial = shown(visitors)
    house.kill()
    house.start()
    assert shown(visitors)[1] == serial
    assert len(days_left(house, HOST)) == 1
    # The authority wants it to be renewed at once; whoever visits meanwhile notices nothing.
    house.stop()
    pebble.wants_renewal(before, "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")
    let_time_pass(house)
    house.start()
    with Watching(visitors) as watching:
        until("the renewed one is shown", lambda: shown(visitors)[1] not in (serial, None), within=60)
    assert watching.visits > 3 and not watching.wrong
    assert len(days_left(house, HOST)) == 2 and len(days_left(house, SECOND)) == 1
    assert "replaces" in pebble.output() or len(list(folder.glob("account-*.json"))) == 1


def test_scenario_g13_certificates_come_through_tls_and_failures_are_told_and_survived(make_signed):
    house, pebble, visitors = make_signed({HOST: {}, BLOCKED: {}}, "tls-alpn-01", {"PEBBLE_WFE_NONCEREJECT": "20"}, profile="shortlived")
    left = until("a certificate", lambda: days_left(house, HOST), within=60)
    assert 5.9 < left[0] <= 6
    until("it is served", lambda: visitors.ask("/healthz").status == 200)
    # A name that the authority does not sign for: told with its reason, tried less and less often, and nobody else's trouble.
    refused = until("the refusal is told", lambda: house.journal(kind="certificate", host=BLOCKED, outcome="fault"), within=30)
    assert BLOCKED in refused[0]["error"] and refused[0]["failures"] == 1 and refused[0]["level"] == "error"
    until("an alert", lambda: house.journal(kind="alert", alert_rule="certificate-not-obtained"), within=30)
    # Another name, and the authority is away: the old certificate goes on.
    _, serial = shown(visitors)
    pebble.stop()
    change(house, aliases=[OTHER])
    first = until("the failure is told", lambda: house.journal(kind="certificate", host=HOST, outcome="fault"), within=30)[0]
    assert first["days_left"] > 5.9, "one is in force"
    assert shown(visitors)[1] == serial and visitors.ask("/healthz").status == 200
    failures = until(
        "it is tried again",
        lambda: [record["failures"] for record in house.journal(kind="certificate", host=HOST, outcome="fault") if record["failures"] > 2],
        within=30,
    )[-1]
    assert {check["code"] for check in examined(house)} == {"unreachable"}
    # It remembers that after it was killed, and comes back to an authority that has forgotten everything.
    house.kill()
    house.start()
    assert shown(visitors)[1] == serial
    pebble.start(PEBBLE_WFE_NONCEREJECT="20")
    visitors.authority.file = pebble.root()
    until("both names are served", lambda: visitors.ask("/healthz", host=OTHER).status == 200, within=90)
    later = [record["failures"] for record in house.journal(kind="certificate", host=HOST, outcome="fault")]
    assert later == sorted(later) and max(later) >= failures, later
    assert visitors.ask("/healthz").status == 200 and shown(visitors)[1] != serial


def test_scenario_g13_an_account_that_one_has_there_already_is_bound_and_a_wrong_key_is_told(make_signed):
    known = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
    # The right id, and a key that is another's.
    wrong = {"id": "kid-1", "key": "AAAADZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12"}
    house, _, visitors = make_signed({HOST: {}}, "http-01", bound=known, binding=wrong)
    refused = until("the refusal is told", lambda: house.journal(kind="certificate", host=HOST, outcome="fault"), within=60)[0]
    assert refused["level"] == "error" and wrong["key"] not in json.dumps(refused) and wrong["key"] not in house.output()
    config = json.loads(house.config.read_text())
    config["edge"]["acme"]["binding"]["key"] = known["kid-1"]
    house.config.write_text(json.dumps(config))
    until("a certificate", lambda: days_left(house, HOST), within=90)
    until("it is served", lambda: visitors.ask("/healthz").status == 200)
    assert known["kid-1"] not in house.run("check").stdout and known["kid-1"] not in (house.data / "state/state.db").read_bytes().decode("latin-1")


def test_scenario_g13_from_a_trial_authority_to_the_real_one_without_a_moment_uncovered(make_signed, tmp_path):
    house, trial, visitors = make_signed({HOST: {}}, "http-01")
    until("a certificate for the trial", lambda: days_left(house, HOST), within=60)
    until("it is served", lambda: visitors.ask("/healthz").status == 200)
    _, serial = shown(visitors)
    real = Pebble(tmp_path, visitors.http, visitors.https, name="real")
    make_signed.made.append(real)
    config = json.loads(house.config.read_text())
    config["edge"]["acme"].update(directory=real.directory_url, ca=str(real.ca))
    # It is away at first: the trial's certificate goes on.
    house.config.write_text(json.dumps(config))
    until("that it is away is told", lambda: house.journal(kind="certificate", host=HOST, outcome="fault"), within=60)
    assert shown(visitors)[1] == serial
    real.start()
    both = tmp_path / "both.pem"
    both.write_text(trial.root().read_text() + real.root().read_text())
    visitors.authority.file = both
    with Watching(visitors) as watching:
        until("one of the real authority is shown", lambda: shown(visitors)[1] not in (serial, None), within=90)
    assert watching.visits > 3 and not watching.wrong
    assert len(days_left(house, HOST)) == 2
    # What was ordered there is still its own: nothing is ordered anew after a restart.
    _, serial = shown(visitors)
    house.stop()
    house.start()
    assert shown(visitors)[1] == serial and len(days_left(house, HOST)) == 2
