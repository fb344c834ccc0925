"""Tests of the event loop of a simulated run: order, virtual time, work in threads, tasks, limits and shutdown."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import AsyncGeneratorType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.sim.loop import THREAD_WORK, EndlessError, SimulatedLoop, SimulationDeadlockError
from tests.support.simulated_loops import ended, play

WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("WHERE", default="nowhere")


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 - virtual time, which costs nothing


def now() -> float:
    return asyncio.get_running_loop().time()


def test_callbacks_run_in_the_scheduled_order() -> None:
    async def scenario() -> list[int]:
        ran: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(50):
            loop.call_soon(ran.append, number)
        await wait(0)
        return ran

    assert play(scenario) == list(range(50))


def test_ready_tasks_run_in_turn() -> None:
    async def scenario() -> str:
        said: list[str] = []

        async def say(word: str) -> None:
            for _ in range(3):
                said.append(word)
                await wait(0)

        await asyncio.gather(say("a"), say("b"), say("c"))
        return "".join(said)

    assert play(scenario) == "abcabcabc"


@given(st.lists(st.floats(0, 1e6, allow_nan=False), max_size=20))
def test_timers_fire_by_time_and_creation_order(delays: list[float]) -> None:
    async def scenario() -> list[tuple[float, int]]:
        fired: list[tuple[float, int]] = []

        def fire(number: int) -> None:
            fired.append((now(), number))

        for number, delay in enumerate(delays):
            asyncio.get_running_loop().call_later(delay, fire, number)
        await wait(2e6)
        return fired

    assert play(scenario) == sorted((delay, number) for number, delay in enumerate(delays))


def test_timeout_of_a_year_expires_at_once() -> None:
    async def scenario() -> float:
        year = 365 * 86400
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(year):
                await asyncio.get_running_loop().create_future()
        return now() / year

    assert play(scenario) == 1


def test_cancelled_timer_does_not_fire() -> None:
    async def scenario() -> float:
        fired: list[str] = []
        asyncio.get_running_loop().call_later(5, fired.append, "never").cancel()
        await wait(10)
        assert not fired
        return now()

    assert play(scenario) == 10


def test_executor_runs_its_work_in_order() -> None:
    async def scenario() -> tuple[list[int], float]:
        done: list[int] = []
        executor = ThreadPoolExecutor(1)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(executor, done.append, number) for number in range(20)))
        return done, now()

    for seed in range(5):
        done, took = play(scenario, seed=seed)
        assert done == list(range(20))
        assert THREAD_WORK[0] < took < THREAD_WORK[1]


def test_order_of_thread_work_depends_on_the_seed() -> None:
    async def scenario() -> tuple[int, ...]:
        done: list[int] = []
        await asyncio.gather(*(asyncio.to_thread(done.append, number) for number in range(10)))
        return tuple(done)

    orders = [play(scenario, seed=seed) for seed in range(10)]
    assert len(set(orders)) > 5
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders == [play(scenario, seed=seed) for seed in range(10)]


def test_cancelled_thread_work_never_runs() -> None:
    async def scenario() -> list[str]:
        done: list[str] = []
        work = asyncio.get_running_loop().run_in_executor(None, done.append, "never")
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await wait(1)
        return done

    assert play(scenario) == []


def test_thread_work_raises_where_it_is_awaited() -> None:
    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)

    play(scenario)


def test_thread_work_has_no_event_loop() -> None:
    def look() -> tuple[bool, str]:
        return asyncio._get_running_loop() is None, WHERE.get()

    async def scenario() -> tuple[object, object, object]:
        WHERE.set("here")
        of_executor = await asyncio.get_running_loop().run_in_executor(None, look)
        to_thread = await asyncio.to_thread(look)
        return of_executor, to_thread, asyncio.get_running_loop() is not None

    assert play(scenario) == ((True, "nowhere"), (True, "here"), True)


def test_task_group_cancels_tasks_in_reproducible_order() -> None:
    async def scenario() -> list[str]:
        ended: list[str] = []

        async def stay(name: str) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(name)

        async with asyncio.TaskGroup() as tasks:  # a TaskGroup keeps its tasks in a set
            mine = [tasks.create_task(stay(str(number))) for number in range(40)]
            await wait(1)
            for task in set(mine):
                task.cancel()
        return ended

    # A set is ordered by hash, and the hash of a task is its creation number. The order also depends on the table size.
    assert play(scenario) == play(scenario, seed=2)
    assert sorted(play(scenario), key=int) == [str(number) for number in range(40)]


def test_task_hashes_do_not_depend_on_memory_addresses() -> None:
    async def scenario() -> list[int]:
        tasks = [asyncio.ensure_future(wait(1)) for _ in range(5)]
        hashes = [hash(task) for task in tasks]
        await asyncio.gather(*tasks)
        return hashes

    first = play(scenario)
    clutter = [object() for _ in range(1000)]
    assert play(scenario) == first == list(range(first[0], first[0] + 5))
    assert clutter


def test_task_equals_only_itself() -> None:
    async def scenario() -> None:
        one, other = asyncio.ensure_future(wait(1)), asyncio.ensure_future(wait(1))
        assert one == one
        assert one != other
        assert len({one, other, one}) == 2
        await asyncio.gather(one, other)

    play(scenario)


def test_waiting_without_a_wake_up_is_a_deadlock() -> None:
    async def scenario() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationDeadlockError):
        play(scenario)


def test_busy_waiting_task_is_reported_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.sim.loop.BUSY", 1000)

    async def spinning() -> None:
        while True:
            await wait(0)

    with pytest.raises(EndlessError, match=r"no virtual time passed.*task-\d+ at .*test_loop.py:\d+ in spinning"):
        play(spinning)


def test_limit_stops_an_endless_task() -> None:
    async def scenario() -> None:
        while True:
            await wait(1)

    with closing(SimulatedLoop(1)) as loop:
        loop.allow(100)
        with pytest.raises(EndlessError, match="by second 100 of virtual time"):
            loop.run_until_complete(scenario())
    assert loop.time() == 101


def test_failure_of_an_unawaited_task_is_returned_once() -> None:
    async def fail() -> None:
        raise ValueError("raised by a task that is not awaited")

    async def scenario() -> list[BaseException]:
        task = asyncio.ensure_future(fail())
        await wait(1)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        assert task.done()
        return [*loop.take_failures(), *loop.take_failures()]

    (error,) = play(scenario)
    assert str(error) == "raised by a task that is not awaited"


def test_exception_in_a_callback_fails_the_run() -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().call_soon(divmod, 1, 0)
        await wait(1)

    with pytest.raises(ZeroDivisionError):
        play(scenario)


def test_end_cancels_running_tasks_in_order() -> None:
    ended_are: list[int] = []

    async def stay(number: int) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await wait(1)
            ended_are.append(number)

    async def scenario() -> list[asyncio.Task[None]]:
        tasks = [asyncio.ensure_future(stay(number)) for number in range(20)]
        await wait(1)
        return tasks

    assert all(task.done() for task in play(scenario))
    assert ended_are == list(range(20))


def test_end_closes_the_loop_despite_a_stubborn_task() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await wait(10)
            except asyncio.CancelledError:
                continue

    async def scenario() -> asyncio.Task[None]:
        task = asyncio.ensure_future(stubborn())
        await wait(1)
        return task

    with closing(SimulatedLoop(1)) as loop:
        task = loop.run_until_complete(scenario())
        loop.end()
        assert loop.is_closed()
        assert not task.done()
        task._log_destroy_pending = False


async def numbers(closed: list[float]) -> AsyncGenerator[int, None]:
    """Yield the numbers 0 to 9; closing the generator takes half a second."""
    try:
        for number in range(10):
            yield number
    finally:
        await wait(0.5)
        closed.append(now())


def test_abandoned_generator_is_closed() -> None:
    async def scenario() -> list[float]:
        closed: list[float] = []
        async for number in numbers(closed):
            if number == 2:
                break
        assert not closed
        await wait(1)
        return closed

    assert play(scenario) == [0.5]


def test_end_closes_generators_still_in_use() -> None:
    closed: list[float] = []

    async def scenario() -> AsyncGenerator[int, None]:
        generator = numbers(closed)
        await anext(generator)
        await wait(1)
        return generator

    generator = play(scenario)
    assert closed == [1.5]
    assert isinstance(generator, AsyncGeneratorType)
    assert generator.ag_frame is None


def test_trace_hash_depends_only_on_the_seed() -> None:
    async def scenario() -> None:
        await asyncio.gather(*(asyncio.to_thread(int) for _ in range(20)))

    def trace(seed: int) -> str:
        with ended(SimulatedLoop(seed)) as loop:
            loop.run_until_complete(scenario())
            return loop.trace_hash()

    assert trace(1) == trace(1) != trace(2)
