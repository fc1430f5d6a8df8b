"""The journal of a real systemd: what units say there, each entry once over kills of the house and rotations."""

import os
from pathlib import Path

import pytest
import systemd
from house import finished, until

manager = pytest.fixture(scope="module")(systemd.needed)

LINES = 3_000
# Kept in its own /run and nowhere else, and nobody who says much is cut short.
SETTINGS = "[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n"
# Sockets of the whole machine: the one would lie in /dev, the other is the kernel's.
NOT_OURS = ["systemd-journald-dev-log.socket", "systemd-journald-audit.socket"]
# A line about a memory that is full, in the words of Ollama, and then numbers.
SAYS = """
echo "<3>time=$(date -u +%Y-%m-%dT%H:%M:%SZ) level=ERROR source=sched.go:470 msg=\\"CUDA error: out of memory\\""
number=0
while [ $number -lt {lines} ]; do
  echo "line $number größer 中文"
  number=$((number + 1))
  [ $((number % 100)) != 0 ] || sleep 0.05
done
"""


@pytest.fixture
def journald(manager, tmp_path):
    """The manager with its journald, and a unit `talker.service` that has yet to be started."""
    folder = Path("/proc", str(manager.init), "root/run/systemd/system")
    for socket in NOT_OURS:
        (folder / socket).symlink_to("/dev/null")
    manager.write("tests.conf", SETTINGS, "run/systemd/journald.conf.d")
    manager.ask("start", "systemd-journald.socket", "systemd-journald.service")
    until("journald runs", lambda: manager.shown("systemd-journald.service", "ActiveState") == "active", 30)
    script = tmp_path / "talker.sh"
    script.write_text(SAYS.format(lines=LINES))
    manager.unit("talker.service", f"/bin/sh {script}")
    return manager


def test_scenario_b04_a_real_systemd_journal_is_read_exactly_once(journald, make_house):
    source = {"type": "journald", "unit": "talker.service", "format": "ollama"}
    house = journald.brings(make_house(start=False, sources={"talker": source})).start()

    def kept():
        return house.journal(kind="log", source="talker")

    journald.ask("start", "talker.service")
    for turn in range(1, 4):
        until("some are read", lambda turn=turn: len(kept()) > LINES * turn // 5, within=60)
        house.kill()
        if turn == 2:
            rotated = finished(journald.inside("journalctl", "--rotate"))
            assert rotated.returncode == 0, rotated.stderr
        house.start()
    until("all are read", lambda: len(kept()) >= LINES + 1, within=60)
    first, *numbered = kept()
    assert [line["msg"] for line in numbered] == [f"line {number} größer 中文" for number in range(LINES)]
    assert (first["level"], first["event"], first["msg"]) == ("error", "out_of_memory", "CUDA error: out of memory")
    assert first["systemd"] == {"unit": "talker.service"} and first["host"]["name"] == os.uname().nodename
    assert first["process"]["pid"] > 1
    until("they are in the index", lambda: house.count('source:talker AND systemd.unit:"talker.service"') == LINES + 1, within=60)
    assert house.stop() == 0
