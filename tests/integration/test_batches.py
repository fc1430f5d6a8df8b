"""Files and batches of OpenAI's API by its official client: killed in the middle, cancelled, expired, wrong, and other people's."""

import io
import json
import time

import httpx
import openai
import pytest
from house import until

CHAT = "/v1/chat/completions"


def lines(count, model="echo", text="say {}", endpoint=CHAT, first=0):
    """A file of requests, each with its number in its prompt."""
    numbers = range(first, first + count)
    bodies = ({"model": model, "messages": [{"role": "user", "content": text.format(number)}]} for number in numbers)
    rows = [
        {"custom_id": f"row-{number}", "method": "POST", "url": endpoint, "body": body}
        for number, body in zip(numbers, bodies, strict=True)
    ]
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def client_of(house, key=None):
    return openai.OpenAI(base_url=f"{house.url}/v1", api_key=key or house.key, max_retries=0, timeout=60)


def upload(client, content, name="requests.jsonl"):
    return client.files.create(file=(name, io.BytesIO(content)), purpose="batch")


def batch_of(client, content, endpoint=CHAT, window="24h", **more):
    file = upload(client, content)
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window=window, **more)


def over(client, batch, within=60):
    def look():
        found = client.batches.retrieve(batch.id)
        return found.status in ("completed", "failed", "expired", "cancelled") and found

    return until("the batch is over", look, within, every=0.1)


def rows(client, file_id):
    """The lines of a file."""
    return [] if file_id is None else [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def said(row):
    return row["response"]["body"]["choices"][0]["message"]["content"]


@pytest.fixture
def make_batches(make_house, scripted):
    """Makes a house with batches in front of the scripted upstream."""

    def make(start=True, batches=None, **config):
        upstreams = {"scripted": {"kind": "openai", "url": scripted.url, "parallel": 4}}
        return make_house(start=start, **{"upstreams": upstreams, "batches": batches or {}, **config})

    return make


def test_a_batch_by_the_official_client(make_batches, scripted):
    """Uploaded, made, followed, read and deleted; each step leaves a record, and each line one as its key's request."""
    house = make_batches()
    client = client_of(house)
    content = lines(30) + b"\n" + lines(1, model="nobody-has-it", first=30)
    file = upload(client, content, name="../../巴黎.jsonl")
    assert (file.purpose, file.bytes, file.filename) == ("batch", len(content), "巴黎.jsonl")
    assert client.files.retrieve(file.id) == file and file in list(client.files.list())
    assert client.files.content(file.id).content == content
    made = client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"for": "巴黎"}
    )
    assert (made.status, made.object, made.metadata) == ("validating", "batch", {"for": "巴黎"})
    done = over(client, made)
    assert done.status == "completed", done
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (31, 30, 1), done
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at <= done.expires_at
    good, bad = rows(client, done.output_file_id), rows(client, done.error_file_id)
    assert [row["custom_id"] for row in good] == [f"row-{number}" for number in range(30)], "in their order, each once"
    assert [said(row) for row in good] == [f"say {number}" for number in range(30)]
    assert all(row["response"]["status_code"] == 200 and row["error"] is None for row in good)
    assert [(row["custom_id"], row["response"]["status_code"]) for row in bad] == [("row-30", 404)], bad
    assert [batch.id for batch in client.batches.list()] == [made.id]
    # A request of its key's, behind everybody else.
    record = house.record(good[0]["response"]["request_id"])
    assert (record["origin"], record["path"], record["model"]) == ("batch", CHAT, "echo")
    assert record["key_id"] == house.journal(kind="batch", batch_event="created")[0]["key_id"]

    for id_ in (file.id, done.output_file_id, done.error_file_id):
        assert client.files.delete(id_).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(id_)
    assert not list((house.data / "batches" / "files").iterdir())
    events = [record["batch_event"] for record in house.journal(kind="batch")]
    for event in ("file_uploaded", "created", "in_progress", "completed", "file_read", "file_deleted"):
        assert event in events, events


