"""Files for nginx and systemd, tried with those programs; and what the house tells systemd."""

import asyncio
import json
import os
import socket
import ssl
import threading

import pytest
import systemd
import websockets.asyncio.client
import websockets.sync.server
from behind_nginx import exported_site
from edges import HOST
from house import BINARY, LOGS, finished, free_port, until
from test_console import MISSING


@pytest.fixture
def behind_nginx(make_house, scripted, tmp_path):
    """A house, and visitors of a real nginx that has the exported site."""
    house = make_house(
        upstreams={"demo": {"kind": "demo"}, "scripted": {"kind": "openai", "url": scripted.url}},
        hosts=[HOST],
        access={"trusted_proxies": ["127.0.0.1"], "rate_limit": None},
    )
    with exported_site(house, tmp_path) as visitors:
        until("the house answers through it", lambda: visitors.ask("/healthz").status == 200)
        yield house, visitors


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


def test_scenario_g01_through_nginx_answers_come_piece_by_piece_and_leaving_reaches_the_model(behind_nginx, scripted):
    house, visitors = behind_nginx
    body = json.dumps({"model": "endless", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nX-Api-Key: {house.key}\r\nContent-Type: application/json\r\n"
    trusted = ssl.create_default_context(cafile=visitors.authority.file)
    with socket.create_connection(("127.0.0.1", visitors.https), timeout=30) as plain, trusted.wrap_socket(plain, server_hostname=HOST) as client:
        client.sendall(f"{head}X-Request-Id: through\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        heard = b""
        # It never ends: whoever gathered it would hand on nothing.
        while heard.count(b"data: ") < 5:
            piece = client.recv(4096)
            assert piece, heard
            heard += piece
        assert not any(call.closed_at for call in scripted.chats())
    until("the model server is left alone", lambda: scripted.chats() and all(call.closed_at for call in scripted.chats()))
    [record] = until("its record", lambda: house.journal(kind="request", request_id="through"))
    assert record["cancelled"] is True


def socket_of(visitors):
    """A WebSocket through the site, as a browser opens it. In one thread: Python's TLS is not for reading in one and writing in another."""
    trusted = ssl.create_default_context(cafile=visitors.authority.file)
    way = {"host": "127.0.0.1", "port": visitors.https, "ssl": trusted, "proxy": None}
    return websockets.asyncio.client.connect(f"wss://{HOST}/", **way, origin=f"https://{HOST}", max_size=32 << 20, open_timeout=30)


def test_scenario_g01_through_nginx_a_websocket_of_the_house_is_told_why_it_is_closed(behind_nginx):
    _, visitors = behind_nginx

    async def listen():
        async with asyncio.timeout(60), socket_of(visitors) as client:
            await client.recv()

    with pytest.raises(websockets.ConnectionClosed) as closed:
        asyncio.run(listen())
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, MISSING)


def test_scenario_g01_the_exported_site_carries_websockets_both_ways(make_house, tmp_path):
    """Its lines as they are, with a server behind them that talks back: what is large or small, text or bytes, first or answered."""
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}}, hosts=[HOST], access={"trusted_proxies": ["127.0.0.1"]})
    heads = []

    def talk(connection):
        heads.append(connection.request.headers)
        connection.send("welcome")
        for message in connection:
            connection.send(message)

    async def converse(visitors):
        async with asyncio.timeout(180), socket_of(visitors) as client:
            assert await client.recv() == "welcome", "nobody has to ask first"
            for message in ["hello", b"\x00\xff", "x" * (8 << 20)]:
                await client.send(message)
                assert await client.recv() == message
            await client.close(4001, "enough")

    with websockets.sync.server.serve(talk, "127.0.0.1", 0, max_size=32 << 20) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with exported_site(house, tmp_path, behind=server.socket.getsockname()[1]) as visitors:
            asyncio.run(converse(visitors))
    [head] = heads
    assert head["Host"] == HOST and head["Origin"] == f"https://{HOST}"
    assert (head["X-Forwarded-For"], head["X-Forwarded-Proto"]) == ("127.0.0.1", "https")


