"""Runs of the projects, one for each project and variant, and their results."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kinds.table import PROJECTS, VARIANTS, WORKS

ROOT = Path(__file__).parent.parent.parent
EXTRA = ROOT / ".cache" / "kinds"
"""The packages of `requirements.lock`, installed by scripts/test-needs."""

LIMIT_S = 120.0
"""Timeout in seconds for one run; most take less than 10 s."""


@dataclass(frozen=True)
class Report:
    """What pytest reported about one test, or about a file that it could not collect."""

    test: str
    when: str
    outcome: str
    seconds: float
    message: str


@dataclass(frozen=True)
class Run:
    """One run of a project."""

    reports: Sequence[Report]
    output: str

    def of(self, path: str) -> Sequence[Report]:
        """Return the reports on the tests of one folder or file, or on one test."""
        return [each for each in self.reports if each.test.startswith(path)]


def missing() -> str | None:
    """Return what the runs need that is not installed; None if everything is."""
    return None if (EXTRA / ".stamp").exists() else "the packages of tests/kinds/requirements.lock"


def environment() -> Mapping[str, str]:
    """Return the environment variables of a project's pytest run.

    They make this clone and the extra packages importable. Options of the pytest run that started it are left out.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ODYSSEY_", "COV_"))
    }
    return inherited | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(EXTRA)])}


def run(project: str, variant: str) -> Run:
    """Run a project with pytest."""
    options = ("-p", "tests.kinds.reporting", "-p", "no:cacheprovider", "--continue-on-collection-errors")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.jsonl"
        report.touch()
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *VARIANTS[variant]],
            cwd=PROJECTS / project,
            env={**environment(), "KINDS_REPORT": str(report), "COVERAGE_FILE": str(Path(folder) / "coverage")},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        reports = [Report(**json.loads(line)) for line in report.read_text().splitlines()]
    return Run(reports, ran.stdout + ran.stderr)


def result(reports: Sequence[Report]) -> str:
    """Return `WORKS`, or the messages of the failures."""
    failed = [each.message for each in reports if each.outcome != "passed"]
    return "; ".join(dict.fromkeys(failed)) if failed else WORKS
