"""Alerts: what is found in the records is told once, by a real mail server, whatever is down or killed meanwhile."""

import concurrent.futures
import http.server
import json
import os
import random
import re
import signal
import threading
import time

import pytest
from house import in_time, until
from mail import Mail

KILLS = int(os.environ.get("TOLLHOUSE_TEST_ALERT_KILLS", "20"))
# Seconds for which a mail server is away; 3600 is the hour that people ask about.
AWAY_S = float(os.environ.get("TOLLHOUSE_TEST_MAIL_AWAY", "12"))
SEED = 20_260_127


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Mail(tmp_path_factory.mktemp("mail")).start()
    yield server
    server.stop()


@pytest.fixture
def mail(server):
    """The mail server with an empty mailbox."""
    server.empty()
    return server


@pytest.fixture
def own_mail(tmp_path):
    """A mail server that the test may stop and start."""
    server = Mail(tmp_path)
    yield server
    server.stop()


def text_of(message):
    return message.get_body(("plain",)).get_content()


def write(path, *lines):
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def source(path, form="plain"):
    return {"type": "file", "paths": [str(path)], "format": form}


def events(house, **wanted):
    """Records of alerts."""
    return [record for record in house.journal(kind="alert") if wanted.items() <= record.items()]


def test_scenario_b11_five_slow_requests_are_one_mail_and_its_end(make_house, make_scripted, mail):
    scripted = make_scripted(late_s=0.4)
    house = make_house(
        upstreams={"scripted": scripted.upstream(parallel=8)},
        channels={"ops": mail.channel},
        alerts={
            # The default rule, but for the times that a test has.
            "slow-model": {"query": "kind:request AND duration_ms:>300", "within": "10s", "resolve": "1s"},
        },
    )
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: house.chat(model="late"), range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    fifth = time.monotonic()
    [first] = until("the mail", mail.messages, every=0.1)
    in_time("the mail after the fifth", time.monotonic() - fifth, 10)
    assert first["Subject"].startswith("[warning] slow-model (late): records 5 in 10s")
    text = text_of(first)
    assert "model_name late: 5" in text and "limit: >= 5" in text
    assert f"{house.url}/discover?" in text and "tollhouse why" in text
    assert sum(answer.headers["x-request-id"] in text for answer in answers) == 3, "the three worst"
    assert "<html>" in first.get_body(("html",)).get_content()

    _, last = until("the end", lambda: len(mail.messages()) == 2 and mail.messages(), within=20, every=0.1)
    assert last["Subject"] == "[resolved] slow-model (late) is over"
    assert last["In-Reply-To"] == first["Message-ID"] == last["References"]
    assert len(mail.messages()) == 2
    assert len(events(house, alert_event="firing", alert_group="late")) == 1
    assert len(events(house, alert_event="resolved", alert_group="late")) == 1
    assert len(events(house, alert_event="sent", alert_channel="ops")) == 2
    # They can be searched, as everything can.
    until("the records are found", lambda: house.count("kind:alert AND alert_rule:slow-model") == 4)

    tested = json.loads(house.run("alert", "backtest", "slow-model", "--days", "1", "--json").stdout)
    assert tested["fired"] == 1 and [told["state"] for told in tested["messages"]] == ["firing", "resolved"]


def test_scenario_r04_error_patterns_of_a_log_are_told_once_per_incident(make_house, mail, tmp_path):
    log = tmp_path / "error.log"
    write(log, "service started")
    house = make_house(sources={"app": source(log)}, channels={"ops": mail.channel})
    write(log, "java.lang.OutOfMemoryError: Java heap space")
    [first] = until("the mail", mail.messages, every=0.1)
    assert first["Subject"].startswith("[warning] error-patterns (app)")
    assert "OutOfMemoryError: Java heap space" in text_of(first)
    # The same incident goes on.
    write(log, "ModelNotResponding: qwen3", "InvalidAPIResponse: truncated", "all is well")
    until("they are found", lambda: house.count("kind:log AND msg:InvalidAPIResponse") == 1)
    time.sleep(3)  # two looks: nothing is to come
    assert len(mail.messages()) == 1
    [rule] = [rule for rule in json.loads(house.run("alert", "list", "--json").stdout) if rule["name"] == "error-patterns"]
    assert rule["state"] == "firing" and rule["groups"][0]["group"] == "app" and rule["groups"][0]["last_told"]
    assert re.search(r"error-patterns +firing +warning +built-in", house.run("alert", "list").stdout)


