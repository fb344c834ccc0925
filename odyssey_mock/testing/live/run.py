"""A run of tests against the service: the check at its start, its budget, its skips and its summary."""

import math
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from odyssey_client.redaction import redacted
from odyssey_client.system import SystemClock, wrap_system_network
from odyssey_mock.testing.leftovers import REPORTED
from odyssey_mock.testing.live.budget import StreamBudget
from odyssey_mock.testing.live.metered_network import Meter
from odyssey_mock.testing.live.needs import needs_mock
from odyssey_mock.testing.live.service import Service
from odyssey_mock.testing.plugin import uses_mock

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

OPTION, INI = "--odyssey-live-seconds", "odyssey_live_seconds"
METER = pytest.StashKey[Meter]()
"""Stash key of the meter of this process."""
SERVICE = pytest.StashKey[Service]()
"""Stash key of the service."""
_DENIALS = pytest.StashKey[int]()
"""Stash key of a test: the number of denials before it."""
_HERE = Path(__file__).parent
_LISTINGS = ("collectonly", "showfixtures", "show_fixtures_per_test")
"""Options with which pytest runs no test."""
_SHARE, _USED = "odyssey_live_share", "odyssey_live_used"
"""Names of the values that the controller and the workers of pytest-xdist send to each other."""


class LiveRun:
    """The plugin of a run with `--odyssey-live`, in a process that runs tests or controls workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seconds = seconds_of(config)
        self._workers_used: dict[str, float] = {}
        """What each worker of pytest-xdist has used, by its id; its share before the worker reports it."""
        share: float = getattr(config, "workerinput", {}).get(_SHARE, self._seconds)
        what = f"the budget of {self._seconds:g} stream seconds"
        if share < self._seconds:
            what = f"the share of this worker, {share:.4g} of {self._seconds:g} stream seconds,"
        self._exhausted = f"{what} is used up; {OPTION} raises it"
        self._interrupted = f"the stream of the test was ended: {self._exhausted}"
        self.budget = StreamBudget(share, self._exhausted, deny=_skip, now=SystemClock().monotonic)
        self._meter = Meter(self.budget)

    def pytest_configure(self) -> None:
        """Begin to count. Other plugins may create clients before the service is known."""
        wrap_system_network(self._meter.wrap)

    def pytest_unconfigure(self) -> None:
        wrap_system_network(None)

    def pytest_report_header(self) -> str | None:
        service = self._config.stash.get(SERVICE, None)
        return None if service is None else f"odyssey live: {service.url}, {self._seconds:g} stream seconds"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Check that the service answers. Do nothing if pytest only lists tests or fixtures."""
        if any(self._config.getoption(name) for name in _LISTINGS):
            return
        stash = self._config.stash
        service = stash[SERVICE] = Service.of_environment()
        stash[METER] = self._meter
        self._meter.set_service(service.url)
        if not hasattr(self._config, "workerinput"):  # each worker of pytest-xdist starts after this check
            service.check()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End all sessions that are still open, and send what was used to the controller of pytest-xdist."""
        self._meter.end(self._meter.connections)
        output: dict[str, object] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_USED] = self.budget.used

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip the tests that need a mock."""
        for item in items:
            if (why := needs_mock(item)) is not None:
                item.add_marker(pytest.mark.skip(reason=why))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a test with a fixture of the service if the budget is used up."""
        item.stash[_DENIALS], item.stash[REPORTED] = self.budget.denials, False
        if uses_mock(item) and self.budget.left == 0:
            item.add_marker(pytest.mark.skip(reason=self._exhausted))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Report a test, or a fixture, as skipped that failed after a denial. A leftover stays an error.

        A skip by the plugin gets the line of the test.
        """
        report = yield
        place = str(item.path), (item.location[1] or 0) + 1
        is_denied = self.budget.denials > item.stash.get(_DENIALS, 0) and not item.stash.get(REPORTED, False)
        if isinstance(report.longrepr, tuple) and Path(report.longrepr[0]).is_relative_to(_HERE):
            report.longrepr = (*place, report.longrepr[2])
        elif is_denied and report.failed:
            report.outcome = "skipped"
            report.longrepr = (*place, f"Skipped: {self._interrupted}")
        return report

    # Before all other plugins see a report: the terminal, report files, the worker of pytest-xdist.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hide the key in the report of a test or a subtest. A subtest gets its output after `makereport`."""
        _mask(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Hide the key in the report of a module that cannot be imported."""
        _mask(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if SERVICE not in self._config.stash:
            return
        used = self.budget.used + sum(self._workers_used.values())
        left = max(0.0, self._seconds - used)
        terminalreporter.section("odyssey live")
        terminalreporter.write_line(f"{used:.1f} of {self._seconds:g} stream seconds used, {left:.1f} left")

    # Hooks of pytest-xdist, in its controller.

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: "WorkerController") -> None:
        """Give a worker its share of the budget. A worker that replaces a crashed one has none."""
        worker, count = node.workerinput["workerid"], node.workerinput["workercount"]
        share = self._seconds / count if len(self._workers_used) < count else 0.0
        node.workerinput[_SHARE] = self._workers_used[worker] = share

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: "WorkerController") -> None:
        """Note what a worker has used. A worker that crashed or was interrupted may not have reported it.

        pytest-xdist calls this twice for a worker that was interrupted.
        """
        sent: Mapping[str, Any] = getattr(node, "workeroutput", {})  # Any: values of different types
        if _USED in sent:
            self._workers_used[node.workerinput["workerid"]] = sent[_USED]


def seconds_of(config: pytest.Config) -> float:
    """Return the budget of the run, from the option or the ini file.

    Raises:
        pytest.UsageError: it is not a number of seconds above 0.
    """
    given: str | None = config.getoption(OPTION)
    source, text = (INI, str(config.getini(INI))) if given is None else (OPTION, given)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise pytest.UsageError(f"{source}: expected a number of seconds above 0, got {text!r}")
    return seconds


def _skip(reason: str) -> NoReturn:
    pytest.skip(reason)


def _mask(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Mask the key in what a report shows: values of fixtures, compared texts, captured output, reasons, properties."""
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = path, line, redacted(reason)
    elif (text := report.longreprtext) != (masked := redacted(text)):
        report.longrepr = masked
    report.sections = [(title, redacted(content)) for title, content in report.sections]
    if isinstance(report, pytest.TestReport):
        given = report.user_properties
        report.user_properties = [(name, _without_key(each)) for name, each in given]


def _without_key(value: object) -> object:
    """Return a value of a property; its text, with the key masked, if the text contains the key."""
    text = str(value)
    return value if (masked := redacted(text)) == text else masked
