"""Tests of the loop without a log: it runs the callbacks of `SimulatedLoop` in the same order, at the same times."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.sim.loop import EndlessError, SimulatedLoop, SimulationDeadlockError
from odyssey_mock.sim.unlogged_loop import UnloggedLoop
from tests.support.simulated_loops import ended

type Step = tuple[str, float, int]
"""What a program does: its kind, a delay in seconds, and the number of the callback that it cancels."""

KINDS = (
    *("call_soon", "call_later", "call_at", "call_later and forget"),
    *("cancel", "cancel soon", "cancel later"),
    *("task", "thread", "generator", "wait"),
)

# Some delays are drawn often, so that several timers have the same time.
steps = st.tuples(st.sampled_from(KINDS), st.sampled_from([0.0, 1.0, 2.0]) | st.floats(0, 3), st.integers(0, 10))


class Callback:
    """A callback that notes when it runs and when it is released. When it runs, it also calls `act`."""

    def __init__(self, name: str, note: Callable[[str], None], act: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._note = note
        self._act = act

    def __call__(self) -> None:
        self._note(self._name)
        self._act()

    def __del__(self) -> None:
        self._note(f"{self._name} is released")


def events_of(make: Callable[[int], SimulatedLoop], seed: int, program: list[Step]) -> list[tuple[float, str]]:
    """Run a program on a loop; return the times and names of all callbacks that ran or were released."""
    events: list[tuple[float, str]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        handles: list[asyncio.Handle] = []
        tasks: list[asyncio.Future[None]] = []

        def note(name: str) -> None:
            events.append((loop.time(), name))

        def cancel(number: int) -> None:
            if number < len(handles):
                handles[number].cancel()

        async def note_twice(name: str, delay: float) -> None:
            note(name)
            await asyncio.sleep(delay)  # noqa: TID251 - virtual time, which costs nothing
            note(name)

        async def items(name: str, delay: float) -> AsyncGenerator[int, None]:
            try:
                yield 1
            finally:
                await note_twice(name, delay)

        for number, (kind, delay, cancelled) in enumerate(program):
            name = f"{kind} {number}"
            match kind:
                case "call_soon":
                    handles.append(loop.call_soon(Callback(name, note)))
                case "call_later":
                    handles.append(loop.call_later(delay, Callback(name, note)))
                case "call_at":
                    handles.append(loop.call_at(loop.time() + delay, Callback(name, note)))
                case "call_later and forget":
                    loop.call_later(delay, Callback(name, note))
                case "cancel":
                    cancel(cancelled)
                case "cancel soon":
                    handles.append(loop.call_soon(Callback(name, note, partial(cancel, cancelled))))
                case "cancel later":
                    handles.append(loop.call_later(delay, Callback(name, note, partial(cancel, cancelled))))
                case "task":
                    tasks.append(loop.create_task(note_twice(name, delay)))
                case "thread":
                    tasks.append(loop.run_in_executor(None, note, name))
                case "generator":
                    async for _ in items(name, delay):
                        break  # the generator is forgotten, and the loop closes it
                case _:
                    await asyncio.sleep(delay)  # noqa: TID251 - as above
        await asyncio.sleep(10)  # noqa: TID251 - as above
        handles.clear()  # a callback that refers to the handles is released only without them
        await asyncio.gather(*tasks)

    with ended(make(seed)) as loop:
        loop.run_until_complete(scenario())
    return events


@given(st.integers(0, 1000), st.lists(steps, max_size=12))
def test_callbacks_are_those_of_the_logged_loop(seed: int, program: list[Step]) -> None:
    assert events_of(UnloggedLoop, seed, program) == events_of(SimulatedLoop, seed, program)


@pytest.mark.parametrize("make", [SimulatedLoop, UnloggedLoop])
def test_cancelled_callback_lives_until_its_turn(make: Callable[[int], SimulatedLoop]) -> None:
    soon: list[Step] = [("call_soon", 0, 0), ("call_soon", 0, 0), ("cancel", 0, 1)]
    later: list[Step] = [("call_later", 1, 0), ("cancel", 0, 2), ("call_later", 2, 0)]
    assert events_of(make, 1, soon + later)[:4] == [
        (0, "call_soon 0"),
        (0, "call_soon 1 is released"),
        (2, "call_later 3 is released"),
        (2, "call_later 5"),
    ]


@pytest.mark.parametrize("make", [SimulatedLoop, UnloggedLoop])
def test_stopped_run_ends_with_its_task(make: Callable[[int], SimulatedLoop]) -> None:
    ran: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.stop)
        try:
            await loop.create_future()
        finally:
            loop.call_soon(ran.append, "after the task")
            ran.append("the task")

    with ended(make(1)) as loop:
        with pytest.raises(SimulationDeadlockError, match="never completed"):
            loop.run_until_complete(scenario())
        assert ran == ["the task"]


def test_exception_in_a_callback_fails_the_run() -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().call_soon(divmod, 1, 0)
        await asyncio.sleep(1)  # noqa: TID251 - virtual time

    with ended(UnloggedLoop(1)) as loop, pytest.raises(ZeroDivisionError):
        loop.run_until_complete(scenario())


def test_busy_task_ends_the_run() -> None:
    async def scenario() -> None:
        while True:  # noqa: ASYNC110 - this is what the loop has to notice
            await asyncio.sleep(0)  # noqa: TID251 - lets other tasks run

    with ended(UnloggedLoop(1)) as loop, pytest.raises(EndlessError, match="while no virtual time passed"):
        loop.run_until_complete(scenario())


def test_limit_ends_the_run() -> None:
    async def scenario() -> None:
        while True:  # noqa: ASYNC110 - as above
            await asyncio.sleep(1)  # noqa: TID251 - virtual time

    with ended(UnloggedLoop(1)) as loop:
        loop.allow(100)
        with pytest.raises(EndlessError, match="by second 100 of virtual time"):
            loop.run_until_complete(scenario())
        assert loop.time() == 101


def test_task_that_waits_for_nothing_is_a_deadlock() -> None:
    async def scenario() -> None:
        await asyncio.get_running_loop().create_future()

    with ended(UnloggedLoop(1)) as loop, pytest.raises(SimulationDeadlockError):
        loop.run_until_complete(scenario())


@pytest.mark.parametrize("schedule", [UnloggedLoop.call_soon, lambda loop, what: loop.call_later(1, what)])
def test_ended_loop_refuses_callbacks(schedule: Callable[[SimulatedLoop, Callable[[], object]], object]) -> None:
    with ended(UnloggedLoop(1)) as loop:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        schedule(loop, list)
