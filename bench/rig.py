"""What the benches share: processes pinned to a core, their CPU time and memory, model servers, and tables."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
# The proxy under test has one core for itself; load and model server have the other.
PROXY_CORE, LOAD_CORE = 0, 1

TEXT = "Hello, how can I help you today?"
ASK = {"model": "m", "messages": [{"role": "user", "content": "Say hello."}]}
OPENAI_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
}
OLLAMA_ANSWER = {
    "model": "m",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": TEXT},
    "done": True,
    "done_reason": "stop",
    "total_duration": 9000000,
    "load_duration": 1000000,
    "prompt_eval_count": 12,
    "prompt_eval_duration": 2000000,
    "eval_count": 9,
    "eval_duration": 5000000,
}
ANTHROPIC_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 9},
}
# What a model server of each kind answers, by path.
ANSWERS = {
    "openai": {
        "= /v1/models": {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]},
        "/": OPENAI_ANSWER,
    },
    "ollama": {
        "= /api/version": {"version": "0.17.4"},
        "= /api/tags": {"models": [{"name": "m", "model": "m", "size": 1, "digest": "0"}]},
        "= /api/ps": {"models": [{"name": "m", "model": "m", "size": 1, "digest": "0", "context_length": 8192}]},
        "= /api/show": {"capabilities": ["completion"], "model_info": {"general.architecture": "llama"}},
        "/": OLLAMA_ANSWER,
    },
    "anthropic": {
        "= /v1/models": {"data": [{"type": "model", "id": "m", "display_name": "m"}], "has_more": False},
        "/": ANTHROPIC_ANSWER,
    },
}


def need(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise SystemExit(f"not installed: {' '.join(missing)}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.005)
    raise SystemExit(f"nothing listens on port {port}")


def pinned(core, command, **options):
    return subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], **options)


def stop(process):
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()
    process.wait()


def family(pid):
    """The process and its children, whichever of its threads started them (nginx has a worker, Elasticsearch a starter)."""
    children = []
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            children += (thread / "children").read_text().split()
    return [pid] + [below for child in children for below in family(int(child))]


def cpu_seconds(pid):
    total = 0
    for one in family(pid):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def cpu_by_thread(pid):
    """CPU seconds by the names of threads, of those that live; numbers at their ends left out."""
    found = {}
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name, fields = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            user, system = (int(ticks) / TICKS for ticks in fields.split()[11:13])
            before = found.get(name := name.rstrip("0123456789"), (0, 0))
            found[name] = (before[0] + user, before[1] + system)
    return found


def memory_bytes(pid):
    """Proportional set size of the process and its children."""
    total = 0
    for one in family(pid):
        text = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
    return total


def resident_bytes(pid):
    """Resident memory of the process and its children: asking costs them nothing, unlike the proportional set size."""
    return sum(int(pathlib.Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid)) * resource.getpagesize()


def start_nginx(directory, name, port, body, core):
    root = directory / name
    (root / "logs").mkdir(parents=True)
    temp = "".join(f"{kind}_temp_path {root}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (root / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;"
        f"worker_rlimit_nofile 65536; events {{ worker_connections 16384; }}"
        f"http {{ access_log off; keepalive_requests 10000000; {temp} {body} }}"
    )
    process = pinned(core, ["nginx", "-p", root, "-c", root / "nginx.conf"], stderr=subprocess.DEVNULL)
    wait_for(port)
    return process


def start_model(directory, name, port, kind="openai"):
    """A model server that answers every chat with the same text, at once."""
    places = "".join(
        f"location {path} {{ default_type application/json; return 200 '{json.dumps(body)}'; }}"
        for path, body in ANSWERS[kind].items()
    )
    server = f"server {{ listen 127.0.0.1:{port} backlog=8192; {places} }}"
    return start_nginx(directory, name, port, server, LOAD_CORE)


def start_proxy(directory, name, port, upstream):
    """nginx as a bare proxy, which is what everything is compared with."""
    server = (
        f"upstream m {{ server 127.0.0.1:{upstream}; keepalive 64; }} server {{ listen 127.0.0.1:{port} backlog=8192;"
        " location / { proxy_pass http://m; proxy_http_version 1.1; proxy_set_header Connection '';"
        " proxy_buffering off; proxy_read_timeout 600s; } }"
    )
    return start_nginx(directory, name, port, server, PROXY_CORE)


def write_house(directory, name, upstream, kind="openai"):
    """Directory, port and configuration of a tollhouse with everything on: keys, limits, journal, index."""
    root = directory / name
    root.mkdir()
    port = free_port()
    base = f"http://127.0.0.1:{upstream}{'/v1' if kind == 'openai' else ''}"
    config = {
        "data_dir": f"{root}/data",
        "listen": f"127.0.0.1:{port}",
        "upstreams": {"up": {"kind": kind, "url": base, "parallel": 10_000}},
        "access": {"rate_limit": {"requests": 1_000_000_000, "per": "1s"}},
        "limits": {"per_address": 100_000},
    }
    (root / "tollhouse.yaml").write_text(json.dumps(config))
    return root, port


def make_key(program, root, *options):
    command = [program, "key", "create", "--name", "bench", "--json", *options, "--config", root / "tollhouse.yaml"]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(made.stdout)["key"]


def start_tollhouse(directory, name, upstream, program, kind="openai"):
    root, port = write_house(directory, name, upstream, kind)
    key = make_key(program, root)
    with (root / "stderr").open("w") as log:
        process = pinned(PROXY_CORE, [program, "up", "--config", root / "tollhouse.yaml"], stderr=log)
    wait_for(port)
    return process, port, key


def row(label, values, form="{:.2f}"):
    """A line of a table: median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"| {label} | {form.format(middle)} | {form.format(low)} – {form.format(high)} |"


def table(title):
    print(f"\n### {title}\n\n| | median | range |\n|---|---|---|")
