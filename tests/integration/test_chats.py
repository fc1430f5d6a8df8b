"""Chats that the house keeps: who may have them, what is kept, and answers that outlive a connection (G11)."""

import json
import sqlite3
import threading
import time

import httpx
import pytest
from house import until

API = "/console/api/v1"
OWN = {"x-tollhouse-console": "1"}


@pytest.fixture
def chatter(house):
    """A program that chats with a key."""
    with house.client(headers=OWN) as client:
        yield Chatter(client)


class Chatter:
    def __init__(self, client):
        self.client = client

    def begin(self, model="echo", **settings):
        made = self.client.post(f"{API}/chats", json={"model": model, **settings})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def ask(self, chat, text, parent=None, **more):
        asked = self.client.post(f"{API}/chats/{chat}/messages", json={"parent": parent, "text": text, **more})
        assert asked.status_code == 201, asked.text
        return asked.json()["question"], asked.json()["answer"]["id"]

    def events(self, chat, answer, most=None):
        """What a reader of the answer hears; with `most`, it leaves after so many events."""
        heard = []
        with self.client.stream("GET", f"{API}/chats/{chat}/answers/{answer}") as reply:
            assert reply.status_code == 200
            for line in reply.iter_lines():
                if line.startswith("data: "):
                    heard.append(json.loads(line[6:]))
                    if most is not None and len(heard) >= most:
                        break
        return heard

    def chat(self, chat):
        return self.client.get(f"{API}/chats/{chat}").json()

    def message(self, chat, message):
        return next(one for one in self.chat(chat)["messages"] if one["id"] == message)


def text_of(heard):
    return "".join(event.get("text", "") for event in heard)


def test_scenario_g11_a_chat_is_kept_as_a_tree(house, scripted, chatter):
    chat = chatter.begin(system="be brief", options={"temperature": 0.5})
    first, answer = chatter.ask(chat, "one two")
    heard = chatter.events(chat, answer)
    assert heard[0]["whole"] and text_of(heard) == "one two" and heard[-1]["state"] == "done"
    told = heard[-1]["told"]
    assert (told["input_tokens"], told["output_tokens"], told["finish"]) == (4, 2, "stop")
    assert told["upstream"] == "scripted" and told["first_ms"] <= told["total_ms"]
    asked = scripted.chats()[-1].body
    assert asked["temperature"] == 0.5 and asked["messages"][0] == {"role": "system", "content": "be brief"}

    # Again, then another question in its place, then on from the first answer.
    _, again = chatter.ask(chat, "", parent=first["id"])
    chatter.events(chat, again)
    other, _ = chatter.ask(chat, "three")
    _, last = chatter.ask(chat, "four", parent=answer)
    chatter.events(chat, last)
    said = [message["content"] for message in scripted.chats()[-1].body["messages"]]
    assert said == ["be brief", "one two", "one two", "four"]
    kept = chatter.chat(chat)
    parents = {message["id"]: message["parent"] for message in kept["messages"]}
    assert parents[answer] == parents[again] == first["id"] and other["parent"] is None
    assert kept["title"] == "one two" and kept["head"] == last
    record = house.document(told["request_id"])
    assert record["key_id"] != "console" and record["model_name"] == "echo"


