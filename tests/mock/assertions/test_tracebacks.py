"""Tests that a failed assertion of the mock has a traceback with the line of the test, without code of the mock."""

import re

import pytest

from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]

FAILING = """
import pytest

from odyssey_mock import FrameStamp, assert_frames

frames = [FrameStamp(1, number, 0, 0) for number in (0, 2)]


def test_expect(odyssey_mock):
    odyssey_mock.expect("offer")  # fails


def test_expect_none(odyssey_mock):
    odyssey_mock.journal.record("note", "offer")
    odyssey_mock.expect_none("offer")  # fails


def test_expect_in_order(odyssey_mock):
    odyssey_mock.expect_in_order(["offer", "answer"])  # fails


def test_wait_for(odyssey_mock):
    odyssey_mock.wait_for("signaling", "offer", 0.01)  # fails


def test_journal_wait_for(odyssey_mock):
    odyssey_mock.journal.wait_for("signaling", "offer", 0.01)  # fails


@pytest.mark.asyncio
async def test_async_wait_for(odyssey_mock):
    await odyssey_mock.aio.wait_for("signaling", "offer", 0.01)  # fails


@pytest.mark.asyncio
async def test_blocking_call_in_event_loop(odyssey_mock):
    odyssey_mock.wait_for("signaling", "offer", 0.01)  # fails


def test_invalid_fault(odyssey_mock):
    odyssey_mock.faults.add(at="nowhere", do="reset")  # fails


def test_real_clock(odyssey_mock):
    odyssey_mock.advance(-1)  # fails


def test_unknown_stream(odyssey_mock):
    odyssey_mock.stream("st_1").reached("ended")  # fails


def test_reached(odyssey_mock):
    odyssey_mock.journal.record("state", "simulation", {"to": "failed", "job": "job_1"})
    odyssey_mock.job("job_1").reached("completed")  # fails


def test_not_reached(odyssey_mock):
    odyssey_mock.journal.record("state", "simulation", {"to": "failed", "job": "job_1"})
    odyssey_mock.job("job_1").not_reached("failed")  # fails


def test_unknown_state(odyssey_mock):
    odyssey_mock.journal.record("state", "simulation", {"to": "failed", "job": "job_1"})
    odyssey_mock.job("job_1").reached("done")  # fails


def test_requests(odyssey_mock):
    assert len(odyssey_mock.requests("POST /sessions/token")) == 1  # fails


def test_unknown_route(odyssey_mock):
    odyssey_mock.requests("POST /session/token")  # fails


def test_assert_frames():
    assert_frames(frames)  # fails


def test_no_frames():
    assert_frames([])  # fails


def test_no_stream():
    assert_frames(frames, stream=2)  # fails


def test_invalid_argument():
    assert_frames(frames, count=0)  # fails


def test_missing_time():
    assert_frames(frames, max_age_ms=1)  # fails


def test_no_frame():
    assert_frames(["frame"])  # fails
"""


def test_failures_point_at_the_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, FAILING, "--tb=long")
    result.assert_outcomes(failed=FAILING.count("# fails"))
    output = result.stdout.str()
    lines = [number for number, line in enumerate(FAILING.splitlines(), 0) if line.endswith("# fails")]
    shown = re.findall(r"^(\S+\.py):(\d+): (?:\w+Error|in |$)", output, re.MULTILINE)
    assert shown == [("test_failures_point_at_the_test.py", str(number)) for number in lines]
    assert "odyssey_mock/" not in output.partition("= FAILURES =")[2]


def test_short_summary_shows_the_public_name(pytester: pytest.Pytester) -> None:
    result = run(pytester, FAILING, "-k", "test_no_frames")
    result.stdout.fnmatch_lines(["E*odyssey_mock.ExpectationError: expected frames, got none; *"])


def test_failed_assert_shows_the_requests(pytester: pytest.Pytester) -> None:
    result = run(pytester, FAILING, "-k", "test_requests")
    result.stdout.fnmatch_lines(["E*where 0 = len(<0 requests POST /sessions/token>)"])
