"""A real mail server, GreenMail, whose mailboxes are read back over its HTTP API."""

import email
import email.policy
import os
import subprocess

import httpx
from house import ROOT, Process, free_port, until


class Mail(Process):
    def __init__(self, directory):
        super().__init__("greenmail", directory)
        self.port, self.api = free_port(), free_port()
        self.archive = subprocess.run(
            [ROOT / "tests/tools/greenmail.sh"], check=True, capture_output=True, text=True, env=os.environ
        ).stdout.strip()

    def start(self):
        options = {
            "smtp.hostname": "127.0.0.1",
            "smtp.port": self.port,
            "api.hostname": "127.0.0.1",
            "api.port": self.api,
            "users": "ops:pw@example.test",
        }
        self.spawn(
            ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1"]
            + [f"-Dgreenmail.{name}={value}" for name, value in options.items()]
            + ["-Dgreenmail.auth.disabled", "-jar", self.archive]
        )
        until("the mail server answers", lambda: self.alive() and self.messages() is not None, within=90, every=0.1)
        return self

    @property
    def channel(self):
        return {
            "kind": "smtp",
            "server": f"smtp://127.0.0.1:{self.port}",
            "from": "tollhouse@example.test",
            "to": ["ops@example.test"],
        }

    def messages(self):
        """All mails of the mailbox, oldest first."""
        answer = httpx.get(f"http://127.0.0.1:{self.api}/api/user/ops@example.test/messages", timeout=20)
        if answer.status_code != 200:
            return None
        rows = sorted(answer.json(), key=lambda row: int(row["uid"]))
        return [email.message_from_string(row["mimeMessage"], policy=email.policy.default) for row in rows]

    def empty(self):
        assert httpx.post(f"http://127.0.0.1:{self.api}/api/mail/purge", timeout=20).is_success
