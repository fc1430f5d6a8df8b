"""What is refused at the edge: the headers of the site on every status, a record of each, and answers that come before a body's end."""

import json
import socket
import ssl

from edges import HOST, OTHER
from house import until
from test_edge import at_the_edge, authority  # noqa: F811, F401 (fixtures)

TUTORIAL = {
    "strict-transport-security": "max-age=31536000",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "x-xss-protection": "1; mode=block",
    "referrer-policy": "no-referrer-when-downgrade",
}
CURRENT = {**TUTORIAL, "x-xss-protection": "0", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin"}
# What no handler sees: the parser's own refusals, by bytes.
BAD = {
    400: "GET / HTTP/1.1\r\nHost : {host}\r\n\r\n",
    405: "TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    408: "GET / HTTP/1.1\r\nHost: {host}\r\nX-Slow: ",
    414: "GET /" + "a" * 65_536 + " HTTP/1.1\r\nHost: {host}\r\n\r\n",
    417: "POST / HTTP/1.1\r\nHost: {host}\r\nExpect: 200-maybe\r\nContent-Length: 5\r\n\r\nhello",
    431: "GET / HTTP/1.1\r\nHost: {host}\r\n" + "X-A: b\r\n" * 1_000 + "\r\n",
    501: "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n",
    505: "GET / HTTP/1.2\r\nHost: {host}\r\n\r\n",
}
ROUTES = [{"path": "/only/", "to": "redirect:https://new.example.test"}]


def test_scenario_g14_what_no_handler_sees_has_the_headers_of_its_site_too(at_the_edge, authority):  # noqa: F811
    other = {"tls": authority.sign(OTHER), "routes": ROUTES, "headers": "current"}
    house, visitors = at_the_edge(ROUTES, headers="tutorial", more={OTHER: other})
    trusted = ssl.create_default_context(cafile=authority.file)
    for host, expected in ((HOST, TUTORIAL), (OTHER, CURRENT)):
        for status, text in BAD.items():
            # Which takes its ten seconds.
            if status == 408 and host == OTHER:
                continue
            with socket.create_connection(("127.0.0.1", visitors.https), 20) as plain:
                connection = trusted.wrap_socket(plain, server_hostname=host)
                connection.sendall(text.format(host=host).encode())
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65_536)):
                    head += piece
            lines = head.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
            assert lines[0].split(" ")[1] == str(status), lines[0]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            assert {name: headers.get(name) for name in expected} == expected, f"{host} {status}"
    # And what a handler refuses: no route, another name than TLS was spoken for, over HTTP/2.
    for options, status in ([], 404), (["-H", f"Host: {OTHER}"], 421), (["-H", "Host: evil.example.test"], 421), (["-X", "TRACE"], 405):
        answer = visitors.ask("/none", *options)
        assert answer.status == status and answer.version == "HTTP/2", answer.error
        assert "strict-transport-security" in dict(answer.headers) and answer.header("x-request-id"), status
    assert {name: visitors.ask("/none").header(name) for name in TUTORIAL} == TUTORIAL


def test_scenario_g12_each_refusal_is_recorded_and_read_before_the_end_of_a_body(at_the_edge, tmp_path):  # noqa: F811
    house, visitors = at_the_edge(ROUTES)
    form = tmp_path / "form"
    form.write_bytes(b"x" * 50_000)
    for version in ("--http1.1", "--http2"):
        for path, options, status in (("/none", [], 404), ("/only/x", [], 308), ("/misdirected", ["-H", f"Host: {OTHER}"], 421)):
            answer = visitors.ask(path, version, "--data-binary", f"@{form}", *options)
            assert (answer.status, answer.code) == (status, 0), f"{version} {path}: {answer.error}"
    told = until("all are told", lambda: len(records := house.journal(kind="access", msg="site visited")) == 6 and records)
    assert sorted((record["path"], record["status"]) for record in told) == sorted(
        [("/none", 404), ("/only/x", 308), ("/misdirected", 421)] * 2
    )
    assert all(record["client_ip"] == "127.0.0.1" and record["request_id"] for record in told)
    assert {record["host"] for record in told if record["status"] == 421} == {"unknown"}, "what a stranger made up is not repeated"
    assert "no route" in next(record for record in told if record["status"] == 404)["error"]


def test_scenario_g12_a_site_may_have_its_failures_recorded_alone(at_the_edge):  # noqa: F811
    house, visitors = at_the_edge(ROUTES)
    config = json.loads(house.config.read_text())
    config["edge"]["sites"][HOST].update(records="failures", headers="off")
    house.config.write_text(json.dumps(config))
    until("the change is in force", lambda: not visitors.ask("/only/x").header("x-frame-options"), within=30)
    assert [visitors.ask(path).status for path in ("/only/good", "/none")] == [301, 404]
    until("the failure is told", lambda: house.journal(kind="access", path="/none"))
    assert not house.journal(kind="access", path="/only/good")
