"""However an answer ends, the client can tell: cut at any byte, or left at any moment.

Every API in front of every kind of model server; dialects.py reads the answers as strictly as a client may.
"""

import asyncio
import contextlib
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import raw
from dialects import APIS, BY_NAME, Odd
from house import until

KINDS = ["openai", "ollama", "anthropic"]
WORDS = "一二 three four 🙂 five"
LEAVES, AT_ONCE, SEED = 1000, 24, 20_260_128
WITHIN_S = 0.25


# Cut


def offsets(length, chance):
    """Where to cut: in the first and the last bytes at each one, between them at every seventh or so."""
    chosen = {*range(4), *range(max(0, length - 30), length)}
    at = 4
    while at < length:
        chosen.add(at)
        at += chance.randint(1, 13)
    return sorted(chosen)


@pytest.mark.parametrize("kind", KINDS)
def test_scenario_g09_cut_at_any_byte_the_answer_still_ends(make_house, make_scripted, kind):
    """An answer that lacks something never ends as if it were complete, and never without a word."""
    chance = random.Random(SEED)
    upstream = make_scripted(kind)
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=8)})

    def ask(api, stream, text):
        return raw.asking(house.port, api.request(house, "cut", text, stream))

    def one(case):
        """Asks until the server was reached: after some cuts in a row it is left alone for a moment."""
        api, stream, _, text = case
        end = time.monotonic() + 20
        while True:
            answer = ask(api, stream, text)
            if text in seen_texts(upstream):
                return case, answer
            assert time.monotonic() < end, f"{api} never reached the server"
            time.sleep(0.05)

    cases = []
    for api in APIS:
        for stream in (True, False):
            answer = ask(api, stream, f"{10**6} {WORDS}")
            if answer.status == 400:
                # What this server has no way to do: only the old completions at Anthropic's.
                assert (api.name, kind) in [("completions", "anthropic"), ("ollama-generate", "anthropic")], answer.body
                continue
            heard = api.read(answer.status, answer.body, stream)
            assert (heard.ending, heard.text) == ("well", f"{10**6} {WORDS}")
            length = upstream.chats()[-1].sent
            cases += [(api, stream, at, f"{at} {api.name} {stream} {WORDS}") for at in offsets(length, chance)]
    assert len(cases) > 500

    endings = {"well": 0, "error": 0}
    with ThreadPoolExecutor(4) as pool:
        for (api, stream, at, text), answer in pool.map(one, cases):
            where = f"{api.name}, {'stream' if stream else 'whole'}, cut at byte {at}: {answer}"
            try:
                heard = api.read(answer.status, answer.body, stream)
            except (Odd, ValueError, KeyError, TypeError) as error:
                raise AssertionError(f"{where}: {error!r}") from error
            assert answer.whole, f"the connection was cut, too: {where}"
            assert heard.ending in endings, f"ends without a word: {where}"
            assert heard.ending == "error" or heard.text == text, f"ends well, but lacks something: {where}"
            assert heard.ending == "well" or text.startswith(heard.text), where
            endings[heard.ending] += 1
    print(f"{kind}: {endings}")
    assert endings["error"] > 400
    house.idle(within=2)


def seen_texts(upstream):
    return {call.text for call in upstream.chats()}


# Left


async def leave_one(house, api, number, chance, left):
    """Sends a request, leaves at some moment between sending and the middle of the answer, and notes when."""
    model = chance.choice(["endless", "endless", "late", "slow"])
    stream = model != "late" or chance.random() < 0.5
    text = f"{number} " + "word " * 40
    head = {"X-Request-Id": f"left-{api.name}-{number}"}
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    await loop.sock_connect(connection, ("127.0.0.1", house.port))
    data = api.request(house, model, text, stream, head)
    part = chance.random()
    if part < 0.03:  # in the middle of the request
        data = data[: int(len(data) * chance.random())]
    await loop.sock_sendall(connection, data)
    end = loop.time() + chance.uniform(0, 0.08)
    if part < 0.5:  # reads what comes
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout_at(end):
                while await loop.sock_recv(connection, 4096):
                    pass
    await asyncio.sleep(max(0, end - loop.time()))
    left[number] = time.monotonic()
    raw.reset(connection) if chance.random() < 0.5 else connection.close()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_thousand_clients_that_leave_at_random_moments(make_house, make_scripted, name):
    """Every request upstream is closed within a quarter of a second, and every place is free again."""
    api, chance = BY_NAME[name], random.Random(f"{SEED} {name}")
    upstream = make_scripted("ollama" if name in ("messages", "ollama-chat", "ollama-generate") else "openai")
    # Fewer places than clients: many leave while they wait for one.
    house = make_house(upstreams={"scripted": upstream.upstream(parallel=AT_ONCE // 2)})
    left = {}

    async def all_of_them():
        numbers = iter(range(LEAVES))

        async def some():
            for number in numbers:
                await leave_one(house, api, number, chance, left)

        metronome = asyncio.ensure_future(stalls())
        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        metronome.cancel()

    stalled = [0.0]

    async def stalls():
        """How late this process itself is: a machine that does much else may let everybody wait."""
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            stalled[0] = max(stalled[0], time.monotonic() - due)

    asyncio.run(all_of_them())
    allowed = WITHIN_S + stalled[0]
    assert len(left) == LEAVES
    house.idle(within=2)
    calls = upstream.chats()
    until("all requests upstream are over", lambda: all(call.over for call in calls), within=2)

    late, begun_after = [], []
    for call in calls:
        gone = left[int(call.text.split()[0])]
        if call.began_at > gone + allowed:
            begun_after.append(call.began_at - gone)
        elif call.over - max(gone, call.began_at) > allowed:
            late.append(call.over - gone)
    print(f"{name}: {len(calls)} of {LEAVES} had reached the model server; stalled {stalled[0]:.3f} s")
    assert len(calls) > LEAVES / 20
    assert (late, begun_after) == ([], [])

    # Each one that was understood has its record, which says that the client left.
    records = until(
        "the records",
        lambda: (found := house.journal(kind="request")) and len(found) >= len(calls) and found,
        within=5,
    )
    # (Of those who left in the middle of their request, it says that the rest did not come.)
    odd = [record for record in records if not record["cancelled"] and record["status"] != 408]
    assert odd == []
    started = [record for record in records if record.get("ttft_ms") is not None]
    assert all(record["output_tokens"] >= 1 for record in started if record["model"] == "endless")
    # And the house serves the next one as if nothing had been.
    answer = raw.asking(house.port, api.request(house, "echo", "one two", True))
    assert api.read(answer.status, answer.body, True).text == "one two"
