"""Packages of the program: a Debian package and an archive, made of the binary under test, installed and tried."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from house import BINARY, ROOT, finished

SHELL_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def xtask(*arguments, **environment):
    # TOLLHOUSE_XTASK: one that is built already, where somebody else is building.
    built = os.environ.get("TOLLHOUSE_XTASK")
    command = [built] if built else ["cargo", "run", "-q", "-p", "xtask", "--"]
    # One time for all: whoever tests may commit meanwhile.
    environment = {"SOURCE_DATE_EPOCH": "1769500000", **environment}
    done = finished([*command, *map(str, arguments)], cwd=ROOT, timeout=600, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """All of them, packed without compressing: the binary under test is a large one."""
    out = tmp_path_factory.mktemp("packages")
    xtask("package", "--binary", BINARY, "--out", out, "--quick")
    yield out
    # They are large, and so is what was unpacked of them.
    shutil.rmtree(out)


def deb(packages):
    (package,) = packages.glob("*.deb")
    return package


def test_scenario_g20_the_package_has_all_that_belongs_to_it(packages, tmp_path):
    listed = finished(["dpkg-deb", "--contents", deb(packages)]).stdout
    files = {line.split()[5].lstrip("."): line for line in listed.splitlines()}
    for file in (
        "/usr/bin/tollhouse",
        "/etc/tollhouse/tollhouse.yaml",
        "/usr/lib/systemd/system/tollhouse.service",
        "/usr/share/man/man1/tollhouse.1.gz",
        "/usr/share/man/man1/tollhouse-export.1.gz",
        "/usr/share/bash-completion/completions/tollhouse",
        "/usr/share/zsh/vendor-completions/_tollhouse",
        "/usr/share/fish/vendor_completions.d/tollhouse.fish",
        "/usr/share/doc/tollhouse/copyright",
    ):
        assert file in files, file
        assert "root/root" in files[file]
    assert files["/etc/tollhouse/tollhouse.yaml"].startswith("-rw-r-----"), "keys may stand in it"
    closed = [file for file, line in files.items() if not re.match(r".{7}r", line) and not file.startswith("/etc/tollhouse")]
    assert not closed, "everybody reads what is installed"
    assert not [line for line in files.values() if re.match(r".{5}w|.{8}w", line)], "nobody else writes there"
    told = finished(["dpkg-deb", "--field", deb(packages), "Depends"]).stdout
    assert re.search(r"libc6 \(>= 2\.\d+\)", told), told

    # The unit is one that systemd takes, for the configuration that is installed.
    finished(["dpkg-deb", "--extract", deb(packages), tmp_path / "root"])
    unit = tmp_path / "root/usr/lib/systemd/system/tollhouse.service"
    text = unit.read_text()
    assert "--config /etc/tollhouse/tollhouse.yaml\n" in text and str(packages) not in text
    unit.write_text(text.replace("/usr/bin/tollhouse", "/bin/true"))
    verified = finished(["systemd-analyze", "verify", "--man=no", unit])
    assert verified.returncode == 0 and "tollhouse.service" not in verified.stderr, verified.stderr
    checked = finished([BINARY, "check", "--config", tmp_path / "root/etc/tollhouse/tollhouse.yaml"])
    assert checked.returncode == 0, checked.stderr


def test_scenario_g20_the_archive_runs_where_it_is_unpacked(packages, tmp_path):
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        assert all(member.uid == member.gid == 0 and not member.name.startswith("/") for member in members)
        tar.extractall(tmp_path, filter="data")
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert finished([folder / "tollhouse", "version"]).stdout.startswith("tollhouse ")
    # What it links is said, and is nothing but the C library and its company.
    said = set(re.findall(r"^  (\S+\.so\S*)$", (folder / "INSTALL").read_text(), re.M))
    needed = finished(["readelf", "--dynamic", BINARY]).stdout
    assert said == set(re.findall(r"\(NEEDED\).*\[(.+)\]", needed))
    assert said <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, said
    sums = finished(["sha256sum", "--check", "SHA256SUMS"], cwd=packages)
    assert sums.returncode == 0, sums.stdout + sums.stderr


def test_scenario_g20_the_list_of_parts_is_whole(packages):
    (file,) = packages.glob("*.cdx.json")
    told = json.loads(file.read_text())
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    names = {part["name"] for part in told["components"]}
    assert {"rustls", "tokio", "tantivy", "tollhouse-gateway"} <= names and not {"proptest", "insta"} & names
    outside = [part for part in told["components"] if not part["name"].startswith("tollhouse-")]
    assert all(part["hashes"][0]["content"] and part["licenses"] for part in outside)
    known = {part["bom-ref"] for part in told["components"]} | {told["metadata"]["component"]["bom-ref"]}
    assert all(edge["ref"] in known and set(edge["dependsOn"]) <= known for edge in told["dependencies"])


def test_scenario_g20_two_packages_of_one_commit_are_the_same(packages, tmp_path):
    """Of the same binary. That two builds of the binary are the same shows TOLLHOUSE_TEST_REPRODUCE=1, which takes two builds."""
    xtask("package", "--binary", BINARY, "--out", tmp_path / "again", "--quick")
    assert (tmp_path / "again/SHA256SUMS").read_text() == (packages / "SHA256SUMS").read_text()


@pytest.mark.skipif("TOLLHOUSE_TEST_REPRODUCE" not in os.environ, reason="two whole builds: TOLLHOUSE_TEST_REPRODUCE=1")
def test_scenario_g20_two_builds_are_the_same(tmp_path):
    """TOLLHOUSE_TEST_REPRODUCE=1 for the profile that packages are made of, or the name of another one; TOLLHOUSE_TEST_PART=xtask shows
    the same of a small program, in minutes."""
    profile, part = os.environ["TOLLHOUSE_TEST_REPRODUCE"].replace("1", "dist"), os.environ.get("TOLLHOUSE_TEST_PART", "tollhouse")
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    sums, named = [], set()
    for name in ("first", "the-second"):
        target = tmp_path / name
        # Folders of the machine are not part of the program.
        folders = {ROOT: ".", target: "target", home: "cargo"}
        flags = "\x1f".join(f"--remap-path-prefix={folder}={instead}" for folder, instead in folders.items())
        environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_ENCODED_RUSTFLAGS": flags, "SOURCE_DATE_EPOCH": "0"}
        built = finished(["cargo", "build", "-q", "--locked", "--profile", profile, "-p", part], cwd=ROOT, env=environment, timeout=4 * 3600)
        assert built.returncode == 0, built.stderr
        binary = (target / profile / part).read_bytes()
        sums.append((len(binary), hashlib.sha256(binary).hexdigest()))
        named |= {str(folder) for folder in folders if str(folder).encode() in binary}
        # Each takes gigabytes.
        shutil.rmtree(target)
    assert sums[0] == sums[1]
    print(f"{part}, {profile}: {sums[0][0] / 1e6:.1f} MB, {sums[0][1]}")
    # A tool of the repository knows where that is; the program must not.
    assert part != "tollhouse" or not named, "where it was built is nobody's business"


def test_scenario_g20_manual_pages_are_read_without_a_warning(tmp_path):
    done = finished([BINARY, "man", "--out", tmp_path])
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.glob("*.1"))
    assert len(pages) > 15
    for page in pages:
        shown = finished(["groff", "-man", "-ww", "-Tutf8", "-K", "utf8", page])
        assert shown.returncode == 0 and not shown.stderr, f"{page.name}: {shown.stderr}"
    text = finished(["groff", "-man", "-Tascii", "-P-c", tmp_path / "tollhouse-key.1"]).stdout
    assert "tollhouse key create --name team-a" in re.sub(r".\x08", "", text), "examples stay as they are"
    one = finished([BINARY, "man", "bench"]).stdout
    assert one == (tmp_path / "tollhouse-bench.1").read_text()
    assert finished([BINARY, "man", "nothing"]).returncode == 1


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ex"], {"export"}),
        (["export", "rs"], {"rsyslog"}),
        (["key", "create", "--prio"], {"--priority"}),
        (["key", "create", "--priority", ""], {"low", "normal", "high"}),
        (["key", "--config", "/x", "rev"], {"revoke"}),
    ],
)
def test_scenario_g20_bash_completes_commands_options_and_values(tmp_path, words, offered):
    script = tmp_path / "completions"
    script.write_text(finished([BINARY, "completions", "bash"]).stdout)
    line = f"""
        source {script}
        COMP_WORDS=(tollhouse {" ".join(repr(word) for word in words)}) COMP_CWORD={len(words)}
        _tollhouse; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = finished(["bash", "--norc", "-c", line])
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert set(done.stdout.split()) == offered


