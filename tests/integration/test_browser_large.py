"""Every page of the console over a store of many records while requests come in.

20,000 records by default; more by name, with a release build where the times count:

    TOLLHOUSE_BINARY=target/release/tollhouse TOLLHOUSE_RECORDS=1000000 ./test integration -k many_records -s

`TOLLHOUSE_RECORDS_FOLDER` is a folder as bench/why.py makes and keeps it: its records are taken in place of new ones.
"""

import importlib.util
import os
import shutil
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from house import ROOT, until, walked

SHOTS = ROOT / "target" / "screenshots"
RECORDS = int(os.environ.get("TOLLHOUSE_RECORDS", "20000"))
FOLDER = os.environ.get("TOLLHOUSE_RECORDS_FOLDER")
# A folder for new pictures of the README; without it none are taken.
PICTURES = os.environ.get("TOLLHOUSE_PICTURES")
ROUNDS = 5
TRAFFIC_EVERY_S = 0.2
# For machines that are busy; what was measured stands in bench/README.md.
WAIT_MS_MAX = 30_000


def why():
    spec = importlib.util.spec_from_file_location("why", ROOT / "bench/why.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chromium():
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    return browser


def test_scenario_b08_b10_every_page_over_many_records_and_live_traffic(make_house, scripted):
    large = {"days": 60, "bytes": "200GiB"}
    data = {} if FOLDER is None else {"data_dir": str(Path(FOLDER) / "data")}
    house = make_house(
        start=False,
        # The console shows the records of its own service.
        service="bench",
        upstreams={"scripted": {"kind": "openai", "url": scripted.url, "parallel": 8}},
        logging={"keep": large},
        store={"keep": large},
        probes="off",
        **data,
    )
    if FOLDER is None:
        why().write_journal(house.data / "journal/gateway.log", RECORDS)
    else:
        house.data = Path(FOLDER) / "data"
    house.start()
    within = 120 + RECORDS / 2000
    until("all are indexed", lambda: house.count("kind:request AND service:bench") >= RECORDS, within=within, every=1)

    is_over = threading.Event()

    def traffic():
        number = 0
        while not is_over.wait(TRAFFIC_EVERY_S):
            house.chat("word " * (number % 20 + 1), model="echo", stream=number % 2 == 0)
            number += 1

    others = threading.Thread(target=traffic)
    others.start()
    try:
        last = house.chat("hello").headers["x-request-id"]
        house.document(last)
        task = {"browser": chromium(), "address": house.console_address(), "shots": str(SHOTS), "key": house.key}
        task |= {"request": last, "days": why().DAYS + 1, "rounds": ROUNDS}
        seen = walked("large.mjs", task, within=600)
    finally:
        is_over.set()
        others.join()
    for page, times in seen["pages"].items():
        print(f"{page}: usable after {' and '.join(map(str, times))} ms (en, zh)")
    print(f"overview of all: {statistics.median(seen['overview'])} ms, {seen['overview']}; a slow request's row: {seen['rows']} ms")
    assert seen["requests"] >= RECORDS
    assert max(max(times) for times in seen["pages"].values()) <= WAIT_MS_MAX
    assert max(seen["overview"]) <= WAIT_MS_MAX and max(seen["rows"]) <= WAIT_MS_MAX
    assert seen["errors"] == [] and seen["outside"] == []


if PICTURES is not None:

    def test_the_pictures_of_the_readme(make_house, scripted):
        """Takes them anew: the overview of a day, and the way to why the last request was slow."""
        house = make_house(
            start=False,
            # One at a time: those that come together wait for each other.
            upstreams={"gpu-1": {"kind": "openai", "url": scripted.url, "parallel": 1}},
            probes="off",
        )
        why().write_journal(house.data / "journal/gateway.log", 20_000, "clawdbot-qwen3")
        house.start()
        until("all are indexed", lambda: house.count("kind:request") == 20_000, within=120)
        for number in range(20):
            house.chat("word " * (number % 7 + 1), model="echo", stream=number % 2 == 0)
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: house.chat("at last", model="late"), range(3)))
        waited = [(house.record(answer.headers["x-request-id"])["queue_ms"], answer.headers["x-request-id"]) for answer in answers]
        task = {"browser": chromium(), "address": house.console_address(), "shots": str(SHOTS)}
        task |= {"slow": max(waited)[1], "folder": str(Path(PICTURES).resolve())}
        seen = walked("pictures.mjs", task)
        assert seen["errors"] == [] and seen["outside"] == []
