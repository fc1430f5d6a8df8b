"""What tests of the edge need: an authority, clients that ask under the names of sites, and real servers behind them."""

import shutil
import socket
import subprocess

from house import Process, finished, free_port, until

HOST = "ai.example.test"
OTHER = "www.example.test"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Signs certificates for host names."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.file, self.serial = folder, folder / "ca.pem", 1
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-subj", "/CN=test"),
            *("-keyout", folder / "ca.key", "-out", self.file),
        )

    def sign(self, host, days=9):
        """The paths of a new certificate for this name and its key, as a site takes them."""
        cert, key, request, names = (self.folder / f"{host}.{ending}" for ending in ("pem", "key", "csr", "names"))
        names.write_text(f"subjectAltName=DNS:{host}")
        openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}"),
            *("-keyout", key, "-out", request),
        )
        self.serial += 1
        openssl(
            *("x509", "-req", "-days", days, "-in", request, "-CA", self.file, "-CAkey", self.folder / "ca.key"),
            *("-set_serial", self.serial, "-extfile", names, "-out", cert),
        )
        return {"cert": str(cert), "key": str(key)}


class Asked:
    """What curl got."""

    def __init__(self, done, body):
        self.code, self.error, self.body = done.returncode, done.stderr, body
        heads = done.stdout.strip().split("\n\n")
        lines = [line for line in (heads[-1].splitlines() if done.stdout.strip() else []) if line.strip()]
        self.version, self.status = (lines[0].split()[0], int(lines[0].split()[1])) if lines else ("", 0)
        self.headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]

    def header(self, name):
        """The values of a header, joined."""
        return ", ".join(value for known, value in self.headers if known == name)


class Visitors:
    """Asks the edge as clients do, under the names of its sites."""

    def __init__(self, authority, https, http, folder):
        self.authority, self.https, self.http, self.file = authority, https, http, folder / "answer"

    def ask(self, path, *options, host=HOST, plain=False):
        scheme, port = ("http", self.http) if plain else ("https", self.https)
        self.file.unlink(missing_ok=True)
        done = finished(
            ["curl", "-sS", "-D", "-", "-o", self.file, "--cacert", self.authority.file, "--max-time", "20", "--path-as-is"]
            + ["--resolve", f"{host}:{port}:127.0.0.1", *options, f"{scheme}://{host}:{port}{path}"]
        )
        done.stdout = done.stdout.replace("\r", "")
        return Asked(done, self.file.read_bytes() if self.file.exists() else b"")


class Nginx(Process):
    """A real nginx; by itself it answers with its name. `listens` stands behind its address, `location` is what it does."""

    def __init__(self, directory, name, listens="", location=None):
        super().__init__(name, directory)
        self.port, self.folder = free_port(), directory / name
        self.folder.mkdir()
        self.url = f"http://127.0.0.1:{self.port}"
        location = location or f'return 200 "{name}";'
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n"
            + "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"server {{ listen 127.0.0.1:{self.port}{listens}; location / {{ {location} }} }} }}\n"
        )

    @classmethod
    def before(cls, directory, behind, listens=""):
        """One that passes everything on to a server on this port."""
        location = f'proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_set_header Connection "";'
        return cls(directory, "nginx-before", listens, location)

    def start(self):
        self.spawn([shutil.which("nginx", path="/usr/sbin:/usr/bin:/bin"), "-p", self.folder, "-c", self.folder / "nginx.conf"])
        until("nginx listens", lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() is None)
        return self
