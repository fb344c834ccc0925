"""Tests of `InFlightCalls`: `end` cancels calls that wait in a block of `Call.step`, and waits for their cleanup."""

import asyncio
import contextlib

import pytest

from odyssey_client.client.in_flight import Call, InFlightCalls
from odyssey_client.errors import ConnectionClosedError
from odyssey_client.system import SystemClock


async def test_end_cancels_waiting_step_and_names_call() -> None:
    calls = InFlightCalls()
    waiting = [asyncio.create_task(wait_forever(calls.begin(name))) for name in ("simulate", "get_recording")]
    await turns()
    await calls.end()
    for task, name in zip(waiting, ("simulate", "get_recording"), strict=True):
        with pytest.raises(ConnectionClosedError, match=rf"closed by disconnect\(\) while {name}\(\) was under way"):
            await task


async def test_end_waits_for_cleanup_of_step() -> None:
    calls, cleaned = InFlightCalls(), asyncio.Event()

    async def step() -> None:
        async with calls.begin("simulate").step():
            try:
                await asyncio.Event().wait()
            finally:
                await turns()
                cleaned.set()

    task = asyncio.create_task(step())
    await turns()
    await calls.end()
    assert cleaned.is_set()
    with pytest.raises(ConnectionClosedError):
        await task


async def test_concurrent_ends_both_wait_for_cleanup() -> None:
    calls, may_leave = InFlightCalls(), asyncio.Event()
    step = asyncio.create_task(clean_up_slowly(calls, may_leave))
    await turns()
    ends = [asyncio.create_task(calls.end()) for _ in range(2)]
    await turns()
    assert not any(end.done() for end in ends)
    assert not calls.are_waiting, (
        "expected are_waiting to be False after end() cancelled the only waiting call, got True"
    )
    may_leave.set()
    await asyncio.gather(*ends)
    with pytest.raises(ConnectionClosedError):
        await step


async def test_end_called_in_cancelled_steps_cleanup_returns() -> None:
    calls = InFlightCalls()

    async def step() -> None:
        async with calls.begin("download_recording").step():
            try:
                await asyncio.Event().wait()
            finally:
                await calls.end()

    task = asyncio.create_task(step())
    await turns()
    async with asyncio.timeout(5):
        await calls.end()
        with pytest.raises(ConnectionClosedError):
            await task


async def test_call_ended_between_steps_fails_at_next_step() -> None:
    calls = InFlightCalls()
    call = calls.begin("wait_for_simulation")
    async with call.step():
        pass
    await calls.end()
    await turns()
    with pytest.raises(ConnectionClosedError, match="wait_for_simulation"):
        async with call.step():
            pytest.fail("expected step() of an ended call to raise ConnectionClosedError, but its body was run")


async def test_call_begun_after_end_is_not_affected() -> None:
    calls = InFlightCalls()
    await calls.end()
    await calls.end()
    async with calls.begin("simulate").step():
        await turns()


async def test_exceptions_of_a_step_propagate_unchanged() -> None:
    calls = InFlightCalls()
    for error in (ZeroDivisionError, TimeoutError, asyncio.CancelledError):
        with pytest.raises(error):
            async with calls.begin("simulate").step():
                raise error
    assert not calls.are_waiting


async def test_cancelled_step_raises_cancelled_error() -> None:
    calls = InFlightCalls()
    task = asyncio.create_task(wait_forever(calls.begin("simulate")))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not calls.are_waiting


async def test_are_waiting_is_true_only_during_step() -> None:
    calls = InFlightCalls()
    seen = [calls.are_waiting]
    async with calls.begin("simulate").step():
        seen.append(calls.are_waiting)
    seen.append(calls.are_waiting)
    assert seen == [False, True, False]


async def test_step_that_calls_end_is_cancelled() -> None:
    calls = InFlightCalls()
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionClosedError):
            async with calls.begin("download_recording").step():
                await calls.end()


def test_steps_of_stopped_event_loop_are_ignored() -> None:
    calls = InFlightCalls()
    left_behind = asyncio.new_event_loop()
    task = left_behind.create_task(wait_forever(calls.begin("simulate")))
    left_behind.run_until_complete(turns())

    async def elsewhere() -> None:
        assert not calls.are_waiting
        await calls.end()

    asyncio.run(elsewhere())
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        left_behind.run_until_complete(task)
    left_behind.close()


async def wait_forever(call: Call) -> None:
    async with call.step():
        await asyncio.Event().wait()


async def clean_up_slowly(calls: InFlightCalls, may_leave: asyncio.Event) -> None:
    async with calls.begin("simulate").step():
        try:
            await asyncio.Event().wait()
        finally:
            await may_leave.wait()


async def turns(number: int = 5) -> None:
    """Let other tasks run for `number` iterations of the event loop."""
    for _ in range(number):
        await SystemClock().sleep(0)
