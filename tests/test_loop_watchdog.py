"""Tests of the watchdog of event loops (`tests/support/loop_watchdog.py`)."""

import asyncio
import time

import pytest

from tests.support.loop_watchdog import ATTEMPTS, SlowCallbackError, again_if_slow, loop_watchdog


def spin(seconds: float) -> None:
    """Compute for `seconds` of CPU time."""
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        sum(range(1000))


async def test_long_callback_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.loop_watchdog.allowed", lambda limit: limit)  # a tracer would raise it
    with loop_watchdog() as watchdog:
        asyncio.get_running_loop().call_soon(spin, 0.4)
        await asyncio.sleep(0)  # noqa: TID251 - lets the callback run; no time passes
    with pytest.raises(SlowCallbackError, match=r"at most .* for a computation, got 0\.4.* spin"):
        watchdog.assert_responsive("a computation")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("slow", [0, 1, ATTEMPTS - 1, ATTEMPTS])
def test_slow_measurement_is_repeated(slow: int, is_async: bool) -> None:
    calls: list[str] = []

    def measure(name: str) -> int:
        calls.append(name)
        if len(calls) <= slow:
            raise SlowCallbackError
        return len(calls)

    async def measure_async(name: str) -> int:
        return measure(name)

    def run() -> int:
        return asyncio.run(again_if_slow(measure_async)("x")) if is_async else again_if_slow(measure)("x")

    if slow < ATTEMPTS:
        assert run() == slow + 1
    else:
        with pytest.raises(SlowCallbackError):
            run()
        assert len(calls) == ATTEMPTS
    assert set(calls) == {"x"}


def test_other_failures_are_not_repeated() -> None:
    calls: list[None] = []

    @again_if_slow
    def fail() -> None:
        calls.append(None)
        raise AssertionError("expected 1, got 2")

    with pytest.raises(AssertionError, match="expected 1"):
        fail()
    assert len(calls) == 1
