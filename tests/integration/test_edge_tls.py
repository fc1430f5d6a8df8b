"""TLS at the edge, as testssl.sh sees it: protocols, ciphers, key exchange, and every weakness that it knows."""

import json
import os
import shutil
import socket
import struct
import subprocess

import pytest
from edges import HOST
from test_edge import OWN, at_the_edge, authority  # noqa: F401 (fixtures)

# About the test's own certificate and name, and about what only a resolver or the authority could say.
OF_THE_TEST = ("cert_", "DNS_", "OCSP", "HSTS", "HTTP", "BREACH", "engine", "scan", "optimal", "service", "overall", "sessionresumption")
# Grave enough to be a weakness.
WEAK = {"LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN"}


def seen_by_testssl(visitors):
    """Its findings, by id."""
    found = visitors.file.with_name("testssl.json")
    found.unlink(missing_ok=True)
    command = [shutil.which("testssl") or "testssl.sh", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", found, "--ip", "127.0.0.1"]
    environment = {**os.environ, "TERM": "dumb", "TESTSSL_INSTALL_DIR": "/etc/testssl", "MAX_WAITSOCK": "5"}
    subprocess.run([*map(str, command), f"{HOST}:{visitors.https}"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=900)
    return {finding["id"]: (finding["severity"], finding["finding"]) for finding in json.loads(found.read_text())}


def chosen_group(port, groups):
    """The group that the server asks a share of (RFC 8446, section 4.1.4): the hello has none, so that it has to say."""

    def extension(kind, content):
        return struct.pack("!HH", kind, len(content)) + content

    def listed(values):
        return struct.pack(f"!H{len(values)}H", 2 * len(values), *values)

    name = HOST.encode()
    extensions = b"".join(
        [
            extension(0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name),
            extension(10, listed(groups)),
            extension(13, listed([0x0403, 0x0804])),
            extension(43, b"\x02\x03\x04"),
            extension(51, b"\x00\x00"),
        ]
    )
    hello = struct.pack("!H32sB", 0x0303, os.urandom(32), 0) + listed([0x1301, 0x1302]) + b"\x01\x00" + struct.pack("!H", len(extensions)) + extensions
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake)
        answer = connection.recv(4_096)
    # Record, handshake, version and random, session, cipher, compression: then extensions.
    at = 5 + 4 + 2 + 32
    at += 1 + answer[at] + 2 + 1 + 2
    while at < len(answer):
        kind, length = struct.unpack_from("!HH", answer, at)
        if kind == 51:
            return struct.unpack_from("!H", answer, at + 4)[0]
        at += 4 + length
    return None


def weak(findings):
    return {name: told for name, told in findings.items() if told[0] in WEAK and not name.startswith(OF_THE_TEST)}


@pytest.mark.skipif("TESTSSL" not in os.environ, reason="minutes: TESTSSL=1")
def test_scenario_g12_testssl_finds_no_weakness_at_all(at_the_edge):  # noqa: F811
    _, visitors = at_the_edge(OWN)
    seen = seen_by_testssl(visitors)
    for name, told in seen.items():
        print(f"{name}: {told[0]}: {told[1]}")
    assert not weak(seen), weak(seen)
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert "not offered" in seen[old][1], seen[old]
    for new in ("TLS1_2", "TLS1_3"):
        assert seen[new][1].startswith("offered"), seen[new]
    # What an A needs beside that (SSL Labs' guide): protocols above, ciphers of 128 bits or more with forward secrecy alone, no
    # renegotiation by the client, HSTS of half a year or more.
    for name in ("heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"):
        assert seen[name][0] in ("OK", "INFO"), (name, seen[name])
    assert seen.get("FS", seen.get("PFS"))[0] == "OK", "forward secrecy, as 3.2 and 3.0 call it"


def test_scenario_g12_the_hybrid_of_ml_kem_is_what_a_browser_of_today_gets(at_the_edge):  # noqa: F811
    """OpenSSL of Debian 12 does not know it; Chromium and Firefox do. Asked by bytes: which group the server chooses of those offered."""
    _, visitors = at_the_edge(OWN)
    assert chosen_group(visitors.https, [0x11EC, 0x001D]) == 0x11EC
    assert chosen_group(visitors.https, [0x001D, 0x0017]) == 0x001D
