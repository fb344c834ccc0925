"""Functions that run pytest in the projects of `tests/kinds/projects`, and classes for the results."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kinds.table import PROJECTS, VARIANTS, WORKS
from tests.support.forks import run_pytest

ROOT = Path(__file__).parent.parent.parent
EXTRA = ROOT / ".cache" / "kinds"
"""The folder into which scripts/test-needs installs the packages of `requirements.lock`."""

LIMIT_S = 120.0
"""Timeout in seconds for one run; most take less than 10 s."""


@dataclass(frozen=True)
class Report:
    """The report of pytest about setup, call or teardown of one test, or about a file that it could not collect."""

    test: str
    when: str
    outcome: str
    seconds: float
    message: str


@dataclass(frozen=True)
class Run:
    """The reports and the output of one pytest run."""

    reports: Sequence[Report]
    output: str

    def of(self, path: str) -> Sequence[Report]:
        """Return the reports whose test id starts with `path`, for example those of one folder, file or test."""
        return [each for each in self.reports if each.test.startswith(path)]


def missing() -> str | None:
    """Return a description of the packages that are not installed; None if all are installed."""
    return None if (EXTRA / ".stamp").exists() else "the packages of tests/kinds/requirements.lock"


def environment() -> Mapping[str, str]:
    """Return the environment variables for a pytest run of a project.

    They make this clone and the packages in `EXTRA` importable. Variables that configure pytest, coverage, the client
    or the mock in the calling process are removed. No root certificates are trusted, because each client of httpx
    would take 25 ms to parse those of certifi, and no test needs them.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "ODYSSEY_", "COV_", "COVERAGE_"))
    }
    paths = os.pathsep.join([str(ROOT), str(EXTRA)])
    return inherited | {"PYTHONPATH": paths, "SSL_CERT_FILE": "", "SSL_CERT_DIR": str(PROJECTS)}


def run(project: str, variant: str) -> Run:
    """Run pytest in the folder of `project` with the options `VARIANTS[variant]`; return its reports and output."""
    options = ("-p", "tests.kinds.reporting", "-p", "no:cacheprovider", "--continue-on-collection-errors")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.jsonl"
        report.touch()
        ran = run_pytest(
            *options,
            *("-o", f"odyssey_trace_dir={folder}/traces"),  # not in the project, whose tests fail on purpose
            *VARIANTS[variant],
            folder=PROJECTS / project,
            environment={**environment(), "KINDS_REPORT": str(report), "COVERAGE_FILE": str(Path(folder) / "coverage")},
            limit_s=LIMIT_S,
        )
        reports = [Report(**json.loads(line)) for line in report.read_text().splitlines()]
    return Run(reports, ran.stdout + ran.stderr)


def result(reports: Sequence[Report]) -> str:
    """Return `WORKS` if all reports are passes, otherwise the error messages."""
    failed = [each.message for each in reports if each.outcome != "passed"]
    return "; ".join(dict.fromkeys(failed)) if failed else WORKS
