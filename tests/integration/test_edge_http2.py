"""HTTP/2 at the edge: h2spec, which tries whether a server keeps to the rules of RFC 9113 and RFC 7541, all strict cases."""

import contextlib
import http.server
import re
import subprocess
import threading
import time

from edges import HOST
from house import ROOT, finished
from test_edge import OWN, at_the_edge, authority  # noqa: F401 (fixtures)

ADDRESS = "127.0.0.1"


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers after a moment, so that what comes behind a request's head is judged before its answer has gone."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        time.sleep(0.05)
        self.send_response(200)
        self.send_header("Content-Length", "4000")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(b"x" * 4_000)
        self.close_connection = True

    do_GET = do_POST = do_HEAD = answer

    def log_message(self, *_):
        pass


def test_scenario_g12_http2_keeps_to_its_rules(at_the_edge, authority):  # noqa: F811
    h2spec = subprocess.run([ROOT / "tests/tools/h2spec.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with http.server.ThreadingHTTPServer((ADDRESS, 0), Slow) as behind:
        threading.Thread(target=behind.serve_forever, daemon=True).start()
        # h2spec names its host by the address that it connects to.
        route = {"path": "/", "to": f"http://{ADDRESS}:{behind.server_port}"}
        _, visitors = at_the_edge(OWN, more={ADDRESS: {"tls": authority.sign(ADDRESS), "routes": [route]}})
        done = finished([h2spec, "--strict", "-h", ADDRESS, "-p", str(visitors.https), "-t", "-k", "--timeout", "4"], timeout=300)
        behind.shutdown()
    totals = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
    assert totals, done.stdout[-2000:] + done.stderr
    tests, passed, skipped, failed = map(int, totals.groups())
    failures = done.stdout.partition("Failures:")[2]
    assert (failed, skipped) == (0, 0) and passed == tests > 140, failures[:6000]
    assert visitors.ask("/healthz", host=HOST).version == "HTTP/2"
