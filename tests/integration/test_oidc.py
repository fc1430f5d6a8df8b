"""Sign-in at a real OpenID Connect provider (oidc-provider): roles by groups, and what is not believed."""

import re
import shutil
import subprocess
import time
from html import unescape
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest
from house import ROOT, Tollhouse, until, walked

API = "/console/api/v1"
OWN = {"x-tollhouse-console": "1"}
DEMO = {"demo": {"kind": "demo"}}


class Provider:
    def __init__(self, house_url):
        script = ROOT / "tests/node/provider.mjs"
        command = ["node", script, f"{house_url}/console/oidc/callback", f"{house_url}/"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.issuer = self.process.stdout.readline().strip()
        assert self.issuer.startswith("http://127.0.0.1:"), "the provider did not start"

    def behave(self, **how):
        """How it behaves from now on; without arguments, well."""
        assert httpx.post(f"{self.issuer}/test", json=how).status_code == 200


def configured(issuer):
    return {
        "name": "Example ID",
        "issuer": issuer,
        "client_id": "tollhouse",
        "client_secret": "a-secret-of-the-test",
        "roles": {"viewer": ["staff"], "admin": ["ops"]},
        "domains": ["example.com"],
        "session": "2h",
    }


@pytest.fixture(scope="module")
def provided(tmp_path_factory):
    """A house with a provider."""
    house = Tollhouse(tmp_path_factory.mktemp("oidc"), upstreams=DEMO)
    provider = Provider(house.url)
    house.configure(upstreams=DEMO, public_url=house.url, console={"oidc": configured(provider.issuer)})
    house.start()
    yield house, provider
    house.stop()
    provider.process.kill()
    provider.process.wait()


@pytest.fixture(autouse=True)
def well(provided):
    yield
    provided[1].behave()


def browser(house):
    return httpx.Client(base_url=house.url, timeout=30)


def begin(client, to="/discover?q=a"):
    answer = client.post(f"{API}/session/oidc", json={"to": to}, headers=OWN)
    assert answer.status_code == 200, answer.text
    return answer.json()["location"]


def log_in(client, location, name):
    """Goes through the provider's own pages as a browser does; the address at which it sends the browser back."""
    for _ in range(12):
        if "/console/oidc/callback" in location:
            return location
        answer = client.get(location)
        if answer.is_redirect:
            location = urljoin(str(answer.url), answer.headers["location"])
            continue
        action = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
        assert action, answer.text[:2000]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text))
        if 'name="login"' in answer.text:
            fields |= {"login": name, "password": "any"}
        answer = client.post(urljoin(str(answer.url), unescape(action.group(1))), data=fields)
        assert answer.is_redirect, answer.text[:2000]
        location = urljoin(str(answer.url), answer.headers["location"])
    raise AssertionError("the provider does not come to an end")


def sign_in(client, name, to="/discover?q=a"):
    """The address at which the browser arrives."""
    answer = client.get(log_in(client, begin(client, to), name))
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def session(client):
    return client.get(f"{API}/session")


def refused_as(provided, name, word):
    house, _ = provided
    with browser(house) as client:
        assert sign_in(client, name) == f"/?sign_in={word}"
        assert session(client).status_code == 401


