"""Tests that `scripts/coverage_figures.py`, which `make coverage` runs, prints and checks the coverage of packages."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "coverage_figures.py"

GOOD = {"num_statements": 200, "covered_lines": 199, "num_branches": 100, "covered_branches": 99}


def run(folder: Path, files: Mapping[str, Mapping[str, int]], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script on a report with a summary of each file."""
    report = folder / "figures.json"
    report.write_text(json.dumps({"files": {name: {"summary": summary} for name, summary in files.items()}}))
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(report), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_sums_of_each_package_are_printed(tmp_path: Path) -> None:
    ran = run(tmp_path, {"odyssey_client/a.py": GOOD, "odyssey_client/b/c.py": GOOD, "odyssey_mock/d.py": GOOD}, "0")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[:2] == [
        "odyssey_client: 99.50 % of 400 lines, 99.00 % of 200 branches, 99.33 % of both",
        "odyssey_mock: 99.50 % of 200 lines, 99.00 % of 100 branches, 99.33 % of both",
    ]


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"covered_lines": 189}, ["lines, got 94.50 %"]),
        ({"covered_branches": 94}, ["branches, got 94.00 %"]),
        ({"covered_lines": 189, "covered_branches": 95}, ["lines, got 94.50 %", "both, got 94.67 %"]),
        ({"covered_lines": 190, "covered_branches": 95}, []),
    ],
)
def test_each_percentage_below_the_limit_fails(tmp_path: Path, change: Mapping[str, int], messages: list[str]) -> None:
    ran = run(tmp_path, {"odyssey_client/a.py": GOOD, "odyssey_mock/b.py": {**GOOD, **change}})

    assert ran.stderr.splitlines() == [
        f"coverage: odyssey_mock: expected at least 95 % of {message}" for message in messages
    ]
    assert ran.returncode == bool(messages)


def test_package_without_lines_fails(tmp_path: Path) -> None:
    ran = run(tmp_path, {"odyssey_client/a.py": GOOD})

    assert (ran.returncode, ran.stderr) == (1, "coverage: odyssey_mock: expected lines in the report, got none\n")


def test_files_with_most_missing_code_are_listed(tmp_path: Path) -> None:
    files = {
        "odyssey_client/good.py": GOOD,
        "odyssey_mock/worst.py": {**GOOD, "covered_lines": 195, "covered_branches": 96},
        "odyssey_mock/bad.py": {**GOOD, "covered_lines": 193},
    }

    ran = run(tmp_path, files, "2")

    assert ran.stdout.partition("not executed:\n")[2].splitlines() == [
        "    9   97.0 %  odyssey_mock/worst.py",
        "    8   97.3 %  odyssey_mock/bad.py",
    ]