def test_without_a_trusted_proxy_the_site_says_what_is_missing(make_house):
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}})
    assert "ATTENTION" in house.run("export", "nginx").stdout


SUPERVISED = {"supervise": {"ollama": {"command": ["/usr/bin/ollama", "serve"], "stop": "330s"}}}


def hardened(unit, text, exposure):
    """The unit is taken by systemd, and is exposed at most so much, in tenths."""
    unit.write_text(text.replace("/usr/bin/tollhouse", "/bin/true"))
    verified = finished(["systemd-analyze", "verify", "--man=no", unit])
    assert verified.returncode == 0 and unit.name not in verified.stderr, verified.stderr
    analysed = finished(["systemd-analyze", "security", "--offline=true", f"--threshold={exposure}", "--no-pager", unit])
    assert analysed.returncode == 0, analysed.stdout[-6000:] + analysed.stderr


def test_scenario_g20_the_exported_unit_is_taken_by_systemd_and_hardened(tmp_path):
    text = finished([BINARY, "export", "systemd"], cwd=tmp_path).stdout
    assert "ExecStart=/usr/bin/tollhouse up --config /etc/tollhouse/tollhouse.yaml\n" in text
    assert "PrivateTmp=yes\n" in text and "ProtectHome=yes\n" in text
    hardened(tmp_path / "tollhouse.service", text, 15)


def test_scenario_g20_the_exported_unit_of_a_supervisor_and_its_sockets(make_house, tmp_path):
    search = f"127.0.0.1:{free_port()}"
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}}, search={"listen": search}, **SUPERVISED)
    told = house.run("export", "systemd", "--out", tmp_path / "units")
    assert told.returncode == 0, told.stderr
    text = (tmp_path / "units/tollhouse.service").read_text()
    assert f"ExecStart=/usr/bin/tollhouse up --config {house.config}\n" in text
    assert str(house.data) in text.partition("ReadWritePaths=")[2]
    assert "\nPrivateTmp" not in text, "its own files lie below /tmp here, which it has to see"
    hardened(tmp_path / "units/tollhouse.service", text, 25)
    sockets = (tmp_path / "units/tollhouse.socket").read_text()
    assert sockets == house.run("export", "systemd", "--socket").stdout
    for address in (f"127.0.0.1:{house.port}", search):
        assert f"ListenStream={address}\n" in sockets
    verified = finished(["systemd-analyze", "verify", "--man=no", tmp_path / "units/tollhouse.socket", tmp_path / "units/tollhouse.service"])
    assert verified.returncode == 0 and "tollhouse" not in verified.stderr, verified.stderr


manager = pytest.fixture(systemd.needed)


def installed(manager, house):
    """The exported units in this manager's folder: only the user and what a whole machine starts before are others."""
    units = {"service": house.run("export", "systemd").stdout, "socket": house.run("export", "systemd", "--socket").stdout}
    for old, new in {
        "/usr/bin/tollhouse": str(BINARY),
        "User=tollhouse\nGroup=tollhouse\n": f"StandardError=append:{house.log}\n",
        "StateDirectory=tollhouse\nStateDirectoryMode=0700\nWorkingDirectory=/var/lib/tollhouse\n": "",
        "After=network-online.target\nWants=network-online.target\n": "",
    }.items():
        assert old in units["service"], old
        units["service"] = units["service"].replace(old, new)
    for kind, text in units.items():
        manager.write(f"tollhouse.{kind}", text.replace("[Unit]", "[Unit]\nDefaultDependencies=no"))
    LOGS.append(house.log)
    return units