def test_scenario_r06_a_killed_house_goes_on_with_its_batches(make_batches, scripted):
    """Killed several times while lines are asked: at the end each custom_id stands in the output once, and none that had an answer
    was asked again."""
    house = make_batches(batches={"at_once": 3})
    scripted.pause_s = 0.03
    client = client_of(house)
    made = batch_of(client, lines(60, model="slow", text="one two three {}"))
    for stop in (10, 30):
        until("lines are answered", lambda stop=stop: client.batches.retrieve(made.id).request_counts.completed >= stop, 60)
        house.kill()
        house.start()
    done = over(client, made, 120)
    counts = done.request_counts
    assert (done.status, counts.completed, counts.failed) == ("completed", 60, 0), done
    good = rows(client, done.output_file_id)
    assert [row["custom_id"] for row in good] == [f"row-{number}" for number in range(60)]
    assert [said(row) for row in good] == [f"one two three {number}" for number in range(60)]
    # At most those that were under way at a kill were asked twice.
    assert 60 <= len(scripted.chats()) <= 60 + 2 * 3, len(scripted.chats())


def test_users_come_first(make_batches, scripted):
    """A user who comes while a batch has the only place is answered at once, and the batch goes on when they have left."""
    upstreams = {"scripted": {"kind": "openai", "url": scripted.url, "parallel": 1}}
    house = make_batches(upstreams=upstreams)
    client = client_of(house)
    scripted.late_s = 120
    made = batch_of(client, lines(1, model="late"))
    until("the batch has the place", lambda: house.status()["scripted"]["running"] == 1, 30)
    began = time.monotonic()
    assert house.chat("hello").status_code == 200
    assert time.monotonic() - began < 20
    cancelling = client.batches.cancel(made.id)
    assert cancelling.status in ("cancelling", "cancelled")
    done = over(client, made)
    assert (done.status, done.output_file_id) == ("cancelled", None)
    assert [row["error"]["code"] for row in rows(client, done.error_file_id)] == ["batch_cancelled"]
    house.idle(10)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(made.id)


def test_what_is_answered_is_kept_when_a_batch_ends_early(make_batches):
    """A window that ends, and a file that is deleted meanwhile."""
    house = make_batches(batches={"at_once": 1})
    client = client_of(house)
    file = upload(client, lines(2) + b"\n" + lines(1, model="busy", first=2))
    made = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="6s")
    client.files.delete(file.id)
    done = over(client, made)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("expired", 2, 1), done
    assert [said(row) for row in rows(client, done.output_file_id)] == ["say 0", "say 1"]
    assert [row["error"]["code"] for row in rows(client, done.error_file_id)] == ["batch_expired"]


def test_other_endpoints(make_batches):
    house = make_batches()
    client = client_of(house)
    bodies = {
        "/v1/embeddings": {"model": "echo", "input": ["a b", "c"]},
        "/v1/responses": {"model": "echo", "input": "say this"},
        "/v1/completions": {"model": "echo", "prompt": "say this"},
    }
    made = {}
    for endpoint, body in bodies.items():
        row = {"custom_id": "only", "method": "POST", "url": endpoint, "body": body}
        made[endpoint] = batch_of(client, json.dumps(row).encode(), endpoint=endpoint)
    answers = {}
    for endpoint, batch in made.items():
        done = over(client, batch)
        assert (done.status, done.request_counts.completed) == ("completed", 1), rows(client, done.error_file_id)
        answers[endpoint] = rows(client, done.output_file_id)[0]["response"]["body"]
    assert len(answers["/v1/embeddings"]["data"]) == 2
    assert answers["/v1/responses"]["output"][-1]["content"][0]["text"] == "say this"
    assert answers["/v1/completions"]["choices"][0]["text"] == "say this"


