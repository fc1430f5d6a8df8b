"""What the commands and the start say when the state is damaged, or something of it is missing."""

import json
import subprocess

from house import BINARY


def test_a_missing_pepper_stops_the_start_and_the_commands(house):
    assert house.stop() == 0
    pepper = house.data / "state/pepper"
    kept = pepper.read_bytes()
    pepper.unlink()
    for command in [("up",), ("key", "create", "--name", "late"), ("key", "list")]:
        refused = house.run(*command, check=False)
        assert refused.returncode == 1, command
        for word in [str(pepper), "keys in force: 2", "backup", "begin anew"]:
            assert word in refused.stderr, refused.stderr
    assert not pepper.exists()
    pepper.write_bytes(kept)
    house.start()
    assert house.chat().status_code == 200


def test_a_garbled_database_is_named_with_what_to_do(house):
    assert house.stop() == 0
    database = house.data / "state/state.db"
    database.write_bytes(b"garbled " * 4096)
    for leftover in ["state.db-wal", "state.db-shm"]:
        database.with_name(leftover).unlink(missing_ok=True)
    for command in [("up",), ("key", "list")]:
        refused = house.run(*command, check=False)
        assert refused.returncode == 1, command
        assert str(database) in refused.stderr and "tollhouse backup restore" in refused.stderr, refused.stderr


def test_a_key_that_cannot_be_shown_is_revoked_again(house):
    command = [BINARY, "key", "create", "--name", "unseen", "--config", house.config]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    (unseen,) = [key for key in json.loads(house.run("key", "list", "--json").stdout) if key["name"] == "unseen"]
    assert done.returncode == 1 and unseen["id"] in done.stderr and "revoked" in done.stderr, done.stderr
    assert unseen["revoked"] is not None, unseen
