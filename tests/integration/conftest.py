"""Fixtures: one real Ollama for the whole run, and a tollhouse for each test that asks for one."""

import os
import subprocess
import time

import pytest
import second_look
from house import BINARY, LOGS, ROOT, Ollama, Redis, Tollhouse
from scripted import Scripted

# What the models of the real Ollama say.
QWEN = "巴黎是法国的首都。 It lies on the river Seine, and has about two million inhabitants 🙂."
SMALL = "I am the smaller one, and I say so."
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
CITY = '{"city": "Paris", "rank": 1}'


# What takes long to build is only there when it is asked for; then it has to be there.
ASKED_FOR = {"--llama": {"test_llama.py"}, "--openclaw": {"test_openclaw_supervised.py", "test_edge_openclaw_real.py", "test_openclaw_inbox.py"}}


# Before midnight (UTC) tests wait until it is over: indices, budgets and reports are of days, and what one asks for would be told of
# another. Midnight itself is shown by tests of the crates, with clocks of their own.
MIDNIGHT_S, DAY_S = 60, 24 * 3600

# Files that take longest, in this order: begun first, they leave no worker alone at the end. (`--durations=0` tells what each test takes.)
LONGEST = (
    "test_ship", "test_alerts_watch", "test_kill", "test_browser_pages", "test_differential", "test_clients", "test_upkeep", "test_browser_poison",
    "test_upkeep_units", "test_browser_behind", "test_remote", "test_queue", "test_browser_large", "test_endings", "test_soak",
    "test_alerts", "test_browser_dashboards", "test_collect", "test_reload", "test_doctor", "test_collect_files", "test_shape",
    "test_room", "test_heads", "test_otlp", "test_upkeep_stuck", "test_browser_chat", "test_probes", "test_faulty_disk", "test_browser",
)  # fmt: skip


def pytest_addoption(parser):
    parser.addoption(
        "--llama",
        metavar="PYTHON",
        help="also test llama.cpp's server, run by this Python (./test integration --llama)",
    )
    parser.addoption(
        "--openclaw",
        metavar="FOLDER",
        help="also test a real OpenClaw that npm has installed into this folder",
    )
    second_look.add_option(parser)


def pytest_ignore_collect(collection_path, config):
    missing = [files for option, files in ASKED_FOR.items() if not config.getoption(option)]
    return True if any(collection_path.name in files for files in missing) else None


def pytest_configure(config):
    config.pluginmanager.register(second_look)
    if config.option.collectonly:
        return
    if not BINARY.exists():
        raise pytest.UsageError(f"{BINARY} is not there: cargo build -p tollhouse, or say TOLLHOUSE_BINARY=…")
    if "OLLAMA_BINARY" not in os.environ:
        built = subprocess.run([ROOT / "tests/tools/ollama.sh"], stdout=subprocess.PIPE, text=True, check=True)
        os.environ["OLLAMA_BINARY"] = built.stdout.strip()


def pytest_collection_modifyitems(items):
    place = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


def pytest_runtest_setup():
    LOGS.clear()
    to_midnight = DAY_S - time.time() % DAY_S
    if to_midnight < MIDNIGHT_S:
        time.sleep(to_midnight + 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Shows with a failure what the processes of the test said last."""
    report = yield
    if report.failed:
        for log in dict.fromkeys(LOGS):
            if log.exists():
                report.sections.append((str(log), log.read_text(errors="replace")[-4000:]))
    return report


@pytest.fixture(scope="session")
def ollama(tmp_path_factory):
    server = Ollama(tmp_path_factory.mktemp("ollama")).start()
    try:
        server.create("qwen3:32b", "--reply", QWEN)
        server.create("qwen3:4b", "--reply", SMALL)
        # Endless, and slow enough (a few ms a token) that a forgotten generation is seen in the runner's CPU time.
        server.create("loop", "--loop", "--layers", "48")
        server.create("caller", "--reply", CALL)
        server.create("json", "--reply", CITY)
        yield server
    finally:
        server.stop()


@pytest.fixture
def make_scripted():
    """Makes scripted model servers, stopped after the test."""
    made = []

    def make(kind="openai", **options):
        made.append(Scripted(kind, **options).start())
        return made[-1]

    yield make
    for upstream in made:
        upstream.stop()


@pytest.fixture
def scripted(make_scripted):
    return make_scripted()


@pytest.fixture
def redis(tmp_path):
    """A real Redis that the test may stop and start."""
    server = Redis(tmp_path).start()
    yield server
    server.stop()


@pytest.fixture
def make_house(tmp_path):
    """Makes houses with the given configuration; those that run are stopped after the test."""
    made = []

    def make(start=True, name="tollhouse", **config):
        directory = tmp_path / name
        directory.mkdir()
        house = Tollhouse(directory, name=name, **config)
        made.append(house)
        return house.start() if start else house

    yield make
    for house in made:
        house.stop()


@pytest.fixture
def house(make_house, scripted):
    """A house in front of the scripted upstream, with nothing special configured."""
    return make_house(upstreams={"scripted": {"kind": "openai", "url": scripted.url}})


@pytest.fixture
def real_house(make_house, ollama):
    """A house in front of the real Ollama."""
    return make_house(upstreams={"local": {"kind": "ollama", "url": ollama.url}})