def test_scenario_b01_a_user_signs_in_at_the_provider_and_out_again(provided):
    house, provider = provided
    with browser(house) as client:
        assert client.get(f"{API}/sign-in").json() == {"oidc": {"name": "Example ID"}}
        location = begin(client)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert len({asked[name] for name in ["state", "nonce", "code_challenge"]}) == 3
        assert client.get(log_in(client, location, "ann")).headers["location"] == "/discover?q=a"
        shown = session(client).json()
        assert (shown["user"], shown["role"], shown["way"]) == ("Ann", "admin", "oidc")
        users = client.get(f"{API}/users").json()["users"]
        (user,) = [user for user in users if user["name"] == "Ann"]
        assert user["origin"] == "oidc"
        # Neither role nor password is this house's to set.
        for what, body in [("role", {"role": "viewer"}), ("password", {"password": "correct horse battery"})]:
            assert client.put(f"{API}/users/{user['id']}/{what}", json=body, headers=OWN).status_code == 409
        assert house.run("user", "role", "Ann", "viewer", check=False).returncode != 0
        (open_one,) = [one for one in client.get(f"{API}/sessions").json()["sessions"]]
        assert 7100_000 < open_one["expires_ms"] - open_one["created_ms"] <= 7200_000
        left = client.delete(f"{API}/session", headers=OWN)
        end = left.json()["location"]
        assert end.startswith(f"{provider.issuer}/session/end?client_id=tollhouse")
        assert client.get(end).status_code == 200, "the provider asks whether to sign out there, too"
        assert session(client).status_code == 401
    opened = until("it is recorded", lambda: house.journal(kind="audit", msg="console session opened", by="Ann"))
    assert [record["way"] for record in opened] == ["oidc"]


def test_the_role_follows_the_groups_at_each_sign_in(provided):
    house, provider = provided
    with browser(house) as first:
        sign_in(first, "bob")
        assert session(first).json()["role"] == "viewer"
        provider.behave(person={"name": "bob", "groups": ["ops"]})
        with browser(house) as second:
            sign_in(second, "bob")
            assert session(second).json()["role"] == session(first).json()["role"] == "admin"
            # Whoever may nothing any more loses all sessions, and is not let in.
            provider.behave(person={"name": "bob", "groups": []})
            with browser(house) as third:
                assert sign_in(third, "bob") == "/?sign_in=group"
            assert [session(client).status_code for client in (first, second)] == [401, 401]
    provider.behave(person={"name": "bob", "groups": ["staff"]})


def test_nobody_is_let_in_by_default(provided):
    refused_as(provided, "eve", "group")
    refused_as(provided, "mal", "domain")


def test_a_name_of_this_house_is_not_taken_over(provided):
    house, provider = provided
    provider.behave(person={"name": "eve", "preferred_username": "root", "groups": ["ops"]})
    house.run("user", "create", "Root", "--role", "viewer", stdin=None, input="correct horse battery\n")
    refused_as(provided, "eve", "name")
    provider.behave(person={"name": "eve", "preferred_username": "eve", "groups": ["others"]})


@pytest.mark.parametrize(
    "how, word",
    [
        ({"sign": "none"}, "token"),
        ({"sign": "shared"}, "token"),
        ({"sign": "stranger"}, "token"),
        ({"claims": {"nonce": "another"}}, "token"),
        ({"claims": {"aud": "other"}}, "token"),
        ({"claims": {"aud": ["tollhouse", "other"]}}, "token"),
        ({"claims": {"azp": "other"}}, "token"),
        ({"claims": {"iss": "https://id.example.com"}}, "token"),
        ({"claims": {"sub": "bob"}}, "token"),
        # Times count from now, in seconds: the name of a test must be the same in each of its runner's processes.
        ({"times": {"exp": -600}}, "clock"),
        ({"times": {"iat": 3600, "exp": 7200}}, "clock"),
    ],
    ids=str,
)
def test_a_token_that_is_not_to_be_believed(provided, how, word):
    how = dict(how)
    if times := how.pop("times", None):
        now = int(time.time())
        how["claims"] = {claim: now + after for claim, after in times.items()}
    provided[1].behave(**how)
    refused_as(provided, "ann", word)


