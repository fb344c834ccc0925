"""Calls that end with their client: what they wait for is cut off, what their user does is not."""

import asyncio
import contextlib

import pytest

from odyssey_client.client.in_flight import Call, InFlightCalls
from odyssey_client.errors import ConnectionClosedError
from odyssey_client.system import SystemClock


async def test_a_step_that_waits_is_cut_off_with_an_error_that_names_the_call() -> None:
    calls = InFlightCalls()
    waiting = [asyncio.create_task(wait_forever(calls.begin(name))) for name in ("simulate", "get_recording")]
    await turns()
    await calls.end()
    for task, name in zip(waiting, ("simulate", "get_recording"), strict=True):
        with pytest.raises(ConnectionClosedError, match=rf"closed by disconnect\(\) while {name}\(\) was under way"):
            await task


async def test_the_end_waits_until_a_step_has_cleaned_up() -> None:
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


async def test_two_ends_at_once_both_wait_until_a_step_has_cleaned_up() -> None:
    calls, may_leave = InFlightCalls(), asyncio.Event()
    step = asyncio.create_task(clean_up_slowly(calls, may_leave))
    await turns()
    ends = [asyncio.create_task(calls.end()) for _ in range(2)]
    await turns()
    assert not any(end.done() for end in ends)
    assert not calls.are_waiting, "what was told to end is nothing that began later"
    may_leave.set()
    await asyncio.gather(*ends)
    with pytest.raises(ConnectionClosedError):
        await step


async def test_a_step_that_ends_its_client_as_it_is_ended_does_not_wait_for_itself() -> None:
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


async def test_between_two_steps_a_call_goes_on_and_ends_at_the_next() -> None:
    calls = InFlightCalls()
    call = calls.begin("wait_for_simulation")
    async with call.step():
        pass
    await calls.end()
    await turns()
    with pytest.raises(ConnectionClosedError, match="wait_for_simulation"):
        async with call.step():
            pytest.fail("it may not begin")


async def test_calls_that_begin_after_an_end_go_on() -> None:
    calls = InFlightCalls()
    await calls.end()
    await calls.end()
    async with calls.begin("simulate").step():
        await turns()


async def test_what_a_step_raises_and_returns_passes_through_time_outs_too() -> None:
    calls = InFlightCalls()
    for error in (ZeroDivisionError, TimeoutError, asyncio.CancelledError):
        with pytest.raises(error):
            async with calls.begin("simulate").step():
                raise error
    assert not calls.are_waiting


async def test_a_step_that_is_cancelled_is_cancelled_and_not_closed() -> None:
    calls = InFlightCalls()
    task = asyncio.create_task(wait_forever(calls.begin("simulate")))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not calls.are_waiting


async def test_a_step_is_known_while_it_lasts() -> None:
    calls = InFlightCalls()
    seen = [calls.are_waiting]
    async with calls.begin("simulate").step():
        seen.append(calls.are_waiting)
    seen.append(calls.are_waiting)
    assert seen == [False, True, False]


async def test_a_step_that_ends_its_client_itself_ends_with_it() -> None:
    calls = InFlightCalls()
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionClosedError):
            async with calls.begin("download_recording").step():
                await calls.end()


def test_steps_of_an_event_loop_that_is_gone_are_passed_over() -> None:
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
    """Let the others run."""
    for _ in range(number):
        await SystemClock().sleep(0)
