"""Tests of clocks: deadlines fire once, in order and at the right time."""

import asyncio
import heapq
import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.clock import (
    MANUAL_START,
    Clock,
    ClockEndError,
    Deadline,
    ManualClock,
    RealClock,
    sleep,
)
from tests.support.simulated_loops import play
from tests.support.simulated_worlds import wait
from tests.support.work_counts import instructions_of

LIMIT = 5.0

millis = st.integers(0, 50)


@dataclass(frozen=True)
class Plan:
    """A deadline after `delay` ms that schedules `children` when it fires."""

    delay: int
    children: tuple["Plan", ...] = ()


plans = st.recursive(
    st.builds(Plan, millis),
    lambda inner: st.builds(Plan, millis, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=12,
)


def schedule(clock: Clock, plan: Plan, name: str, trace: list[tuple[int, str]]) -> None:
    """Schedule a plan on a clock; each deadline appends the time in milliseconds and its name to `trace`."""

    async def fire() -> None:
        trace.append((round((clock.time() - MANUAL_START) * 1000), name))
        for number, child in enumerate(plan.children):
            schedule(clock, child, f"{name}.{number}", trace)
            await settle()

    clock.call_later(plan.delay / 1000, name, fire)


async def settle() -> None:
    """Wait for one iteration of the event loop."""
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn


def expected_trace(plans: list[Plan], end: int) -> list[tuple[int, str]]:
    """Return the trace that a simple model predicts up to `end` ms."""
    queue = [(plan.delay, order, str(order), plan) for order, plan in enumerate(plans)]
    created = len(queue)
    heapq.heapify(queue)
    trace = []
    while queue and queue[0][0] <= end:
        now, _, name, plan = heapq.heappop(queue)
        trace.append((now, name))
        for number, child in enumerate(plan.children):
            heapq.heappush(queue, (now + child.delay, created, f"{name}.{number}", child))
            created += 1
    return trace


@given(st.lists(plans, max_size=6), st.lists(millis, min_size=1, max_size=4))
async def test_manual_clock_fires_by_time_then_creation(wanted: list[Plan], spans: list[int]) -> None:
    clock = ManualClock()
    trace: list[tuple[int, str]] = []
    for order, plan in enumerate(wanted):
        schedule(clock, plan, str(order), trace)
    for span in spans:
        await clock.advance(span / 1000)
    assert trace == expected_trace(wanted, sum(spans))
    assert clock.time() == pytest.approx(MANUAL_START + sum(spans) / 1000, abs=1e-6)


@given(st.lists(millis, max_size=6), st.lists(st.tuples(st.booleans(), millis), min_size=1, max_size=4))
def test_real_clock_fires_in_order_when_advanced(delays: list[int], moves: list[tuple[bool, int]]) -> None:
    """Each of `moves` is (True, milliseconds) to advance the clock, or (False, milliseconds) to wait for this time."""

    async def scenario() -> None:
        fired: list[tuple[int, int]] = []
        async with RealClock(speed=2) as clock:
            begin = clock.time()

            def fires(number: int) -> None:
                fired.append((round((clock.time() - begin) * 1000), number))

            for number, delay in enumerate(delays):
                clock.call_later(delay / 1000, str(number), partial(fires, number))
            for advances, span in moves:
                if advances:
                    await clock.advance(span / 1000)
                else:
                    await wait(span / 1000 / 2)
                await wait(0.0001)  # so that rounding does not decide whether a deadline is due
            passed = sum(span for _, span in moves)
            assert (clock.time() - begin) * 1000 == pytest.approx(passed, abs=1)
            due = sorted((delay, number) for number, delay in enumerate(delays) if delay <= passed)
            assert [number for _, number in fired] == [number for _, number in due]
            assert [at for at, _ in fired] == pytest.approx([delay for delay, _ in due], abs=1)

    play(scenario)


def test_cancelled_advance_leaves_later_deadlines_in_time() -> None:
    async def scenario() -> None:
        async with RealClock() as clock:
            begin, fired = clock.time(), list[float]()
            clock.call_later(10, "endless", lambda: asyncio.Event().wait())  # type: ignore[arg-type, return-value]
            clock.call_later(12, "later", lambda: fired.append(clock.time() - begin))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await clock.advance(20)
            await wait(3)
            assert fired == [pytest.approx(12)]

    play(scenario)


def test_no_deadline_fires_by_itself_during_advance() -> None:
    async def scenario() -> None:
        trace: list[str] = []

        async def slow(name: str) -> None:
            trace.append(f"{name} begins")
            await wait(5)
            trace.append(f"{name} ends")

        async with RealClock() as clock:
            for seconds in (1, 2, 3):
                clock.call_later(seconds, str(seconds), partial(slow, str(seconds)))
            await clock.advance(2)
            assert trace[:4] == ["1 begins", "1 ends", "2 begins", "2 ends"]

    play(scenario)


@pytest.mark.parametrize("make", [ManualClock, RealClock], ids=["manual", "real"])
async def test_cancelled_work_of_a_callback_fails_it(make: Callable[[], ManualClock | RealClock]) -> None:
    fired: list[str] = []

    async def awaits_cancelled_task() -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    async with make() as clock:
        clock.call_later(1, "cancelled", awaits_cancelled_task)
        clock.call_later(2, "next", lambda: fired.append("next"))
        with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="awaited something that was cancelled")):
            await clock.advance(3)
        assert fired == ["next"]


