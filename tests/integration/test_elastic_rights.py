"""Keys that are limited to indices, at each endpoint; and the Elasticsearch API at an address of its own."""

import json
import os
import sys

import httpx
import pytest
from house import Tollhouse, finished, free_port, until
from test_elastic import CLIENT, NEWER, bulk, ndjson
from test_reload import reload

DAY = "2026.01.27"
OURS, THEIRS = f"team-a-{DAY}", f"team-b-{DAY}"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Two teams with three documents each; a reader and a writer of the first."""
    keep = {"keep": {"days": 3650}}
    directory = tmp_path_factory.mktemp("rights")
    house = Tollhouse(directory, upstreams={"demo": {"kind": "demo"}}, logging=keep, store=keep)
    house.admin = house.create_key("admin", "--role", "admin")["key"]
    limited = ["--indices", "team-a-*"]
    house.reads = house.create_key("reads", "--role", "logs:read", *limited)["key"]
    house.writes = house.create_key("writes", "--role", "logs:write", *limited)["key"]
    house.others = house.create_key("others", "--role", "logs:read", *limited)["key"]
    house.start()
    lines = []
    for index in (OURS, THEIRS):
        for number in range(3):
            lines += [{"create": {"_index": index, "_id": f"{index}-{number}"}}]
            lines += [{"@timestamp": f"2026-01-27T10:00:0{number}Z", "message": f"of {index}", f"only_{index[5]}": 1}]
    written = bulk(house, "/_bulk?refresh=true", *lines, key=house.admin).json()
    assert not written["errors"], written
    try:
        yield house
    finally:
        house.stop()


def ask(house, method, path, body=None, key=None, lines=None):
    with house.client(key or house.reads) as client:
        if lines is not None:
            headers = {"Content-Type": "application/x-ndjson"}
            return client.request(method, f"/es{path}", content=ndjson(*lines), headers=headers)
        return client.request(method, f"/es{path}", json=body)


def forbidden(answer):
    body = answer.json()
    assert answer.status_code == 403 and body["status"] == 403, answer.text
    assert body["error"]["type"] == body["error"]["root_cause"][0]["type"] == "security_exception", answer.text
    assert "team-a-*" in body["error"]["reason"], answer.text
    return True


# What names or spans indices; {i} stands for the expression.
SPANNING = [
    ("POST", "/{i}/_search", {}),
    ("POST", "/{i}/_search?scroll=1m", {}),
    ("GET", "/{i}/_count", None),
    ("POST", "/{i}/_pit?keep_alive=1m", None),
    ("POST", "/{i}/_search/point_in_time?keep_alive=1m", None),
    ("GET", "/{i}/_validate/query?q=*", None),
    ("GET", "/{i}/_field_caps?fields=*", None),
    ("GET", "/{i}", None),
    ("GET", "/{i}/_mapping", None),
    ("GET", "/{i}/_settings", None),
    ("GET", "/{i}/_alias", None),
    ("GET", "/{i}/_stats", None),
    ("POST", "/{i}/_refresh", None),
    ("POST", "/{i}/_flush", None),
    ("GET", "/_cat/indices/{i}?format=json", None),
    ("GET", "/_cat/shards/{i}?format=json", None),
    ("GET", "/_cat/count/{i}?format=json", None),
    ("GET", "/_cluster/health/{i}", None),
    ("GET", "/_resolve/index/{i}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SPANNING, ids=[f"{method} {path}" for method, path, _ in SPANNING])
def test_expressions_shrink_and_names_are_refused(house, method, path, body):
    for name in (THEIRS, "team-b", f"{OURS},{THEIRS}", "no-such-index"):
        assert forbidden(ask(house, method, path.format(i=name), body)), name
    for name in (OURS, "team-a", "_all", "*", "team-*", f"*,-{THEIRS}"):
        answer = ask(house, method, path.format(i=name), body)
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert "team-b" not in answer.text and "only_b" not in answer.text, f"{name}: {answer.text}"
    # What nothing is left of is as if there were nothing.
    answer = ask(house, method, path.format(i="team-b*"), body)
    assert answer.status_code == 200 and "team-b-2026" not in answer.text, answer.text
    # Whoever is not limited sees both.
    assert ask(house, method, path.format(i=THEIRS), body, house.admin).status_code == 200


def test_what_names_no_index_shows_only_what_is_allowed(house):
    def shown(path, key=None, **options):
        answer = ask(house, options.pop("method", "GET"), path, key=key, **options)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.text

    for path in [
        "/_search",
        "/_count",
        "/_mapping",
        "/_settings",
        "/_alias",
        "/_stats",
        "/_cat/indices",
        "/_cat/shards",
        "/_cat/aliases",
        "/_data_stream",
        "/_field_caps?fields=*",
        "/_resolve/index/*",
    ]:
        assert "team-b" not in shown(path) and "only_b" not in shown(path), path
        assert path == "/_count" or "team-b" in shown(path, house.admin) or "only_b" in shown(path, house.admin), path
    assert json.loads(shown("/_count"))["count"] == 3
    own = ask(house, "HEAD", f"/{OURS}"), ask(house, "HEAD", f"/{THEIRS}")
    assert [answer.status_code for answer in own] == [200, 403]


def test_documents_and_several_searches_are_judged_one_by_one(house):
    found = ask(house, "GET", f"/{OURS}/_doc/{OURS}-0")
    assert found.status_code == 200 and found.json()["found"]
    for path in (f"/{THEIRS}/_doc/{THEIRS}-0", f"/{THEIRS}/_source/{THEIRS}-0"):
        assert forbidden(ask(house, "GET", path))
    docs = [{"_index": OURS, "_id": f"{OURS}-0"}, {"_index": THEIRS, "_id": f"{THEIRS}-0"}]
    got = ask(house, "POST", "/_mget", {"docs": docs}).json()["docs"]
    assert got[0]["found"] and got[1]["error"]["type"] == "security_exception", got
    lines = [{"index": OURS}, {}, {"index": THEIRS}, {}, {"index": "*"}, {}, {"index": THEIRS, "ignore_unavailable": True}, {}]
    answers = ask(house, "POST", "/_msearch", lines=lines).json()["responses"]
    assert [answer["status"] for answer in answers] == [200, 403, 200, 200]
    assert [answer["hits"]["total"]["value"] for answer in (answers[0], answers[2], answers[3])] == [3, 3, 0]
    assert "team-b" not in json.dumps([answers[0], answers[2], answers[3]])


def test_documents_are_written_to_allowed_indices_only(house):
    lines = []
    for index in (OURS, THEIRS, "team-a-new"):
        lines += [{"index": {"_index": index, "_id": "w"}}, {"@timestamp": "2026-01-27T11:00:00Z", "message": "w"}]
    written = ask(house, "POST", "/_bulk?refresh=true", key=house.writes, lines=lines).json()
    assert [item["index"]["status"] for item in written["items"]] == [201, 403, 201], written
    assert written["items"][1]["index"]["error"]["type"] == "security_exception"
    one = ask(house, "PUT", f"/{THEIRS}/_doc/x", {"message": "x"}, house.writes)
    assert one.status_code == 403 and one.json()["error"]["type"] == "security_exception", one.text
    assert ask(house, "PUT", f"/{OURS}/_doc/x", {"message": "x"}, house.writes).status_code == 201
    assert forbidden(ask(house, "PUT", f"/team-c-{DAY}", None, house.writes))
    assert ask(house, "PUT", "/team-a-more-2026.01.26", None, house.writes).status_code == 200
    count = ask(house, "GET", f"/{THEIRS}/_count", key=house.admin).json()["count"]
    assert count == 3, "nothing came where it must not"


def test_a_scroll_and_a_point_in_time_belong_to_their_key(house):
    scroll = ask(house, "POST", f"/{OURS}/_search?scroll=1m", {"size": 1}).json()["_scroll_id"]
    pit = ask(house, "POST", f"/{OURS}/_pit?keep_alive=1m").json()["id"]
    for key in (house.others, house.admin):
        assert ask(house, "POST", "/_search/scroll", {"scroll_id": scroll}, key).status_code == 404
        assert ask(house, "POST", "/_search", {"pit": {"id": pit}}, key).status_code == 404
        ask(house, "DELETE", "/_search/scroll/_all", None, key)
        with house.client(key) as client:
            assert client.request("DELETE", "/es/_pit", json={"id": pit}).status_code == 404
    assert ask(house, "POST", "/_search/scroll", {"scroll_id": scroll}).status_code == 200
    assert ask(house, "POST", "/_search", {"pit": {"id": pit}}).status_code == 200


def test_only_roles_of_the_book_can_be_limited(house):
    for arguments in (["--role", "admin"], [], ["--role", "logs:read", "--indices", "Team"]):
        refused = house.run("key", "create", "--name", "x", "--indices", "a-*", *arguments, check=False)
        assert refused.returncode != 0 and "indices" in refused.stderr, refused.stderr
    shown = json.loads(house.run("key", "list", "--json").stdout)
    assert [key["indices"] for key in shown if key["name"] == "reads"] == [["team-a-*"]]


def test_the_api_stands_at_the_root_of_its_own_address(make_house):
    port = free_port()
    config = {"upstreams": {"demo": {"kind": "demo"}}, "store": {"keep": {"days": 3650}}}
    house = make_house(**config, search={"listen": f"127.0.0.1:{port}"})
    admin = house.taken(house.create_key("admin", "--role", "admin")["key"])
    url = f"http://127.0.0.1:{port}"
    for version in ("8", "9"):
        environment = {**os.environ, "PYTHONPATH": {"8": "", "9": NEWER}[version]}
        ran = finished([sys.executable, CLIENT, url, admin, f"py{version}"], env=environment, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["written"] == 250
    # The same keys and the same guards as at /es; and nothing else is there.
    assert httpx.get(f"{url}/_search").status_code == 401
    assert httpx.get(f"{url}/_search", headers={"X-Api-Key": house.key}).status_code == 403
    assert httpx.get(f"{url}/_search", headers={"X-Api-Key": admin, "Host": "elsewhere.example"}).status_code == 421
    for path in ("/es/_search", "/console/api/v1/status", "/v1/models", "/healthz"):
        answer = httpx.get(f"{url}{path}", headers={"X-Api-Key": admin})
        assert answer.headers["X-Elastic-Product"] == "Elasticsearch", path

    other = free_port()
    moved = reload(house, **config, search={"listen": f"127.0.0.1:{other}"})
    assert moved["changed"] == ["search.listen"], moved
    there = lambda port: httpx.get(f"http://127.0.0.1:{port}/", headers={"X-Api-Key": admin}).status_code == 200  # noqa: E731
    until("it answers at the other address", lambda: there(other))
    with pytest.raises(httpx.ConnectError):
        there(port)
    taken = reload(house, **config, search={"listen": house.url.removeprefix("http://")})
    assert "search.listen" in taken["error"] and there(other)
    reload(house, **config)
    with pytest.raises(httpx.ConnectError):
        there(other)
