"""Users of the console: signing in by name and password, roles on every call, sessions listed and ended, audit records."""

import contextlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from house import ROOT, in_time, until

API = "/console/api/v1"
OWN = {"x-tollhouse-console": "1"}
PASSWORD = "correct horse battery"
ROLES = ["viewer", "operator", "admin"]


def create(house, name, role="viewer", password=PASSWORD):
    done = house.run("user", "create", name, "--role", role, "--json", stdin=None, input=password + "\n")
    return json.loads(done.stdout)


@contextlib.contextmanager
def browser(house, name=None, password=PASSWORD, source="127.0.0.1", headers=None):
    """A client like the console's own page; with a name it is signed in."""
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(base_url=house.url, headers={**OWN, **(headers or {})}, transport=transport, timeout=30) as client:
        if name is not None:
            answer = sign_in(client, name, password)
            assert answer.status_code == 204, answer.text
        yield client


def sign_in(client, name, password=PASSWORD):
    return client.post(f"{API}/session", json={"name": name, "password": password})


def audits(house, message):
    return house.journal(kind="audit", msg=message)


def calls():
    """Every call that the console declares: method, path, least role."""
    source = (ROOT / "crates/console/src/calls.rs").read_text()
    found = re.findall(r'\.(get|post|put|delete)\(\s*(Viewer|Operator|Admin),\s*"([^"]+)"', source)
    assert len(found) > 20
    return [(method.upper(), path, role.lower()) for method, role, path in found]


def test_scenario_b01_each_call_asks_for_its_role(house):
    """All calls with all roles and with none: whoever has less is turned away, whoever has enough is not."""
    for role in ROLES:
        create(house, f"is-{role}", role)
    for role in [None, *ROLES]:
        with browser(house, role and f"is-{role}") as client:
            kept = dict(client.cookies)
            for method, path, least in calls():
                if (method, path) == ("DELETE", f"{API}/session"):
                    continue
                client.cookies.update(kept)
                target = re.sub(r"\{\w+\}", "no-such-thing", path)
                status = client.request(method, target, content=b"{}").status_code
                wanted = 401 if role is None else 403 if ROLES.index(role) < ROLES.index(least) else None
                if wanted is None:
                    assert status not in (401, 403, 405), (role, method, path, status)
                else:
                    assert status == wanted, (role, method, path, status)


def test_what_is_not_declared_is_not_there(house):
    create(house, "ann", "admin")
    with browser(house, "ann") as client:
        for path in ["/console/api/v1/", "/console/api/v1//users", "/console/api/v1/users/", "/console/api/v1/%75sers%2f"]:
            assert client.get(path).status_code in (400, 404), path
        assert client.patch(f"{API}/users", json={}).status_code == 405


def test_another_sites_page_neither_changes_nor_hears_anything(house):
    """Every call, streams included, whatever cookie the browser brings along; a page may be led to from anywhere."""
    create(house, "ann", "admin")
    with browser(house, "ann") as client:
        for elsewhere in [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]:
            for method, path, _ in calls():
                target = re.sub(r"\{\w+\}", "no-such-thing", path)
                answer = client.request(method, target, content=b"{}", headers=elsewhere)
                assert answer.status_code == 403, (method, path, elsewhere)
            answers = client.get(f"{API}/chats/a/answers/b", headers=elsewhere)
            assert answers.status_code == 403, elsewhere
            assert client.get("/discover", headers={**elsewhere, "accept": "text/html"}).status_code == 200
        for own in [{"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": house.url}]:
            assert client.get(f"{API}/session", headers=own).status_code == 200, own


def test_a_user_signs_in_and_is_counted_by_name(house):
    user = create(house, "Ann")
    assert "password" not in user and user["role"] == "viewer"
    with browser(house, " ann") as client:
        session = client.get(f"{API}/session").json()
        assert (session["user"], session["role"], session["way"]) == ("Ann", "viewer", "password")
        body = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}
        answer = client.post(f"{API}/chat", json=body)
        assert answer.status_code == 200
    last = json.loads(answer.text.strip().splitlines()[-1].removeprefix("data: "))
    assert house.record(last["told"]["request_id"])["user_id"] == "Ann"
    until("the sign-in is recorded", lambda: audits(house, "console session opened"))
    opened = audits(house, "console session opened")[-1]
    assert (opened["by"], opened["role"], opened["way"], opened["client_ip"]) == ("Ann", "viewer", "password", "127.0.0.1")
    until("the command line's doing is recorded", lambda: audits(house, "user made"))
    assert audits(house, "user made")[0]["account"] == "Ann"
    for file in house.data.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


