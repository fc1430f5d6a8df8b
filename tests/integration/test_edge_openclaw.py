"""OpenClaw's control UI through the edge: its pages and its WebSocket's first words, as they were captured (tests/data/openclaw)."""

import asyncio
import contextlib
import json
import ssl

import websockets
from edges import HOST
from house import ROOT, until
from test_edge import at_the_edge, authority  # noqa: F401 (fixtures)
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

SEEN = json.loads((ROOT / "tests/data/openclaw-control-ui.json").read_text())
CLOSES = {refusal["case"]: refusal["close"] for refusal in SEEN["refusals"]}
POLICY = "default-src 'self'; frame-ancestors 'none'"


class OpenClaw:
    """Answers as OpenClaw does behind a proxy that is in `gateway.trustedProxies`, and keeps the heads that it got."""

    def __init__(self):
        self.heads = []

    def page(self, _, request):
        """An answer to what is no WebSocket."""
        head = request.headers
        self.heads.append(head)
        # It believes whom its proxy names, and a proxy that names nobody, or more than one, is refused.
        if len(head.get_all("X-Forwarded-For")) != 1 or "," in head["X-Forwarded-For"]:
            return self.answer(SEEN["proxy"]["status"], "application/json", json.dumps({"error": {"type": SEEN["proxy"]["type"]}}))
        if head.get("Upgrade", "").lower() == "websocket":
            return None
        accept = head.get("Accept", "*/*")
        known = [page for page in SEEN["paths"] if page["path"] == request.path and page["accept"] == accept]
        if not known:
            return self.answer(404, "text/plain", "no such page")
        return self.answer(known[0]["status"], known[0]["type"], "<!doctype html><title>OpenClaw</title>")

    def answer(self, status, kind, body):
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY, "Connection": "close"}
        return Response(status, "", Headers(headers), body.encode())

    async def talk(self, connection):
        if connection.request.headers.get("Origin") not in (None, f"https://{HOST}:{self.port}"):
            return await connection.close(*CLOSES["origin"])
        await connection.send(json.dumps(SEEN["challenge"]))
        asked = json.loads(await connection.recv())
        if asked.get("method") != "connect":
            return await connection.close(*CLOSES["first frame is not connect"])
        if asked["params"]["minProtocol"] != 4:
            return await connection.close(*CLOSES["protocol 3"])
        if asked["params"]["auth"]["token"] != SEEN["connect"]["params"]["auth"]["token"]:
            return await connection.close(*CLOSES["wrong token"])
        await connection.send(json.dumps(SEEN["hello"]))
        async for message in connection:
            await connection.send(message)


def test_scenario_g16_openclaws_control_ui_works_through_the_edge(at_the_edge):  # noqa: F811
    async def scenario():
        claw = OpenClaw()
        most = SEEN["hello"]["payload"]["policy"]["maxPayload"]
        async with serve(claw.talk, "127.0.0.1", 0, process_request=claw.page, max_size=most) as server:
            inside = server.sockets[0].getsockname()[1]
            route = {"path": "/", "to": f"http://127.0.0.1:{inside}", "idle": "1d"}
            house, visitors = await asyncio.to_thread(at_the_edge, [route])
            claw.port = visitors.https
            # Its pages: what it says of them is handed on, and not made stricter or looser here.
            for page in SEEN["paths"]:
                got = await asyncio.to_thread(
                    visitors.ask, page["path"], "-H", f"Accept: {page['accept']}", "-H", "X-Forwarded-For: 6.6.6.6", "-H", "Authorization: Bearer t"
                )
                assert (got.status, got.header("content-type")) == (page["status"], page["type"]), page
                assert got.header("content-security-policy") == POLICY
            head = claw.heads[-1]
            assert head["Host"] == f"{HOST}:{visitors.https}" and head["Authorization"] == "Bearer t"
            assert (head["X-Forwarded-For"], head["X-Forwarded-Proto"]) == ("127.0.0.1", "https")

            trusted = ssl.create_default_context(cafile=visitors.authority.file)
            own = f"https://{HOST}:{visitors.https}"

            def connect(origin=own):
                url = f"wss://{HOST}:{visitors.https}/"
                return websockets.connect(url, host="127.0.0.1", port=visitors.https, ssl=trusted, proxy=None, origin=origin, max_size=most)

            async def refused(change, origin=own):
                async with connect(origin) as client:
                    with contextlib.suppress(websockets.ConnectionClosed):
                        assert json.loads(await client.recv()) == SEEN["challenge"]
                        asked = json.loads(json.dumps(SEEN["connect"]))
                        change(asked)
                        await client.send(json.dumps(asked))
                        await client.recv()
                    await client.wait_closed()
                    return [client.close_code, client.close_reason]

            async with connect() as client:
                assert json.loads(await client.recv()) == SEEN["challenge"]
                await client.send(json.dumps(SEEN["connect"]))
                assert json.loads(await client.recv()) == SEEN["hello"]
                # As much as it takes at once.
                large = "x" * (most - 100)
                await client.send(large)
                assert await client.recv() == large
            # Why it refuses is what the browser is told.
            assert await refused(lambda asked: asked["params"]["auth"].update(token="wrong")) == CLOSES["wrong token"]
            assert await refused(lambda asked: asked["params"].update(minProtocol=3)) == CLOSES["protocol 3"]
            assert await refused(lambda asked: asked.update(method="health")) == CLOSES["first frame is not connect"]
            assert await refused(lambda _: None, origin="https://evil.example.test") == CLOSES["origin"]
            # The page Tunnels of the record: each is told when it ends.
            tunnels = await asyncio.to_thread(until, "all are told", lambda: len(house.journal(kind="access", status=101)) == 5)
            assert tunnels

    asyncio.run(scenario())
