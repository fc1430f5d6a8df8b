"""A real Elasticsearch and a real OpenSearch node, as processes that a test starts and stops."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx
from house import ROOT, Process, free_port, until

NOBODY = pwd.getpwnam("nobody")


class ElasticNode(Process):
    """One node with its own data. It refuses to run as root, so it then runs as nobody, from a folder of its own."""

    def __init__(self, kind, heap="2g"):
        found = subprocess.run([ROOT / "tests/tools/elastic.sh", kind], stdout=subprocess.PIPE, text=True, check=True)
        # Folders of tests are closed to others; this one must not be.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
        super().__init__(kind, self.directory)
        self.kind, self.heap, self.port = kind, heap, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = self.directory / "home"
        shutil.copytree(found.stdout.strip(), self.home, copy_function=os.link)
        config = self.home / "config" / f"{kind}.yml"
        config.unlink()  # a link to the one in the cache
        lines = [
            "cluster.name: test",
            "node.name: n1",
            f"path.data: {self.directory}/data",
            f"path.logs: {self.directory}/logs",
            "network.host: 127.0.0.1",
            f"http.port: {self.port}",
            f"transport.port: {free_port()}",
            "discovery.type: single-node",
            "cluster.routing.allocation.disk.threshold_enabled: false",
            # Without it a query may be counted from what was asked before.
            "indices.queries.cache.size: 1mb",
        ]
        if kind == "elasticsearch":
            lines.append("xpack.security.enabled: false")
        config.write_text("\n".join(lines) + "\n")
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def launch(self):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "ES_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap}",
            "OPENSEARCH_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap}",
        }
        java = Path(shutil.which("java")).resolve().parent.parent
        environment |= {"ES_JAVA_HOME": str(java), "OPENSEARCH_JAVA_HOME": str(java)}
        options = {}
        if os.getuid() == 0:
            options = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}
            self.directory.chmod(0o755)
            for place in [self.directory, self.home, *self.home.rglob("*")]:
                if place.is_dir() or place.is_relative_to(self.home / "config"):
                    os.chown(place, NOBODY.pw_uid, NOBODY.pw_gid)
                    place.chmod(0o755 if place.is_dir() else 0o644)
        self.spawn([self.home / "bin" / self.kind], env=environment, cwd=self.home, **options)
        return self

    def ready(self):
        until(f"{self.kind} is up", lambda: self.alive() and self.health(), within=600, every=0.2)
        return self

    def start(self):
        return self.launch().ready()

    def health(self):
        return self.client.get("/_cluster/health").json().get("status") in ("green", "yellow")

    def ask(self, method, path, **options):
        return self.client.request(method, path, **options)

    def drop(self):
        """Ends it and removes what it had, so how it ends is of no account."""
        self.client.close()
        try:
            with contextlib.suppress(AssertionError):
                self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
