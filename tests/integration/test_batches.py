"""Files and batches of OpenAI's API by its official client: killed in the middle, cancelled, expired, wrong, and other people's."""

import io
import json
import re
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
    # All of them are found by the batch's id, each with its line.
    asked = house.journal(kind="request", batch=made.id)
    assert sorted(one["batch_line"] for one in asked) == list(range(1, 32)) and record["batch_line"] == 1
    until("they are found by the batch", lambda: house.count(f'kind:request AND batch:"{made.id}"') == 31)
    assert house.count(f'batch:"{made.id}" AND batch_line:31 AND http_status:404') == 1
    assert house.count(f'batch:"{made.id}" AND batch_line:[1 TO 10] AND http_status:200') == 10
    assert house.count(f'kind:batch AND batch:"{made.id}"') == 3, "created, in progress, completed"
    told = house.run("why", asked[0]["request_id"]).stdout
    assert made.id in told and "line of the batch" in told, told

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


def test_a_line_that_kills_its_server_is_an_error_and_the_others_have_their_answers(make_batches, scripted):
    """It is asked alone after the first death, few times, and those that died with it in company are asked again."""
    house = make_batches(batches={"at_once": 3})
    client = client_of(house)
    scripted.late_s, scripted.poison = 0.2, "say 4 "
    made = batch_of(client, lines(24, model="late", text="say {} please"))
    done = over(client, made, 120)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 23, 1), done
    good, bad = rows(client, done.output_file_id), rows(client, done.error_file_id)
    assert [row["custom_id"] for row in good] == [f"row-{number}" for number in range(24) if number != 4]
    [row] = bad
    assert (row["custom_id"], row["error"]["code"], row["response"]["status_code"]) == ("row-4", "server_failed", 503), row
    # Once more by the gate at the first time; alone, and by the gate once each, afterwards. A connection that ends at once may have
    # crossed the request, which then goes out on another one.
    assert 4 <= scripted.deaths <= 9, scripted.deaths
    asked = [call.text for call in scripted.chats()]
    assert max(asked.count(text) for text in asked if "say 4 " not in text) <= 5


def test_lines_wait_for_a_server_that_is_away(make_batches, scripted):
    """However often nobody takes them: that is no fault of theirs."""
    house = make_batches()
    client = client_of(house)
    until("the model is known", lambda: house.chat("hello").status_code == 200)
    scripted.away()
    made = batch_of(client, lines(6))
    until("they were asked in vain", lambda: len(house.journal(kind="request", origin="batch", status=503)) >= 5, 60)
    scripted.listen()
    done = over(client, made, 120)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 6, 0), done


def test_the_console_shows_everybodys_batches_and_ends_them(make_batches, scripted):
    house = make_batches()
    other = house.create_key("other", "--user", "ann")
    theirs = client_of(house, house.taken(other["key"]))
    scripted.late_s = 120
    endless = batch_of(theirs, lines(3, model="late"))
    done = over(client_of(house), batch_of(client_of(house), lines(2)))
    house.status()  # signs in
    console, api = house.signed_in, "/console/api/v1"
    console.headers["x-tollhouse-console"] = "1"
    page = console.get(f"{api}/batches").json()
    assert page["on"] and not page["has_more"] and [batch["id"] for batch in page["batches"]] == [done.id, endless.id]
    mine, open_one = page["batches"]
    assert (mine["status"], mine["is_over"], mine["total"], mine["completed"], mine["failed"]) == ("completed", True, 2, 2, 0)
    assert mine["output_file_id"] == done.output_file_id and mine["created_ms"] <= mine["ended_ms"]
    assert (open_one["user"], open_one["key_id"], open_one["is_over"]) == ("ann", other["id"], False)
    used = page["use"]
    assert (used["open"], used["files"], used["later_open"]) == (1, 3, 0) and 0 < used["bytes"] < used["bytes_max"]
    first = console.get(f"{api}/batches", params={"limit": 1}).json()
    assert first["has_more"] and [batch["id"] for batch in first["batches"]] == [done.id]
    [second] = console.get(f"{api}/batches", params={"limit": 1, "after": done.id}).json()["batches"]
    assert second["id"] == endless.id

    figures = until("figures of batches", lambda: figures_of(house), 30)
    assert figures["tollhouse_batches"]["in_progress"] == 1 and figures["tollhouse_batch_requests_waiting"][""] == 3
    assert figures["tollhouse_batch_requests_total"]["completed"] == 2
    assert figures["tollhouse_batch_events_total"]["created"] == 2 and figures["tollhouse_batch_bytes"][""] > 0

    assert console.post(f"{api}/batches/{endless.id}/cancel").json()["status"] in ("cancelling", "cancelled")
    until("it is over", lambda: theirs.batches.retrieve(endless.id).status == "cancelled")
    assert console.post(f"{api}/batches/{endless.id}/cancel").status_code == 409
    assert console.post(f"{api}/batches/batch_none/cancel").status_code == 404
    assert until("a record says who", lambda: house.journal(kind="audit", msg="batch cancelled", batch=endless.id), 30)


