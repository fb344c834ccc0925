"""Functions that run pytest, with the mock's plugin, on tests as a user would write them."""

import atexit
import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from tests.support import forking

OPTIONS = (
    "-p",
    "no:cacheprovider",
    "-W",
    "error",
    "--strict-markers",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
)

LIMIT_S = 120.0
"""Timeout in seconds for one run; most take less than 2 s."""


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run pytest on the code `tests` in this process, which is faster than a subprocess."""
    pytester.makepyfile(tests)
    return pytester.runpytest_inprocess(*OPTIONS, *options)


def run_apart(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run pytest on the code `tests` in a subprocess, which has its own event loop, plugins and environment."""
    pytester.makepyfile(tests)
    return run_fork(pytester, *OPTIONS, *options)


def run_new(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run pytest on the code `tests` in a new interpreter, which has imported nothing yet."""
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess(*OPTIONS, *options, timeout=LIMIT_S)


def run_fork(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest with `options` in a fork of a process that has already imported pytest and the mock (`forking.py`).

    The result is the same as that of `pytester.runpytest_subprocess`, which takes 2 s more processor time.
    """
    if sys.platform != "linux":
        return pytester.runpytest_subprocess(*options, timeout=LIMIT_S)
    output, errors = pytester.path / "stdout", pytester.path / "stderr"
    for file in (output, errors):
        file.write_text("")
    paths = filter(None, [str(pytester.path), os.environ.get("PYTHONPATH")])
    run = forking.Run(
        arguments=[f"--basetemp={pytester.path / 'basetemp'}", *options],
        folder=str(pytester.path),
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        output=str(output),
        errors=str(errors),
        limit_s=LIMIT_S,
    )
    began = time.perf_counter()
    parent = forking_process()
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(run.to_line())
    parent.stdin.flush()
    status = json.loads(parent.stdout.readline())
    lasted = time.perf_counter() - began
    print(output.read_text(), errors.read_text(), sep="\n")
    if status is None:
        raise pytester.TimeoutExpired(
            f"expected pytest with the options {options} to end within {LIMIT_S:g} s, but it was still running"
        )
    return pytest.RunResult(status, output.read_text().splitlines(), errors.read_text().splitlines(), lasted)


@cache
def forking_process() -> subprocess.Popen[str]:
    """Start `forking.py` on the first call; return its process, which ends when this process exits."""
    process = subprocess.Popen(
        [sys.executable, str(Path(forking.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process with threads cannot be forked
    )

    def end() -> None:
        process.communicate()

    atexit.register(end)
    return process


def seed_and_story(output: str) -> str:
    return output.partition("the seed that failed")[2].partition("short test summary")[0]
