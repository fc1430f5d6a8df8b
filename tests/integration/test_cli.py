"""The command line: configuration, keys, the first minute."""

import json
import os
import re
import signal
import subprocess

import httpx
import pytest
from house import BINARY, ROOT, Process, finished, free_port, until

BAD = """\
service: clawdbot-qwen3
lisen: 127.0.0.1:18789
limits: {prompt_chars: lots}
timeouts:
  silent: 3 parsecs
upstreams:
  local: {kind: olama, url: "http://127.0.0.1:11434"}
models:
  "qwen3:32b": {upstreams: [lcal]}
"""
# Line, column, and a word of the help that each mistake has to get.
MISTAKES = [(2, 1, "listen"), (3, 24, ""), (5, 11, ""), (7, 17, "ollama"), (9, 29, "local")]


@pytest.mark.parametrize("command", ["check", "up"])
def test_all_mistakes_of_a_configuration_at_once(tmp_path, command):
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    done = finished([BINARY, command, "--config", file])
    assert done.returncode not in (0, 101)
    told = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    for line, column, hint in MISTAKES:
        assert f"bad.yaml:{line}:{column}" in told, told
        assert BAD.splitlines()[line - 1].strip() in told
        assert hint in told
    assert told.count("^") >= len(MISTAKES)


def test_check_prints_the_effective_configuration_without_secrets(make_house):
    house = make_house(start=False)
    house.configure(upstreams={"far": {"kind": "openai", "url": "http://127.0.0.1:9/v1", "key": "${FAR_KEY}"}})
    shown = house.run("check", env={**os.environ, "FAR_KEY": "very-secret"}).stdout
    assert "very-secret" not in shown
    assert "prompt_chars: 32768" in shown and "clawdbot-qwen3" in shown
    refused = house.run("check", check=False)
    assert refused.returncode != 0 and "FAR_KEY" in refused.stderr


def test_no_start_beyond_loopback_without_keys(make_house):
    house = make_house(start=False)
    house.configure(listen="0.0.0.0:18789", access={"auth": "off"})
    refused = house.run("check", check=False)
    assert refused.returncode != 0 and "loopback" in refused.stderr.lower()


def test_keys_are_shown_once_and_listed_without_their_secret(make_house):
    house = make_house(start=False)
    made = house.create_key("prod", "--user", "team-a", "--models", "qwen3:*")
    assert made["name"] == "prod" and made["id"] and len(made["key"]) >= 32
    listed = house.run("key", "list", "--json").stdout
    assert made["id"] in listed and "prod" in listed and made["key"] not in listed
    assert made["key"] not in house.run("key", "list").stdout
    house.run("key", "revoke", made["id"])
    assert house.run("key", "revoke", "nobody", check=False).returncode != 0
    for wrong in [["--expires", "999999999999d"], ["--budget", "5/day", "--budget", "6/day"]]:
        assert house.run("key", "create", "--name", "wrong", *wrong, check=False).returncode != 0, wrong


def test_version_and_help(tmp_path):
    for arguments in [["version"], ["--help"], ["up", "--help"], ["key", "create", "--help"]]:
        done = finished([BINARY, *arguments], cwd=tmp_path)
        assert done.returncode == 0 and done.stdout, arguments
    wrong = finished([BINARY, "upp"])
    assert wrong.returncode == 2 and "up" in wrong.stderr


@pytest.mark.parametrize("bad", [False, True])
def test_whoever_reads_may_stop_reading(tmp_path, bad):
    """As `tollhouse check | head -1` does: no stack trace, and the exit status is that of the check."""
    (tmp_path / "tollhouse.yaml").write_text(BAD if bad else "service: x\n")
    reading, writing = os.pipe()
    os.close(reading)
    broken, heard = {"stdout": writing, "stderr": subprocess.PIPE}, "stderr"
    if bad:
        broken, heard = {"stderr": writing, "stdout": subprocess.PIPE}, "stdout"
    done = finished([BINARY, "check"], cwd=tmp_path, capture_output=False, **broken)
    os.close(writing)
    assert (done.returncode, getattr(done, heard)) == (78 if bad else 0, "")