def figures_of(house):
    """The figures of batches, by metric and label."""
    found = {}
    for line in house.get("/metrics", house.reader).text.splitlines():
        if match := re.match(r'(tollhouse_(?:batch|later)\w*)(?:\{\w+="(\w+)"\})? (\S+)$', line):
            found.setdefault(match[1], {})[match[2] or ""] = float(match[3])
    return found


def test_what_is_kept_of_a_user_is_erased_while_the_house_runs(make_batches, scripted):
    """Files, batches that are over, one that is under way, and answers that come later; a record tells of it, and others keep theirs."""
    house = make_batches()
    ann = client_of(house, house.taken(house.create_key("ann's", "--user", "ann")["key"]))
    mine = client_of(house)
    kept = over(mine, batch_of(mine, lines(1)))
    done = over(ann, batch_of(ann, lines(2, text="the secret of ann {}")))
    scripted.late_s = 120
    open_one = batch_of(ann, lines(1, model="late", text="the secret of ann {}"))
    until("a line is asked", lambda: any(call.body["model"] == "late" for call in scripted.chats()))
    later = house.chat("the secret of ann", model="late", key=ann.api_key, headers={"Prefer": "respond-async"})
    assert later.status_code == 202
    assert house.run("content", "erase", "--user", "ann", check=False).returncode == 1
    told = house.run("content", "erase", "--user", "ann", "--yes").stdout
    assert "3 files, 2 batches and 1 answers that come later are gone" in told, told
    for look in (lambda: ann.files.content(done.output_file_id), lambda: ann.batches.retrieve(open_one.id)):
        with pytest.raises(openai.NotFoundError):
            look()
    assert house.get(later.headers["location"], key=ann.api_key).status_code == 404
    house.idle(30)
    [record] = until("a record of it", lambda: house.journal(kind="audit", msg="files and batches erased"), 60)
    assert (record["owner"], record["erased_files"], record["erased_batches"], record["erased_later"]) == ("user:ann", 3, 2, 1)
    assert mine.batches.retrieve(kept.id).status == "completed" and rows(mine, kept.output_file_id)
    house.stop()
    for file in (house.data / "batches").rglob("*"):
        assert file.is_dir() or b"the secret of ann" not in file.read_bytes(), file


def test_what_is_kept_is_bounded_however_it_is_kept(make_batches, scripted):
    """Inputs of open batches whose file was deleted, answers that come later, and outputs count."""
    house = make_batches(batches={"bytes": "20KiB", "later": {"open": 5, "at_once": 1}})
    client = client_of(house)
    scripted.late_s = 120
    # 9 KiB in a file, which a batch holds when the file is deleted.
    large = lines(1, model="late", text="x" * 9000 + "{}")
    file = upload(client, large)
    client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    client.files.delete(file.id)
    second = upload(client, large)
    with pytest.raises(openai.RateLimitError):
        upload(client, large)
    assert house.chat("y" * 5000, model="late", headers={"Prefer": "respond-async"}).status_code == 429
    made = client.batches.create(input_file_id=second.id, endpoint=CHAT, completion_window="24h")
    client.files.delete(second.id)
    client.batches.cancel(made.id)
    until("the second batch is over", lambda: client.batches.retrieve(made.id).status == "cancelled")
    assert house.chat("y" * 5000, model="late", headers={"Prefer": "respond-async"}).status_code == 202


def test_hostile_lines(make_batches):
    """What is no text, too deep, twice there, or another file's is told by its line, and nothing of it is asked."""
    house = make_batches()
    client = client_of(house)
    row = lines(1).decode()
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    for content in (
        row.encode("utf-16"),
        b"\xff\xfe\x00",
        row.replace('"body"', '"body": 1, "body"').encode(),
        row.replace('"custom_id"', '"custom_id": "x", "custom_id"').encode(),
        row.replace('"model"', '"model": "other", "model"').encode(),
        row.replace('"messages"', f'"stream": {deep}, "messages"').encode(),
        b"[]", b"null", b'"' + b"a" * 100_000 + b'"',
    ):
        done = over(client, batch_of(client, content))
        assert done.status == "failed" and done.errors.data[0].line == 1, (content[:80], done)
    # Deep where a line is only passed on: the gate's own bounds answer, and the house lives.
    done = over(client, batch_of(client, row.replace('"messages"', f'"metadata": {deep}, "messages"').encode()))
    assert (done.status, done.request_counts.failed) == ("completed", 1), done
    assert rows(client, done.error_file_id)[0]["response"]["status_code"] == 400
    # Another end of line and a mark at the beginning are no fault.
    done = over(client, batch_of(client, b"\xef\xbb\xbf" + lines(3).replace(b"\n", b"\r\n\r\n") + b"\r\n"))
    assert (done.status, done.request_counts.completed) == ("completed", 3), done