@pytest.mark.parametrize("make", [ManualClock, RealClock], ids=["manual", "real"])
async def test_concurrent_advances_stay_before_the_last_instant(make: Callable[[], ManualClock | RealClock]) -> None:
    async with make() as clock:
        spans = [clock.left - 1000, clock.left - 1000]
        results = await asyncio.gather(*map(clock.advance, spans), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), ClockEndError]
        assert clock.left > 0


@given(st.lists(millis, min_size=1, max_size=6), millis, st.data())
async def test_cancelled_deadline_does_not_fire(delays: list[int], span: int, data: st.DataObject) -> None:
    clock = ManualClock()
    fired: list[int] = []
    deadlines = [
        clock.call_later(delay / 1000, str(number), lambda number=number: fired.append(number))  # type: ignore[misc]
        for number, delay in enumerate(delays)
    ]
    cancelled = data.draw(st.sets(st.sampled_from(range(len(delays)))))
    for number in cancelled:
        deadlines[number].cancel()
    assert {deadline.name for deadline in clock.pending} == {str(n) for n in range(len(delays)) if n not in cancelled}
    await clock.advance(span / 1000)
    assert sorted(fired) == [n for n, delay in enumerate(delays) if delay <= span and n not in cancelled]


async def test_deadline_can_cancel_another_at_the_same_instant() -> None:
    clock = ManualClock()
    fired: list[str] = []
    others: list[Deadline] = []

    def first() -> None:
        fired.append("first")
        others[0].cancel()

    clock.call_later(1, "first", first)
    others.append(clock.call_later(1, "second", lambda: fired.append("second")))
    await clock.advance(1)
    assert fired == ["first"]
    assert clock.pending == []


async def test_fractional_advances_add_up_exactly() -> None:
    clock = ManualClock()
    fired: list[str] = []
    clock.call_later(150, "limit", lambda: fired.append("limit"))
    for _ in range(3):
        await clock.advance(0.1)
    await clock.advance(149.6)
    assert fired == []
    await clock.advance(0.1)
    assert fired == ["limit"]


async def test_concurrent_advances_run_one_after_another() -> None:
    clock = ManualClock()
    trace: list[str] = []

    async def slowly(name: str) -> None:
        trace.append(f"{name} begins")
        await settle()
        trace.append(f"{name} ends")

    clock.call_later(1, "a", lambda: slowly("a"))
    clock.call_later(2, "b", lambda: slowly("b"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.advance(1))
        tasks.create_task(clock.advance(1))
    assert trace == ["a begins", "a ends", "b begins", "b ends"]
    assert clock.time() == MANUAL_START + 2


async def test_manual_clock_stops_at_year_9999() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="year 9999"):
        await clock.advance(1e12)
    assert clock.time() == MANUAL_START
    await clock.advance(clock.left)
    assert formatdate(clock.time(), usegmt=True) == "Fri, 31 Dec 9999 23:59:59 GMT"


def test_real_clock_ends_with_the_year_9999() -> None:
    async def scenario() -> None:
        async with RealClock() as clock:
            await clock.advance(clock.left - 1)
            fired: list[float] = []
            clock.call_later(10, "limit", lambda: fired.append(clock.time()))
            await wait(11)
            assert formatdate(clock.time(), usegmt=True) == "Fri, 31 Dec 9999 23:59:59 GMT"
            assert (fired, clock.left) == ([clock.time()], 0)

    play(scenario)


@pytest.mark.parametrize("seconds", [-1.0, -1e-9, math.nan, math.inf, 10**400])
async def test_invalid_seconds_are_rejected(seconds: float) -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="0 or more"):
        await clock.advance(seconds)
    with pytest.raises(ValueError, match="0 or more"):
        clock.call_later(seconds, "never", lambda: None)
    assert clock.time() == MANUAL_START