def rules(*words):
    return {
        word: {"query": f"kind:log AND msg:{word}", "count": ">= 1", "within": "10m", "group_by": "source"}
        for word in words
    }


def test_what_waits_for_a_mail_server_is_told_in_order_once_it_is_there(make_house, own_mail, tmp_path):
    mail, log = own_mail, tmp_path / "app.log"
    write(log, "begin")
    house = make_house(
        sources={"app": source(log)}, channels={"ops": mail.channel}, alerts=rules("alpha", "beta", "gamma")
    )
    for word in ("gamma", "alpha", "beta"):
        write(log, f"{word} happened")
        until(f"{word} is an alert", lambda word=word: events(house, alert_event="firing", alert_rule=word))
    until("it was tried", lambda: events(house, alert_event="failed"))
    mail.start()
    messages = until("all are told", lambda: len(mail.messages()) >= 3 and mail.messages(), within=30, every=0.2)
    assert [message["Subject"].split()[1] for message in messages] == ["gamma", "alpha", "beta"]
    until("all are recorded", lambda: len(events(house, alert_event="sent")) == 3)


def test_a_mail_server_that_is_away_costs_no_message_and_no_order(make_house, own_mail, tmp_path):
    mail, log = own_mail, tmp_path / "app.log"
    write(log, "incident=begin")
    rule = {"query": "kind:log AND incident:k*", "count": ">= 1", "within": "24h", "group_by": "incident", "resolve": "off"}
    mail.start()
    house = make_house(
        sources={"app": source(log, "logfmt")}, channels={"ops": mail.channel}, alerts={"away": {**rule, "cooldown": "1m"}}
    )
    write(log, "level=error incident=k0 msg=before")
    until("the first is told", mail.messages, within=30, every=0.2)
    mail.stop()
    # Its mailbox is in memory and goes with it: what comes from now on is what waits.
    count = 9
    for number in range(1, count):
        write(log, f"level=error incident=k{number} msg=meanwhile")
        found = lambda number=number: events(house, alert_event="firing", alert_group=f"k{number}")  # noqa: E731
        until(f"k{number} is an alert", found, within=30)
        if number == count // 2:
            house.kill()
            house.start()
        time.sleep(AWAY_S / (count - 1))
    assert len(events(house, alert_event="failed")) >= 1
    mail.start()
    # Pauses between attempts grow with the time, up to five minutes.
    within = min(2 * AWAY_S, 310) + 30

    def told():
        return [re.findall(r"\bk\d+\b", text_of(message)) for message in mail.messages()]

    wanted = [f"k{number}" for number in range(1, count)]
    until("all are told", lambda: set(wanted) <= {word for words in told() for word in words}, within=within, every=0.5)
    until("nothing waits", lambda: events(house, alert_event="sent"), within=30)
    order = [word for words in told() for word in words]
    assert list(dict.fromkeys(order)) == wanted, told()
    messages = [set(words) for words in told()]
    assert all(sum(word in words for words in messages) <= 2 for word in wanted), told()
    ids = [message["Message-ID"] for message in mail.messages()]
    print(f"away for {AWAY_S:.0f} s: {len(wanted)} incidents in {len(ids)} mails, {len(ids) - len(set(ids))} of them twice")


