"""Tests of `@pytest.mark.odyssey_chaos` in a user's project, with pytest-asyncio in strict mode."""

import json
from typing import Any

import pytest

from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]

PING = """
import os, time, unittest
import httpx, pytest

def ping():
    url = os.environ["ODYSSEY_API_URL"] + "/ping/us-east-1"
    return httpx.get(url, trust_env=False, verify=False).status_code  # it would parse all roots of certifi
"""
"""The first lines of each test file: a function that requests the ping URL of a region and returns the status."""


def results(pytester: pytest.Pytester, name: str = "report.json") -> dict[str, dict[str, str]]:
    """Read a JSON report; return its verdicts as `{test: {fault: verdict}}`.

    The names of tests omit the file. The descriptions of faults omit the fault point.
    """
    report: dict[str, Any] = json.loads((pytester.path / name).read_text())
    return {
        test["test"].partition("::")[2]: {
            each["fault"].removeprefix(f"{each['point']}: "): each["verdict"] for each in test["runs"]
        }
        for test in report["tests"]
    }


def test_each_fault_is_run_as_own_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
@pytest.mark.odyssey_chaos(points="rest.regions.ping", exclude=["*:delay", "*:no_answer"])
def test_region(odyssey_mock):
    assert ping() < 500, "the region does not respond"
        """,
        "-v",
        "--odyssey-chaos-report=report.json",
        "--odyssey-chaos-report=report.html",
    )
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*::test_region PASSED*16%*",
            "*::test_region[[]chaos rest.regions.ping: status 503, every time[]] FAILED*33%*",
            "*= odyssey chaos runs =*",
            "1 test, 5 runs: 2 passed, 3 failed",
            "*::test_region",
            "  failed       rest.regions.ping: status 503, every time *AssertionError: the region does not respond",
            "  passed       rest.regions.ping: not_json, every time | wrong_shape, every time",
            "report: report.json",
        ]
    )
    assert list(results(pytester)["test_region"].values()) == ["failed", "failed", "failed", "passed", "passed"]
    assert (pytester.path / "report.html").read_text().startswith("<!doctype html>")


def test_hung_run_is_interrupted_and_cleaned_up(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
import asyncio, threading

once = pytest.mark.odyssey_chaos(points="*:status", exclude="server", time_limit=2)

@once
def test_sync_code(odyssey_mock):
    if ping() == 503:
        threading.Event().wait()  # a sync wait

@once
@pytest.mark.asyncio
async def test_async_code(odyssey_mock):
    try:
        if await asyncio.to_thread(ping) == 503:
            await asyncio.Event().wait()  # an async wait
    finally:
        await asyncio.sleep(0)
        print("cleaned up")

@once
@pytest.mark.asyncio
async def test_canceled_code_that_passes(odyssey_mock):
    if await asyncio.to_thread(ping) == 503:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        """,
        "--odyssey-chaos-report=report.json",
    )
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["> *# a sync wait", "> *# an async wait", "cleaned up"])
    result.stdout.fnmatch_lines(["*hung *rest.regions.ping: status 503, every time  did not end within 2 s"])
    assert [each for runs in results(pytester).values() for each in runs.values()] == ["hung", "hung", "hung"]


def test_hung_teardown_leaves_later_tests_intact(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
import threading

@pytest.fixture
def slow(odyssey_mock):
    status = ping()
    yield
    if status == 503:
        threading.Event().wait()

@pytest.mark.odyssey_chaos(points="rest.regions.ping:status", time_limit=1)
def test_slow(slow):
    pass

@pytest.mark.odyssey_chaos(points="rest.regions.ping:status")
def test_later(odyssey_mock):
    ping()
        """,
        "--odyssey-chaos-report=report.json",
    )
    result.assert_outcomes(passed=3, failed=1, errors=1)
    assert [list(runs.values()) for runs in results(pytester).values()] == [["hung"], ["passed"]]


def test_run_with_failed_subtest_is_failed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
@pytest.mark.odyssey_chaos(points="rest.regions.ping:status")
@pytest.mark.usefixtures("odyssey_mock")
class TestUnit(unittest.TestCase):
    def test_subtests(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertLess(ping(), 500)
        """,
        "--odyssey-chaos-report=report.json",
    )
    result.stdout.fnmatch_lines(["  failed       rest.regions.ping: status 503, every time  AssertionError: 503 *"])
    assert list(results(pytester)["TestUnit::test_subtests"].values()) == ["failed"]