def test_scenario_g20_a_credential_of_systemd_is_taken_as_a_secret(manager, make_house, scripted, tmp_path):
    """The folder in which it lies is hidden from the house: what it knows, it knows from systemd."""
    secrets = tmp_path / "secrets"
    secrets.mkdir(0o700)
    (secrets / "upstream-key").write_text("sk-first\n")
    key = f"file:${{CREDENTIALS_DIRECTORY:-{secrets}}}/upstream-key"
    house = make_house(start=False, upstreams={"scripted": {"kind": "openai", "url": scripted.url, "key": key}})
    unit = installed(manager, house)["service"]
    assert f"\nLoadCredential=upstream-key:{secrets}/upstream-key\n" in unit and "#LoadCredential" not in unit
    manager.write("tollhouse.service.d/hidden.conf", f"[Service]\nInaccessiblePaths={secrets}\n")

    def asked_with(expected):
        until("it has said that it is ready", lambda: manager.shown("tollhouse.service", "ActiveState") == "active", within=60)
        assert house.chat().status_code == 200
        assert scripted.chats()[-1].headers["authorization"] == f"Bearer {expected}"

    started = manager.ask("start", "tollhouse.service")
    assert started.returncode == 0, started.stderr
    asked_with("sk-first")
    # It is read when the house starts: a reload finds the one that systemd has given it.
    (secrets / "upstream-key").write_text("sk-second\n")
    reloaded = manager.ask("reload", "tollhouse.service")
    assert reloaded.returncode == 0, reloaded.stderr
    asked_with("sk-first")
    restarted = manager.ask("restart", "tollhouse.service")
    assert restarted.returncode == 0, restarted.stderr
    asked_with("sk-second")
    for told in (house.journal_bytes(), house.log.read_bytes()):
        assert b"sk-first" not in told and b"sk-second" not in told


def test_scenario_g18_doctor_tells_how_systemd_rates_the_unit(manager, make_house):
    """A real systemd rates it, in a folder for units of its own: as exported, and as people write one by hand."""
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}})
    folder = "etc/systemd/system"
    finished(manager.inside("mount", "-t", "tmpfs", "tmpfs", f"/{folder}"))

    def rated():
        told = finished(manager.inside(BINARY, "doctor", "--security", "--json", "--config", house.config), timeout=60)
        return next(check for check in json.loads(told.stdout)["checks"] if check["id"] == "entry.systemd")

    manager.write("tollhouse.service", house.run("export", "systemd").stdout, folder)
    check = rated()
    assert check["status"] == "ok" and float(check["found"].split()[0]) <= 1.5, check
    manager.unit("tollhouse.service", f"{BINARY} up --config {house.config}", folder)
    check = rated()
    assert (check["status"], check["code"]) == ("warn", "exposed"), check
    assert float(check["found"].split()[0]) > 7 and "export systemd" in check["fix"], check


def test_scenario_g20_the_exported_units_run_under_a_real_systemd(manager, make_house):
    """Its sandbox, notifications and sockets as exported."""
    house = make_house(start=False, upstreams={"demo": {"kind": "demo"}})
    installed(manager, house)
    started = manager.ask("start", "tollhouse.socket")
    assert started.returncode == 0, started.stderr
    assert manager.shown("tollhouse.service", "ActiveState") == "inactive", "it begins when somebody comes"
    until("it answers", lambda: house.get("/healthz", key="").is_success, within=60)
    until("it has said that it is ready", lambda: manager.shown("tollhouse.service", "ActiveState") == "active", within=60)
    assert manager.shown("tollhouse.service", "NRestarts") == "0"
    # Whoever comes while it restarts waits, and nobody is refused.
    before = manager.shown("tollhouse.service", "MainPID")
    restarted = manager.ask("restart", "--no-block", "tollhouse.service")
    assert restarted.returncode == 0, restarted.stderr
    while manager.shown("tollhouse.service", "MainPID") in (before, "0"):
        assert house.get("/healthz", key="", timeout=60).is_success
    assert house.get("/healthz", key="", timeout=60).is_success
    until("the new one is ready", lambda: manager.shown("tollhouse.service", "ActiveState") == "active", within=60)


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