def test_scenario_g11_an_answer_outlives_its_readers(scripted, chatter):
    words = " ".join(f"w{number}" for number in range(120))
    chat = chatter.begin("slow")
    _, answer = chatter.ask(chat, words)
    part = chatter.events(chat, answer, most=3)
    assert part[-1]["state"] == "running" and len(text_of(part)) < len(words)
    assert chatter.message(chat, answer)["state"] == "running"
    # Whoever comes again gets all of it, and so do two at once.
    heard = []
    readers = [threading.Thread(target=lambda: heard.append(chatter.events(chat, answer))) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert [text_of(one) for one in heard] == [words, words]
    assert chatter.message(chat, answer)["text"] == words
    assert text_of(chatter.events(chat, answer)) == words, "it is there afterwards, too"
    assert scripted.chats()[-1].closed_at is None


def test_scenario_g11_stop_reaches_the_model_and_what_came_is_kept(house, scripted, chatter):
    chat = chatter.begin("endless")
    _, answer = chatter.ask(chat, "for ever")
    chatter.events(chat, answer, most=3)
    stopped = time.monotonic()
    assert chatter.client.post(f"{API}/chats/{chat}/answers/{answer}/stop").status_code == 204
    call = scripted.chats()[-1]
    until("the model is let go", lambda: call.closed_at, within=2)
    assert call.closed_at - stopped < 0.25, "as for everybody who leaves"
    kept = until("it is written down", lambda: (found := chatter.message(chat, answer))["state"] == "stopped" and found)
    assert kept["text"].startswith("on on")
    assert house.document(kept["told"]["request_id"])["cancelled"]
    # A chat that is removed takes its answer along.
    _, answer = chatter.ask(chat, "and again", parent=answer)
    chatter.events(chat, answer, most=2)
    assert chatter.client.delete(f"{API}/chats/{chat}").status_code == 204
    until("the model is let go", lambda: scripted.chats()[-1].closed_at, within=2)


def test_scenario_g11_nobody_watches_for_long(make_house, scripted):
    house = make_house(upstreams={"scripted": scripted.upstream()}, chat={"unwatched": "1s"})
    with house.client(headers=OWN) as client:
        chatter = Chatter(client)
        chat = chatter.begin("endless")
        _, answer = chatter.ask(chat, "for ever")
        until("it is ended", lambda: chatter.message(chat, answer)["state"] == "left")
        assert scripted.chats()[-1].closed_at
        # An unkept one ends with its connection.
        body = {"model": "endless", "messages": [{"role": "user", "content": "on"}], "stream": True}
        with client.stream("POST", f"{API}/chat", json=body) as reply:
            next(reply.iter_bytes())
        until("the model is let go", lambda: scripted.chats()[-1].closed_at, within=2)


def test_scenario_g11_what_came_before_a_kill_is_there_after_it(house, chatter):
    chat = chatter.begin("endless")
    _, answer = chatter.ask(chat, "for ever")
    with chatter.client.stream("GET", f"{API}/chats/{chat}/answers/{answer}") as reply:
        lines = reply.iter_lines()
        until("some of it is written down", lambda: next(lines) and chatter_text(house, chat, answer), every=0)
        house.kill()
    house.start()
    kept = next(one for one in read_chat(house, chat)["messages"] if one["id"] == answer)
    assert kept["state"] == "interrupted" and kept["text"].startswith("on on")


def test_scenario_g11_an_answer_whose_end_was_lost_is_no_longer_under_way(house, chatter):
    chat = chatter.begin()
    _, answer = chatter.ask(chat, "one two")
    chatter.events(chat, answer)
    # As it stands there when the end of an answer could not be written down.
    with sqlite3.connect(house.data / "state/state.db", timeout=30) as state:
        state.execute("UPDATE chat_messages SET state = 'running' WHERE id = ?", [answer])
    assert chatter.message(chat, answer)["state"] == "interrupted"
    assert [event["state"] for event in chatter.events(chat, answer)] == ["interrupted"]
    assert chatter.client.post(f"{API}/chats/{chat}/answers/{answer}/stop").status_code == 204


def test_scenario_g11_an_unkept_answer_says_how_it_waits(make_house, make_scripted):
    server = make_scripted()
    house = make_house(upstreams={"one": {"kind": "openai", "url": server.url, "parallel": 1}})
    body = {"model": "endless", "messages": [{"role": "user", "content": "on"}]}
    with house.client(headers=OWN) as client, house.client(headers=OWN) as other:
        with client.stream("POST", f"{API}/chat", json=body) as first:
            until("it is answered", lambda: server.chats())
            heard = []
            with other.stream("POST", f"{API}/chat", json={**body, "model": "echo"}) as second:
                for line in second.iter_lines():
                    if line.startswith("data: "):
                        heard.append(json.loads(line[6:]))
                        if heard[-1].get("wait", {}).get("phase") == "queued":
                            first.close()
    waits = [event["wait"] for event in heard if "wait" in event]
    assert {"phase": "queued", "position": 1} in waits, heard
    assert text_of(heard) == "on" and heard[-1]["state"] == "done"


def read_chat(house, chat):
    return house.get(f"{API}/chats/{chat}").json()


def chatter_text(house, chat, answer):
    return next(one for one in read_chat(house, chat)["messages"] if one["id"] == answer)["text"]


def test_scenario_g11_each_has_their_own_chats(house, scripted, chatter):
    chat = chatter.begin()
    chatter.events(chat, chatter.ask(chat, "mine alone")[1])
    other = house.taken(house.create_key("other", "--models", "echo")["key"])
    with house.client(other, headers=OWN) as client:
        assert client.get(f"{API}/chats").json() == {"chats": []}
        assert client.get(f"{API}/chats/{chat}").status_code == 404
        assert client.delete(f"{API}/chats/{chat}").status_code == 404
        assert client.post(f"{API}/chats/{chat}/messages", json={"parent": None, "text": "hi"}).status_code == 404
        assert [model["name"] for model in client.get(f"{API}/chat/models").json()["models"]] == ["echo"]
        # A model that the key may not call is refused at the gate, and the answer says so.
        stranger = Chatter(client)
        own = stranger.begin("slow")
        _, answer = stranger.ask(own, "hi")
        assert stranger.events(own, answer)[-1]["told"]["error"] == "model not allowed for this key"
    with house.client("", headers=OWN) as client:
        assert client.get(f"{API}/chats").status_code == 401
        assert client.post(f"{API}/chat/session", json={"key": "wrong"}).status_code == 401
        assert client.get(f"{API}/chat").json()["you"] is None
        # A key becomes a cookie, for chats and nothing else.
        shown = client.post(f"{API}/chat/session", json={"key": house.key})
        assert shown.status_code == 204 and "httponly" in shown.headers["set-cookie"].lower()
        assert [one["id"] for one in client.get(f"{API}/chats?q=alone").json()["chats"]] == [chat]
        assert client.get(f"{API}/session").status_code == 401
        assert client.post(f"{API}/search", json={"size": 1}).status_code == 401
        assert client.delete(f"{API}/chat/session").status_code == 204
        assert client.get(f"{API}/chats").status_code == 401


def test_scenario_g11_attachments_and_bounds(scripted, chatter):
    chat = chatter.begin()
    image = "data:image/png;base64,iVBORw0KGgo="
    attachments = [{"name": "notes.txt", "text": "in the file"}, {"name": "a.png", "image": image}]
    _, answer = chatter.ask(chat, "what is it?", attachments=attachments)
    chatter.events(chat, answer)
    content = scripted.chats()[-1].body["messages"][-1]["content"]
    assert content[0] == {"type": "text", "text": "[notes.txt]\nin the file\n\nwhat is it?"}
    assert content[1]["image_url"]["url"] == image
    for wrong, words in [
        ({"name": "a", "text": "x" * 300_000}, "256 KiB"),
        ({"name": "a", "image": "https://example.com/a.png"}, "data URL"),
    ]:
        body = {"parent": None, "text": "hi", "attachments": [wrong]}
        refused = chatter.client.post(f"{API}/chats/{chat}/messages", json=body)
        assert refused.status_code == 400 and words in refused.json()["error"]


def test_scenario_g11_the_page_says_what_the_configuration_says(make_house, scripted):
    page = {"title": "我的私有助手", "description": "本地聊天", "model": "echo", "history": "off"}
    house = make_house(upstreams={"scripted": scripted.upstream()}, chat=page)
    with house.client("", headers=OWN) as client:
        about = client.get(f"{API}/chat").json()
    assert {name: about[name] for name in ["title", "description", "model"]} == {
        name: page[name] for name in ["title", "description", "model"]
    }
    with house.client(headers=OWN) as client:
        assert client.post(f"{API}/chats", json={"model": "echo"}).status_code == 403
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        last = json.loads(client.post(f"{API}/chat", json=body).text.strip().splitlines()[-1].removeprefix("data: "))
        assert last["state"] == "done" and last["told"]["output_tokens"] == 1
        assert client.get(f"{API}/chats").json() == {"chats": []}


def test_scenario_g11_a_real_model_goes_on_without_its_reader(make_house, ollama):
    house = make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url}})
    with house.client(headers=OWN) as client:
        chatter = Chatter(client)
        chat = chatter.begin("qwen3:32b")
        _, answer = chatter.ask(chat, "你好")
        try:
            chatter.events(chat, answer, most=1)
        except httpx.HTTPError:
            pass
        kept = until(
            "it is whole", lambda: (found := chatter.message(chat, answer))["state"] == "done" and found, within=60
        )
        assert kept["text"] and kept["told"]["output_tokens"] > 0
