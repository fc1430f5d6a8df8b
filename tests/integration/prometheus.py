"""A real Prometheus, and promtool, as tests/tools/prometheus.sh fetches them."""

import os
import subprocess
from pathlib import Path

import httpx
from house import ROOT, Process, free_port, until


def binaries():
    """The folder of both programs."""
    fetched = subprocess.run(
        [ROOT / "tests/tools/prometheus.sh"], check=True, capture_output=True, text=True, env=os.environ
    )
    return Path(fetched.stdout.strip().splitlines()[-1])


def promtool(*arguments, check=True, **options):
    done = subprocess.run(
        [binaries() / "promtool", *arguments], check=False, capture_output=True, text=True, timeout=60, **options
    )
    if check and done.returncode != 0:
        raise AssertionError(f"promtool {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
    return done


class Prometheus(Process):
    """Runs with this configuration file."""

    def __init__(self, directory, config):
        super().__init__("prometheus", directory)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.directory, self.config = directory, config

    def start(self):
        self.spawn(
            [
                binaries() / "prometheus",
                f"--config.file={self.config}",
                f"--storage.tsdb.path={self.directory / 'prometheus-data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--enable-feature=exemplar-storage",
                "--log.level=warn",
            ],
            cwd=self.directory,
        )
        until("Prometheus is ready", self.is_ready, within=30)
        return self

    def is_ready(self):
        try:
            return self.alive() and httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False

    def api(self, path, **parameters):
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20)
        told = answer.json()
        assert told["status"] == "success", f"{path} {parameters}: {told}"
        return told["data"]

    def query(self, expression):
        """The values of an expression now, by their labels."""
        return [(sample["metric"], float(sample["value"][1])) for sample in self.api("query", query=expression)["result"]]
