"""The part of the pytest plugin for chaos runs: the marker, the option, and the summary of all runs.

Every pytest run imports this module. `chaos_items.py`, which runs the tests, is imported when a marked test runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from odyssey_mock.chaos_runs.results import ChaosReport

MARKER = (
    "odyssey_chaos(points=(), exclude=(), time_limit=None): run this test once without a fault, and then once for each "
    "fault that can affect it; points and exclude are glob patterns of fault points or of point:action; time_limit is "
    "in seconds for each run"
)
NAME = "odyssey_chaos"
OPTION = "--odyssey-chaos-report"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("odyssey chaos", "chaos runs (@pytest.mark.odyssey_chaos)")
    group.addoption(
        OPTION,
        action="append",
        default=[],
        type=Path,
        metavar="FILE.html|FILE.json",
        help="write a report of all chaos runs to this file; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    paths: list[Path] = config.getoption(OPTION)
    if paths:
        from odyssey_mock.chaos_runs.report_file import ReportFileError, check_report_file  # noqa: PLC0415

        try:
            for path in paths:
                check_report_file(path)
        except ReportFileError as error:
            raise pytest.UsageError(f"{OPTION}: {error}") from None
    config.pluginmanager.register(ChaosResults(config), "odyssey_chaos_results")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that is marked `odyssey_chaos` but cannot have chaos runs, before its fixtures are set up."""
    if item.get_closest_marker(NAME) is None:
        return
    from odyssey_mock.testing.chaos_items import refusal  # noqa: PLC0415

    if (reason := refusal(item)) is not None:
        pytest.fail(f"@pytest.mark.{NAME}: {reason}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test marked `odyssey_chaos` and its chaos runs, and return True; return None for other tests."""
    if item.get_closest_marker(NAME) is None:
        return None
    from odyssey_mock.testing.chaos_items import run_marked  # noqa: PLC0415

    return run_marked(item, nextitem)


class ChaosResults:
    """Collects the results of chaos runs from test reports, including the reports of pytest-xdist workers.

    The attribute `odyssey_chaos` of a report contains the number of planned chaos runs (`planned`), or the result of
    one run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: pytest.Session | None = None
        self._planned = 0
        self._are_limited = True
        self._runs: list[Mapping[str, Any]] = []  # Any: JSON

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        carried: Mapping[str, Any] | None = getattr(report, "odyssey_chaos", None)  # Any: JSON
        if carried is None:
            return
        if "planned" not in carried:
            self._runs.append(carried)
            return
        self._planned += carried["planned"]
        self._are_limited = self._are_limited and carried["is_limited"]
        if self._session is not None:
            self._session.testscollected += carried["planned"]  # for the progress in percent

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the files of `--odyssey-chaos-report`; under pytest-xdist, only the controller writes them."""
        paths: list[Path] = self._config.getoption(OPTION)
        if not paths or hasattr(self._config, "workerinput"):
            return
        from odyssey_mock.chaos_runs.report_file import write_report  # noqa: PLC0415

        for path in paths:
            write_report(self._report(), self._config.invocation_params.dir / path)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._planned == 0:
            return
        from odyssey_mock.chaos_runs.results import summary  # noqa: PLC0415

        terminalreporter.section("odyssey chaos runs")
        for line in summary(self._report()):
            terminalreporter.write_line(line)
        if not self._are_limited:
            terminalreporter.write_line(
                "The chaos runs had no time limit: it requires SIGALRM, and pytest in the main thread."
            )
        for path in self._config.getoption(OPTION):
            terminalreporter.write_line(f"report: {path}")

    def _report(self) -> "ChaosReport":
        from odyssey_mock.chaos_runs.results import ChaosReport, Run  # noqa: PLC0415

        return ChaosReport(runs=[Run.of(each) for each in self._runs], planned=self._planned)
