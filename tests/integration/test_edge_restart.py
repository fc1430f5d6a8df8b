"""The house under load, while it restarts and somebody else keeps its sockets, as systemd does (sd_listen_fds(3)), and while all that
can change is changed: nobody is refused."""

import shutil
import signal
import socket
import ssl
import threading
import time

from edges import HOST
from house import BINARY, Tollhouse, free_port, until
from test_edge import OWN, authority  # noqa: F401 (fixture)

RELOADS = 15


class Holder(Tollhouse):
    """A house whose sockets are held by the test, and handed over to whichever process runs."""

    def __init__(self, directory, authority, **config):
        self.sockets = []
        https, http = self.listen(), self.listen()
        self.https, self.http = https.getsockname()[1], http.getsockname()[1]
        sites = {HOST: {"tls": authority.sign(HOST), "routes": OWN}}
        edge = {"http": f"127.0.0.1:{self.http}", "https": f"127.0.0.1:{self.https}", "sites": sites}
        super().__init__(directory, upstreams={"demo": {"kind": "demo"}}, edge=edge, **config)
        own = self.listen(self.port)
        assert own.getsockname()[1] == self.port

    def listen(self, port=0):
        held = socket.create_server(("127.0.0.1", port or free_port()), backlog=4_096)
        self.sockets.append(held)
        return held

    def launch(self):
        numbers = [held.fileno() for held in self.sockets]
        # As systemd does: from number 3 on, in their order, and for this process alone.
        take = " ".join(f"{3 + index}<&{number}" for index, number in enumerate(numbers))
        script = f'exec {take}; export LISTEN_PID=$$ LISTEN_FDS={len(numbers)}; exec "$0" up --config "$1"'
        self.spawn(["bash", "-c", script, BINARY, self.config], cwd=self.directory, pass_fds=numbers)

    def end(self):
        self.stop()
        for held in self.sockets:
            held.close()


class Load:
    """Clients that connect anew for each request, each as soon as it has its answer."""

    def __init__(self, house, authority, clients):
        self.house, self.answers, self.wrong, self.slowest, self.certificates = house, 0, [], 0.0, set()
        self.trusted = ssl.create_default_context(cafile=authority.file)
        self.lock, self.over = threading.Lock(), threading.Event()
        kinds = (("https", house.https), ("http", house.http), ("own", house.port))
        self.threads = [threading.Thread(target=self.ask, args=kinds[number % 3]) for number in range(clients)]

    def ask(self, kind, port):
        while not self.over.is_set():
            begun = time.monotonic()
            try:
                answer = self.once(kind, port)
                is_right = answer.startswith(b"HTTP/1.1 301" if kind == "http" else b"HTTP/1.1 200")
            except OSError as error:
                answer, is_right = repr(error), False
            with self.lock:
                self.answers += 1
                self.slowest = max(self.slowest, time.monotonic() - begun)
                if not is_right:
                    self.wrong.append((kind, answer))

    def once(self, kind, port):
        host = HOST if kind != "own" else "127.0.0.1"
        with socket.create_connection(("127.0.0.1", port), timeout=40) as plain:
            connection = self.trusted.wrap_socket(plain, server_hostname=HOST) if kind == "https" else plain
            if kind == "https":
                self.certificates.add(connection.getpeercert()["serialNumber"])
            connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := connection.recv(4_096):
                answer += piece
            if kind == "https":
                connection.close()
            return answer

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_scenario_g20_a_restart_under_load_refuses_nobody(tmp_path, authority):  # noqa: F811
    house = Holder(tmp_path, authority, timeouts={"drain": "10s"})
    try:
        house.start()
        with Load(house, authority, clients=9) as load:
            until("there is load", lambda: load.answers > 50, within=30)
            for _ in range(2):
                before = load.answers
                first = house.child.pid
                house.stop()
                house.launch()
                until("it answers again", lambda before=before: load.answers > before + 100, within=60)
                assert house.child.pid != first
        assert not load.wrong, load.wrong[:5]
        assert load.slowest < 30, "who connected meanwhile waited for the new one"
        # Away from an address and back to it: the socket is still there.
        config = house.config.read_text()
        house.config.write_text(config.replace(f"127.0.0.1:{house.http}", f"127.0.0.1:{free_port()}"))
        until("the change is in force", lambda: house.journal(kind="config", msg="configuration reloaded"))
        house.config.write_text(config)
        until("it is undone", lambda: len(house.journal(kind="config", msg="configuration reloaded")) == 2)
        assert not house.journal(kind="config", level="error")
    finally:
        house.end()


def test_scenario_g20_a_reload_of_everything_under_load_refuses_nobody(make_house, authority, tmp_path):  # noqa: F811
    """Certificates, sites, routes, headers, limits, models and their servers, all of them again and again."""
    https, http, other = free_port(), free_port(), free_port()
    (tmp_path / "www").mkdir()

    def signed(number):
        """A new certificate, in files of its own: those in force are nobody's to write to."""
        return {kind: str(shutil.copy(path, tmp_path / f"{number}-{kind}.pem")) for kind, path in authority.sign(HOST).items()}

    def settings(number):
        routes = [*OWN, {"path": f"/files-{number}/", "to": f"dir:{tmp_path}/www"}, {"path": "/behind/", "to": f"http://127.0.0.1:{other}/{number}"}]
        sites = {
            HOST: {"tls": signed(number), "routes": routes, "headers": ("current", "tutorial")[number % 2]},
            f"site-{number}.example.test": {"tls": authority.sign(f"site-{number}.example.test"), "routes": OWN},
        }
        return {
            "upstreams": {f"demo-{number}": {"kind": "demo"}},
            "models": {"demo": {"aliases": [f"alias-{number}"]}},
            "access": {"rate_limit": {"requests": 100_000 + number, "per": "60s"}},
            "limits": {"per_address": 500 + number},
            "edge": {"https": f"127.0.0.1:{https}", "http": f"127.0.0.1:{http}", "sites": sites},
        }

    house = make_house(**settings(0))
    house.https, house.http = https, http

    def reloaded():
        return len(house.journal(kind="config", msg="configuration reloaded"))

    with Load(house, authority, clients=6) as load:
        until("there is load", lambda: load.answers > 50)
        for number in range(1, RELOADS + 1):
            before = load.answers
            house.configure(**settings(number))
            house.child.send_signal(signal.SIGHUP)
            until("it is in force", lambda number=number: reloaded() >= number, within=60)
            until("it was asked meanwhile", lambda before=before: load.answers > before + 20, within=60)
    assert not load.wrong, load.wrong[:5]
    assert not house.journal(kind="config", level="error")
    assert len(load.certificates) > RELOADS // 2, "new certificates were shown"
    print(f"{load.answers} answers, each on a connection of its own, over {reloaded()} reloads; {len(load.certificates)} certificates; none refused")
