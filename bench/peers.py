#!/usr/bin/env python3
"""Other gateways to measure against: each is installed from its package registry into the bench's cache, and started.

    bench/peers.py litellm portkey sglang      install them, start each, ask it once, and say which version that was

They run as their documentation says, with what they need to pass a request on and no more: no keys except LiteLLM's own
master key, no limits, no database, no log of requests.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

from rig import ASK, PROXY_CORE, free_port, need, pinned, start_model, stop, wait_for

CACHE = pathlib.Path(os.environ.get("TOLLHOUSE_CACHE", pathlib.Path.home() / ".cache/tollhouse-test")) / "peers"
KEY = "sk-bench"


def by_pip(name, package):
    """A Python environment with this package."""
    place = CACHE / f"{name}-{package.rpartition('==')[2]}"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/pip", "install", "--quiet", package], check=True)
        (place / "ready").touch()
    return place / "bin"


def by_npm(name, package):
    """A folder with this package in its node_modules."""
    place = CACHE / f"{name}-{package.rpartition('@')[2]}"
    if not (place / "ready").exists():
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--loglevel=error", package], cwd=place, check=True)
        (place / "ready").touch()
    return place / "node_modules"


def litellm(directory, upstream, port):
    config = {
        "model_list": [
            {
                "model_name": "m",
                "litellm_params": {
                    "model": "openai/m",
                    "api_base": f"http://127.0.0.1:{upstream}/v1",
                    "api_key": "none",
                },
            }
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
    }
    (directory / "litellm.yaml").write_text(json.dumps(config))
    program = by_pip("litellm", "litellm[proxy]==1.106.2") / "litellm"
    place = ["--host", "127.0.0.1", "--port", port, "--num_workers", "1"]
    return [program, "--config", directory / "litellm.yaml", *place], {}


def portkey(_directory, upstream, port):
    server = by_npm("portkey", "@portkey-ai/gateway@1.15.2") / "@portkey-ai/gateway/build/start-server.js"
    custom = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"}
    return ["node", server, f"--port={port}", "--headless"], custom


def sglang(_directory, upstream, port):
    python = by_pip("sglang-router", "sglang-router==0.3.2") / "python"
    place = ["--host", "127.0.0.1", "--port", port, "--prometheus-port", free_port()]
    return [python, "-m", "sglang_router.launch_router", *place, "--worker-urls", f"http://127.0.0.1:{upstream}"], {}


PEERS = {"litellm": litellm, "portkey": portkey, "sglang": sglang}


def start_peer(name, directory, upstream):
    """Starts it on the proxy's core; gives the process, its port, and the headers that it wants."""
    port = free_port()
    command, headers = PEERS[name](directory, upstream, port)
    with (directory / f"{name}.log").open("w") as log:
        process = pinned(PROXY_CORE, command, stdout=log, stderr=log)
    wait_for(port)
    return process, port, headers


def ask(port, headers):
    """One chat."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(ASK).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def main():
    need("nginx", "taskset", "node", "npm")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        upstream = free_port()
        model = start_model(directory, "model", upstream)
        try:
            for peer in sys.argv[1:] or PEERS:
                process, port, headers = start_peer(peer, directory, upstream)
                try:
                    print(f"{peer}: {ask(port, headers)}")
                finally:
                    stop(process)
        finally:
            stop(model)


if __name__ == "__main__":
    main()
