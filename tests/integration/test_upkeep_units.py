"""Units of a real systemd under supervision: systemd starts and ends them, the house watches, asks for it, and lets humans decide."""

import contextlib
import socket
import threading

import pytest
import systemd
from house import free_port, until
from test_upkeep import lives, ps, told, until_state

DEMO = {"demo": {"kind": "demo"}}


manager = pytest.fixture(scope="module")(systemd.needed)


@pytest.fixture
def units(manager, make_house):
    """Makes a house within the namespace of systemd; its units are given as they are supervised."""
    return lambda **supervise: manager.brings(make_house(start=False, upstreams=DEMO, supervise=supervise)).start()


def main_pid(manager, unit):
    return int(manager.shown(unit, "MainPID"))


def runs_once(manager, command):
    """Until one process runs this command within the namespace, and one alone: a new one is its parent's image for a moment."""

    def count():
        return systemd.finished(manager.inside("ps", "-eo", "args")).stdout.splitlines().count(command)

    until("it runs once", lambda: count() == 1)


def test_scenario_r05_a_unit_is_watched_and_systemd_alone_starts_and_ends_it(manager, units):
    manager.unit("model.service", "/bin/sleep 77001", Restart="always", RestartSec="300ms")
    manager.ask("start", "model.service")
    house = units(model={"unit": "model.service", "memory": {"hard": "1GB"}})
    row = until_state(house, "model", "ready")
    first = main_pid(manager, "model.service")
    assert row["pid"] == first and row["command"] == ["model.service"], row
    until("its memory is known", lambda: ps(house)["model"]["memory_bytes"])
    # Its main process dies: systemd starts another one, and the house does not.
    systemd.finished(manager.inside("kill", "-9", first))
    again = until("the new one is seen", lambda: (row := ps(house)["model"])["state"] == "ready" and row["pid"] not in (first, None) and row)
    assert again["pid"] == main_pid(manager, "model.service") and again["starts"] == 2
    assert [record["exit_signal"] for record in told(house, process_name="model") if "exit_signal" in record] == [9]
    runs_once(manager, "/bin/sleep 77001")
    # By order of a human.
    house.run("restart", "model")
    third = until("it is another one", lambda: (row := ps(house)["model"])["state"] == "ready" and row["pid"] not in (first, again["pid"], None) and row)
    assert third["pid"] == main_pid(manager, "model.service")
    runs_once(manager, "/bin/sleep 77001")
    house.run("stop", "model")
    until_state(house, "model", "stopped")
    assert manager.shown("model.service", "ActiveState") == "inactive"
    house.run("start", "model")
    until_state(house, "model", "ready")
    # Somebody else stops it: that is theirs to decide.
    manager.ask("stop", "model.service")
    until_state(house, "model", "stopped")
    assert told(house, process_name="model", msg="model has stopped: in good order by itself, or by somebody else")
    manager.ask("start", "model.service")
    until_state(house, "model", "ready", within=90)
    # It is systemd's: the house comes and goes.
    before = main_pid(manager, "model.service")
    house.kill()
    house.start()
    assert until_state(house, "model", "ready")["pid"] == before
    house.stop()
    assert main_pid(manager, "model.service") == before
    manager.ask("stop", "model.service")


def test_scenario_r11_a_unit_that_crashes_again_and_again_is_stopped_until_a_human_confirms(manager, units, tmp_path):
    mended = tmp_path / "mended"
    script = f"/bin/sh -c 'test -e {mended} && exec sleep 77002; exit 3'"
    manager.unit("crashing.service", script, Restart="always", RestartSec="100ms", StartLimitIntervalSec="0")
    manager.ask("start", "crashing.service")
    house = units(crashing={"unit": "crashing.service", "pause_after": "3 in 10m"})
    paused = until_state(house, "crashing", "paused", within=90)
    assert "failure 3 within" in paused["reason"], paused
    until("systemd does not start it meanwhile", lambda: manager.shown("crashing.service", "ActiveState") == "inactive")
    refused = house.run("start", "crashing", check=False)
    assert refused.returncode == 1 and "waits for a human to confirm" in refused.stderr
    assert [record["exit_code"] for record in told(house, process_name="crashing") if "exit_code" in record][-1] == 3
    mended.touch()
    house.run("confirm", "crashing")
    row = until_state(house, "crashing", "ready")
    assert row["pid"] == main_pid(manager, "crashing.service") != 0
    manager.ask("stop", "crashing.service")


