"""kill -9 at any moment: no acknowledged request is lost or written twice, in the journal or in the index."""

import collections
import hashlib
import http.client
import json
import os
import random
import threading
import time

from house import until

KILLS, CLIENTS, SEED = int(os.environ.get("TOLLHOUSE_TEST_KILLS", "200")), 8, 20_260_127


# Thousands of kills need no millions of records: there, each client takes its time.
BREATH_S = 0 if KILLS <= 1000 else 0.01
# So many clients ask for answers of most of a second: their starts are recorded, and kills come in the middle of them.
PATIENT = 2


class Caller(threading.Thread):
    """Sends one chat after the other and notes the ids of those whose answer came back whole."""

    def __init__(self, house, number, stop):
        super().__init__(daemon=True)
        self.house, self.number, self.over = house, number, stop
        self.acknowledged, self.odd = [], collections.Counter()

    def run(self):
        turn, connection = 0, None
        while not self.over.is_set():
            turn += 1
            request_id = f"c{self.number}-{turn}"
            patient = self.number < PATIENT
            stream = patient or turn % 3 == 0
            body = {
                "model": "slow" if patient else "echo",
                "messages": [{"role": "user", "content": "one two three" * (10 if patient else 1)}],
                "stream": stream,
            }
            headers = {
                "X-Api-Key": self.house.key,
                "X-Request-Id": request_id,
                "Content-Type": "application/json",
            }
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=10)
                connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
                answer = connection.getresponse()
                data = answer.read()  # raises when the answer is cut off
            except (OSError, http.client.HTTPException):
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.002)  # a house that is down is asked again soon, not in a busy loop
                continue
            whole = data.rstrip().endswith(b"data: [DONE]") if stream else data.endswith(b"}")
            if answer.status == 200 and whole:
                self.acknowledged.append(request_id)
                time.sleep(BREATH_S)
            else:
                self.odd[answer.status] += 1


def check_chain(lines):
    """seq has no gap, and each line names the digest of the one before it."""
    digest = None
    for number, line in enumerate(lines):
        record = json.loads(line)
        if number == 0:
            first = record["seq"]
        else:
            assert record["prev"] == digest, f"the chain breaks at line {number + 1}"
        assert record["seq"] == first + number, f"a gap before line {number + 1}"
        digest = hashlib.sha256(line).hexdigest()[:32]
    assert json.loads(lines[0])["prev"] == "0" * 32 or first > 1


def test_kills_lose_and_double_nothing(make_house, scripted):
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    # A small rotation size, so that kills also meet rotation and compression.
    house = make_house(
        start=False,
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}},
        logging={"rotate": {"size": "2MiB"}},
        # A machine that stands still for seconds stops the scripted server, too, which is not what is looked at.
        timeouts={"silent": "30s"},
    )
    over = threading.Event()
    callers = [Caller(house, number, over) for number in range(CLIENTS)]
    house.start()
    for caller in callers:
        caller.start()
    slowest = 0.0
    try:
        for _ in range(KILLS):
            # The moment of the kill is what is being varied; some come late enough for recorded starts.
            time.sleep(chance.uniform(0, 0.2 if chance.random() < 0.8 else 0.8))
            house.alive()
            house.kill()
            began = time.monotonic()
            house.start()
            slowest = max(slowest, time.monotonic() - began)
    finally:
        over.set()
        for caller in callers:
            caller.join(30)
    assert slowest <= 5, f"a start took {slowest:.1f} s"
    acknowledged = [request_id for caller in callers for request_id in caller.acknowledged]
    assert not any(caller.odd for caller in callers), [caller.odd for caller in callers]
    assert len(acknowledged) >= 5 * KILLS, "the load was too thin to show anything"

    lines = house.journal_bytes().splitlines()
    check_chain(lines)
    records = [json.loads(line) for line in lines]
    ends = collections.Counter(record["request_id"] for record in records if record["kind"] == "request")
    starts = collections.Counter(record["request_id"] for record in records if record["kind"] == "request.start")
    assert [request_id for request_id in acknowledged if ends[request_id] != 1] == []
    assert [request_id for request_id, number in ends.items() if number != 1] == [], "ended more than once"
    assert [request_id for request_id in starts if ends[request_id] != 1] == [], "started, but not ended once"
    interrupted = sum(record.get("error") == "interrupted" for record in records)
    print(f"{len(acknowledged)} acknowledged, {len(records)} records, {interrupted} interrupted by a kill")
    assert interrupted >= KILLS / 20, "hardly a kill came in the middle of a request whose start was recorded"

    # The index has each of them once.
    first, last = records[0]["seq"], records[-1]["seq"]
    until("the index has caught up", lambda: house.count(f"seq:{last}") >= 1, within=120)
    indexed = []
    for start in range(first, last + 1, 5_000):
        span = {"range": {"seq": {"gte": start, "lt": min(start + 5_000, last + 1)}}}
        hits = house.search({"size": 10_000, "query": span})["hits"]["hits"]
        indexed += [hit["_source"]["seq"] for hit in hits]
    twice = [seq for seq, number in collections.Counter(indexed).items() if number > 1]
    assert twice == [], "documents that are in the index twice"
    assert sorted(set(range(first, last + 1)) - set(indexed)) == [], "records without a document"
    assert house.stop() == 0