def test_wrong_files_and_wrong_calls(make_batches):
    house = make_batches(batches={"file": "64KiB", "files": 8, "lines": 50, "open": 2})
    client = client_of(house)
    row = lines(1).decode()
    wrong = {
        "duplicate_custom_id": f"{row}\n{row}",
        "invalid_json_line": "{not json\n" + row,
        "invalid_url": row.replace(CHAT, "/v1/embeddings"),
        "invalid_method": row.replace("POST", "GET"),
        "invalid_body": row.replace('"echo"', '"echo", "stream": true'),
        "too_many_lines": lines(51).decode(),
    }
    for code, content in wrong.items():
        file = upload(client, content.encode())
        made = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        done = over(client, made)
        assert (done.status, done.errors.data[0].code) == ("failed", code), done
        assert done.output_file_id is None and done.failed_at
        client.files.delete(file.id)
    with pytest.raises(openai.BadRequestError):
        client.batches.create(input_file_id=file.id, endpoint="/v1/models", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    with pytest.raises(openai.APIStatusError) as error:
        upload(client, b"x" * (65 << 10))
    assert error.value.status_code == 413
    with pytest.raises(openai.BadRequestError):
        upload(client, b"")
    with pytest.raises(openai.BadRequestError):
        client.files.create(file=io.BytesIO(b"x"), purpose="fine-tune")
    for path in ("/v1/files/..%2f..%2fstate%2fpepper/content", "/v1/files/../../state/pepper/content", "/v1/files/x/y/z"):
        assert house.get(path).status_code in (400, 404), path
    assert house.post("/v1/files", b"{}").status_code == 400
    assert house.post("/v1/batches", b"{").status_code == 400
    assert house.get("/v1/batches/x/cancel").status_code == 405
    for _ in range(8):
        upload(client, b"x")
    with pytest.raises(openai.RateLimitError):
        upload(client, b"x")
    assert not [file for file in (house.data / "batches" / "files").iterdir() if file.suffix == ".part"]


def test_an_upload_that_breaks_off_leaves_nothing(make_batches):
    house = make_batches()

    def pieces():
        yield b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
        yield b"x" * 100_000
        raise ConnectionError("the client leaves")

    headers = {"content-type": "multipart/form-data; boundary=b"}
    with house.client(headers=headers) as client, pytest.raises((ConnectionError, httpx.HTTPError)):
        client.post("/v1/files", content=pieces())
    files = house.data / "batches" / "files"
    until("nothing is left of it", lambda: not list(files.iterdir()), 30)
    assert house.get("/v1/files").json()["data"] == []


def test_what_is_somebody_elses_is_not_there(make_batches):
    house = make_batches()
    mine, theirs = client_of(house), client_of(house, house.taken(house.create_key("other")["key"]))
    file = upload(mine, lines(1))
    made = mine.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    done = over(mine, made)
    for look in (
        lambda: theirs.files.retrieve(file.id),
        lambda: theirs.files.content(done.output_file_id),
        lambda: theirs.files.delete(file.id),
        lambda: theirs.batches.retrieve(made.id),
        lambda: theirs.batches.cancel(made.id),
        lambda: theirs.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h"),
    ):
        with pytest.raises(openai.NotFoundError):
            look()
    assert not list(theirs.files.list()) and not list(theirs.batches.list())
    assert house.get("/v1/files", key="").status_code == 401
    assert house.get("/v1/files", key=house.reader).status_code == 403


def test_a_key_that_is_revoked_ends_its_batch_line_by_line(make_batches, scripted):
    """Lines that are asked after the end of their key are refused, as the key's own requests are."""
    house = make_batches(batches={"at_once": 1})
    made_key = house.create_key("short")
    client = client_of(house, house.taken(made_key["key"]))
    scripted.late_s = 1.0
    made = batch_of(client, lines(20, model="late"))
    until("a line is answered", lambda: client.batches.retrieve(made.id).request_counts.completed >= 1, 30)
    house.run("key", "revoke", made_key["id"])
    ended = until("the batch is over", lambda: house.journal(kind="batch", batch=made.id, batch_event="completed"), 60)
    assert ended[0]["batch_completed"] < 20 and ended[0]["batch_completed"] + ended[0]["batch_failed"] == 20


def test_off_unless_it_is_configured(house):
    """Without `batches` there are no such paths, and a changed configuration puts them there."""
    assert house.get("/v1/files").status_code == 404
    assert house.get("/v1/batches").status_code == 404


def test_a_batch_by_the_real_model(make_house, ollama):
    """End to end with Ollama: the model says what it always says, in each line."""
    house = make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url}}, batches={})
    client = client_of(house)
    made = batch_of(client, lines(4, model="qwen3:4b"))
    done = over(client, made, 120)
    assert (done.status, done.request_counts.completed) == ("completed", 4), done
    assert all(said(row).strip().startswith("I am the smaller one") for row in rows(client, done.output_file_id))