def test_a_house_that_is_killed_tells_everything_and_hardly_anything_twice(make_house, mail, tmp_path):
    log = tmp_path / "app.log"
    write(log, "incident=begin")
    rule = {"query": "kind:log AND incident:k*", "count": ">= 1", "within": "1h", "group_by": "incident", "resolve": "off"}
    house = make_house(
        sources={"app": source(log, "logfmt")}, channels={"ops": mail.channel}, alerts={"crash": rule}
    )
    dice = random.Random(SEED)
    for number in range(KILLS):
        write(log, f"level=error incident=k{number} msg=died")
        time.sleep(dice.uniform(0.2, 1.8))  # any moment: before it is found, while it is told, after it
        house.kill()
        house.start()

    def told():
        return [re.findall(r"\bk\d+\b", message["Subject"] + text_of(message)) for message in mail.messages()]

    wanted = {f"k{number}" for number in range(KILLS)}
    until("every incident is told", lambda: wanted <= {word for words in told() for word in words}, within=30, every=0.2)
    ids = [message["Message-ID"] for message in mail.messages()]
    assert all(ids.count(name) <= 2 for name in ids), ids
    singles = [set(words) for words in told()]
    assert all(sum(word in words for words in singles) <= 2 for word in wanted), singles


def test_ten_thousand_matches_are_few_mails(make_house, mail, tmp_path):
    log = tmp_path / "app.log"
    write(log, *(f"user=u{number} failed=yes" for number in range(10_000)))
    rule = {"query": "kind:log AND failed:yes", "count": ">= 1", "within": "1h", "group_by": "user"}
    house = make_house(sources={"app": source(log, "logfmt")}, channels={"ops": mail.channel}, alerts={"all": rule})
    until("all are found", lambda: house.count("failed:yes") == 10_000, within=30, every=0.2)
    until("it is told", mail.messages, every=0.1)
    time.sleep(4)  # a few looks
    assert 1 <= len(mail.messages()) <= 20


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes what a webhook sends."""

    def do_POST(self):  # noqa: N802 (the library's name)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.taken, server.status = [], 200
    server.url = f"http://127.0.0.1:{server.server_port}/hook/geheim"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_rules_and_channels_change_while_the_house_runs(make_house, hook, tmp_path):
    log = tmp_path / "app.log"
    write(log, "begin")
    base = {"sources": {"app": source(log)}, "channels": {"hook": {"kind": "webhook", "url": hook.url, "secret": "s"}}}
    house = make_house(**base, alerts=rules("alpha"))
    write(log, "alpha happened")
    until("it is told", lambda: len(hook.taken) == 1)
    # A rule more, another form; what was told already is not told again.
    form = {"what": "{{headline}}", "rule": "{{rule}}"}
    changed = {"channels": {"hook": {**base["channels"]["hook"], "body": form}}, "alerts": rules("alpha", "beta")}
    house.configure(**{**base, **changed})
    house.child.send_signal(signal.SIGHUP)
    until("it is in force", lambda: house.journal(kind="config", msg="configuration reloaded"))
    write(log, "beta happened")
    until("it is told", lambda: len(hook.taken) == 2)
    assert json.loads(hook.taken[1][1])["rule"] == "beta"
    assert hook.taken[1][0]["x-tollhouse-signature"].startswith("v1=")
    # A form that cannot be leaves the running one in force.
    house.configure(**{**base, **changed, "channels": {"hook": {**base["channels"]["hook"], "body": "{{nothing}}"}}})
    house.child.send_signal(signal.SIGHUP)
    until("it is refused", lambda: house.journal(kind="config", msg="configuration refused"))

    house.configure(**{**base, **changed})
    house.run("alert", "silence", "beta", "--for", "1h")
    assert "beta" in house.run("alert", "list").stdout
    assert house.run("alert", "test", "hook").stdout == "hook (webhook): taken\n"
    hook.status = 404
    refused = house.run("alert", "test", "hook", check=False)
    assert refused.returncode == 1 and "404" in refused.stdout and "geheim" not in refused.stdout
    assert "geheim" not in house.run("check").stdout + house.output()
