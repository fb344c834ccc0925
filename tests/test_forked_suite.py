"""Tests of the program that runs the suite in forks (`tests/support/forked_suite.py`)."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.forks import run_python

ROOT = Path(__file__).parents[1]
LIMIT_S = 60.0
INI = "[pytest]\naddopts = --import-mode=importlib\nasyncio_default_fixture_loop_scope = function\n"
NOTED = """
import os
from pathlib import Path

import pytest

with Path("imports").open("a") as file:
    file.write("x")


@pytest.mark.parametrize("number", range(4))
def test_worker(number):
    Path(f"ran-{number}").write_text(f"{os.getpid()} {os.getppid()}")
"""

LATE = """
from pathlib import Path

if not Path("finished").exists():
    Path("collected").write_text("yes\\n")


def test_late():
    assert Path("finished").read_text() == "yes\\n"
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are used on Linux only")


def run_suite(folder: Path, files: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a new project."""
    (folder / "pytest.ini").write_text(INI)
    for name, text in files.items():
        file = folder / name
        file.write_text(text)
        file.chmod(0o755)
    # The fork has the suite's own packages, and no options of the suite.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    options = ("-q", "-p", "no:cacheprovider", *arguments)
    return run_python("-m", "tests.support.forked_suite", *options, cwd=folder, env=environment, limit_s=LIMIT_S)


def test_workers_are_forks_with_imported_tests(tmp_path: Path) -> None:
    done = run_suite(tmp_path, {"test_noted.py": NOTED}, "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    workers = [tuple((tmp_path / f"ran-{number}").read_text().split()) for number in range(4)]
    assert len({process for process, _ in workers}) == 2
    assert len({parent for _, parent in workers}) == 1
    assert (tmp_path / "imports").read_text() == "x"


def test_without_workers_pytest_runs_the_tests(tmp_path: Path) -> None:
    done = run_suite(tmp_path, {"test_noted.py": NOTED}, "-k", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each.name for each in tmp_path.glob("ran-*")] == ["ran-2"]


def test_tests_begin_after_the_other_programs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "collected")
    files = {
        # It ends only if it runs while the tests are collected.
        "program": "#!/bin/sh\nread -r line <collected && echo $line >finished\n",
        "test_late.py": LATE,
    }
    done = run_suite(tmp_path, files, "-n", "1", "--beside", "./program")
    assert done.returncode == 0, done.stdout + done.stderr


def test_failed_program_prevents_the_tests(tmp_path: Path) -> None:
    files = {"passes": "#!/bin/sh\n", "fails": "#!/bin/sh\necho why >&2\nexit 7\n", "test_noted.py": NOTED}
    done = run_suite(tmp_path, files, "-n", "1", "--beside", "./passes", "--beside", "./fails")
    assert (done.returncode, done.stderr) == (7, "why\n")
    assert list(tmp_path.glob("ran-*")) == []


def test_errors_of_collection_are_shown(tmp_path: Path) -> None:
    files = {"test_noted.py": NOTED, "test_wrong.py": "import a_module_that_is_missing"}
    done = run_suite(tmp_path, files, "-n", "2")
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "No module named 'a_module_that_is_missing'" in done.stdout
    assert list(tmp_path.glob("ran-*")) == []


BROKEN = """
def test_before():
    pass

import a_module_that_is_missing

def test_lost():
    assert False
"""
CONFTEST = """
import a_module_that_is_missing
import pytest

@pytest.fixture(autouse=True)
def lost():
    assert False
"""


@pytest.mark.parametrize("option", ["-x", "--maxfail=1", "--continue-on-collection-errors"])
def test_broken_module_is_an_error_with_any_option(tmp_path: Path, option: str) -> None:
    done = run_suite(tmp_path, {"test_broken.py": BROKEN}, "-n", "2", option)
    assert done.returncode in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
    assert "No module named 'a_module_that_is_missing'" in done.stdout


def test_broken_conftest_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    done = run_suite(tmp_path, {"sub/conftest.py": CONFTEST, "sub/test_noted.py": NOTED}, "-n", "1", "sub")
    assert done.returncode != 0
    assert "No module named 'a_module_that_is_missing'" in done.stdout + done.stderr


def test_skipped_module_is_reported(tmp_path: Path) -> None:
    skipped = "import pytest\npytest.skip('no camera', allow_module_level=True)\n"
    done = run_suite(tmp_path, {"test_noted.py": NOTED, "test_skipped.py": skipped}, "-n", "1", "-rs")
    assert done.returncode == 0
    assert "no camera" in done.stdout
    assert "4 passed, 1 skipped" in done.stdout


def test_workers_have_the_ids_from_functions(tmp_path: Path) -> None:
    escaped = "import pytest\n@pytest.mark.parametrize('text', ['\\\\ud800'], ids=repr)\ndef test_a(text):\n    pass\n"
    listed = run_suite(tmp_path, {"test_escaped.py": escaped}, "--collect-only").stdout.splitlines()[0]
    assert "ud800" in listed
    done = run_suite(tmp_path, {}, "-n", "1", listed)
    assert (done.returncode, done.stderr) == (0, "")


def test_module_that_starts_a_thread_is_an_error(tmp_path: Path) -> None:
    starts = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    done = run_suite(tmp_path, {"test_noted.py": starts + NOTED}, "-n", "1")
    assert done.returncode == 1
    assert "expected no threads after the collection of the tests, got 1: " in done.stderr
    assert list(tmp_path.glob("ran-*")) == []


def test_failures_of_tests_are_the_result(tmp_path: Path) -> None:
    done = run_suite(tmp_path, {"test_failing.py": "def test_failing():\n    assert 1 == 2"}, "-n", "1")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "assert 1 == 2" in done.stdout
