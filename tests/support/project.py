"""Runs the tests of a fictitious user's project with pytest and the mock's pytest plugin."""

import pytest

OPTIONS = (
    "-p",
    "no:cacheprovider",
    "-W",
    "error",
    "--strict-markers",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
)


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run the tests in this process, because starting a subprocess takes longer than most tests."""
    pytester.makepyfile(tests)
    return pytester.runpytest_inprocess(*OPTIONS, *options)


def run_apart(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run the tests in a subprocess, with its own event loop, plugins and environment."""
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess(*OPTIONS, *options, timeout=120)


def seed_and_story(output: str) -> str:
    return output.partition("the seed that failed")[2].partition("short test summary")[0]
