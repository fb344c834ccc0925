"""Tests that each kind of tests in `tests/kinds/table.py` works, or fails at once with the expected message.

A test runs one project with one set of pytest options. Each kind in this project is a subtest, which checks the
reports of that run.
"""

import subprocess
import sys

import pytest

from tests.kinds.runs import LIMIT_S, Run, environment, missing, result, run
from tests.kinds.table import CONFIGURATIONS, KINDS, PROJECTS, REFUSALS, WITHIN_S, WORKS, Cell, cells
from tests.support.requirements import require


@pytest.fixture(scope="module", autouse=True)
def _needs() -> None:
    """Skip the tests of this module if a required package is not installed. In CI, fail them instead."""
    what = missing()
    require(what and f"{what} are not installed")


RUNS = list(dict.fromkeys((cell.kind.project, cell.variant) for cell in cells()))


@pytest.mark.parametrize(("project", "variant"), RUNS)
def test_kinds_have_expected_results(project: str, variant: str, subtests: pytest.Subtests) -> None:
    ran = run(project, variant)
    for cell in cells():
        if (cell.kind.project, cell.variant) == (project, variant):
            with subtests.test(str(cell)):
                check(cell, ran)


def check(cell: Cell, ran: Run) -> None:
    """Assert that the tests of `cell` passed or failed in the run as the table states."""
    reports = ran.of(cell.kind.folder.partition("/")[2] + "/")
    if cell.expected == WORKS:
        assert result(reports) == WORKS, (
            f"expected all tests in {cell.kind.folder} to pass, got: {result(reports)}. pytest printed:\n{ran.output}"
        )
        assert sum(each.when == "call" for each in reports) == cell.kind.tests
    else:
        assert cell.expected in result(reports)
        assert sum(each.seconds for each in reports) < WITHIN_S


def test_combinations_are_refused_at_once(subtests: pytest.Subtests) -> None:
    ran = run("refused", "alone")
    for refusal in REFUSALS:
        with subtests.test(refusal.test):
            failed = [each for each in ran.of(f"test_refused.py::{refusal.test}") if each.outcome == "failed"]
            assert refusal.message in result(failed), (
                f"expected {refusal.test} to fail with a message that contains {refusal.message!r}, "
                f"got {result(failed)!r}. pytest printed:\n{ran.output}"
            )
            assert [each.seconds < WITHIN_S for each in failed] == [True]

    tests = {each.test.removeprefix("test_refused.py::").partition("[")[0] for each in ran.reports}
    assert tests == {refusal.test for refusal in REFUSALS}


def test_kinds_name_every_folder() -> None:
    found = [folder for folder in PROJECTS.glob("*/*/") if folder.name != "__pycache__" and any(folder.glob("test_*"))]
    folders = {str(folder.relative_to(PROJECTS)) for folder in found}

    assert folders == {kind.folder for kind in (*KINDS, *CONFIGURATIONS)}


def test_explorer_runs_where_trio_is_installed() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from odyssey_mock.cli import main; main()", "explore", "--light", "--seeds", "4"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert ran.returncode == 0, f"expected exit code 0, got {ran.returncode} and:\n{ran.stdout}{ran.stderr}"


def test_unittest_runs_without_pytest() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest"],
        cwd=PROJECTS / "strict" / "unittest_alone",
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (0, "OK"), (
        f"expected exit code 0 and OK as last line, got exit code {ran.returncode} and:\n{ran.stderr}"
    )
