"""The configuration in the console: shown without secrets, checked, applied as a whole or not at all, and undone."""

import json
import os
import stat
from urllib.parse import urlsplit

from house import until
from test_users import API, audits, browser, create

SECRET = "sk-of-the-office"


def settings(client):
    answer = client.get(f"{API}/settings")
    assert answer.status_code == 200, answer.text
    return answer.json()


def check(client, text):
    return client.post(f"{API}/settings/check", json={"text": text}).json()


def apply(client, text, version, later=False):
    return client.post(f"{API}/settings/apply", json={"text": text, "version": version, "later": later})


def house_with_secret(make_house, scripted):
    house = make_house(
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "key": SECRET}},
        timeouts={"idle": "30s"},
    )
    # As people write it: a line for each part.
    parts = json.loads(house.config.read_text())
    house.config.write_text("# a comment\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in parts.items()))
    return house


def test_settings_show_where_each_value_comes_from_and_no_secret(make_house, scripted):
    house = house_with_secret(make_house, scripted)
    create(house, "root", "admin")
    create(house, "viewer", "viewer")
    with browser(house, "root") as client:
        shown = settings(client)
        assert SECRET not in str(shown) and shown["faults"] == [] and shown["pending"] == [] and shown["locked"] is None
        values = {value["path"]: value for value in shown["settings"]}
        line = values["timeouts.idle"]["line"]
        assert "idle" in shown["text"].splitlines()[line - 1]
        assert values["timeouts.idle"]["value"] == "30s" and values["timeouts.idle"]["from"] == "file"
        assert values["timeouts.total"]["from"] == "default"
        assert values["upstreams.scripted.key"]["value"] == "***"
    with browser(house, "viewer") as client:
        for path in ["settings", "settings/history"]:
            assert client.get(f"{API}/{path}").status_code == 403


def test_scenario_r01_a_change_is_checked_applied_and_undone(make_house, scripted):
    house = house_with_secret(make_house, scripted)
    create(house, "root", "admin")
    os.chmod(house.config, 0o640)
    before = house.config.read_text()
    with browser(house, "root") as client:
        shown = settings(client)
        wrong = check(client, shown["text"].replace("30s", "soon"))
        assert wrong["faults"][0]["line"] and wrong["faults"][0]["expected"]
        told = check(client, shown["text"].replace("30s", "40s"))
        assert told["changed"] == ["timeouts.idle"] and told["restart"] == [] and told["faults"] == []
        assert [line["what"] for line in told["diff"] if line["what"] in ("in", "out")] == ["out", "in"]

        done = apply(client, shown["text"].replace("30s", "40s"), shown["version"])
        assert done.status_code == 200, done.text
        assert done.json()["changed"] == ["timeouts.idle"]
        # In force, with the same secret, mode and owner.
        now = settings(client)
        values = {value["path"]: value["value"] for value in now["settings"]}
        assert values["timeouts.idle"] == "40s"
        assert house.config.read_text() == before.replace("30s", "40s")
        assert stat.S_IMODE(house.config.stat().st_mode) == 0o640
        assert house.chat("hello").status_code == 200
        assert scripted.chats()[-1].headers["authorization"] == f"Bearer {SECRET}"

        # Who still has the older text in front of them overwrites nothing.
        late = apply(client, shown["text"].replace("30s", "50s"), shown["version"])
        assert (late.status_code, late.json()["code"]) == (409, "changed_on_disk")

        revision = client.get(f"{API}/settings/history").json()["revisions"][0]
        assert (revision["by"], revision["role"], revision["changed"]) == ("root", "admin", ["timeouts.idle"])
        whole = client.get(f"{API}/settings/history/{revision['id']}").json()
        assert SECRET not in str(whole)
        undone = apply(client, whole["before"], now["version"])
        assert undone.status_code == 200, undone.text
        assert house.config.read_text() == before
        assert len(client.get(f"{API}/settings/history").json()["revisions"]) == 2
    until("both are told", lambda: len(audits(house, "configuration changed")) == 2)
    assert SECRET not in house.output()


def test_what_the_house_refuses_leaves_the_file_as_it_was(make_house, scripted):
    house = house_with_secret(make_house, scripted)
    create(house, "root", "admin")
    with browser(house, "root") as client:
        shown = settings(client)
        text, version = shown["text"], shown["version"]
        before = house.config.read_text()
        refused = [
            # Not even parsed.
            (text + "nonsense: 1\n", 400, "faulty"),
            # Another upstream does not get this one's secret.
            (text.replace('"scripted"', '"other"'), 400, "secrets"),
            # Whoever has a session has no shell.
            (text + "supervise: {x: {command: [sleep, '99']}}\n", 403, "barred"),
            (text, 400, "unchanged"),
            # Right by itself, but the address is taken: the house finds out when it binds it.
            (text + f"search: {{listen: '{urlsplit(scripted.url).netloc}'}}\n", 409, "refused"),
        ]
        for changed, status, code in refused:
            answer = apply(client, changed, version)
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
            assert house.config.read_text() == before
        assert settings(client)["pending"] == []
        assert client.get(f"{API}/settings/history").json()["revisions"] == []

        # A restart is named before, and waited for only where that is wanted.
        other = text.replace('service: "clawdbot-qwen3"', "service: renamed")
        assert check(client, other)["restart"] == ["service"]
        assert apply(client, other, version).json()["code"] == "restart"
        later = apply(client, other, version, later=True)
        assert later.status_code == 200 and later.json()["restart"] == ["service"]
        waiting = settings(client)
        assert waiting["pending"] == ["service"]
        assert {value["path"]: value["value"] for value in waiting["settings"]}["service"] != "renamed"
    house.stop()
    house.start()
    with browser(house, "root") as client:
        assert settings(client)["pending"] == []