def test_each_run_has_its_own_fixtures(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
keys, begun = set(), []

@pytest.fixture(scope="module")
def module_wide():
    begun.append("module")
    yield
    begun.append("end of module")

@pytest.fixture
def own(module_wide):
    begun.append("test")
    yield
    begun.append("end of test")

@pytest.mark.odyssey_chaos(points="rest.regions.ping:[nw]o*_*", exclude="*:no_answer")
@pytest.mark.odyssey_chaos(points="rest.regions.ping:wrong_shape")
def test_region(odyssey_mock, own):
    keys.add(odyssey_mock.api_key)
    assert len(odyssey_mock.journal.find("rest")) == 0
    ping()

def test_after():
    assert (len(keys), begun) == (2, ["module", *["test", "end of test"] * 2])
        """,
    )
    result.assert_outcomes(passed=3)


def test_every_kind_of_test_can_be_marked(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
pytestmark = pytest.mark.odyssey_chaos(points="rest.regions.ping:wrong_shape")

@pytest.mark.parametrize("number", [1, 2])
def test_parameters(odyssey_mock, number):
    ping()

class TestClass:
    def test_method(self, odyssey_mock):
        ping()

@pytest.mark.usefixtures("odyssey_mock")
class TestUnit(unittest.TestCase):
    def test_unit(self):
        ping()

@pytest.mark.odyssey(clock="manual")
@pytest.mark.asyncio
async def test_async(odyssey_mock):
    ping()
        """,
        "-v",
        "-n2",
        "--odyssey-chaos-report=report.json",
    )
    result.assert_outcomes(passed=10)
    result.stdout.fnmatch_lines_random(
        [
            "*::test_parameters[[]2-chaos rest.regions.ping: wrong_shape, every time[]]*",
            "*::TestUnit::test_unit[[]chaos rest.regions.ping: wrong_shape, every time[]]*",
            "5 tests, 5 runs: 5 passed",
        ]
    )
    expected = {
        "test_parameters[1]",
        "test_parameters[2]",
        "TestClass::test_method",
        "TestUnit::test_unit",
        "test_async",
    }
    assert set(results(pytester)) == expected


def test_run_is_skipped_if_fault_never_fired(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
runs = []

@pytest.mark.odyssey_chaos(points="*:wrong_shape")
def test_region(odyssey_mock):
    if not runs:
        ping()
    runs.append(1)
        """,
        "-rs",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "1 test, 1 run: 1 not reached",
            "SKIPPED [[]1[]] *: not reached: the fault did not act in this run",
        ]
    )


def test_skip_or_expected_failure_counts_as_failed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
chaos = pytest.mark.odyssey_chaos(points="*:status", exclude="server")

@chaos
def test_skipped(odyssey_mock):
    if ping() == 503:
        pytest.skip("no region")

@chaos
@pytest.mark.xfail
def test_expected_failure(odyssey_mock):
    assert ping() < 500, "not supported yet"
        """,
        "--odyssey-chaos-report=new/report.json",
    )
    result.assert_outcomes(passed=1, skipped=1, xpassed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "2 tests, 2 runs: 2 failed",
            "  failed       rest.regions.ping: status 503, every time  Skipped: no region",
            "  failed       rest.regions.ping: status 503, every time  AssertionError: not supported yet*",
        ]
    )
    assert [list(runs.values()) for runs in results(pytester, "new/report.json").values()] == [["failed"], ["failed"]]


