"""A real nginx that has the site which `tollhouse export nginx` writes, in front of a house."""

import contextlib
import re
import shutil

from edges import HOST, Authority, Visitors
from house import Process, finished, free_port, until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/bin")


@contextlib.contextmanager
def exported_site(house, folder, behind=None):
    """Those who visit the site, while it is there. Only its ports and certificate are others than exported, and where it leads
    if `behind` names another port."""
    site = house.run("export", "nginx").stdout
    assert "ATTENTION" not in site, site
    folder = folder / f"nginx-of-{house.name}"
    folder.mkdir()
    authority = Authority(folder / "authority")
    https, plain = free_port(), free_port()
    [named] = re.findall(r"ssl_certificate +(\S+);", site)
    [key] = re.findall(r"ssl_certificate_key (\S+);", site)
    files = authority.sign(HOST)
    changes = {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https} ssl http2;",
        named: files["cert"],
        key: files["key"],
    }
    if behind is not None:
        changes[f"server 127.0.0.1:{house.port};"] = f"server 127.0.0.1:{behind};"
    for old, new in changes.items():
        assert old in site, old
        site = site.replace(old, new)
    site = re.sub(r"\n *listen \[::\][^\n]*", "", site)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{temporary}\n{site}\n}}\n"
    )
    command = [NGINX, "-p", folder, "-c", folder / "nginx.conf"]
    tried = finished([*command, "-t"])
    assert tried.returncode == 0 and "warn" not in tried.stderr, tried.stderr
    nginx = Process("nginx", folder)
    nginx.spawn(command)
    visitors = Visitors(authority, https, plain, folder)
    try:
        until("nginx answers", lambda: nginx.alive() and visitors.ask("/", plain=True).status == 301)
        yield visitors
    finally:
        nginx.stop()