def test_the_containerfile_keeps_the_rules():
    """It is read as far as its rules can be seen in it; TOLLHOUSE_TEST_IMAGE=1 builds it."""
    lines = (ROOT / "packaging/Containerfile").read_text().replace("\\\n", " ").splitlines()
    orders = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    names = [order[0] for order in orders]
    assert names[0] == "FROM" and ":" in orders[0][1] and not orders[0][1].endswith(":latest")
    assert set(names) <= {"FROM", "RUN", "ARG", "COPY", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    user = next(text for name, text in orders if name == "USER")
    assert user.split(":")[0].isdigit() and user.split(":")[0] != "0", "a number, so that an engine can see that it is not root"
    run = next(text for name, text in orders if name == "RUN")
    assert "--no-install-recommends" in run and "rm -rf /var/lib/apt/lists/*" in run
    for name, text in orders:
        if name in ("ENTRYPOINT", "CMD"):
            assert json.loads(text), "as a list: no shell in between that swallows signals"
        if name == "COPY":
            assert not re.search(r"\s\.\s", text), "nothing but what is named"


def test_the_containerfile_is_taken_by_hadolint():
    done = finished([Path(sys.executable).with_name("hadolint"), ROOT / "packaging/Containerfile"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif("TOLLHOUSE_TEST_LINTIAN" not in os.environ, reason="Debian's lintian has to be there: TOLLHOUSE_TEST_LINTIAN=1")
def test_scenario_g20_lintian_says_nothing_of_the_package(tmp_path):
    xtask("package", "--binary", BINARY, "--out", tmp_path)
    done = finished(["lintian", "--allow-root", "--fail-on", "error,warning", deb(tmp_path)], timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


def in_chroot(root, *command, check=True):
    done = subprocess.run(["chroot", root, *command], capture_output=True, text=True, env=SHELL_ENV, timeout=300, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def debian_in(root, given):
    """A fresh Debian in this folder: a copy of the one that was given, or made by debootstrap."""
    if os.path.isdir(given):
        made = finished(["cp", "-a", given, root], timeout=300)
    else:
        made = finished(["debootstrap", "--variant=minbase", "bookworm", root], timeout=900)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr


@pytest.mark.skipif("TOLLHOUSE_TEST_CHROOT" not in os.environ, reason="a fresh Debian is downloaded: TOLLHOUSE_TEST_CHROOT=1, as root")
def test_scenario_g20_install_upgrade_remove_and_purge_in_a_fresh_debian(packages, tmp_path):
    """TOLLHOUSE_TEST_CHROOT=1, or a folder in which debootstrap has put a Debian already."""
    root = tmp_path / "debian"
    debian_in(root, os.environ["TOLLHOUSE_TEST_CHROOT"])
    shutil.copy(deb(packages), root / "tollhouse.deb")

    in_chroot(root, "dpkg", "--install", "/tollhouse.deb")
    assert in_chroot(root, "tollhouse", "version").stdout.startswith("tollhouse ")
    assert in_chroot(root, "stat", "-c", "%U:%G %a", "/etc/tollhouse/tollhouse.yaml").stdout == "root:tollhouse 640\n"
    assert in_chroot(root, "stat", "-c", "%U:%G %a", "/var/lib/tollhouse").stdout == "tollhouse:tollhouse 700\n"
    wanted = root / "etc/systemd/system/multi-user.target.wants/tollhouse.service"
    assert wanted.is_symlink()
    # As the service would: its own user, its own configuration.
    user = ["setpriv", "--reuid=tollhouse", "--regid=tollhouse", "--clear-groups"]
    key = in_chroot(root, *user, "tollhouse", "key", "create", "--name", "me").stdout.strip()
    assert len(key) > 20
    assert in_chroot(root, *user, "tollhouse", "check").returncode == 0

    # An upgrade: another version of the same files; what the user has changed stays, and so do the keys.
    config = root / "etc/tollhouse/tollhouse.yaml"
    config.write_text(config.read_text().replace("service: tollhouse ", "service: mine      "))
    unpacked = tmp_path / "newer"
    finished(["dpkg-deb", "--raw-extract", deb(packages), unpacked], timeout=120)
    control = unpacked / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 99.0.0", control.read_text()))
    (unpacked / "etc/tollhouse/tollhouse.yaml").write_text((unpacked / "etc/tollhouse/tollhouse.yaml").read_text() + "# newer\n")
    built = finished(["dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, root / "newer.deb"], timeout=120)
    assert built.returncode == 0, built.stderr
    in_chroot(root, "dpkg", "--install", "--force-confdef", "--force-confold", "/newer.deb")
    assert "99.0.0" in in_chroot(root, "dpkg-query", "--show", "tollhouse").stdout
    assert "service: mine" in config.read_text()
    assert "me" in in_chroot(root, *user, "tollhouse", "key", "list").stdout

    in_chroot(root, "dpkg", "--remove", "tollhouse")
    assert config.exists() and (root / "var/lib/tollhouse").is_dir(), "what is the user's stays"
    assert not (root / "usr/bin/tollhouse").exists()
    in_chroot(root, "dpkg", "--purge", "tollhouse")
    assert not config.parent.exists() and not (root / "var/lib/tollhouse").exists()
    assert "tollhouse" not in (root / "etc/passwd").read_text() + (root / "etc/group").read_text()
    assert not wanted.is_symlink()


@pytest.mark.skipif("TOLLHOUSE_TEST_IMAGE" not in os.environ, reason="buildah and a fresh Debian are needed: TOLLHOUSE_TEST_IMAGE=1, as root")
def test_scenario_g20_the_containerfile_gives_an_image_that_runs(tmp_path):
    """TOLLHOUSE_TEST_IMAGE=1, or a folder in which debootstrap has put a Debian already, which stands for the image that it is built on.

    Nothing is taken from a registry, no daemon runs, and there is no network of its own: all layers lie in the test's folder."""
    debian, context = tmp_path / "debian", tmp_path / "context"
    debian_in(debian, os.environ["TOLLHOUSE_TEST_IMAGE"])
    (context / "packaging").mkdir(parents=True)
    for file in ("Containerfile", "tollhouse.yaml"):
        shutil.copy(ROOT / "packaging" / file, context / "packaging")
    # As a release is: what is tested has its symbols in it.
    stripped = finished(["strip", "--strip-unneeded", "-o", context / "tollhouse", BINARY])
    assert stripped.returncode == 0, stripped.stderr

    def buildah(*words):
        places = ["--root", tmp_path / "images", "--runroot", tmp_path / "run", "--storage-driver", "vfs"]
        done = finished(["buildah", *places, *map(str, words)], timeout=900)
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()

    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, debian, "/")
    [wanted] = re.findall(r"(?m)^FROM (\S+)$", (ROOT / "packaging/Containerfile").read_text())
    buildah("commit", "--quiet", base, f"docker.io/library/{wanted}")
    file = context / "packaging/Containerfile"
    buildah("build", "--pull-never", "--isolation", "chroot", "--build-arg", "BINARY=tollhouse", "--file", file, "--tag", "tollhouse", context)

    told = json.loads(buildah("inspect", "--type", "image", "tollhouse"))["OCIv1"]["config"]
    assert (told["User"], told["WorkingDir"], told["StopSignal"]) == ("10400:10400", "/var/lib/tollhouse", "SIGTERM")
    assert told["Entrypoint"] == ["/usr/bin/tollhouse"] and told["Cmd"][:1] == ["up"] and "18789/tcp" in told["ExposedPorts"]
    made = buildah("from", "--pull-never", "tollhouse")

    def within(*words):
        return buildah("run", "--isolation", "chroot", made, "--", *words)

    # As its own user, with its own configuration, in its own folder.
    assert within("tollhouse", "version").startswith("tollhouse ")
    assert within("id", "-u") == "10400"
    assert len(within("tollhouse", "key", "create", "--name", "me", "--config", "/etc/tollhouse/tollhouse.yaml")) > 20
    assert within("sh", "-c", "test -s /etc/ssl/certs/ca-certificates.crt && ls /var/lib/apt/lists") == ""
