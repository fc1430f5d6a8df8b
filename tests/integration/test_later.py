"""Requests that are answered later: `Prefer: respond-async` (RFC 7240), `background` of the Responses API, polling and webhooks."""

import hashlib
import hmac
import http.server
import json
import threading

import openai
import pytest
from house import until

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def hook():
    """Takes POSTs with their headers; answers 503 as often as `refuse` says."""

    class Hook:
        took, refuse = [], 0

    it = Hook()
    it.took = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            is_refused, it.refuse = it.refuse > 0, max(it.refuse - 1, 0)
            if not is_refused:
                it.took.append((dict(self.headers), body))
            self.send_response(503 if is_refused else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    it.host = f"127.0.0.1:{server.server_address[1]}"
    yield it
    server.shutdown()


@pytest.fixture
def make_later(make_house, scripted):
    def make(**batches):
        return make_house(upstreams={"scripted": {"kind": "openai", "url": scripted.url}}, batches=batches)

    return make


def client_of(house, key=None):
    return openai.OpenAI(base_url=f"{house.url}/v1", api_key=key or house.key, max_retries=0, timeout=60)


def fetched(house, path, status=200, within=30):
    def look():
        answer = house.get(path)
        return answer.status_code == status and answer

    return until(f"{path} answers {status}", look, within, every=0.1)


def test_a_chat_that_is_answered_later(make_later, scripted):
    house = make_later()
    scripted.late_s = 1.5
    taken = house.chat("say this", model="late", headers=ASYNC)
    assert (taken.status_code, taken.headers["preference-applied"]) == (202, "respond-async"), taken.text
    path = taken.headers["location"]
    assert path == f"/v1/chat/completions/{taken.json()['id']}"
    waiting = house.get(path)
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
    assert waiting.json()["status"] in ("queued", "in_progress")
    body = fetched(house, path).json()
    assert body["id"] == taken.json()["id"] and body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "say this" and body["usage"]["completion_tokens"] > 0
    record = house.record(taken.headers["x-request-id"])
    assert (record["status"], record.get("upstream")) == (202, None)
    asked = until("its request is recorded", lambda: house.journal(kind="request", origin="later"))
    assert (asked[0]["path"], asked[0]["key_id"]) == ("/v1/chat/completions", record["key_id"])
    assert asked[0]["batch"] == taken.json()["id"] and "batch_line" not in asked[0]
    # Nobody else's.
    other = house.taken(house.create_key("other")["key"])
    assert house.get(path, key=other).status_code == 404
    with house.client() as client:
        assert client.delete(path).json()["deleted"]
    assert house.get(path).status_code == 404


def test_a_background_response_by_the_official_client(make_later, scripted):
    house = make_later()
    scripted.late_s = 1.0
    client = client_of(house)
    made = client.responses.create(model="late", input="say this", background=True)
    assert made.status == "queued" and made.background
    done = until(
        "it is there",
        lambda: (found := client.responses.retrieve(made.id)).status == "completed" and found,
        30,
        every=0.1,
    )
    assert (done.id, done.output_text, done.background) == (made.id, "say this", True)

    scripted.late_s = 120
    endless = client.responses.create(model="late", input="go on", background=True)
    until("it is asked", lambda: client.responses.retrieve(endless.id).status == "in_progress", 30)
    assert client.responses.cancel(endless.id).status == "cancelled"
    house.idle(10)
    assert client.responses.retrieve(endless.id).status == "cancelled"
    client.responses.delete(endless.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(endless.id)


def test_without_batches_a_preference_is_left_aside(house):
    """RFC 7240, section 2; what has to be done is refused."""
    assert house.chat("hello", headers=ASYNC).status_code == 200
    assert house.post("/v1/responses", {"model": "echo", "input": "x", "background": True}).status_code == 400


def test_scenario_r06_a_killed_house_still_answers_later(make_later, scripted):
    house = make_later()
    scripted.late_s = 2.0
    path = house.chat("say this", model="late", headers=ASYNC).headers["location"]
    until("the model is asked", scripted.chats, 30)
    house.kill()
    house.start()
    assert fetched(house, path).json()["choices"][0]["message"]["content"] == "say this"


def test_a_webhook_tells_that_the_answer_is_there(make_later, hook):
    """Signed, told again while it is not taken, and only to hosts that are named."""
    secret = "the-secret-of-both"
    house = make_later(webhooks={"hosts": [hook.host, "169.254.169.254"], "secret": secret})
    hook.refuse = 1
    headers = {**ASYNC, "X-Tollhouse-Webhook": f"http://{hook.host}/told?by=house"}
    taken = house.chat("say this", headers=headers)
    assert taken.status_code == 202, taken.text
    headers, body = until("the hook is told", lambda: hook.took and hook.took[0], 60)
    headers = {name.lower(): value for name, value in headers.items()}
    event = json.loads(body)
    assert event["type"] == "chat.completion.completed" and event["data"]["id"] == taken.json()["id"]
    assert house.get(event["data"]["path"]).json()["choices"][0]["message"]["content"] == "say this"
    signed = headers["x-tollhouse-timestamp"].encode() + b"." + body
    assert headers["x-tollhouse-signature"] == "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["idempotency-key"] == event["id"]
    until("it is recorded", lambda: house.journal(kind="batch", batch_event="later_told"))
    for url in (
        "http://127.0.0.1:9/",
        "http://169.254.169.254/latest/meta-data",
        f"http://user@{hook.host}/",
        f"ftp://{hook.host}/",
        "not an address",
    ):
        refused = house.chat("x", headers={**ASYNC, "X-Tollhouse-Webhook": url})
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "x-tollhouse-webhook", url
    assert house.chat("x", headers=ASYNC, stream=True).status_code == 400


def test_only_so_many_wait(make_later, scripted):
    scripted.late_s = 120
    house = make_later(later={"open": 2, "at_once": 1})
    for _ in range(2):
        assert house.chat("on", model="late", headers=ASYNC).status_code == 202
    assert house.chat("on", model="late", headers=ASYNC).status_code == 429
    assert house.chat("on", model="nobody-has-it", headers=ASYNC).status_code == 404


def test_the_console_shows_what_comes_later_and_gives_up_on_it(make_later, scripted):
    house = make_later()
    scripted.late_s = 120
    endless = house.chat("on", model="late", headers=ASYNC).json()["id"]
    fetched(house, house.chat("hello", headers=ASYNC).headers["location"])
    house.status()  # signs in
    console, api = house.signed_in, "/console/api/v1/later"
    console.headers["x-tollhouse-console"] = "1"
    page = console.get(api).json()
    assert page["on"] and [entry["model"] for entry in page["later"]] == ["echo", "late"], page
    done, waiting = page["later"]
    assert (done["status"], done["http_status"], done["is_over"]) == ("completed", 200, True)
    assert (waiting["id"], waiting["api"], waiting["is_over"]) == (endless, "chat", False)
    assert console.post(f"{api}/{endless}/cancel").json()["status"] == "cancelled"
    assert console.post(f"{api}/{endless}/cancel").status_code == 409
    assert console.post(f"{api}/chatcmpl-none/cancel").status_code == 404
    house.idle(10)
