"""Tests that each kind of tests in `tests/kinds/table.py` works, or fails at once with the expected message.

A test runs one project with one set of pytest options. Each kind in this project is a subtest, which checks the
reports of that run.
"""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.kinds.runs import LIMIT_S, Run, environment, missing, result, run
from tests.kinds.table import CONFIGURATIONS, KINDS, PROJECTS, REFUSALS, WITHIN_S, WORKS, Cell, cells
from tests.support.forks import run_python
from tests.support.requirements import require


@pytest.fixture(scope="module", autouse=True)
def _needs() -> None:
    """Skip the tests of this module if a required package is not installed. In CI, fail them instead."""
    what = missing()
    require(what and f"{what} are not installed")


ATTEMPTS = 3
"""How often a project runs at most, until every refusal took less than `WITHIN_S`. Other processes only add time."""

RUNS = list(dict.fromkeys((cell.kind.project, cell.variant) for cell in cells()))


@pytest.mark.parametrize(("project", "variant"), RUNS)
def test_kinds_have_expected_results(project: str, variant: str, subtests: pytest.Subtests) -> None:
    of_run = [cell for cell in cells() if (cell.kind.project, cell.variant) == (project, variant)]
    refused = [folder_of(cell) for cell in of_run if cell.expected != WORKS]
    ran = quick_run(project, variant, refused)
    for cell in of_run:
        with subtests.test(str(cell)):
            check(cell, ran)


def quick_run(project: str, variant: str, refused: Sequence[str]) -> Run:
    """Run a project, and again if the tests below one of the `refused` names took `WITHIN_S` or longer."""
    for _ in range(ATTEMPTS - 1):
        ran = run(project, variant)
        if all(seconds(ran, name) < WITHIN_S for name in refused):
            return ran
    return run(project, variant)


def folder_of(cell: Cell) -> str:
    """Return the beginning of the names of a cell's tests in the reports of its project."""
    return cell.kind.folder.partition("/")[2] + "/"


def seconds(ran: Run, name: str) -> float:
    """Return how long the tests whose names begin with `name` took."""
    return sum(each.seconds for each in ran.of(name))


def check(cell: Cell, ran: Run) -> None:
    """Assert that the tests of `cell` passed or failed in the run as the table states."""
    reports = ran.of(folder_of(cell))
    if cell.expected == WORKS:
        assert result(reports) == WORKS, (
            f"expected all tests in {cell.kind.folder} to pass, got: {result(reports)}. pytest printed:\n{ran.output}"
        )
        assert sum(each.when == "call" for each in reports) == cell.kind.tests
    else:
        assert cell.expected in result(reports)
        assert seconds(ran, folder_of(cell)) < WITHIN_S


def test_combinations_are_refused_at_once(subtests: pytest.Subtests) -> None:
    ran = quick_run("refused", "alone", [f"test_refused.py::{refusal.test}" for refusal in REFUSALS])
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


EXPLORE = """
import sys
from odyssey_mock.cli import main

assert "trio" not in sys.modules, "expected trio to be imported during the simulations, got an earlier import"
try:
    main()
finally:
    assert "trio" in sys.modules, "expected a simulation to import trio, got none that did"
"""
"""The command `odyssey-mock`, with the check that httpcore, and with it trio, are imported while it runs."""


def test_explorer_runs_where_trio_is_installed() -> None:
    ran = run_python(
        *("-c", EXPLORE),
        *("explore", "--light", "--seeds", "4", "--workers", "1"),
        env=environment(),
        limit_s=LIMIT_S,
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