def test_a_unit_that_systemd_gives_up_is_asked_for_again_unless_its_exit_code_forbids_that(manager, units):
    manager.unit("once.service", "/bin/sleep 77003", Restart="no")
    manager.unit("final.service", "/bin/sh -c 'sleep 0.5; exit 78'", Restart="on-failure", RestartSec="100ms", RestartPreventExitStatus="78")
    manager.ask("start", "once.service", "final.service")
    house = units(once={"unit": "once.service", "delay": "200ms"}, final={"unit": "final.service", "delay": "200ms"}, lost={"unit": "nowhere.service"})
    failed = until_state(house, "final", "failed")
    assert "exit code 78" in failed["reason"], failed
    first = until_state(house, "once", "ready")["pid"]
    systemd.finished(manager.inside("kill", "-9", first))
    until("it is asked for again", lambda: (row := ps(house)["once"])["state"] == "ready" and row["pid"] not in (first, None))
    [trouble] = told(house, process_name="lost", level="error")
    assert trouble["error"] == "no unit has this name"
    manager.ask("stop", "once.service")


def test_scenario_r05_a_unit_of_the_users_manager_is_watched_and_asked_for(manager, make_house):
    environment = manager.start_user()
    manager.unit("assistant.service", "/bin/sleep 77005", folder="run/user/0/systemd/user", Restart="no")
    # As `systemctl --user` of that user.
    ask = lambda *words: systemd.finished(manager.inside("env", "XDG_RUNTIME_DIR=/run/user/0", "systemctl", "--user", *words))  # noqa: E731
    assert ask("daemon-reload").returncode == 0
    supervise = {"assistant": {"unit": "assistant.service", "manager": "user", "delay": "200ms"}}
    house = manager.brings(make_house(start=False, upstreams=DEMO, supervise=supervise), **environment).start()
    # One that does not run is not started by a house that comes.
    until_state(house, "assistant", "stopped")
    house.run("start", "assistant")
    first = until_state(house, "assistant", "ready")["pid"]
    assert int(ask("show", "--property", "MainPID", "--value", "assistant.service").stdout) == first
    # The manager of the system knows nothing of it.
    assert manager.shown("assistant.service", "LoadState") == "not-found"
    systemd.finished(manager.inside("kill", "-9", first))
    again = until("it is asked for again", lambda: (row := ps(house)["assistant"])["state"] == "ready" and row["pid"] not in (first, None) and row)
    assert again["starts"] == 2
    runs_once(manager, "/bin/sleep 77005")
    house.run("stop", "assistant")
    until_state(house, "assistant", "stopped")
    assert ask("show", "--property", "ActiveState", "--value", "assistant.service").stdout.strip() == "inactive"


def test_a_program_that_somebody_else_has_started_is_left_alone_and_never_doubled(make_house):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as foreign:
        threading.Thread(target=lambda: accept_all(foreign), daemon=True).start()
        house = make_house(upstreams=DEMO, supervise={"model": {"command": ["sleep", "77004"], "ready": f"port {port}", "start": "300s"}})
        row = until_state(house, "model", "waiting")
        assert row["starts"] == 0 and row["pid"] is None
        assert row["reason"] == f"one that was not started here answers at 127.0.0.1:{port} already, and is left alone"
        assert [record["msg"] for record in told(house, process_name="model", level="warn")] == ["model is not started"]
        foreign.shutdown(socket.SHUT_RDWR)
    started = until("it is started once that is gone", lambda: (row := ps(house)["model"])["pid"] and row, every=0.2)
    assert lives(started["pid"]) and started["starts"] == 1


def accept_all(server):
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()
