"""Files for the programs around the house, tried with those programs."""

import json
import subprocess
import sys
from pathlib import Path

from house import free_port

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
