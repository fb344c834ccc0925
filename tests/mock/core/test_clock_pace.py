"""Tests of the pace of clocks: pause, resume, speed, and the next deadline."""

import asyncio
import itertools
import math
import sys
import threading
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import ClockKindError
from odyssey_mock.core.clock import MANUAL_START, ManualClock, RealClock
from tests.support.simulated_loops import play
from tests.support.simulated_worlds import wait

LIMIT = 5.0

millis = st.integers(0, 50)


@dataclass(frozen=True)
class Step:
    """One call on a clock, or a wait in real time. `amount` is in milliseconds, or a speed."""

    do: str
    amount: int = 0


steps = st.one_of(
    st.builds(Step, st.sampled_from(["wait", "advance", "schedule"]), millis),
    st.builds(Step, st.just("speed"), st.sampled_from([1, 2, 3, 7, 100])),
    st.builds(Step, st.sampled_from(["pause", "resume", "next"])),
)


@given(st.lists(steps, max_size=25))
def test_any_sequence_of_paces_keeps_time_and_order(sequence: list[Step]) -> None:
    """A model predicts the time. Deadlines fire once, in order, and none while the clock stands still."""

    async def scenario() -> None:
        fired: list[tuple[int, float, float]] = []
        due: list[float] = []
        passed = paused_firings = 0.0
        speed, is_paused, is_moved = 1, False, True
        async with RealClock() as clock:
            begin, shown = clock.monotonic(), clock.time()
            clock.observe(lambda each: fired.append((int(each.name), clock.monotonic() - begin, each.when)))
            for step in [*sequence, Step("resume"), Step("wait", 1)]:
                before = len(fired)
                is_moved = step.do in {"advance", "next"} or not is_paused
                match step.do:
                    case "wait":
                        await wait(step.amount / 1000)
                        passed += 0 if is_paused else step.amount / 1000 * speed
                    case "advance":
                        await clock.advance(step.amount / 1000)
                        passed += step.amount / 1000
                    case "next":
                        pending = clock.pending
                        reached = await clock.advance_to_next()
                        assert reached is (pending[0] if pending else None)
                        passed = max(passed, due[int(reached.name)]) if reached else passed
                    case "schedule":
                        due.append(passed + step.amount / 1000)
                        clock.call_later(step.amount / 1000, str(len(due) - 1), lambda: None)
                    case "speed":
                        clock.set_speed(step.amount)
                        speed = step.amount
                    case _:
                        getattr(clock, step.do)()
                        is_paused = step.do == "pause"
                if step.do in {"advance", "next"}:
                    reached_due = {number for number, at in enumerate(due) if at <= passed + 1e-9}
                    assert reached_due <= {number for number, _, _ in fired}
                paused_firings += 0 if is_moved else len(fired) - before
                assert clock.time() >= shown
                shown = clock.time()
                assert clock.monotonic() - begin == pytest.approx(passed, abs=1e-5)
                assert (clock.speed, clock.is_paused) == (speed, is_paused)
        order = [number for number, _, _ in fired]
        assert order == sorted(order, key=lambda number: (round(due[number], 6), number))
        assert {number for number, at in enumerate(due) if at <= passed - 1e-5} <= set(order)
        assert all(at >= due[number] - 1e-5 for number, at, _ in fired)
        assert len(order) == len(set(order))
        assert paused_firings == 0

    play(scenario)


def test_pending_deadline_moves_with_the_speed() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with RealClock() as clock:
            begun, fired = loop.time(), list[float]()
            clock.call_later(100, "limit", lambda: fired.append(loop.time() - begun))
            await wait(10)
            clock.set_speed(10)  # 90 seconds are left, which take 9
            await wait(5)
            clock.pause()
            await wait(1000)
            clock.resume()
            await wait(5)
            assert fired == [pytest.approx(1019)]

    play(scenario)


class CoarseLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves in large steps, as that of some systems does."""

    def time(self) -> float:
        return math.floor(super().time() * 20) / 20


def test_deadlines_due_at_one_instant_fire_in_order() -> None:
    """asyncio calls timers of the same time in any order."""

    async def scenario() -> list[str]:
        fired: list[str] = []
        async with RealClock() as clock:
            last = asyncio.Event()
            clock.observe(lambda deadline: fired.append(deadline.name))
            for number in range(10):
                clock.call_later(0.01, str(number), lambda: None)
            clock.call_later(0.1, "last", last.set)
            async with asyncio.timeout(LIMIT):
                await last.wait()
        return fired

    with asyncio.Runner(loop_factory=CoarseLoop) as runner:
        assert runner.run(scenario()) == [*map(str, range(10)), "last"]


async def test_time_never_goes_back_in_other_threads() -> None:
    loop = asyncio.get_running_loop()
    seen = [0.0]
    is_over = threading.Event()
    interval = sys.getswitchinterval()
    async with RealClock() as clock:

        def read() -> None:
            while not is_over.is_set():
                seen.append(clock.monotonic())

        reader = threading.Thread(target=read)
        sys.setswitchinterval(1e-6)
        reader.start()
        try:
            end = loop.time() + 0.3
            for speed in itertools.cycle((1.0, 1000.0)):
                clock.set_speed(speed)
                if loop.time() > end:
                    break
        finally:
            is_over.set()
            sys.setswitchinterval(interval)
            await asyncio.to_thread(reader.join)
    back = [(before, after) for before, after in itertools.pairwise(seen) if after < before]
    assert not back, f"the time went back {len(back)} times in {len(seen)} reads, first from and to {back[0]}"


async def test_fractional_advances_of_paused_clock_add_up() -> None:
    clock = RealClock()
    clock.pause()
    fired: list[str] = []
    async with clock:
        clock.call_later(1, "limit", lambda: fired.append("limit"))
        for seconds in (0.7, 0.1, 0.1):
            await clock.advance(seconds)
        assert fired == []
        await clock.advance(0.1)  # the sum of the floats is less than 1
        assert fired == ["limit"]


def test_pace_can_change_during_an_advance() -> None:
    async def scenario() -> None:
        fired: list[str] = []

        async def slow() -> None:
            clock.pause()
            await wait(5)

        async with RealClock() as clock:
            begin = clock.monotonic()
            clock.call_later(1, "slow", slow)
            clock.call_later(30, "later", lambda: fired.append("later"))
            await clock.advance(20)
            assert clock.monotonic() - begin == pytest.approx(20)
            await wait(100)
            assert fired == []
            clock.resume()
            await wait(11)
            assert fired == ["later"]

    play(scenario)


async def test_next_deadline_beyond_year_9999_is_rejected() -> None:
    for clock in (ManualClock(), RealClock()):
        async with clock:
            clock.call_later(1e12, "never", lambda: pytest.fail("expected no callback after the year 9999"))
            before = clock.time()
            with pytest.raises(ValueError, match="year 9999"):
                await clock.advance_to_next()
            assert clock.time() - before < 1


async def test_next_of_a_manual_clock_skips_cancelled_deadlines() -> None:
    clock = ManualClock()
    fired: list[str] = []
    clock.call_later(1, "cancelled", lambda: fired.append("cancelled")).cancel()
    clock.call_later(0.1 + 0.2, "first", lambda: fired.append("first"))
    clock.call_later(0.3, "second", lambda: fired.append("second"))
    reached = await clock.advance_to_next()
    assert reached is not None
    assert reached.name == "first"
    assert clock.time() - MANUAL_START == pytest.approx(0.3)
    assert fired == ["first", "second"]
    assert await clock.advance_to_next() is None


async def test_observers_see_changes_of_the_pace() -> None:
    async with RealClock() as clock:
        changes: list[str] = []
        clock.observe_pace(changes.append)
        for change in (clock.resume, clock.pause, clock.pause, partial(clock.set_speed, 2), clock.resume):
            change()
        clock.set_speed(2)
    assert changes == ["paused", "speed changed", "resumed"]


async def test_pace_can_be_set_before_the_start() -> None:
    clock = RealClock()
    clock.set_speed(2)
    clock.pause()
    async with clock:
        before = clock.monotonic()
        await clock.advance(1)
        assert clock.monotonic() - before == pytest.approx(1)
        assert (clock.speed, clock.is_paused) == (2, True)


def test_manual_clock_has_no_pace() -> None:
    clock = ManualClock()
    for change in (clock.pause, clock.resume, partial(clock.set_speed, 2)):
        with pytest.raises(ClockKindError, match="got a manual clock, which stands still"):
            change()
    assert (clock.speed, clock.is_paused) == (None, False)


@pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan, 1_000_001])
async def test_invalid_change_of_speed_is_rejected(speed: float) -> None:
    async with RealClock(3) as clock:
        with pytest.raises(ValueError, match="speed must be a number above 0"):
            clock.set_speed(speed)
        assert clock.speed == 3
