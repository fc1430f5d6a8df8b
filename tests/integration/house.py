"""The program under test and the real Ollama beside it, as plain processes that a test starts and stops.

Nothing here waits a fixed time: `until` asks again and again, and fails with what it saw last when its time is over: with
`NotWithin`, as every wait of these tests does.
"""

import contextlib
import io
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import zstandard

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TOLLHOUSE_BINARY", ROOT / "target/debug/tollhouse"))
GGUF = ROOT / "tests/tools/make_tiny_gguf.py"

GIVEN = set()  # ports that a test has, or has had

# Where several workers run the tests, each gives ports of its own: the system's own choices begin at 32768.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = range(15_000, 32_000)[WORKER::WORKERS]

# Every log of a process that the running test has started: conftest.py shows their ends when the test fails.
LOGS = []


def free_port():
    """A port to listen on later: not one that the system may give to a connection, or to another test, meanwhile."""
    while True:
        port = random.choice(PORTS)
        if port in GIVEN:
            continue
        GIVEN.add(port)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


class NotWithin(AssertionError):
    """A wait ran out: what was waited for came never, or not in time."""


# For waits that measure nothing: what works is there long before, on a slow machine that has much else to do, too.
PATIENCE_S = 60.0


def in_time(what, took_s, limit_s):
    """That something took no longer than was promised. It fails as a wait that ran out does."""
    if took_s > limit_s:
        raise NotWithin(f"not within {limit_s} s: {what}; it took {took_s:.2f} s")


def until(what, ask, within=PATIENCE_S, every=0.02):
    """Asks until the answer is true and returns it; `what` names it in the failure."""
    end, seen = time.monotonic() + within, None
    while True:
        try:
            seen = ask()
            if seen:
                return seen
        except (OSError, httpx.HTTPError, AssertionError) as error:
            seen = error
        if time.monotonic() > end:
            raise NotWithin(f"not within {within} s: {what}; last seen: {seen!r}")
        time.sleep(every)


def finished(command, **options):
    """Runs a command to its end and returns it with what it said, however it ended."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": PATIENCE_S, **options}
    return subprocess.run(command, check=False, **options)


def walked(script, task, within=480):
    """What a walk of tests/browser saw; `task` is its task, or a file with it."""
    task = task if isinstance(task, Path) else json.dumps(task)
    done = finished(["node", ROOT / "tests/browser" / script, task], timeout=within)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    if "failure" in seen:
        raise (NotWithin if seen["ranOut"] else AssertionError)(seen["failure"])
    return seen


def descendants(pid):
    """All processes below `pid`, from /proc."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, ask = [], [pid]
    while ask:
        below = children.get(ask.pop(), [])
        found += below
        ask += below
    return found


