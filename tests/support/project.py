"""Functions that run pytest, with the mock's plugin, on tests as a user would write them."""

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
    """Run pytest on the code `tests` in this process, which is faster than a subprocess."""
    pytester.makepyfile(tests)
    return pytester.runpytest_inprocess(*OPTIONS, *options)


def run_apart(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run pytest on the code `tests` in a subprocess, which has its own event loop, plugins and environment."""
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess(*OPTIONS, *options, timeout=120)


def seed_and_story(output: str) -> str:
    return output.partition("the seed that failed")[2].partition("short test summary")[0]
