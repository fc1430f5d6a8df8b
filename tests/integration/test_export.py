"""Files for the programs around the house, tried with those programs."""

import json
import subprocess
import sys
from pathlib import Path

from house import free_port, until

ACCESS = {"allow": ["127.0.0.1", "10.0.0.0/16", "10.0.3.0/24", "fd00:1::/64"], "trusted_proxies": ["172.16.0.1/32"]}
# A sender's address in a network of its own, and whether it may reach the gate.
SENDERS = {"10.0.0.5": True, "172.16.0.1": True, "10.1.0.5": False, "fd00:1::5": True, "fd00:2::5": False}


def test_scenario_g05_the_firewall_lets_in_whom_the_gate_does(make_house):
    """The exported rules, put in force by the real nft in a network of their own, between it and other addresses."""
    gate, logs, model, other = (free_port() for _ in range(4))
    house = make_house(
        start=False,
        listen=f"0.0.0.0:{gate}",
        access=ACCESS,
        sources={"network": {"type": "listen", "address": f"[::]:{logs}", "allow": ["10.1.0.0/16"]}},
        upstreams={"local": {"kind": "ollama", "url": f"http://127.0.0.1:{model}"}},
    )
    rules = house.directory / "tollhouse.nft"
    rules.write_text(house.run("export", "nftables").stdout)
    ports = {"gate": gate, "logs": logs, "model": model, "other": other}
    command = ["unshare", "--map-root-user", "--net", "--mount", sys.executable, Path(__file__).parent / "behind_rules.py"]
    ran = subprocess.run(
        [*command, rules, json.dumps(ports), json.dumps(list(SENDERS))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    reached = json.loads(ran.stdout)
    for sender, may in SENDERS.items():
        # What tollhouse knows nothing of is left alone.
        assert reached[sender]["other"], sender
        # IPv6 at an address of IPv4 only: nobody listens, but the port is closed to nobody by the rules.
        assert reached[sender]["gate"] == may, sender
        assert reached[sender]["logs"] == (sender == "10.1.0.5"), sender
        assert not reached[sender]["model"], sender
    assert all(reached["here"].values()), "on the machine itself, nothing is closed"


def test_a_port_that_nobody_else_reaches_needs_no_rule(make_house):
    house = make_house(start=False, access=ACCESS)
    rules = house.run("export", "nftables").stdout
    assert "which other machines do not reach" in rules
    assert "saddr" not in rules


def test_scenario_r03_logs_of_other_programs_are_rotated_by_a_real_logrotate(make_house, tmp_path):
    """The exported rules are taken by logrotate as they are; the program writes on, and no line that it wrote is missing."""
    app, other = tmp_path / "app.log", tmp_path / "it's odd.log"
    app.write_text("first 1\n")
    other.write_text("other\n")
    house = make_house(
        sources={
            "app": {"type": "file", "paths": [str(app)], "format": "plain"},
            "web": {"type": "file", "paths": [str(tmp_path / "web-*.log"), str(app)], "format": "nginx"},
            "claw": {"type": "file", "paths": [str(tmp_path / "claw-*.log")], "format": "openclaw"},
            "odd": {"type": "file", "paths": [str(other)], "format": "plain"},
        }
    )

    def lines():
        return [record["msg"] for record in house.journal(kind="log", source="app")]

    rules = tmp_path / "rules"
    rules.write_text(house.run("export", "logrotate").stdout)
    rules.chmod(0o644)

    def logrotate(*options):
        command = ["/usr/sbin/logrotate", "--state", tmp_path / "state", *options, rules]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    looked = logrotate("--debug")
    assert looked.returncode == 0 and "error:" not in looked.stderr, looked.stderr
    assert str(other) in looked.stderr and "claw-" not in looked.stderr, "OpenClaw rotates by itself"
    with app.open("a") as program:
        for turn in range(1, 4):
            program.write(f"turn {turn}\n")
            program.flush()
            until("it is collected", lambda turn=turn: f"turn {turn}" in lines())
            rotated = logrotate("--force")
            assert rotated.returncode == 0, rotated.stderr
        program.write("after all\n")
        program.flush()
        until("it is followed", lambda: "after all" in lines())
    assert lines() == ["first 1", "turn 1", "turn 2", "turn 3", "after all"], "each once, in order"
    assert sorted(path.name for path in tmp_path.glob("app.log*")) == ["app.log", "app.log.1", "app.log.2.gz", "app.log.3.gz"]
