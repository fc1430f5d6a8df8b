"""Syslog under TLS (RFC 5425), in and out, with a real rsyslog and its GnuTLS driver on the other side."""

import json
import subprocess

import pytest
from house import free_port, until
from test_collect import Rsyslog as Sender
from test_collect import checksum, collected, gateway_line, listening
from test_otlp import Rsyslog as Receiver

LINES = 2_000


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path):
    """An authority, and a certificate of it for this machine; another authority that signed nothing."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    for name in ("ca", "other"):
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
        )
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "own.key", "-out", folder / "own.csr")
    openssl(
        *("x509", "-req", "-days", "2", "-in", folder / "own.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key"),
        *("-set_serial", "1", "-extfile", folder / "names", "-out", folder / "own.pem"),
    )
    return folder


class TlsReceiver(Receiver):
    """Takes syslog under TLS into a file."""

    def __init__(self, directory, certificates):
        super().__init__(directory)
        self.certificates = certificates

    def start(self):
        config = self.directory / "rsyslog.conf"
        config.write_text(
            f'global(workDirectory="{self.directory}" maxMessageSize="256k" DefaultNetstreamDriver="gtls"\n'
            f'       DefaultNetstreamDriverCAFile="{self.certificates}/ca.pem"\n'
            f'       DefaultNetstreamDriverCertFile="{self.certificates}/own.pem"\n'
            f'       DefaultNetstreamDriverKeyFile="{self.certificates}/own.key")\n'
            'module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")\n'
            'template(name="all" type="string" string="%msg%\\n")\n'
            f'input(type="imtcp" address="127.0.0.1" port="{self.port}")\n'
            f'action(type="omfile" file="{self.file}" template="all")\n'
        )
        self.spawn(["rsyslogd", "-n", "-f", config, "-i", self.directory / "pid"])
        return self


def test_scenario_b04_syslog_under_tls_out_into_a_real_rsyslog(make_house, tmp_path, certificates):
    server = TlsReceiver(tmp_path, certificates).start()
    source = tmp_path / "app.log"
    source.write_text("".join(f'{{"msg":"line {n} größer 中文","number":{n}}}\n' for n in range(LINES)))

    def far(authority):
        return {
            "upstreams": {"demo": {"kind": "demo"}},
            "sources": {"app": {"type": "file", "paths": [str(source)], "format": "json"}},
            "ship": {"far": {"kind": "syslog", "url": f"tls://localhost:{server.port}", "ca": str(certificates / f"{authority}.pem")}},
        }

    house = make_house(**far("other"))
    try:
        # Who is not of our authority is told nothing.
        def refused():
            return [line for line in house.journal(kind="process", caller="ship") if "certificate" in line["error"].lower()]

        until("the certificate is refused", refused, within=20)
        house.configure(**far("ca"))

        def numbers():
            found = (json.loads(line[line.index("{") :]) for line in server.lines() if "{" in line)
            return [document["number"] for document in found if document.get("source") == "app" and document["kind"] == "log"]

        until("all are there", lambda: len(numbers()) >= LINES, within=40, every=0.3)
        assert numbers() == list(range(LINES))
    finally:
        server.stop()


def test_scenario_b04_a_real_rsyslog_forwards_under_tls(make_house, tmp_path, certificates):
    port = free_port()
    tls = {"cert": str(certificates / "own.pem"), "key": str(certificates / "own.key")}
    house = make_house(sources=listening(port, tls=tls))
    rsyslog = Sender(tmp_path)
    lines = [gateway_line(number) for number in range(LINES)]
    rsyslog.write(lines)
    try:
        rsyslog.start(
            f'global(DefaultNetstreamDriverCAFile="{certificates}/ca.pem")\n'
            f'input(type="imfile" File="{rsyslog.file}" Tag="gateway:" freshStartTail="off")\n'
            f'action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"\n'
            '        template="RSYSLOG_SyslogProtocol23Format" StreamDriver="gtls" StreamDriverMode="1"\n'
            '        StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"\n'
            # Of a full queue (1,000) it throws away what has waited 2 s, and its first handshake may take longer.
            '        queue.type="linkedlist" queue.size="10000" action.resumeRetryCount="-1" action.resumeInterval="1")\n'
        )

        def gateway_lines():
            return [line for line in collected(house) if "number" in line]

        until("all lines are in the journal", lambda: len(gateway_lines()) >= LINES, within=40, every=0.3)
        assert checksum(gateway_lines()) == checksum(lines)
    finally:
        rsyslog.stop()