def test_the_first_configuration_is_good(tmp_path, ollama):
    """`init` in an empty directory writes a file that `check` takes."""
    done = finished([BINARY, "init"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tollhouse.yaml").exists()
    assert finished([BINARY, "check"], cwd=tmp_path).returncode == 0
    again = finished([BINARY, "init"], cwd=tmp_path)
    assert again.returncode != 0, "an existing file is not written over"


def test_sigterm_lets_a_stream_end(house, scripted):
    scripted.late_s = 1
    with house.client() as client:
        body = {"model": "late", "messages": [{"role": "user", "content": "one two"}], "stream": True}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            # The answer's head may come before the upstream's first byte or with it.
            house.child.send_signal(signal.SIGTERM)
            text = "".join(answer.iter_text())
    assert text.rstrip().endswith("data: [DONE]")
    assert house.child.wait(20) == 0


def test_the_run_script_in_an_empty_directory(tmp_path):
    """`./run` writes the configuration, makes a key, prints what to do next, and the curl line that it prints works."""
    port = free_port()
    first = finished(
        [ROOT / "run", "--help"],
        env={**os.environ, "TOLLHOUSE_BINARY": str(BINARY)},
        cwd=tmp_path,
    )
    assert first.returncode == 0 and "./run" in first.stdout
    config = tmp_path / "mine.yaml"
    config.write_text(
        json.dumps(
            {
                "listen": f"127.0.0.1:{port}",
                "data_dir": str(tmp_path / "data"),
                "upstreams": {"demo": {"kind": "demo"}},
            }
        )
    )
    told = started_by_run(tmp_path, config, port)
    assert "X-Api-Key" in told["output"] and "choices" in told["answer"].stdout, told
    assert "X-Api-Key" not in started_by_run(tmp_path, config, port)["output"], "the key is shown once"


def started_by_run(directory, config, port):
    """Starts ./run, does what it prints, and returns what came out."""
    house = Process("run", directory)
    house.log.unlink(missing_ok=True)
    house.spawn(
        [ROOT / "run", "--config", config],
        env={**os.environ, "TOLLHOUSE_BINARY": str(BINARY), "HOME": str(directory)},
        cwd=directory,
    )
    try:
        url = f"http://127.0.0.1:{port}/healthz"
        until("it answers", lambda: house.alive() and httpx.get(url).is_success, within=20)
        output = until("the address is printed", lambda: "token=" in house.output() and house.output())
        curl = [line for line in output.splitlines() if line.strip().startswith("curl ")]
        return {"output": output, "answer": finished(["bash", "-c", curl[0]], timeout=60) if curl else None}
    finally:
        house.stop()


@pytest.mark.parametrize("command", ["check", "up"])
@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ('tags: {broken: "((("}', "tags"),
        ('alerts: {broken: {query: "((", count: "> 3"}}', "alerts.broken"),
        (
            "edge: {https: '127.0.0.1:0', sites: {a.example.com: {tls: {cert: /none/fullchain.pem, key: /none/k.pem}, "
            "routes: [{path: /, to: console}]}}}",
            "edge.sites.a.example.com.tls",
        ),
    ],
)
def test_what_is_wrong_beyond_the_form_names_its_place_and_ends_as_other_mistakes_do(tmp_path, command, settings, place):
    file = tmp_path / "unfit.yaml"
    file.write_text(f"listen: 127.0.0.1:0\ndata_dir: {tmp_path / 'data'}\n{settings}\n")
    done = finished([BINARY, command, "--config", file])
    assert done.returncode == 78, done
    assert place in done.stderr and "the configuration cannot be used" in done.stderr, done.stderr
