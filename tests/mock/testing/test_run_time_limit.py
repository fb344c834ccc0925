"""Tests of the time limit of chaos runs, a SIGALRM timer that must restore the timer of another plugin."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from odyssey_mock.testing.run_time_limit import EXCEEDED, LIMIT, RunTimeLimitError, RunTimeLimits


@pytest.fixture
def other_alarm() -> Iterator[list[int]]:
    """Start a SIGALRM timer of 100 s, as another plugin may do; yield the list of signals received by its handler."""
    rung: list[int] = []

    def ring(signum: int, _frame: FrameType | None) -> None:
        rung.append(signum)

    handler = signal.signal(signal.SIGALRM, ring)
    seconds, interval = signal.setitimer(signal.ITIMER_REAL, 100.0)
    yield rung
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds, interval)


def test_time_limit_interrupts_and_restores_other_timer(request: pytest.FixtureRequest, other_alarm: list[int]) -> None:
    item: pytest.Item = request.node
    item.stash[LIMIT] = 0.05
    hook = RunTimeLimits().pytest_runtest_call(item)
    next(hook)
    with pytest.raises(RunTimeLimitError, match=r"the test did not end within 0\.05 s"):
        signal.pause()
    with pytest.raises(StopIteration):
        next(hook)
    assert item.stash[EXCEEDED]
    del item.stash[EXCEEDED], item.stash[LIMIT]

    assert other_alarm == []
    assert 90.0 < signal.getitimer(signal.ITIMER_REAL)[0] < 100.0
    signal.raise_signal(signal.SIGALRM)
    assert other_alarm == [signal.SIGALRM]


def test_run_without_limit_starts_no_timer(request: pytest.FixtureRequest, other_alarm: list[int]) -> None:
    hook = RunTimeLimits().pytest_runtest_call(request.node)
    next(hook)
    signal.raise_signal(signal.SIGALRM)
    assert other_alarm == [signal.SIGALRM]
    with pytest.raises(StopIteration):
        next(hook)
