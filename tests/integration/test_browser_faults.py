"""What people mistype in the editors of Settings and of tasks is told in the language of the page."""

import re
import shutil

import pytest
from house import ROOT, walked
from test_tasks import settings

SHOTS = ROOT / "target" / "screenshots"

# Each is one text; what can be told at once stands together, since errors of syntax end the reading.
SETTINGS = [
    """service: "bad name"
upstreams:
  local: {kind: olama, url: "ftp://127.0.0.1"}
  other: {kind: openai, parallel: "2"}
  third: [a]
timeouts: {idle: soon, total: 30, connect: 5x, first_byte: 0s, drain: [1s]}
logging: {rotate: {size: 5XB, every: week}, jsn: true, keep: {days: many}, compress: brotli}
limits: {body: lots, messages: 0}
models: {a: {upstreams: [nobody], fallback: [zz]}}
access: {auth: maybe, keys: {a: b}, allow: [300.1.1.1]}
""",
    """upstreams: {local: {kind: demo}}
alerts: {mine: {query: "*", count: "x", notify: [nobody], cuont: 1}, other: on, slow-model: {for: often}}
reports: {daily: {report: nothing, at: "25:00"}}
tasks: {workers: 0, commands: {x: {command: echo}}}
sources: {x: {type: sylog}, y: {type: file}}
channels: {"a b": {kind: slack}, c: {kind: smtp, server: mail, from: nobody, to: []}}
supervise: {x: {restart: sometimes}}
probes: {disk: [{path: 5, above: "120%"}], process: 7}
edge: {https: here}
listen: nowhere
data_dir: ~/here
public_url: ${NOT_SET_ANYWHERE}
""",
    "upstreams: {local: {kind: demo}}\nservice: a\nservice: b\n? [x]\n: y\nlisten: !own 5\n",
    "upstreams: {local: {kind: demo\n",
    "upstreams:\n\t- a\n",
    'service: "a\n',
    "service: a: b\n",
    "- a\n",
    "service: *nobody\n",
    "service: ${open\n",
    "upstreams: {local: {kind: demo}}\n---\nservice: b\n",
]

TASKS = [
    """schedule: "0 8 * *"
timezone: Mars/Base
timeout: 5x
critical: maybe
concurrency: "2"
shedule: "0 8 * * *"
steps:
  - {name: 1a, ask: {model: m}}
  - {name: draft, colect: {search: x}}
  - {name: two, run: {command: [a]}, wait: {for: 5x}}
  - {name: two, wait: {for: 5x}}
  - {name: three, write: {path: p, text: "{{ unknwn }}"}}
  - {name: four, write: {path: p, text: "{{ unclosed"}}
  - {name: five, ask: {model: [m], prompt: p}}
  - {name: six, ask: nothing}
  - {name: seven, collect: {limit: 5}}
  - {name: eight, wait: {every: 1s}}
  - {name: nine, approve: {}, each: [1]}
""",
    'every: 0s\nschedule: "61 8 * * 1-5"\nsteps: []\n',
    "title: nothing else\n",
    "steps: {name: a}\n",
    'name: other\nsteps: [{name: a, send: {channel: nobody, subject: s, text: t}}]\n',
    "steps:\n  - {name: a, run: {command: [nobody]}}\n  - {name: b, collect: {report: nothing}}\n  - {name: c, collect: {forecast: nothing}}\n",
    "steps:\n  - name: a\n   wait: {for: 1s}\n",
    "steps: [\n",
]

# What was written, names and examples of code: not words of a language.
CODE = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'|\{[^{}]*\}|\[[^\]]*\]|\$\S+|\S+://\S*")
ENGLISH = re.compile(r"\b[A-Za-z]{2,} (?:[a-z]{1,}\b(?! ?[:=,]))")


@pytest.fixture
def seen(make_house, scripted, tmp_path):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    assert browser, "Chromium is not installed"
    house = make_house(
        upstreams={"scripted": {"kind": "openai", "url": scripted.url}}, tasks=settings(tmp_path / "tollhouse")
    )
    task = {"browser": browser, "address": house.console_address(), "shots": str(SHOTS)}
    return walked("faults.mjs", {**task, "settings": SETTINGS, "tasks": TASKS}, within=180)


def test_no_fault_that_people_type_is_told_in_english_on_a_chinese_page(seen):
    assert seen["language"].startswith("zh")
    told = seen["settings"] + seen["tasks"]
    assert all(one["faults"] for one in told), [one["text"] for one in told if not one["faults"]]
    faults = [fault for one in told for fault in one["faults"]]
    assert len(faults) > 80, len(faults)
    english = [fault["text"] for fault in faults if fault["lang"] == "en"]
    assert english == [], english
    for fault in faults:
        words = fault["text"]
        while (plain := CODE.sub("", words)) != words:
            words = plain
        assert not ENGLISH.search(words), f"{fault['text']!r}: {ENGLISH.search(words)[0]!r}"
        assert re.search(r"[\u4e00-\u9fff]", words), fault["text"]
    assert seen["layout"] == [] and seen["axe"] == [] and seen["errors"] == [] and seen["outside"] == []