def test_wrong_names_and_wrong_passwords_look_alike_and_wait(house):
    create(house, "ann")
    with browser(house, source="127.0.0.9") as client:
        answers = [sign_in(client, *pair) for pair in [("ann", "wrong horse battery"), ("bob", PASSWORD), ("' OR 1=1 --", "x")]]
        assert {(answer.status_code, answer.text) for answer in answers} == {(401, '{"error":"wrong name or password"}')}
        assert not any("set-cookie" in answer.headers for answer in answers)
        for number in range(7):
            assert sign_in(client, "ann", f"guess number {number}").status_code == 401
        # The right password now waits as well: the answer tells nothing.
        refused = sign_in(client, "ann")
        assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 60
        assert client.post(f"{API}/session", json={"token": "wrong"}).status_code == 429
        assert client.get("/?token=wrong", headers={"accept": "text/html"}).status_code == 429
    # Loopback is no exception, and who sits elsewhere is not locked out.
    with browser(house, "ann", source="127.0.0.10"):
        pass


def test_a_wrong_name_takes_as_long_as_a_wrong_password(house):
    create(house, "ann")
    times = {"ann": [], "nobody": []}
    sources = iter(range(20, 60))
    for number in range(8):
        for name, taken in times.items():
            with browser(house, source=f"127.0.1.{next(sources)}") as client:
                begun = time.perf_counter()
                assert sign_in(client, name, f"guess number {number}").status_code == 401
                taken.append(time.perf_counter() - begun)
    shortest = {name: min(taken) for name, taken in times.items()}
    assert 0.5 < shortest["ann"] / shortest["nobody"] < 2, shortest


def test_many_who_sign_in_at_once_do_not_stop_the_house(house):
    create(house, "ann")

    def attempt(number):
        with browser(house, source=f"127.0.2.{number + 1}") as client:
            return sign_in(client, "ann", f"guess number {number}").status_code

    with ThreadPoolExecutor(36) as pool:
        attempts = [pool.submit(attempt, number) for number in range(36)]
        begun = time.perf_counter()
        assert house.get("/healthz").status_code == 200
        in_time("the house answers others", time.perf_counter() - begun, 5)
        statuses = {attempt.result() for attempt in attempts}
    assert statuses <= {401, 503}


def test_a_session_lists_and_ends_sessions(house):
    create(house, "ann")
    create(house, "bob")
    create(house, "root", "admin")
    with (
        browser(house, "ann", headers={"user-agent": "Laptop"}) as ann,
        browser(house, "ann", headers={"user-agent": "<script>alert(1)</script>"}) as phone,
        browser(house, "bob") as bob,
        browser(house, "root") as root,
    ):
        own = ann.get(f"{API}/sessions").json()["sessions"]
        assert {session["agent"] for session in own} == {"Laptop", "<script>alert(1)</script>"}
        assert {session["user"] for session in own} == {"ann"} and own[0]["address"] == "127.0.0.1"
        assert ann.get(f"{API}/sessions?of=all").status_code == 403
        [other] = [session["id"] for session in own if session["agent"] != "Laptop"]
        assert bob.delete(f"{API}/sessions/{other}").status_code == 404, "not one of one's own"
        assert phone.get(f"{API}/session").status_code == 200
        assert ann.delete(f"{API}/sessions/{other}").status_code == 204
        assert phone.get(f"{API}/session").status_code == 401
        everybody = root.get(f"{API}/sessions?of=all").json()["sessions"]
        assert {session["user"] for session in everybody} == {"ann", "bob", "root"}
        [of_bob] = [session["id"] for session in everybody if session["user"] == "bob"]
        assert root.delete(f"{API}/sessions/{of_bob}").status_code == 204
        assert bob.get(f"{API}/session").status_code == 401
    assert "secret" not in json.dumps(own) and "hash" not in json.dumps(own)


def test_a_stream_ends_with_its_session(house):
    create(house, "ann")
    with browser(house, "ann") as client, browser(house, "ann") as other:
        mine = client.get(f"{API}/session").json()["id"]
        body = {"model": "endless", "messages": [{"role": "user", "content": "go on"}], "stream": True}
        with client.stream("POST", f"{API}/chat", json=body) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            next(pieces)
            assert other.delete(f"{API}/sessions/{mine}").status_code == 204
            begun = time.monotonic()
            with contextlib.suppress(httpx.RemoteProtocolError):
                for _ in pieces:
                    in_time("the stream ends", time.monotonic() - begun, 10)
    house.idle(within=5)


