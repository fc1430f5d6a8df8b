"""A real systemd that is the first process of its own namespace, with its own `/run`, and what runs inside it."""

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from house import BINARY, Process, finished, until

INIT = next((place for place in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(place).exists()), None)
NAMESPACES = ["--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup", "--mount-proc", "--kill-child=KILL"]
BEGIN = f"""
set -e
mount -t tmpfs tmpfs /run
# As on a machine: what systemd mounts for a unit (its credentials) is seen by the unit, and by nobody outside of here.
mount --make-rshared /
mkdir -p /run/systemd/system
printf '[Unit]\\nDescription=Nothing but what a test starts\\n' > /run/systemd/system/tests.target
export container=other
exec {INIT} --system --unit=tests.target --log-target=console --show-status=no
"""


def why_not():
    """Why none can be started here, if that is so."""
    if INIT is None or not shutil.which("unshare") or not shutil.which("nsenter"):
        return "systemd, unshare and nsenter are needed"
    if os.geteuid() != 0:
        return "systemd as the first process of a namespace needs root"
    tried = finished(["unshare", *NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/run"])
    return None if tried.returncode == 0 else f"no namespaces can be made here: {tried.stderr.strip()}"


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Inside:
    """A program in the namespace, with the number that it has out here."""

    def __init__(self, entered):
        self.entered = entered
        [self.pid] = until("the program is there", lambda: children(entered.pid))

    def poll(self):
        return self.entered.poll()

    def wait(self, timeout=None):
        return self.entered.wait(timeout)

    @property
    def returncode(self):
        return self.entered.returncode

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Systemd(Process):
    """Starts and stops units of its own."""

    def __init__(self):
        super().__init__("systemd", tempfile.mkdtemp(prefix="tollhouse-systemd-"))
        self.init = None

    def start(self):
        self.spawn(["unshare", *NAMESPACES, "sh", "-c", BEGIN])
        [self.init] = until("its first process is there", lambda: self.alive() and children(self.child.pid))
        until("it has started", lambda: self.alive() and self.ask("is-system-running").stdout.strip() in ("running", "degraded"), 30)
        return self

    def end(self):
        # With its first process, everything in a namespace ends.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self.child.wait(10)
        shutil.rmtree(self.log.parent, ignore_errors=True)

    def inside(self, *command):
        return ["nsenter", "--target", str(self.init), "--mount", "--pid", "--", *map(str, command)]

    def ask(self, *words):
        """`systemctl`, as somebody else on the machine calls it."""
        return finished(self.inside("systemctl", *words))

    def shown(self, unit, name):
        return self.ask("show", "--property", name, "--value", unit).stdout.strip()

    def start_user(self):
        """Starts the manager of the user that the tests run as, within; gives the environment by which it is asked."""
        runtime = "/run/user/0"
        finished(self.inside("mkdir", "-p", "-m", "700", runtime))
        environment = f"XDG_RUNTIME_DIR={runtime} HOME=/run/home-of-nobody SYSTEMD_LOG_TARGET=console"
        self.unit("user-manager.service", f"{INIT} --user", Type="notify", Delegate="yes", Environment=environment)
        self.ask("start", "user-manager.service")
        until("the user's manager is there", lambda: self.shown("user-manager.service", "ActiveState") == "active", 30)
        return {"XDG_RUNTIME_DIR": runtime}

    def unit(self, name, command, folder="run/systemd/system", **settings):
        """Writes a unit; it is not started, and a folder of other managers is read when they are asked to."""
        service = {"ExecStart": command, **settings}
        unit = {key: service.pop(key) for key in ("Requires", "StartLimitIntervalSec") if key in service}
        # What units of a whole machine wait for is not there.
        text = ["[Unit]", "DefaultDependencies=no", *(f"{key}={value}" for key, value in unit.items())]
        text += ["[Service]", *(f"{key}={value}" for key, value in service.items())]
        self.write(name, "\n".join(text) + "\n", folder)

    def write(self, name, text, folder="run/systemd/system"):
        """Puts a unit there as it is."""
        file = Path("/proc", str(self.init), "root", folder, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.ask("daemon-reload")

    def brings(self, house, **environment):
        """From now on this house is started within the namespace."""
        added = ["env", *(f"{name}={value}" for name, value in environment.items())] if environment else []

        def launch():
            house.spawn(self.inside(*added, BINARY, "up", "--config", house.config))
            house.child = Inside(house.child)

        house.launch = launch
        return house


def needed():
    """A systemd for as long as a test needs it; the test is skipped where there can be none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    manager = Systemd().start()
    yield manager
    manager.end()
