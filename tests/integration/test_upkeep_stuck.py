"""A real Ollama that takes requests and answers none: found by what comes from it, and by its silence, while eight people stream.
And one that crashes at once: told by a real mail, confirmed by the link in it."""

import concurrent.futures
import os
import re
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
from house import descendants, until
from mail import Mail
from test_alerts import text_of
from test_upkeep import CLIENTS, Streams, failed, lives, own, ps, told, until_state, why, zombies  # noqa: F401 (a fixture)


def runners(pid):
    """Its own children that have a model."""
    return [child for child in descendants(pid) if "runner" in Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")]


def finish_well(house, streams, more=CLIENTS, within=60):
    streams.until_more(more, within)
    ends = streams.finish()
    assert failed(ends) == [], ends
    assert zombies(house.child.pid) == []
    print(f"{len(ends)} chats, {sum(end[2] == 'error' for end in ends)} cut after they had begun")


def loaded(upstream):
    """Has the model loaded before anybody looks how the server gets on: on a busy machine that may take as long as a stall."""
    answer = httpx.post(f"{upstream['url']}/api/generate", json={"model": "loop", "options": {"num_predict": 1}}, timeout=120)
    assert answer.is_success, answer.text


def test_scenario_r07_a_stopped_runner_is_found_because_nothing_comes_from_it(make_house, own):  # noqa: F811
    process, upstream = own
    supervised = {**process, "stalled": "5s", "drain": "2s", "stop": "2s", "live": {"every": "1s", "failures": 3}}
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": supervised})
    until_state(house, "ollama", "ready")
    loaded(upstream)
    streams = Streams(house)
    streams.until_more(CLIENTS)
    [runner, *_] = until("it has a runner", lambda: runners(ps(house)["ollama"]["pid"]))
    began = time.monotonic()
    os.kill(runner, signal.SIGSTOP)
    # Its port goes on to answer: only its progress tells.
    until("its requests are taken back", lambda: told(house, process_name="ollama", msg="ollama does not get on: unanswered requests are taken back"), 60, 0.1)
    print(f"found after {time.monotonic() - began:.1f} s")
    again = until("it is well again", lambda: (row := ps(house)["ollama"])["state"] == "ready" and not lives(runner) and row, 60, 0.2)
    finish_well(house, streams)
    assert not told(house, waits_for_human=True)
    assert again["starts"] <= 2, "a planned restart at most"


def test_scenario_r07_a_stopped_server_is_started_anew_while_people_wait(make_house, own):  # noqa: F811
    process, upstream = own
    supervised = {**process, "stop": "2s", "live": {"every": "10s", "failures": 3}}
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": supervised})
    first = until_state(house, "ollama", "ready")
    streams = Streams(house)
    streams.until_more(CLIENTS)
    family = [first["pid"], *descendants(first["pid"])]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    # The gate finds it silent by a request that has no byte yet; where all answers had begun, three questions in vain do.
    again = until("it is started anew", lambda: (row := ps(house)["ollama"])["starts"] == 2 and row["state"] == "ready" and row, 90, 0.2)
    assert again["pid"] != first["pid"] and not any(map(lives, family))
    finish_well(house, streams)


def test_scenario_r07_a_server_that_stops_in_the_middle_of_all_its_answers_is_found_by_their_pace(make_house, own):  # noqa: F811
    """The gate watches over answers until they begin, and it is hardly ever asked how it is: only that nothing comes tells."""
    process, upstream = own
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": {**process, "stop": "2s", "live": {"every": "10m", "failures": 3}}})
    first = until_state(house, "ollama", "ready")
    loaded(upstream)
    body = {"model": "loop", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    with house.client() as client, client.stream("POST", "/v1/chat/completions", json=body, timeout=90) as answer:
        lines = answer.iter_lines()
        for _ in range(60):
            next(lines)
        family = [first["pid"], *descendants(first["pid"])]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        until("it is found and ended", lambda: not any(map(lives, family)), 60, 0.2)
        rest = list(lines)
    assert any('"error"' in line for line in rest), "who was in the middle is told"
    again = until_state(house, "ollama", "ready")
    assert again["pid"] != first["pid"] and "asked once" in again["reason"]
    story = why(house, answer.headers["x-request-id"])
    assert story["verdict"]["cause"] == "upstream_restarted", story["verdict"]
    assert house.chat(model="qwen3:4b").status_code == 200
    assert zombies(house.child.pid) == []


def test_scenario_r05_a_killed_runner_costs_nobody_an_unbegun_answer(make_house, own):  # noqa: F811
    """Most times Ollama leaves some of those hanging who were in the middle of an answer, and starts no other runner until they have left."""
    process, upstream = own
    house = make_house(upstreams={"local": upstream}, supervise={"ollama": process})
    first = until_state(house, "ollama", "ready")
    loaded(upstream)
    streams, stop, wholes = Streams(house), threading.Event(), []

    def ask_whole():
        while not stop.is_set():
            wholes.append(house.chat(model="loop", max_tokens=30).status_code)

    # An answer that comes whole hangs like the others, and nothing of it is seen until its end.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        people = [pool.submit(ask_whole) for _ in range(2)]
        try:
            for _ in range(3):
                # Nobody is to be hit twice: a request that lost its runner is sent once more.
                streams.until_more(2 * CLIENTS)
                [runner, *_] = until("it has a runner", lambda: runners(first["pid"]))
                os.kill(runner, signal.SIGKILL)
                until("it has another one", lambda killed=runner: [pid for pid in runners(first["pid"]) if pid != killed and lives(pid)])
            streams.until_more(CLIENTS)
        finally:
            stop.set()
    assert [person.result() for person in people] and set(wholes) == {200}, wholes
    finish_well(house, streams)
    assert ps(house)["ollama"]["starts"] == 1, "Ollama looks after its runners itself"
    cut = [record for record in house.journal(kind="request") if record.get("error")]
    silent = [record for record in cut if "fell silent in the middle of this answer: nothing for" in record["error"]]
    print(f"{len(wholes)} whole ones, {len(silent)} of {len(cut)} that were cut had been left hanging")
    for record in silent[-1:]:
        verdict = why(house, record["request_id"])["verdict"]
        assert verdict["cause"] == "upstream_broken" and "fell silent" in verdict["text"], verdict


@pytest.fixture
def mail(tmp_path):
    server = Mail(tmp_path).start()
    yield server
    server.stop()


def test_scenario_r11_a_crash_at_once_is_told_by_mail_and_confirmed_by_the_link_in_it(make_house, tmp_path, mail):
    crashing = {
        "command": ["sh", "-c", "test -e ok && exec sleep 1000; exit 3"],
        "directory": str(tmp_path),
        "delay": "50ms",
        "delay_max": "50ms",
        "pause_after": "5 in 10m",
    }
    house = make_house(upstreams={"demo": {"kind": "demo"}}, supervise={"crashing": crashing}, channels={"ops": mail.channel})
    paused = until_state(house, "crashing", "paused")
    assert paused["starts"] == 5 and paused["asked"] == {"code": "often", "times": 5, "ms": 600_000}
    [message] = until("the mail", mail.messages, every=0.1)
    [link] = re.findall(r"http://\S+/console/link/\S+", text_of(message))
    with httpx.Client() as anybody:
        shown = anybody.get(link)
        assert "exit code 3" in shown.text and "it is started again" in shown.text and 'value="crashing"' in shown.text
        assert ps(house)["crashing"]["state"] == "paused", "looking does nothing"
        # Neither is another process named by it, nor is it good when it was changed.
        assert "Nothing was started" in anybody.post(link, data={"confirm": "other"}).text
        assert anybody.post(link[:-1] + "x", data={"confirm": "crashing"}).status_code == 404
        (tmp_path / "ok").touch()
        done = anybody.post(link, data={"confirm": "crashing"})
        assert done.status_code == 200 and "Confirmed" in done.text, done.text
        until_state(house, "crashing", "ready")
        [confirmed] = told(house, msg="crashing was confirmed by a human")
        assert confirmed["by"] == "link of ops"
        # It works once: paused anew, it is told of anew.
        (tmp_path / "ok").unlink()
        os.kill(ps(house)["crashing"]["pid"], signal.SIGKILL)
        until_state(house, "crashing", "paused")
        assert "Nothing was started" in anybody.post(link, data={"confirm": "crashing"}).text
        assert 'value="crashing"' not in anybody.get(link).text
    assert zombies(house.child.pid) == []