def test_an_answer_counts_once_and_for_its_browser_alone(provided):
    house, provider = provided
    with browser(house) as client, browser(house) as other:
        back = log_in(client, begin(client), "ann")
        # Whoever gets hold of the address cannot use it, and does not use it up; neither does a made-up one.
        assert other.get(back).headers["location"] == "/?sign_in=attempt"
        for change in [{"state": "x"}, {"iss": "https://id.example.com"}]:
            query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()} | change
            if "state" in change:
                assert client.get(f"/console/oidc/callback?{urlencode(query)}").headers["location"] == "/?sign_in=attempt"
        back = log_in(client, begin(client), "ann")
        kept = {cookie.name: cookie.value for cookie in client.cookies.jar if "oidc" in cookie.name}
        assert kept
        assert client.get(back).headers["location"] == "/discover?q=a"
        client.cookies.update(kept)
        assert client.get(back).headers["location"] == "/?sign_in=attempt"
    with browser(house) as client:
        # An answer of another issuer (RFC 9207), or of nobody.
        for change in ["https://id.example.com", None]:
            query = parse_qs(urlsplit(log_in(client, begin(client), "ann")).query)
            query = {name: values[0] for name, values in query.items()} | {"iss": change}
            query = {name: value for name, value in query.items() if value is not None}
            assert client.get(f"/console/oidc/callback?{urlencode(query)}").headers["location"] == "/?sign_in=token"
        assert session(client).status_code == 401


def test_a_rotated_key_is_read_again(provided):
    house, provider = provided
    provider.behave(rotate="second")
    # Keys are read again at most every ten seconds.
    with browser(house) as client:
        deadline = time.monotonic() + 30
        while (arrived := sign_in(client, "ann")) != "/discover?q=a":
            assert arrived == "/?sign_in=token" and time.monotonic() < deadline
        assert session(client).json()["user"] == "Ann"


def test_a_provider_that_is_away_is_said(provided):
    house, provider = provided
    with browser(house) as client:
        back = log_in(client, begin(client), "ann")
        provider.behave(away=True)
        assert client.get(back).headers["location"] == "/?sign_in=away"
    until("it is recorded", lambda: house.journal(kind="audit", code="away"))


def test_the_way_back_leads_nowhere_else(provided):
    house, _ = provided
    for to in ["//evil.example/", "https://evil.example/", "/\\evil.example"]:
        with browser(house) as client:
            assert sign_in(client, "ann", to) == "/"


def test_only_the_console_begins(provided):
    house, _ = provided
    with browser(house) as client:
        assert client.post(f"{API}/session/oidc", json={}).status_code == 403
        headers = OWN | {"origin": "https://evil.example"}
        assert client.post(f"{API}/session/oidc", json={}, headers=headers).status_code == 403


def test_without_a_provider_there_is_no_such_way(house):
    with browser(house) as client:
        assert client.get(f"{API}/sign-in").json() == {"oidc": None}
        assert client.post(f"{API}/session/oidc", json={}, headers=OWN).status_code == 404
        assert client.get("/console/oidc/callback?state=a&code=b").headers["location"] == "/?sign_in=attempt"


def test_the_way_over_the_provider_in_a_browser(provided):
    house, provider = provided
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    shots = str(ROOT / "target" / "screenshots")
    task = {"browser": browser, "address": f"{house.url}/", "provider": provider.issuer, "shots": shots}
    seen = walked("oidc.mjs", task, within=120)
    assert seen["button"] == "Sign in with Example ID"
    assert seen["arrived"].startswith("/users")
    assert seen["roleIsFixed"]
    assert seen["refused"].startswith("You are known, but none of your groups has a role here.")
    assert seen["addressAfter"] == ""
    assert (seen["axe"], seen["errors"]) == ([], [])


def test_a_provider_that_is_removed_takes_its_sessions_along(provided):
    house, provider = provided
    with browser(house) as client, browser(house) as admin:
        sign_in(client, "ann")
        assert session(client).json()["way"] == "oidc"
        assert admin.get(house.console_address()).status_code == 303
        house.configure(upstreams=DEMO, public_url=house.url)
        until("the provider is gone", lambda: admin.get(f"{API}/sign-in").json().get("oidc") is None)
        assert session(client).status_code == 401
        assert session(admin).status_code == 200, "sessions of other ways go on"
        house.configure(upstreams=DEMO, public_url=house.url, console={"oidc": configured(provider.issuer)})
        until("the provider is back", lambda: admin.get(f"{API}/sign-in").json().get("oidc"))
        assert session(client).status_code == 401, "it has ended for good"
