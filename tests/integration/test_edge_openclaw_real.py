"""A real OpenClaw behind the edge: its control UI's pages and files, and its WebSocket from the first word to an answer.

By name only (`--openclaw FOLDER`, see test_openclaw_supervised.py). What it says is compared with what was captured of it
(tests/data/openclaw-control-ui.json), which the default run plays.
"""

import asyncio
import contextlib
import json
import re
import ssl

import websockets
from edges import HOST, Visitors
from house import free_port
from test_edge import authority  # noqa: F401 (fixture)
from test_edge_openclaw import CLOSES, SEEN
from test_openclaw_supervised import TOKEN, openclaw  # noqa: F401 (fixture)
from test_upkeep import until_state

# Who asks. It serves nobody of its own machine through a proxy, so the test is a proxy in front of the edge, and says whose request it is.
CLIENT = "203.0.113.7"
FOR_CLIENT = ("-H", f"X-Forwarded-For: {CLIENT}")


def test_scenario_g16_a_real_openclaws_control_ui_works_through_the_edge(make_house, authority, openclaw, tmp_path):  # noqa: F811
    process, settings, url, _log = openclaw
    https, http = free_port(), free_port()
    own = f"https://{HOST}:{https}"
    site = {"tls": authority.sign(HOST), "routes": [{"path": "/", "to": url, "idle": "1d"}]}
    house = make_house(
        start=False,
        upstreams={"demo": {"kind": "demo"}},
        supervise={"openclaw": process},
        access={"trusted_proxies": ["127.0.0.1/32"]},
        edge={"https": f"127.0.0.1:{https}", "http": f"127.0.0.1:{http}", "sites": {HOST: site}},
    )
    # What it needs to believe its proxy, and to answer pages of this name.
    settings(house.port, house.key, trustedProxies=["127.0.0.1"], controlUi={"allowedOrigins": [own]})
    house.start()
    until_state(house, "openclaw", "ready", within=280)
    visitors = Visitors(authority, https, http, tmp_path)
    # A program that asks for its page got 401 without a proxy when that was captured, and gets the page through one.
    for page in (page for page in SEEN["paths"] if (page["path"], page["accept"]) != ("/", "*/*")):
        got = visitors.ask(page["path"], *FOR_CLIENT, "-H", f"Accept: {page['accept']}")
        assert got.status == page["status"] and got.header("content-type").startswith(page["type"]), (page, got.body[:500])
    files = loaded(visitors)
    print(f"the page and {len(files)} files that it loads: {sum(map(len, files.values()))} bytes")
    asyncio.run(talk(visitors, own))
    assert not house.journal(kind="access", level="error")


def loaded(visitors):
    """The files that its page names, by their paths."""
    page = visitors.ask("/", *FOR_CLIENT, "-H", "Accept: text/html")
    assert "frame-ancestors 'none'" in page.header("content-security-policy")
    files = {}
    for path in re.findall(r'(?:src|href)="\.?(/[^"]+\.(?:js|css))"', page.body.decode()):
        got = visitors.ask(path, *FOR_CLIENT)
        assert got.status == 200 and got.body, path
        files[path] = got.body
    assert files, page.body[:2000]
    return files


async def talk(visitors, own):
    trusted = ssl.create_default_context(cafile=visitors.authority.file)
    most = SEEN["hello"]["payload"]["policy"]["maxPayload"]

    def connect(origin=own):
        place = {"host": "127.0.0.1", "port": visitors.https, "additional_headers": {"X-Forwarded-For": CLIENT}}
        return websockets.connect(f"wss://{HOST}:{visitors.https}/", **place, ssl=trusted, proxy=None, origin=origin, max_size=most)

    def asked(**changes):
        frame = json.loads(json.dumps(SEEN["connect"]))
        frame["params"] |= {"auth": {"token": TOKEN}, **changes}
        return frame

    async def refused(frame, origin=own):
        async with connect(origin) as client:
            with contextlib.suppress(websockets.ConnectionClosed):
                assert json.loads(await client.recv())["event"] == SEEN["challenge"]["event"]
                await client.send(json.dumps(frame))
                while True:
                    await client.recv()
            await client.wait_closed()
            return [client.close_code, client.close_reason]

    # A program's handshake: no page, so no origin.
    async with connect(origin=None) as client:
        challenge = json.loads(await client.recv())
        assert challenge["event"] == SEEN["challenge"]["event"] and challenge["payload"].keys() >= {"nonce", "ts"}
        await client.send(json.dumps(asked()))
        hello = json.loads(await client.recv())
        assert hello["ok"] and hello["payload"]["type"] == "hello-ok" and hello["payload"]["protocol"] == 4, hello
        await client.send(json.dumps({"type": "req", "id": "q2", "method": "health", "params": {}}))
        while (answer := json.loads(await client.recv())).get("id") != "q2":
            pass
        assert answer["ok"], answer
    # Why it refuses is what its page is told.
    assert await refused(asked(auth={"token": "wrong"}), origin=None) == CLOSES["wrong token"]
    assert await refused(asked(minProtocol=3, maxProtocol=3), origin=None) == CLOSES["protocol 3"]
    assert await refused({**asked(), "method": "health"}, origin=None) == CLOSES["first frame is not connect"]
    # A page's: from another address it is none of its own, from its own it lacks a device's identity and nothing else.
    page = asked(client={**SEEN["connect"]["params"]["client"], "id": "openclaw-control-ui", "mode": "webchat"})
    code, reason = await refused(page, origin="https://evil.example.test")
    assert code == 1008 and reason.startswith("origin not allowed"), reason
    code, reason = await refused(page)
    assert code == 1008 and "device identity" in reason, reason
