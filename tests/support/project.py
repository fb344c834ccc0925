"""Functions that run pytest, with the mock's plugin, on tests as a user would write them."""

import os
import time

import pytest

from tests.support.forks import run_pytest

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


def run_fork(pytester: pytest.Pytester, *options: str, limit_s: float = LIMIT_S) -> pytest.RunResult:
    """Run pytest with `options` in a fork of a process that has already imported pytest and the mock (`forks.py`).

    The result is the same as that of `pytester.runpytest_subprocess`, which takes 2 s more processor time, with one
    difference: no root certificates are trusted, also if the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name some.
    Each client of httpx would take 25 ms to parse them.
    """
    paths = [str(pytester.path), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {
        "PYTHONPATH": os.pathsep.join(paths),
        "SSL_CERT_FILE": "",
        "SSL_CERT_DIR": str(pytester.path),
    }
    began = time.perf_counter()
    ran = run_pytest(
        f"--basetemp={pytester.path / 'basetemp'}",
        *options,
        folder=pytester.path,
        environment={**os.environ, **variables},
        limit_s=limit_s,
    )
    lasted = time.perf_counter() - began
    print(ran.stdout, ran.stderr, sep="\n")
    return pytest.RunResult(ran.returncode, ran.stdout.splitlines(), ran.stderr.splitlines(), lasted)


def seed_and_story(output: str) -> str:
    return output.partition("the seed that failed")[2].partition("short test summary")[0]