def cpu_seconds(pids):
    """CPU time that these processes have used so far."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Process:
    """A child with its output in a file, stopped by its own pid."""

    def __init__(self, name, directory):
        self.name, self.log, self.child = name, Path(directory) / f"{name}.out", None

    def spawn(self, command, **options):
        LOGS.append(self.log)
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)

    def output(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        """True while it runs; an error with its last words when it has ended by itself."""
        code = self.child.poll()
        if code is not None:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self.output()[-4000:]}")
        return True

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self, within=40):
        """Asks it to end and returns its exit status; one that stays has failed the test."""
        if self.child is None or self.child.poll() is not None:
            return self.child and self.child.returncode
        self.child.send_signal(signal.SIGCONT)
        self.child.terminate()
        try:
            return self.child.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {within} s of SIGTERM") from None


class Redis(Process):
    """A real Redis server that keeps everything in memory."""

    def __init__(self, directory):
        super().__init__("redis", directory)
        self.directory = Path(directory)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.directory]
        self.spawn(["redis-server", *place, "--save", "", "--appendonly", "no"])
        until("Redis answers", lambda: self.alive() and self.ask("PING") == b"+PONG\r\n")
        return self

    def ask(self, command):
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(65536)


class Ollama(Process):
    """A real Ollama server with its own home, and models that the test makes itself."""

    def __init__(self, directory, **environment):
        super().__init__("ollama", directory)
        self.binary = Path(os.environ["OLLAMA_BINARY"])
        self.directory = Path(directory)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(self.directory / "models"),
            "OLLAMA_NO_CLOUD": "1",
            "OLLAMA_KEEP_ALIVE": "30m",
            "OLLAMA_NUM_PARALLEL": "4",
            "OLLAMA_CONTEXT_LENGTH": "8192",
            **environment,
        }

    def start(self):
        self.spawn([self.binary, "serve"], env=self.environment)
        until("Ollama answers", lambda: self.alive() and httpx.get(f"{self.url}/api/version").is_success)
        return self

    def create(self, name, *arguments):
        """Makes a model with make_tiny_gguf.py's arguments and registers it under `name`."""
        stem = self.directory / re.sub(r"\W", "-", name)
        made = subprocess.run(
            ["python3", GGUF, f"{stem}.gguf", "--modelfile", f"{stem}.modelfile", *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        subprocess.run(
            [self.binary, "create", name, "-f", f"{stem}.modelfile"],
            check=True,
            capture_output=True,
            env=self.environment,
        )
        return json.loads(made.stdout)

    def chat(self, model, text, **options):
        """What Ollama itself answers, without anything in between."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "stream": False,
            "options": {"temperature": 0, "seed": 7, **options},
        }
        answer = httpx.post(f"{self.url}/api/chat", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def processes(self):
        return [self.child.pid, *descendants(self.child.pid)]

    def signal(self, number):
        """To the server and all its runners."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Tollhouse(Process):
    """One running tollhouse with its own directory, configuration and port."""

    def __init__(self, directory, name="tollhouse", source="127.0.0.1", **config):
        super().__init__(name, directory)
        self.directory = Path(directory)
        self.source = source  # the address that the test's own calls come from
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = self.directory / "data"
        self.config = self.directory / "tollhouse.yaml"
        self.signed_in = None  # a client with the console's cookie
        self.configure(**config)
        self.key = self.create_key("test")["key"]  # calls models
        self.reader = self.create_key("reader", "--role", "logs:read")["key"]  # reads the book

    def configure(self, **config):
        # JSON is YAML: what a test gives as a dictionary is the file.
        settings = {
            "service": "clawdbot-qwen3",
            "listen": f"127.0.0.1:{self.port}",
            "data_dir": str(self.data),
            # Without it the house would look for Ollama where it usually is on this machine, and tell in a while that none is there.
            "upstreams": {"demo": {"kind": "demo"}},
            **config,
        }
        self.config.write_text(json.dumps(settings, indent=1, ensure_ascii=False))

    def run(self, *arguments, check=True, **options):
        """Runs a subcommand to its end."""
        done = finished([BINARY, *arguments, "--config", self.config], **options)
        if check and done.returncode != 0:
            raise AssertionError(f"tollhouse {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def create_key(self, name, *options):
        return json.loads(self.run("key", "create", "--name", name, "--json", *options).stdout)

    def launch(self):
        """Starts it, and waits for nothing."""
        self.spawn([BINARY, "up", "--config", self.config], cwd=self.directory)

    def start(self):
        self.launch()
        until("tollhouse answers", lambda: self.alive() and self.get("/healthz").is_success, every=0.005)
        return self

    def client(self, key=None, **options):
        """An HTTP client with this key (the test's own when none is given, none at all for "")."""
        key = self.key if key is None else key
        headers = {"X-Api-Key": key} if key else {}
        headers.update(options.pop("headers", {}))
        # Nothing is encrypted here; without the certificates a client is made in no time.
        transport = httpx.HTTPTransport(local_address=options.pop("source", self.source), verify=False)
        return httpx.Client(base_url=self.url, headers=headers, transport=transport, timeout=30, **options)

    def get(self, path, key=None, **options):
        with self.client(key) as client:
            return client.get(path, **options)

    def post(self, path, body, key=None, headers=None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.client(key, headers={"Content-Type": "application/json", **(headers or {})}) as client:
            return client.post(path, content=content)

    def chat(self, text="hello", model="echo", key=None, headers=None, **fields):
        """One chat by the OpenAI API."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.post("/v1/chat/completions", body, key, headers)

    def taken(self, key, within=PATIENCE_S):
        """Waits until a running house knows a new key, and returns it.

        Each look comes from another address: a key that is not known yet is a wrong key, and ten of those are too many.
        """
        looks = itertools.count(1)

        def known():
            third, fourth = divmod(next(looks), 250)
            with self.client(key, source=f"127.9.{third}.{1 + fourth}") as client:
                return client.get("/v1/models").status_code != 401

        until("the new key is taken", known, within, every=0.05)
        return key

    def status(self):
        """What the console knows about the model servers, by name."""
        if self.signed_in is None:
            self.signed_in = httpx.Client(base_url=self.url, timeout=30)
            assert self.signed_in.get(self.console_address()).status_code == 303
        rows = self.signed_in.get("/console/api/v1/status").json()["upstreams"]
        return {row["name"]: row for row in rows}

    def idle(self, within=PATIENCE_S):
        """Waits until no request has or waits for a place at any model server."""
        until(
            "all places are free",
            lambda: all(row["running"] == row["waiting"] == 0 for row in self.status().values()),
            within,
        )

    def console_address(self):
        """The address with the token in it that opens the console."""
        found = re.search(r"https?://\S+[?&]token=\S+", self.run("token").stdout)
        assert found, "`tollhouse token` printed no address with a token"
        return found.group()

    def search(self, body, index=None):
        """The Elasticsearch API's answer."""
        answer = self.post(f"/es/{index}/_search" if index else "/es/_search", body, self.reader)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def count(self, query):
        answer = self.post("/es/_count", {"query": {"query_string": {"query": query}}}, self.reader)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()["count"]

    def document(self, request_id, within=PATIENCE_S):
        """The indexed document of one request, once it is there."""
        query = {"query": {"bool": {"filter": [{"term": {"kind": "request"}}, {"term": {"request_id": request_id}}]}}}
        hits = until(
            f"the document of request {request_id}", lambda: self.search(query)["hits"]["hits"], within, every=0.01
        )
        assert len(hits) == 1, hits
        return hits[0]["_source"]

    @property
    def journal_file(self):
        return self.data / "journal" / "gateway.log"

    def journal_bytes(self):
        """The whole journal, rotated and compressed files first."""
        current = self.journal_file
        # A compression under way is nobody's to read.
        rotated = [file for file in current.parent.glob(f"{current.stem}-*.log*") if file.suffix != ".tmp"]
        rotated.sort(key=lambda file: int(re.search(r"-(\d+)\.log", file.name).group(1)))
        whole, seen = io.BytesIO(), set()
        for file in rotated:
            stem = file.name.removesuffix(".zst")
            if stem in seen:  # both forms lie there for a moment while one is written from the other
                continue
            seen.add(stem)
            data = file.read_bytes()
            if file.suffix == ".zst":
                data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
            whole.write(data)
        whole.write(current.read_bytes())
        return whole.getvalue()

    def journal(self, **wanted):
        """The journal's records that have these values."""
        whole = self.journal_bytes()
        # Behind the last line end something is being written.
        records = map(json.loads, whole[: whole.rfind(b"\n") + 1].splitlines())
        return [record for record in records if all(record.get(key) == value for key, value in wanted.items())]

    def record(self, request_id):
        """The one record of a finished request."""
        records = self.journal(kind="request", request_id=request_id)
        assert len(records) == 1, records
        return records[0]