async def test_failing_callback_is_raised_after_all_others_ran() -> None:
    clock = ManualClock()
    fired: list[str] = []

    def fail() -> None:
        raise LookupError("raised by the test")

    clock.call_later(1, "broken", fail)
    clock.call_later(2, "sound", lambda: fired.append("sound"))
    with pytest.raises(ExceptionGroup) as failure:
        await clock.advance(3)
    assert fired == ["sound"]
    assert [str(error) for error in failure.value.exceptions] == ["raised by the test"]
    assert failure.value.exceptions[0].__notes__ == ["in the deadline 'broken'"]
    assert clock.time() == MANUAL_START + 3


async def test_callback_cannot_advance_its_own_clock() -> None:
    clock = ManualClock()
    clock.call_later(1, "eager", lambda: clock.advance(1))
    with pytest.raises(ExceptionGroup) as failure:
        await clock.advance(1)
    assert failure.group_contains(RuntimeError, match="from a deadline's callback")
    await clock.advance(1)
    assert clock.time() == MANUAL_START + 2


@pytest.mark.parametrize("make", [ManualClock, RealClock, lambda: RealClock(2)], ids=["manual", "real", "scaled"])
async def test_measured_duration_includes_advanced_seconds(make: Callable[[], ManualClock | RealClock]) -> None:
    async with make() as clock:
        began, started_at = clock.monotonic(), clock.time()
        await clock.advance(3600)
        assert clock.monotonic() - began == pytest.approx(3600, abs=1)
        assert clock.time() - started_at == pytest.approx(3600, abs=1)


async def test_manual_clock_does_not_move_by_itself() -> None:
    clock = ManualClock(start=1000.0)
    clock.call_later(0, "now", lambda: pytest.fail("expected no callback: the clock was not advanced"))
    await settle()
    assert clock.time() == 1000.0
    assert [deadline.when for deadline in clock.pending] == [1000.0]


async def test_real_clock_fires_and_awaits_callbacks() -> None:
    async with RealClock() as clock:
        fired = asyncio.Event()

        async def fire() -> None:
            await settle()
            fired.set()

        deadline = clock.call_later(0.01, "soon", fire)
        assert clock.pending == [deadline]
        async with asyncio.timeout(LIMIT):
            await fired.wait()
        assert clock.time() >= deadline.when - 1e-3
        assert clock.pending == []


async def test_scaled_clock_runs_faster() -> None:
    async with RealClock(speed=1000) as clock:
        fired = asyncio.Event()
        began = clock.time()
        clock.call_later(20, "in 20 ms", fired.set)
        async with asyncio.timeout(LIMIT):
            await fired.wait()
        assert clock.time() - began >= 19.9


async def test_exiting_a_real_clock_ends_its_callbacks() -> None:
    ended: list[str] = []
    async with RealClock() as clock:
        began = asyncio.Event()

        async def endless() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("endless")

        clock.call_later(3600, "in an hour", lambda: pytest.fail("expected no callback after the clock's block"))
        clock.call_later(0, "endless", endless)
        async with asyncio.timeout(LIMIT):
            await began.wait()
    assert ended == ["endless"]
    assert clock.pending == []


async def test_failing_callback_of_real_clock_is_reported() -> None:
    reports: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.put_nowait(context))

    def fail() -> None:
        raise LookupError("raised by the test")

    clock = RealClock()
    await clock.__aenter__()
    clock.call_later(0, "broken", fail)
    async with asyncio.timeout(LIMIT):
        report = await reports.get()
    with pytest.raises(ExceptionGroup) as failure:
        await clock.__aexit__(None, None, None)
    assert report["message"] == "deadline: broken failed"
    assert failure.group_contains(LookupError)


async def test_cancelled_deadline_of_real_clock_does_not_fire() -> None:
    async with RealClock() as clock:
        later = asyncio.Event()
        clock.call_later(0, "cancelled", lambda: pytest.fail("expected no callback of a cancelled deadline")).cancel()
        clock.call_later(0.001, "later", later.set)
        async with asyncio.timeout(LIMIT):
            await later.wait()


def test_real_clock_has_no_time_before_entering() -> None:
    with pytest.raises(RuntimeError, match="enter it first"):
        RealClock().time()


@pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan, 10**400])
def test_invalid_speed_is_rejected(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be a number above 0, and at most 1000000"):
        RealClock(speed)


async def test_sleeping_task_wakes_at_its_instant() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def slept(name: str, *spans: float) -> None:
        for span in spans:
            await sleep(clock, span, name)
            woken.append((name, clock.time() - MANUAL_START))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(slept("one", 10, 5, 30))
        tasks.create_task(slept("two", 12))
        await settle()
        assert [deadline.name for deadline in clock.pending] == ["one", "two"]
        await clock.advance(9.9)
        assert woken == []
        await clock.advance(20.1)
        assert woken == [("one", 10), ("two", 12), ("one", 15)]
        await clock.advance(15)
        assert woken[3:] == [("one", 45)]
    assert clock.pending == []


async def test_advance_waits_for_woken_tasks() -> None:
    clock = ManualClock()
    queues: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in range(6)]

    async def begin() -> None:
        await sleep(clock, 5, "begin")
        queues[0].put_nowait("word")

    async def pass_on(number: int) -> None:
        queues[number + 1].put_nowait(await queues[number].get())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(begin())
        for number in range(5):
            tasks.create_task(pass_on(number))
        await settle()
        await clock.advance(5)
        assert queues[5].get_nowait() == "word"


async def test_cancelled_sleep_leaves_no_deadline() -> None:
    clock = ManualClock()
    task = asyncio.create_task(sleep(clock, 5, "nap"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.pending == []


async def test_sleep_can_be_cancelled_while_waking() -> None:
    clock = ManualClock()

    def cancel() -> None:
        task.cancel()

    clock.call_later(5, "cancel", cancel)
    task = asyncio.create_task(sleep(clock, 5, "nap"))
    await settle()
    await clock.advance(5)
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 10**400])
async def test_invalid_sleep_is_rejected(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be a number, 0 or more"):
        await sleep(ManualClock(), seconds, "never")


async def test_sleep_is_shorter_on_a_scaled_clock() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LIMIT), RealClock(speed=100) as clock:
        before, begun = loop.time(), clock.time()
        await sleep(clock, 5, "nap")
        assert loop.time() - before >= 0.05
        assert clock.time() - begun >= 5
        assert clock.pending == []


@pytest.mark.parametrize("make", [ManualClock, lambda: RealClock(1000)], ids=["manual", "real"])
async def test_observer_sees_deadlines_before_their_callbacks(
    make: Callable[[], ManualClock | RealClock],
) -> None:
    seen: list[str] = []
    async with asyncio.timeout(LIMIT), make() as clock:
        last = asyncio.Event()
        clock.observe(lambda deadline: seen.append(deadline.name))
        clock.call_later(1, "first", lambda: seen.append("happens"))
        clock.call_later(2, "cancelled", lambda: seen.append("never")).cancel()
        clock.call_later(20, "last", last.set)
        await clock.advance(20)
        assert last.is_set()
    assert seen == ["first", "happens", "last"]


@pytest.mark.parametrize("make", [ManualClock, RealClock])
async def test_ended_clock_has_no_observers(make: Callable[[], Clock]) -> None:
    seen: list[object] = []
    clock = make()
    async with clock:
        clock.observe(seen.append)
        clock.observe_advances(lambda *times: seen.append(times))
        clock.observe_pace(seen.append)
    async with clock:
        clock.call_later(1, "later", lambda: None)
        await clock.advance(1)
        if clock.speed is not None:
            clock.set_speed(2)
    assert seen == []


@pytest.mark.parametrize("make", [RealClock, ManualClock])
def test_deadline_takes_no_longer_with_many_others(make: Callable[[], Clock]) -> None:
    async def fire(count: int) -> None:
        async with make() as clock:
            for number in range(count):
                clock.call_later(100 + number, "one of many", lambda: None)
            await clock.advance(100 + count)
            assert clock.pending == []

    few = instructions_of(lambda: asyncio.run(fire(50))) / 50
    many = instructions_of(lambda: asyncio.run(fire(500))) / 500
    assert many < 2 * few


@pytest.mark.parametrize("make", [RealClock, ManualClock])
async def test_cancelled_deadlines_are_forgotten(make: Callable[[], RealClock | ManualClock]) -> None:
    class Session:
        def expire(self) -> None: ...

    sessions = weakref.WeakSet[Session]()
    async with make() as clock:
        kept = clock.call_later(1, "kept", lambda: None)
        for _ in range(1000):
            session = Session()
            sessions.add(session)
            clock.call_later(3600, "expiry", session.expire).cancel()
        del session
        assert not sessions
        assert clock.pending == [kept]
        assert len(clock._deadlines._heap) < 30
