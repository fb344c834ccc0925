"""A pytest plugin that appends test reports as JSON lines to the file that the variable `KINDS_REPORT` names."""

import json
import os
from pathlib import Path

import pytest


@pytest.hookimpl
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the controller of pytest-xdist receives the reports of its workers
        config.pluginmanager.register(Reporting(Path(os.environ["KINDS_REPORT"])))


class Reporting:
    """A plugin that writes every report of setup, call and teardown, and the reports of failed collections."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(report.nodeid, report, report.when, report.duration)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome == "failed":
            self._write(report.nodeid, report, "collect", 0.0)

    def _write(self, nodeid: str, report: pytest.TestReport | pytest.CollectReport, when: str, seconds: float) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = str(report.longrepr) if crash is None else crash.message
        line = {"test": nodeid, "when": when, "outcome": report.outcome, "seconds": seconds, "message": message}
        with self._file.open("a") as file:
            print(json.dumps(line), file=file)
