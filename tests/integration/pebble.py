"""A real Pebble, the test server of Let's Encrypt, and the name server that it asks."""

import json
import os
import ssl
import subprocess
import urllib.request
from pathlib import Path

from edges import Authority
from house import ROOT, Process, free_port, until

# Who knows this name sends it elsewhere.
BLOCKED = "blocked.example.test"


class Pebble(Process):
    """An ACME authority that looks at names on this machine, at the two ports of a house's edge."""

    def __init__(self, directory, http, https, bound=None, name="pebble"):
        """`bound` are the accounts (id → key) without one of which nobody gets a certificate; any may come where there are none."""
        super().__init__(name, directory)
        self.folder = Path(directory) / name
        self.folder.mkdir()
        tools = subprocess.run([ROOT / "tests/tools/pebble.sh"], stdout=subprocess.PIPE, text=True, check=True)
        self.tools = Path(tools.stdout.strip())
        own = Authority(self.folder / "own")
        files = own.sign("localhost")
        self.ca = own.file  # who signed Pebble's own certificate
        self.port, self.management, self.names = free_port(), free_port(), Process(f"{name}-names", directory)
        self.names_port, self.names_management = free_port(), free_port()
        self.directory_url = f"https://localhost:{self.port}/dir"
        self.file = self.folder / "pebble.json"
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": files["cert"],
            "privateKey": files["key"],
            "httpPort": http,
            "tlsPort": https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(bound),
            "externalAccountMACKeys": bound or {},
            "domainBlocklist": [BLOCKED],
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {
                "default": {"description": "three months", "validityPeriod": 90 * 86_400},
                "shortlived": {"description": "six days", "validityPeriod": 6 * 86_400},
            },
        }
        self.file.write_text(json.dumps({"pebble": settings}))

    def start(self, **environment):
        """`environment` sets how it misbehaves: PEBBLE_WFE_NONCEREJECT (percent), …"""
        if self.names.child is None:
            options = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1"]
            at = ["-dnsserver", f"127.0.0.1:{self.names_port}", "-management", f"127.0.0.1:{self.names_management}"]
            self.names.spawn([self.tools / "pebble-challtestsrv", *options, *at])
        self.spawn(
            [self.tools / "pebble", "-config", self.file, "-dnsserver", f"127.0.0.1:{self.names_port}"],
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", **environment},
        )
        until("Pebble answers", lambda: self.alive() and self.ask(self.port, "/dir"), within=20)
        return self

    def stop(self, within=40):
        self.names.stop()
        self.names.child = None
        return super().stop(within)

    def ask(self, port, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        trusted = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(f"https://localhost:{port}{path}", data, timeout=10, context=trusted) as answer:
            return answer.read().decode()

    def root(self):
        """The file of the authority that signs what is ordered: another one after each start."""
        file = self.folder / "root.pem"
        file.write_text(self.ask(self.management, "/roots/0"))
        return file

    def wants_renewal(self, certificate, begin, end):
        """From now on it wants this certificate (PEM) to be renewed between these two times."""
        window = {"suggestedWindow": {"start": begin, "end": end}}
        told = {"Certificate": certificate, "ARIResponse": json.dumps(window)}
        self.ask(self.management, "/set-renewal-info/", told)
