"""Files for rsyslog and Logstash: run by the real rsyslog, and read by Logstash's grammar."""

import datetime
import json
import subprocess

import pytest
from house import Process, finished, free_port, until
from logstash import read
from test_collect import FIELDS, checksum, collected, gateway_line

LINES = 3_000


class Rsyslog(Process):
    """A real rsyslog with nothing but an exported file, which it takes as it is."""

    def __init__(self, directory):
        super().__init__("rsyslog", directory)
        self.directory = directory / "rsyslog"
        self.directory.mkdir()
        self.file = self.directory / "gateway.log"

    def take(self, rules):
        (self.directory / "tollhouse.conf").write_text(rules)
        config = self.directory / "rsyslog.conf"
        # As in the file that Debian installs: a place for positions and queues, then what lies in rsyslog.d.
        config.write_text(f'global(workDirectory="{self.directory}")\n$IncludeConfig {self.directory}/tollhouse.conf\n')
        tried = finished(["rsyslogd", "-N1", "-f", config])
        assert tried.returncode == 0 and "error" not in tried.stderr and "warning" not in tried.stderr, tried.stderr
        self.spawn(["rsyslogd", "-n", "-f", config, "-i", self.directory / "pid"])

    def write(self, lines):
        with self.file.open("a") as file:
            file.writelines((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)


@pytest.fixture
def rsyslog(tmp_path):
    server = Rsyslog(tmp_path)
    yield server
    server.stop()


def test_scenario_b04_the_exported_rsyslog_forwards_a_file_whole(make_house, rsyslog):
    port = free_port()
    house = make_house(sources={"network": {"type": "listen", "address": f"127.0.0.1:{port}"}})
    rules = house.run("export", "rsyslog", "--file", str(rsyslog.directory / "*.log")).stdout
    assert "ATTENTION" not in rules and "which only this machine reaches" in rules
    # Longer than rsyslog takes by itself.
    lines = [gateway_line(number) | {"prompt": "问" * 8_000 if number == 7 else ""} for number in range(LINES)]
    rsyslog.write(lines[: LINES // 2])
    rsyslog.take(rules)
    until("the first half is there", lambda: len(collected(house)) >= LINES // 2, within=40, every=0.2)
    # What comes while the house is away waits.
    house.stop()
    rsyslog.write(lines[LINES // 2 :])
    house.start()
    once = lambda: list({line["number"]: line for line in collected(house)}.values())  # noqa: E731
    until("all lines are there", lambda: len(once()) >= LINES, within=40, every=0.2)
    # Plain syslog acknowledges nothing: around the break rsyslog sends some lines again. None is missing, all are whole.
    assert checksum(once(), [*FIELDS, "prompt"]) == checksum(lines, [*FIELDS, "prompt"])


def test_scenario_b06_the_exported_rsyslog_writes_documents_by_bulk(make_house, rsyslog, tmp_path):
    house = make_house()
    key = tmp_path / "rsyslog.key"
    key.write_text(house.create_key("rsyslog", "--role", "logs:write")["key"])
    house.taken(key.read_text())
    rules = house.run(
        *("export", "rsyslog", "--elasticsearch", "--file", str(rsyslog.directory / "*.log"), "--key-file", str(key))
    ).stdout
    assert key.read_text() not in rules
    refused = tmp_path / "refused.log"
    rules = rules.replace("/var/log/tollhouse-refused.log", str(refused))
    now = datetime.datetime.now(datetime.UTC)
    yesterday = now - datetime.timedelta(days=1)
    lines = [gateway_line(number, yesterday if number % 3 == 0 else now) for number in range(600)]
    never = gateway_line(9_999, now + datetime.timedelta(days=20))
    rsyslog.write([*lines, never, 'no JSON, a "text" 中文'])
    rsyslog.take(rules)
    until("all documents are found", lambda: house.count("source:bulk") >= len(lines) + 1, within=40, every=0.2)
    until("what is never taken is kept with the reason", lambda: refused.exists() and "9999" in refused.read_text())

    answer = house.search({"size": 0, "query": {"exists": {"field": "number"}}, "aggs": {"tokens": {"sum": {"field": "output_tokens"}}}})
    assert answer["aggregations"]["tokens"]["value"] == sum(line["output_tokens"] for line in lines), "numbers are numbers"
    for day, expected in [(yesterday, 200), (now, 400)]:
        index = f"clawdbot-qwen3-{day:%Y.%m.%d}"
        found = house.search({"size": 0, "track_total_hits": True, "query": {"exists": {"field": "number"}}}, index)
        assert found["hits"]["total"]["value"] == expected, index
    [text] = house.search({"query": {"query_string": {"query": "source:bulk AND NOT _exists_:number"}}})["hits"]["hits"]
    assert text["_source"]["msg"].strip() == 'no JSON, a "text" 中文'

    # Read anew from the beginning: nothing is there twice.
    rsyslog.stop()
    for position in rsyslog.directory.glob("imfile-state*"):
        position.unlink()
    rsyslog.write([gateway_line(10_000)])
    rsyslog.take(rules)
    until("the new line is there", lambda: house.count("number:10000") == 1, within=40, every=0.2)
    assert house.count("source:bulk") == len(lines) + 2


def test_scenario_b04_the_exported_rsyslog_speaks_tls_where_the_port_does(make_house, tmp_path):
    listen = {"type": "listen", "address": "127.0.0.1:5044", "tls": {"cert": "c.pem", "key": "k.pem", "client_ca": "ca.pem"}}
    house = make_house(start=False, sources={"network": listen})
    rules = house.run("export", "rsyslog", "--host", "logs.example.com", "--ca", "/etc/ca.pem").stdout
    for part in ('target="logs.example.com"', 'StreamDriver="gtls"', 'CAFile="/etc/ca.pem"', "StreamDriver.CertFile"):
        assert part in rules, part
    without = make_house(start=False, name="without")
    assert "ATTENTION" in without.run("export", "rsyslog").stdout


def test_scenario_b05_the_exported_pipeline_keeps_logstashs_grammar(make_house, tmp_path):
    """No Logstash can be had here: its grammar is kept, the plugins are those that it brings along, and the Ruby is Ruby."""
    house = make_house(start=False)
    text = house.run("export", "logstash", "--elasticsearch", "http://10.0.0.5:9200/").stdout
    sections, plugins = read(text)
    assert sections == ["input", "filter", "output"]
    assert {name for _, name, _ in plugins} == {"file", "fingerprint", "mutate", "json", "date", "ruby", "elasticsearch"}
    (elasticsearch,) = [attributes for section, _, attributes in plugins if section == "output"]
    assert elasticsearch["index"] == '"clawdbot-qwen3-%{+YYYY.MM.dd}"' and elasticsearch["hosts"] == ['"http://10.0.0.5:9200"']
    (file,) = [attributes for _, name, attributes in plugins if name == "file"]
    assert file["path"] == [f'"{house.journal_file}"']
    for broken in (text[:-3], text.replace("=>", "=", 1), text.replace("filter {", "filters {")):
        with pytest.raises(SyntaxError):
            read(broken)


@pytest.mark.parametrize(
    ("tokens", "efficiency"),
    [((200, 201), 1.01), ((1000, 5), 0.01), ((3, 1), 0.33), ((0, 5), None), ((None, 5), None), (("7", 5), None)],
)
def test_scenario_b05_the_pipelines_ruby_counts_as_the_house_does(make_house, tokens, efficiency):
    """The very code of the exported file, run by a real Ruby over an event of this test's."""
    house = make_house(start=False)
    _, plugins = read(house.run("export", "logstash").stdout)
    (code,) = [attributes["code"] for _, name, attributes in plugins if name == "ruby"]
    given = dict(zip(("input_tokens", "output_tokens"), tokens, strict=True))
    script = f"""
        require "json"
        class Event < Hash
          def get(name) self[name] end
          def set(name, value) self[name] = value end
        end
        event = Event.new.merge!(JSON.parse({json.dumps(json.dumps(given))}))
        {code[1:-1]}
        puts JSON.generate(event["token_efficiency"])
    """
    ran = subprocess.run(["ruby", "-e", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == efficiency
