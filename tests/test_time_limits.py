"""Tests that the plugin in `tests/support/time_limits.py` ends every kind of hanging test."""

import re
from pathlib import Path

import pytest

from tests.support.project import run_fork

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]

CONFIGURATION = f"""
[pytest]
pythonpath = {ROOT}
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
timeout = 0.5
timeout_method = signal
"""

CONFTEST = """
import odyssey_mock.testing.simulated
from tests.support.time_limits import TimeLimits

def pytest_configure(config):
    config.pluginmanager.register(TimeLimits(again=0.5))
"""

HANGING = """
import asyncio
import threading

import pytest
from hypothesis import given, strategies as st

async def test_coroutine():
    await asyncio.Event().wait()

async def test_task_that_is_always_busy():
    async def busy():
        while True:
            pass

    task = asyncio.create_task(busy())
    await asyncio.Event().wait()

async def test_code_that_catches_every_exception():
    while True:
        try:
            await asyncio.sleep(1000)
        except Exception:
            pass

@given(st.integers())
def test_example(number):
    if number > 5:
        threading.Event().wait()

@pytest.mark.odyssey_sim(seeds=100)
async def test_simulated(odyssey_sim):
    while True:
        pass

@pytest.fixture
def ends_never():
    yield
    threading.Event().wait()

def test_tidying_up_after_a_failure(ends_never):
    assert False

@pytest.mark.timeout(0)
def test_last():
    pass
"""


def test_hanging_tests_are_ended(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # otherwise pytest truncates the reasons
    pytester.makeini(CONFIGURATION)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(HANGING)
    ran = run_fork(pytester, "-p", "no:cacheprovider", "--tb=short", limit_s=60.0)
    ran.assert_outcomes(passed=1, failed=6, errors=1)
    ended = re.findall(r"^(\w+) \S+::(\w+) - .*(TimeLimit|assert)", ran.stdout.str(), re.MULTILINE)
    assert sorted(ended) == [
        ("ERROR", "test_tidying_up_after_a_failure", "TimeLimit"),
        ("FAILED", "test_code_that_catches_every_exception", "TimeLimit"),
        ("FAILED", "test_coroutine", "TimeLimit"),
        ("FAILED", "test_example", "TimeLimit"),
        ("FAILED", "test_simulated", "TimeLimit"),
        ("FAILED", "test_task_that_is_always_busy", "TimeLimit"),
        ("FAILED", "test_tidying_up_after_a_failure", "assert"),
    ]


def test_pytest_timeout_is_below_faulthandler_timeout(pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("timeout")) < float(pytestconfig.getini("faulthandler_timeout"))
