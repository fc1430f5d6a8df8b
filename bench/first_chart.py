#!/usr/bin/env python3
"""From an empty directory and a built binary to the first chart of real requests: does it as its user would, and says how long it took.

    bench/first_chart.py [--binary target/release/tollhouse] [--ollama http://127.0.0.1:11434] [--goal 120]

With Chromium, Node and ui/node_modules the chart is looked at in the browser; else the figures that it is drawn of are asked for.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUESTS = 20
WAIT_S = 60


class Clock:
    """Says how long each step took."""

    def __init__(self):
        self.begun = self.last = time.monotonic()

    def step(self, what):
        now = time.monotonic()
        print(f"{now - self.last:7.2f} s  {what}", flush=True)
        self.last = now

    def whole(self):
        return time.monotonic() - self.begun


def until(what, ask):
    """Asks until the answer is true."""
    end = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if found := ask():
                return found
        if time.monotonic() > end:
            raise SystemExit(f"not within {WAIT_S} s: {what}")
        time.sleep(0.05)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/tollhouse")
    options.add_argument("--ollama", help="a model server that runs elsewhere than at Ollama's usual place")
    options.add_argument("--model", help="the model that is asked [default: the first]")
    options.add_argument("--goal", type=float, default=120, help="seconds that it may take")
    options.add_argument("--shots", type=pathlib.Path, default=ROOT / "target/screenshots")
    options.add_argument("--figures", action="store_true", help="ask for the figures, though there is a browser")
    args = options.parse_args()
    if not args.binary.is_file():
        raise SystemExit(f"{args.binary} is not there: cargo build --release -p tollhouse")
    with tempfile.TemporaryDirectory(prefix="first-chart-") as folder:
        took = walk(args, args.binary.resolve(), pathlib.Path(folder))
    print(f"{took:7.2f} s  from an empty directory to the first chart (goal: {args.goal:.0f} s)")
    sys.exit(took > args.goal)


def walk(args, binary, folder):
    environment = {**os.environ, "HOME": str(folder)}

    def tollhouse(*arguments):
        done = subprocess.run([binary, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"tollhouse {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    clock = Clock()
    tollhouse("init")
    config = folder / "tollhouse.yaml"
    if args.ollama:
        config.write_text(re.sub(r"(?m)^  (demo|local): \{.*\}$", f"  local: {{kind: ollama, url: {args.ollama}}}", config.read_text(), count=1))
    base = "http://" + re.search(r"(?m)^listen: \"?([\d.:]+)", config.read_text())[1]
    clock.step("tollhouse init")
    key = tollhouse("key", "create", "--name", "me").strip()
    clock.step("tollhouse key create")

    def ask(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(base + path, data, {"Content-Type": "application/json", "X-Api-Key": key})
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.read()

    with (folder / "log").open("w") as log:
        house = subprocess.Popen([binary, "up"], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        until("the house answers", lambda: ask("/readyz"))
        clock.step("tollhouse up")
        model = args.model or until("a model is listed", lambda: json.loads(ask("/v1/models"))["data"])[0]["id"]
        for number in range(REQUESTS):
            ask("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": f"Hello, {number}"}]})
        clock.step(f"{REQUESTS} requests to {model}")
        address = re.search(r"https?://\S+[?&]token=\S+", tollhouse("token"))[0]
        clock.step("tollhouse token")
        browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        if browser and shutil.which("node") and (ROOT / "ui/node_modules").is_dir() and not args.figures:
            look(browser, address, args.shots)
            clock.step("the chart in the browser")
        else:
            figures(address)
            clock.step("the figures of the chart (no browser)")
        return clock.whole()
    finally:
        house.send_signal(signal.SIGTERM)
        house.wait(30)


def look(browser, address, shots):
    """Opens the console and waits for the chart."""
    task = json.dumps({"browser": browser, "address": address, "requests": REQUESTS, "shots": str(shots)})
    done = subprocess.run(["node", ROOT / "tests/browser/first_chart.mjs", task], capture_output=True, text=True, check=False)
    seen = json.loads(done.stdout or "{}")
    if done.returncode != 0 or "failure" in seen or seen.get("requests", 0) < REQUESTS:
        raise SystemExit(f"the chart was not seen: {seen.get('failure') or done.stderr}")


def figures(address):
    """Signs in as the browser would, and asks for the requests by minute until all are there."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    opener.open(address, timeout=WAIT_S).close()
    base = address.partition("/?")[0]
    body = {"size": 0, "query": {"term": {"kind": "request"}}, "aggs": {"rate": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}}}}

    def counted():
        headers = {"Content-Type": "application/json", "Origin": base, "X-Tollhouse-Console": "1"}
        request = urllib.request.Request(f"{base}/console/api/v1/search", json.dumps(body).encode(), headers)
        with opener.open(request, timeout=WAIT_S) as answer:
            told = json.loads(answer.read())
        return sum(bucket["doc_count"] for bucket in told["aggregations"]["rate"]["buckets"]) >= REQUESTS

    until("all requests are in the chart", counted)


if __name__ == "__main__":
    main()