def test_a_batch_that_is_cancelled_while_the_house_stops_is_cancelled_at_the_next_start(make_batches, scripted):
    house = make_batches()
    client = client_of(house)
    scripted.late_s = 120
    made = batch_of(client, lines(2, model="late"))
    until("a line is asked", scripted.chats)
    client.batches.cancel(made.id)
    house.kill()
    house.start()
    done = over(client, made)
    assert (done.status, done.request_counts.failed) == ("cancelled", 2), done


def test_a_batch_that_is_cancelled_is_wound_up_after_an_orderly_stop(make_batches, scripted):
    """What was answered stands in its output and the rest in its error file; nothing further is asked, and its end is recorded once."""
    house = make_batches(batches={"at_once": 1})
    client = client_of(house)
    scripted.late_s = 120
    made = batch_of(client, lines(3) + b"\n" + lines(60, model="late", first=3))
    until("the fourth line is asked", lambda: any(call.body["model"] == "late" for call in scripted.chats()), 60)
    client.batches.cancel(made.id)
    # It is still at that line, which is dropped within half a second.
    assert house.stop() == 0
    asked = len(scripted.chats())
    house.start()
    done = over(client, made)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("cancelled", 3, 60), done
    assert [said(row) for row in rows(client, done.output_file_id)] == ["say 0", "say 1", "say 2"]
    left = rows(client, done.error_file_id)
    assert [row["custom_id"] for row in left] == [f"row-{number}" for number in range(3, 63)]
    assert {row["error"]["code"] for row in left} == {"batch_cancelled"}
    assert done.cancelling_at <= done.cancelled_at and len(scripted.chats()) == asked
    until("its end is recorded", lambda: len(house.journal(kind="batch", batch=made.id, batch_event="cancelled")) == 1)
    assert not list((house.data / "batches" / "inputs").iterdir())


def test_what_is_kept_of_a_key_is_erased_while_the_house_runs_and_while_it_does_not(make_batches):
    """Inputs, outputs, errors, names and metadata; the other key of the same user keeps its own until it is its turn."""
    house = make_batches()
    keys = [house.create_key(name, "--user", "ann") for name in ("first", "second")]
    clients = [client_of(house, house.taken(key["key"])) for key in keys]
    content = lines(2, text="the secret of ann {}") + b"\n" + lines(1, model="nobody-has-it", text="the secret of ann {}", first=2)
    made = []
    for client in clients:
        file = upload(client, content, name="the secret of ann.jsonl")
        new = client.batches.create(
            input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"note": "the secret of ann"}
        )
        made.append(over(client, new))
    ids = [(done.input_file_id, done.output_file_id, done.error_file_id) for done in made]
    on_disk = lambda: {file.name for file in (house.data / "batches" / "files").iterdir()}
    assert on_disk() == {*ids[0], *ids[1]}
    told = house.run("content", "erase", "--key", keys[0]["id"], "--yes").stdout
    assert "3 files, 1 batches and 0 answers that come later are gone" in told, told
    assert on_disk() == set(ids[1])
    for id_ in ids[0]:
        with pytest.raises(openai.NotFoundError):
            clients[0].files.content(id_)
    with pytest.raises(openai.NotFoundError):
        clients[0].batches.retrieve(made[0].id)
    assert not list(clients[0].files.list()) and not list(clients[0].batches.list())
    again = house.run("content", "erase", "--key", keys[0]["id"], "--yes", check=False)
    assert again.returncode == 1 and "nothing is kept of" in again.stderr, again
    assert [said(row) for row in rows(clients[1], made[1].output_file_id)] == ["the secret of ann 0", "the secret of ann 1"]
    assert rows(clients[1], made[1].error_file_id) and clients[1].batches.retrieve(made[1].id).metadata

    assert house.stop() == 0
    house.run("content", "erase", "--key", keys[1]["id"], "--yes")
    assert not on_disk()
    for file in house.data.rglob("*"):
        assert not file.is_file() or b"the secret of ann" not in file.read_bytes(), file
    house.start()
    owners = lambda: [record["owner"] for record in house.journal(kind="audit", msg="files and batches erased")]
    until("both are recorded", lambda: owners() == [f"key:{key['id']}" for key in keys], 60)
    assert not list(clients[1].files.list())


def test_a_batch_by_the_real_model(make_house, ollama):
    """End to end with Ollama: the model says what it always says, in each line."""
    house = make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url}}, batches={})
    client = client_of(house)
    made = batch_of(client, lines(4, model="qwen3:4b"))
    done = over(client, made, 120)
    assert (done.status, done.request_counts.completed) == ("completed", 4), done
    assert all(said(row).strip().startswith("I am the smaller one") for row in rows(client, done.output_file_id))
