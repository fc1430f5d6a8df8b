"""Run in a network of its own: puts rules for nft in force, and says which sender reaches which port.

behind_rules.py RULES PORTS SENDERS      PORTS: {name: port}, SENDERS: addresses; prints {sender: {name: reached}} as JSON
"""

import ipaddress
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def open_port(port):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    server.setblocking(False)
    return server


def reaches(prefix, to, port):
    """Whether a connection comes about; rules that drop let it wait for nothing."""
    script = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5, (sys.argv[3], 0))"
    sender = prefix[-1] if prefix else to
    words = [*prefix[:-1], sys.executable, "-c", script, to, str(port), sender]
    return subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0


def main():
    rules, ports, senders = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
    others = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"], stdout=subprocess.PIPE)
    try:
        others.stdout.readline()
        run("ip", "link", "set", "far", "netns", others.pid)
        inside = ["nsenter", "--target", str(others.pid), "--net"]
        run("ip", "link", "set", "near", "up")
        run(*inside, "ip", "link", "set", "far", "up")
        near = {}
        for number, sender in enumerate(senders):
            wide = 128 if ":" in sender else 32
            near[sender] = f"fd00:9::{number + 1:x}" if ":" in sender else f"192.168.77.{number + 1}"
            nodad = ["nodad"] if ":" in sender else []
            run("ip", "addr", "add", f"{near[sender]}/{wide}", "dev", "near", *nodad)
            run(*inside, "ip", "addr", "add", f"{sender}/{wide}", "dev", "far", *nodad)
            family = "-6" if ":" in sender else "-4"
            run("ip", family, "route", "add", ipaddress.ip_address(sender), "dev", "near")
            run(*inside, "ip", family, "route", "add", near[sender], "dev", "far", "src", sender)
        servers = [open_port(port) for port in ports.values()]
        run("nft", "--check", "--file", rules)
        run("nft", "--file", rules)
        # Once more: the table is replaced, not doubled.
        run("nft", "--file", rules)
        with ThreadPoolExecutor(8) as pool:
            ways = {sender: ([*inside, sender], near[sender]) for sender in senders} | {"here": ([], "127.0.0.1")}
            tries = {
                who: {name: pool.submit(reaches, *way, port) for name, port in ports.items()} for who, way in ways.items()
            }
        print(json.dumps({who: {name: tried.result() for name, tried in each.items()} for who, each in tries.items()}))
        for server in servers:
            server.close()
    finally:
        others.kill()
        others.wait()


if __name__ == "__main__":
    main()
