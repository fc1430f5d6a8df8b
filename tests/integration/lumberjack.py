"""What Filebeat speaks: windows of events, byte for byte, and the numbers with which they are acknowledged."""

import datetime
import json
import socket
import struct
import subprocess
import zlib

from house import ROOT, Process

WINDOW, JSON, COMPRESSED, ACK = b"2W", b"2J", b"2C", b"2A"


def window(events, compressed=False):
    """The bytes of one window: how many events follow, and each of them under its number."""
    frames = b""
    for number, event in enumerate(events, start=1):
        body = json.dumps(event, ensure_ascii=False).encode()
        frames += JSON + struct.pack(">II", number, len(body)) + body
    if compressed:
        packed = zlib.compress(frames, 3)
        frames = COMPRESSED + struct.pack(">I", len(packed)) + packed
    return WINDOW + struct.pack(">I", len(events)) + frames


def event(message, **more):
    """An event as Filebeat makes it of a line of a file."""
    return {
        # The index keeps no days that are long past.
        "@timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.12.0"},
        "message": message,
        "log": {"offset": 0, "file": {"path": "/var/log/clawdbot/gateway.log"}},
        "agent": {"id": "a-1", "type": "filebeat", "version": "8.12.0"},
        "host": {"name": "web1"},
        **more,
    }


class Lumberjack:
    """One connection of a sender."""

    def __init__(self, port, source="127.0.0.1", within=20):
        self.socket = socket.create_connection(("127.0.0.1", port), within, source_address=(source, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, events, compressed=False):
        """Sends a window and waits until all of it is acknowledged."""
        self.socket.sendall(window(events, compressed))
        number = 0
        while number < len(events):
            number = self.acknowledged()

    def acknowledged(self):
        """The number of the next acknowledgement; 0 is a sign of life. Raises when the connection ends."""
        frame = b""
        while len(frame) < 6:
            got = self.socket.recv(6 - len(frame))
            if not got:
                raise ConnectionResetError(f"closed after {frame!r} of an acknowledgement")
            frame += got
        assert frame[:2] == ACK, frame
        return struct.unpack(">I", frame[2:])[0]


class Lumber(Process):
    """A sender made of Filebeat's own library, which sends on until each event is acknowledged."""

    def __init__(self, directory, port):
        super().__init__("lumber", directory)
        self.directory, self.port = directory, port

    def start(self, events):
        built = subprocess.run([ROOT / "tests/tools/lumber.sh"], check=True, capture_output=True, text=True)
        file = self.directory / "events.ndjson"
        file.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events))
        self.spawn([built.stdout.strip(), f"127.0.0.1:{self.port}", file])
        return self

    @property
    def acknowledged(self):
        """How many events are acknowledged."""
        counts = [int(line) for line in self.output().split("\n")[:-1] if line.isdigit()]
        return counts[-1] if counts else 0

    @property
    def connections(self):
        """Over how many connections all were sent; None as long as some are left."""
        *_, last = ["", *self.output().splitlines()]
        return int(last.split()[1]) if last.startswith("connections ") else None

    def has_sent_all(self):
        """Whether all events are acknowledged; raises when it failed."""
        if self.connections is None:
            self.alive()
        return self.connections is not None
