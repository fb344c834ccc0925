"""`quick_run`, which runs benchmarks of `odyssey-mock bench --quick` in a new process."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.bench.baseline import Report

LIMIT = 900.0
"""Timeout of a run in seconds. It takes less than a minute on an idle machine."""


class RunError(RuntimeError):
    """A run has ended without a report. The message has its output."""


def quick_run(name: str) -> Report:
    """Run a benchmark, or `all`; return its report, also if a value exceeds its target.

    Raises:
        RunError: the command has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.json")
        command = [sys.executable, "-c", "from odyssey_mock.cli import main; main()"]
        ran = subprocess.run(
            [*command, "bench", name, "--quick", "--json", str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT,
        )
        if not file.exists():
            raise RunError(f"expected a report of odyssey-mock bench {name} --quick, got:\n{ran.stdout}")
        report: Report = json.loads(file.read_text(encoding="utf-8"))
        return report
