"""One request, joined over all sources: by its id, by its trace, and by the time on its model server."""

import contextlib
import datetime
import json

import httpx
from house import free_port, until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def console(house):
    """A client with the console's cookie."""
    client = httpx.Client(base_url=house.url, timeout=30)
    assert client.get(house.console_address()).status_code == 303
    return contextlib.closing(client)


def test_scenario_b02_one_request_is_joined_over_sources(make_house, scripted):
    ports = {"openclaw": free_port(), "model": free_port()}
    house = make_house(
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        sources={
            "openclaw": {"type": "http", "address": f"127.0.0.1:{ports['openclaw']}"},
            "nginx": {"type": "file", "paths": ["/nowhere/nginx.log"]},
            "model": {"type": "http", "address": f"127.0.0.1:{ports['model']}", "format": "ollama"},
        },
    )
    key = house.taken(house.create_key("sender", "--role", "logs:write")["key"])

    def send(source, path, body):
        address = f"http://127.0.0.1:{ports[source]}{path}"
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        assert httpx.post(address, content=body, headers=headers).status_code == 200

    answer = house.chat("hello", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    request_id = answer.headers["x-request-id"]
    then = datetime.datetime.now(datetime.UTC).isoformat()
    other = house.chat("hello").headers["x-request-id"]
    log_record = {"severityNumber": 13, "body": {"stringValue": "turn slow"}, "traceId": TRACE}
    send("openclaw", "/v1/logs", json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [log_record]}]}]}))
    lines = [
        {"msg": "proxied", "sent_http_x_request_id": request_id, "status": 200},
        {"msg": f"client gave up on {request_id} at last"},
        {"msg": "another one", "request_id": other},
        {"msg": "another trace", "trace_id": TRACE.replace("0", "1")},
    ]
    send("openclaw", "/", "".join(json.dumps(line) + "\n" for line in lines))
    send("model", "/", f'time={then} level=INFO source=server.go:1 msg="slot released"\n')
    until("all are in the index", lambda: house.count("kind:log") >= 6)
    house.document(request_id)

    told = json.loads(house.run("why", request_id, "--json").stdout)
    joined = [(line["msg"], line["source"], line["by"]) for line in told["lines"]]
    assert sorted(joined) == [
        (f"client gave up on {request_id} at last", "openclaw", "request_id"),
        ("proxied", "openclaw", "request_id"),
        ("slot released", "model", "time"),
        ("turn slow", "openclaw", "trace_id"),
    ]
    assert told["found"] and told["lines_cut"] is False and told["verdict"]["cause"] == "ok"
    assert told["attempts"][0]["upstream"] == "scripted" and len(told["attempts"]) == 1
    assert all(line["record"]["kind"] == "log" and line["ts"] for line in told["lines"])
    assert {record["kind"] for record in told["records"]} >= {"request"}
    shown = house.run("why", request_id).stdout
    assert "trace_id    openclaw      turn slow" in shown

    with console(house) as client:
        story = client.get(f"/console/api/v1/requests/{request_id}/story")
        assert story.status_code == 200 and story.json() == told
        nothing = client.get("/console/api/v1/requests/nobody/story").json()
        assert nothing["found"] is False and set(nothing) == set(told)
    assert httpx.get(f"{house.url}/console/api/v1/requests/{request_id}/story").status_code == 401


def test_check_tells_what_sources_would_find(make_house, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "app.log").write_text('{"msg":"a"}\n' * 150)
    (logs / "app.log.1").write_text('{"msg":"old"}\n')
    (logs / "access.log").write_text('level=info msg="not nginx"\n')
    taken, free = free_port(), free_port()
    house = make_house(
        upstreams={"demo": {"kind": "demo"}},
        sources={"network": {"type": "listen", "address": f"127.0.0.1:{taken}"}},
    )
    house.configure(
        sources={
            "network": {"type": "listen", "address": f"127.0.0.1:{taken}"},
            "otlp": {"type": "http", "address": f"127.0.0.1:{free}"},
            "app": {"type": "file", "paths": [f"{logs}/app.log"]},
            "nginx": {"type": "file", "paths": [f"{logs}/access.log"], "format": "nginx"},
            "later": {"type": "file", "paths": [f"{logs}/later.log"]},
        }
    )

    def written():
        """All files but those that the running house writes."""
        others = (path for path in tmp_path.rglob("*") if path != house.log and house.data not in path.parents)
        return sorted((path, path.stat().st_size) for path in others)

    before = written()
    shown = house.run("check").stdout
    for line in [
        f"# source network: 127.0.0.1:{taken} is taken; by this house, if it runs already",
        f"# source otlp: 127.0.0.1:{free} is free",
        "# source app: 1 file, and 1 rotated",
        f"#   {logs}/app.log: looks like json, 100 of the first 100 lines understood",
        "# source nginx: 1 file",
        f"#   warning: {logs}/access.log: `format: nginx` does not fit, it looks like logfmt; 0 of the first 1 lines understood",
        "# source later: no file matches now; it is read as soon as one appears",
    ]:
        assert line in shown.splitlines(), shown
    assert written() == before
    # A destination that is one of our own sources would never come to an end.
    house.configure(
        sources={"otlp": {"type": "http", "address": f"127.0.0.1:{free}"}},
        ship={"far": {"kind": "otlp", "url": f"http://localhost:{free}"}},
    )
    refused = house.run("check", check=False)
    assert refused.returncode != 0 and "each record that goes out would come in as another one" in refused.stderr