def test_test_failing_without_fault_is_not_repeated(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
@pytest.mark.odyssey_chaos
def test_failure(odyssey_mock):
    ping()
    assert False

@pytest.mark.odyssey_chaos
def test_skipped(odyssey_mock):
    ping()
    pytest.skip("not today")
        """,
    )
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.no_fnmatch_line("*odyssey chaos runs*")


def test_invalid_marker_fails_its_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
import pytest

chaos = pytest.mark.odyssey_chaos

@chaos(points="rest.*")
def test_without_mock():
    pass

@chaos("rest.*")
def test_positional(odyssey_mock):
    pass

@chaos(point="rest.*")
def test_unknown_keyword(odyssey_mock):
    pass

@chaos(points=[3])
def test_no_pattern(odyssey_mock):
    pass

@chaos(time_limit=0)
def test_no_time(odyssey_mock):
    pass

@chaos(time_limit=float("inf"))
def test_no_limit(odyssey_mock):
    pass
        """,
    )
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.odyssey_chaos: the test must use the fixture odyssey_mock: add odyssey_mock to *",
            "@pytest.mark.odyssey_chaos: expected only the keywords points, exclude and time_limit, got 'rest.?'",
            "@pytest.mark.odyssey_chaos: expected only the keywords points, exclude and time_limit, got point",
            "@pytest.mark.odyssey_chaos: points must be a glob pattern of fault points, or a list of them, got [[]3[]]",
            "@pytest.mark.odyssey_chaos: time_limit must be a number of seconds above 0, got 0",
            "@pytest.mark.odyssey_chaos: time_limit must be a number of seconds above 0, got inf",
        ]
    )


def test_pattern_without_match_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
@pytest.mark.odyssey_chaos(points="job.*")
def test_no_match(odyssey_mock):
    ping()

@pytest.mark.odyssey_chaos(points="jobs.*")
def test_no_such_point(odyssey_mock):
    ping()

@pytest.mark.odyssey_chaos
def test_no_request(odyssey_mock):
    pass
        """,
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.odyssey_chaos: expected patterns of fault points that the run reached (*), got 'job.?'",
            "@pytest.mark.odyssey_chaos: the pattern 'jobs.?' matches no fault point and no point:action; *",
            "@pytest.mark.odyssey_chaos: expected the run to use the mock, got a run that reached no fault point: *",
        ]
    )


def test_report_of_other_format_is_rejected(pytester: pytest.Pytester) -> None:
    result = run(pytester, "", "--odyssey-chaos-report=report.txt")
    result.stderr.fnmatch_lines(["ERROR: *a file name that ends with .html or .json, got 'report.txt'"])


def test_option_x_ends_runs_at_first_failure(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        PING
        + """
@pytest.fixture(scope="module")
def shared():
    yield
    print("shared fixture ended")

@pytest.mark.odyssey_chaos(points="rest.regions.ping:[stw]*")
def test_region(odyssey_mock, shared):
    assert ping() < 500
        """,
        "-x",
        "-s",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*shared fixture ended*", "1 test, 1 run: 1 failed; 2 of 3 runs not completed"])


def test_pytest_timeout_limits_each_run_separately(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_timeout_set_timer(item):
            print("set for", item.name)

        def pytest_timeout_cancel_timer(item):
            print("canceled for", item.name)
        """
    )
    result = run(
        pytester,
        PING
        + """
@pytest.mark.odyssey_chaos(points="rest.regions.ping:wrong_shape")
def test_region(odyssey_mock):
    ping()
        """,
        "-o",
        "timeout=60",
        "-s",
    )
    result.assert_outcomes(passed=2)
    lines = [line for line in result.stdout.str().splitlines() if " for test_region" in line]
    run_id = "test_region[chaos rest.regions.ping: wrong_shape, every time]"
    assert [line[line.index("set for" if "set for" in line else "canceled") :] for line in lines][:4] == [
        "set for test_region",
        "canceled for test_region",
        f"set for {run_id}",
        f"canceled for {run_id}",
    ]