def test_a_role_a_password_and_a_removal_are_in_force_at_once(house):
    ann = create(house, "ann")
    create(house, "root", "admin")
    with browser(house, "ann") as client, browser(house, "ann") as second, browser(house, "root") as root:
        assert client.get(f"{API}/keys").status_code == 403
        assert root.put(f"{API}/users/{ann['id']}/role", json={"role": "admin"}).status_code == 204
        assert client.get(f"{API}/keys").status_code == 200
        house.run("user", "role", "ann", "viewer")
        assert client.get(f"{API}/keys").status_code == 403

        change = {"current": "not this one, no", "password": "another horse battery"}
        assert client.put(f"{API}/account/password", json=change).status_code == 403
        change["current"] = PASSWORD
        assert client.put(f"{API}/account/password", json={**change, "password": "short"}).status_code == 400
        assert client.put(f"{API}/account/password", json=change).status_code == 204
        assert client.get(f"{API}/session").status_code == 200, "one's own session goes on"
        assert second.get(f"{API}/session").status_code == 401, "the others have ended"
        assert sign_in(second, "ann").status_code == 401
        assert sign_in(second, "ann", "another horse battery").status_code == 204

        house.run("user", "remove", "ann")
        assert client.get(f"{API}/session").status_code == 401
        assert sign_in(second, "ann", "another horse battery").status_code == 401
    for message in ["role of a user changed", "own password changed", "user removed"]:
        until(message, lambda message=message: audits(house, message))


def test_users_are_made_and_listed_in_the_console(house):
    create(house, "root", "admin")
    with browser(house, "root") as root:
        made = root.post(f"{API}/users", json={"name": "张伟", "role": "operator", "password": PASSWORD})
        assert made.status_code == 201
        wanted = [
            ({"name": "张伟", "role": "viewer", "password": PASSWORD}, 409),
            ({"name": "", "role": "viewer", "password": PASSWORD}, 400),
            ({"name": "bob", "role": "god", "password": PASSWORD}, 400),
            ({"name": "bob", "role": "viewer", "password": "short"}, 400),
            ({"name": "bob", "role": "viewer", "password": PASSWORD, "id": "x"}, 400),
        ]
        for body, status in wanted:
            assert root.post(f"{API}/users", json=body).status_code == status, body
        users = root.get(f"{API}/users").json()["users"]
        assert [(user["name"], user["role"]) for user in users] == [("root", "admin"), ("张伟", "operator")]
        assert "argon2" not in json.dumps(users)
    assert "张伟" in house.run("user", "list").stdout
    with browser(house, "张伟"):
        pass


def test_a_change_from_elsewhere_is_refused(house):
    create(house, "root", "admin")
    with browser(house, "root") as root:
        for headers in [
            {"x-tollhouse-console": "1", "origin": "https://evil.example"},
            {"x-tollhouse-console": "1", "origin": "null"},
            {"x-tollhouse-console": "1", "sec-fetch-site": "cross-site"},
            {"x-tollhouse-console": "1", "sec-fetch-site": "same-site"},
        ]:
            body = {"name": "eve", "role": "admin", "password": PASSWORD}
            assert root.post(f"{API}/users", json=body, headers=headers).status_code == 403, headers
        bare = httpx.post(f"{house.url}{API}/users", json=body, cookies=dict(root.cookies))
        assert bare.status_code == 403
        assert [user["name"] for user in root.get(f"{API}/users").json()["users"]] == ["root"]


@pytest.mark.parametrize("by", ["proxy", "public_url"])
def test_the_cookie_is_bound_to_the_host_where_tls_allows(make_house, by):
    """Behind a trusted proxy with TLS, and at the public address, the cookie is `__Host-` and Secure."""
    settings = {"access": {"trusted_proxies": ["127.0.0.1"]}} if by == "proxy" else {}
    if by == "public_url":
        settings = {"public_url": "https://ai.example.com", "hosts": ["ai.example.com"]}
    house = make_house(**settings)
    create(house, "ann")
    encrypted = {"x-forwarded-proto": "https"} if by == "proxy" else {"host": "ai.example.com"}
    with browser(house) as client:
        cookie = client.post(
            f"{API}/session", json={"name": "ann", "password": PASSWORD}, headers=encrypted
        ).headers["set-cookie"]
        assert cookie.startswith(f"__Host-tollhouse_{house.port}=") and "; Secure" in cookie and "Path=/" in cookie
        assert "Domain" not in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
        pair = cookie.partition(";")[0]
        client.cookies.clear()
        assert client.get(f"{API}/session", headers={**encrypted, "cookie": pair}).status_code == 200
        # Under the unbound name another page of the domain could have set it.
        unbound = pair.removeprefix("__Host-")
        assert client.get(f"{API}/session", headers={**encrypted, "cookie": unbound}).status_code == 401
        plain = client.post(f"{API}/session", json={"name": "ann", "password": PASSWORD}).headers["set-cookie"]
        assert plain.startswith(f"tollhouse_{house.port}=") and "Secure" not in plain


def test_a_password_is_never_an_argument(house):
    done = house.run("user", "create", "ann", "--password", PASSWORD, check=False)
    assert done.returncode != 0
    done = house.run("user", "create", "ann", stdin=None, input="short\n", check=False)
    assert done.returncode != 0 and "12 to 256 characters" in done.stderr
    assert "no users yet" in house.run("user", "list").stderr
