"""A second look at tests whose wait ran out: `./test` asks for it with --second-look.

On a busy machine a wait now and then runs out though nothing is broken, and one of thousands would fail the whole run. So where
every failure of a run is a wait that ran out, those tests run once more after the rest, alone. One that passes then counts
as passed and is named at the end with what it said the first time; one that fails again has failed. Everything else that
fails has failed at once.
"""

import subprocess
import sys

import pytest
from house import NotWithin

RAN_OUT = "ran out"
# A fault that shows itself now and then is what these look for: the first look counts. So it is in every file that throws dice.
NEVER = {"test_differential", "test_endings", "test_faults", "test_faulty_disk", "test_kill"}
# More than so many files are no accident.
FILES_MAX = 6
WITHIN = 900


def add_option(parser):
    parser.addoption("--second-look", action="store_true", help="run tests whose wait ran out once more, alone, after the rest")


def may_be_looked_at(module):
    return module.__name__ not in NEVER and not hasattr(module, "random")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    error = call.excinfo and call.excinfo.value
    if isinstance(error, NotWithin | subprocess.TimeoutExpired) and may_be_looked_at(item.module):
        report.user_properties = [*report.user_properties, (RAN_OUT, (str(error).strip() or repr(error)).splitlines()[0])]
    return report


class SecondLook:
    """Where the reports of all workers arrive."""

    def __init__(self, config):
        self.config = config
        # Name of a test → what its wait was for.
        self.waited, self.others = {}, 0
        self.passed_alone = False

    def pytest_runtest_logreport(self, report):
        if report.failed:
            said = dict(report.user_properties).get(RAN_OUT)
            self.others += said is None
            self.waited.setdefault(report.nodeid, said)

    def pytest_collectreport(self, report):
        self.others += report.failed

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        files = {name.partition("::")[0] for name in self.waited}
        if exitstatus != pytest.ExitCode.TESTS_FAILED or self.others or len(files) > FILES_MAX:
            return
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line("")
        terminal.section(f"a second look at {len(self.waited)} whose wait ran out, alone")
        options = [f"{name}={value}" for name in ("--llama", "--openclaw") if (value := self.config.getoption(name))]
        command = [sys.executable, "-m", "pytest", *options, *self.waited]
        try:
            again = subprocess.run(
                command, cwd=self.config.rootpath, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN, check=False
            )
        except subprocess.TimeoutExpired:
            terminal.write_line(f"not over within {WITHIN} s")
            return
        terminal.write_line(again.stdout + again.stderr)
        if again.returncode != 0:
            return
        self.passed_alone = True
        failed = [report for kind in ("failed", "error") for report in terminal.stats.pop(kind, [])]
        passed = terminal.stats.setdefault("passed", [])
        counted = {report.nodeid for report in passed}
        for report in failed:
            if report.nodeid not in counted:
                counted.add(report.nodeid)
                passed.append(report)
        session.testsfailed, session.exitstatus = 0, pytest.ExitCode.OK

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter):
        result = yield
        for name, said in self.waited.items() if self.passed_alone else ():
            terminalreporter.write_line(f"passed only alone: {name} (first time: {said})")
        return result


def pytest_configure(config):
    if config.getoption("--second-look") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondLook(config))
