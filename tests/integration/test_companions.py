"""Files for nginx and systemd, tried with those programs; and what the house tells systemd."""

import json
import os
import re
import shutil
import socket

import pytest
from house import Process, finished, free_port, until
from edges import HOST, Authority, Visitors

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/bin")


@pytest.fixture
def behind_nginx(make_house, tmp_path):
    """A house, and visitors of a real nginx that has the exported site."""
    authority = Authority(tmp_path / "authority")
    https, plain = free_port(), free_port()
    house = make_house(
        upstreams={"demo": {"kind": "demo"}}, hosts=[HOST], access={"trusted_proxies": ["127.0.0.1"], "rate_limit": None}
    )
    site = house.run("export", "nginx").stdout
    assert "ATTENTION" not in site
    files = authority.sign(HOST)
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https} ssl http2;",
        f"/etc/letsencrypt/live/{HOST}/fullchain.pem": files["cert"],
        f"/etc/letsencrypt/live/{HOST}/privkey.pem": files["key"],
    }.items():
        assert old in site, old
        site = site.replace(old, new)
    site = re.sub(r"\n *listen \[::\][^\n]*", "", site)
    folder = tmp_path / "nginx"
    folder.mkdir()
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{temporary}\n{site}\n}}\n"
    )
    command = [NGINX, "-p", folder, "-c", folder / "nginx.conf"]
    tried = finished([*command, "-t"])
    assert tried.returncode == 0 and "warn" not in tried.stderr, tried.stderr
    nginx = Process("nginx", tmp_path)
    nginx.spawn(command)
    visitors = Visitors(authority, https, plain, tmp_path)
    try:
        until("nginx answers", lambda: nginx.alive() and visitors.ask("/healthz").status == 200)
        yield house, visitors
    finally:
        nginx.stop()


def test_scenario_g01_the_exported_site_of_a_real_nginx_passes_everything_on(behind_nginx):
    house, visitors = behind_nginx
    assert visitors.ask("/chat", plain=True).status == 301
    forged = ["-H", "X-Forwarded-For: 9.9.9.9", "-H", "X-Real-IP: 9.9.9.9"]
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    key = ["-H", f"X-Api-Key: {house.key}", "-H", "Content-Type: application/json"]
    streamed = visitors.ask("/v1/chat/completions", *key, *forged, "-d", json.dumps(body))
    assert streamed.version == "HTTP/2" and streamed.status == 200 and streamed.body.rstrip().endswith(b"data: [DONE]")
    record = house.record(streamed.header("x-request-id"))
    assert (record["client_ip"], record["path"]) == ("127.0.0.1", "/v1/chat/completions"), "the path is whole, nothing is forged"
    opened = visitors.ask("/?" + house.console_address().partition("/?")[2])
    assert opened.status == 303 and opened.header("set-cookie").startswith("__Host-"), "it knows that the browser's side is encrypted"
    assert visitors.ask("/v1/none", *key).header("strict-transport-security") == "max-age=31536000", "on errors too"


def test_without_a_trusted_proxy_the_site_says_what_is_missing(make_house):
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}})
    assert "ATTENTION" in house.run("export", "nginx").stdout


SUPERVISED = {"supervise": {"ollama": {"command": ["/usr/bin/ollama", "serve"], "stop": "330s"}}}


@pytest.mark.parametrize(("more", "exposure"), [({}, 15), (SUPERVISED, 25)], ids=["gate", "supervisor"])
def test_scenario_g20_the_exported_unit_is_taken_by_systemd_and_hardened(make_house, tmp_path, more, exposure):
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}}, **more)
    text = house.run("export", "systemd").stdout
    assert f"ExecStart=/usr/bin/tollhouse up --config {house.config}\n" in text
    assert str(house.data) in text.partition("ReadWritePaths=")[2]
    unit = tmp_path / "tollhouse.service"
    unit.write_text(text.replace("/usr/bin/tollhouse", "/bin/true"))
    verified = finished(["systemd-analyze", "verify", "--man=no", unit])
    assert verified.returncode == 0 and "tollhouse.service" not in verified.stderr, verified.stderr
    # Tenths: 15 is an exposure of 1.5.
    analysed = finished(["systemd-analyze", "security", "--offline=true", f"--threshold={exposure}", "--no-pager", unit])
    assert analysed.returncode == 0, analysed.stdout[-6000:] + analysed.stderr


def test_scenario_g20_the_house_tells_systemd_when_it_is_ready_and_that_it_lives(make_house, tmp_path):
    """The protocol of sd_notify on a socket of the test's own: there is no systemd to be had here."""
    place = tmp_path / "notify"
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(place))
        heard.settimeout(20)
        before = {name: os.environ.get(name) for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
        os.environ.update(NOTIFY_SOCKET=str(place), WATCHDOG_USEC="2000000")
        try:
            house.launch()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        said = []
        while not any("READY=1" in text for text in said) or sum("WATCHDOG=1" in text for text in said) < 2:
            said.append(heard.recv(4096).decode())
        assert house.get("/healthz").is_success, "ready is ready"
        assert house.stop() == 0
        said.clear()
        while not any("STOPPING=1" in text for text in said):
            said.append(heard.recv(4096).decode())


def test_scenario_g18_the_exported_drop_in_keeps_ollama_to_this_machine(make_house, tmp_path):
    house = make_house(
        start=False,
        upstreams={"local": {"kind": "ollama", "url": "http://127.0.0.1:11500", "parallel": 3}},
        models={"echo": {"upstreams": ["local"], "context": 16384}},
    )
    text = house.run("export", "ollama").stdout
    for line in ("OLLAMA_HOST=127.0.0.1:11500", "OLLAMA_NUM_PARALLEL=3", "OLLAMA_CONTEXT_LENGTH=16384"):
        assert f"Environment={line}\n" in text
    folder = tmp_path / "ollama.service.d"
    folder.mkdir()
    (folder / "tollhouse.conf").write_text(text)
    (tmp_path / "ollama.service").write_text("[Service]\nExecStart=/bin/true\n")
    verified = finished(["systemd-analyze", "verify", "--man=no", tmp_path / "ollama.service"])
    assert verified.returncode == 0 and "tollhouse.conf" not in verified.stderr, verified.stderr
