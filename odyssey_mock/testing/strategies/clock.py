"""Jumps of a wall clock: what a machine's time does when it is set, and a program's must bear."""

import math
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

SECOND, HOUR, DAY = 1.0, 3600.0, 86_400.0

TYPICAL_JUMPS = (SECOND, 0.001, 0.5, 60.0, HOUR, DAY, 30 * DAY, 365 * DAY)
"""Seconds: a leap second, what a time server corrects, a summer time gone wrong, the wrong day, month and year."""


class ClockJump(NamedTuple):
    """One step of a wall clock."""

    after: float
    """Seconds that pass before it, since the beginning or the jump before; on a clock that does not jump."""
    by: float
    """Seconds by which it steps: forwards above 0, backwards below."""


def clock_jumps(*, largest: float = DAY, backwards: bool = True) -> SearchStrategy[float]:
    """Draw the seconds by which a wall clock steps: not 0, mostly a second, a minute, an hour or a day.

    ::

        @given(clock_jumps())
        def test_my_cache_outlives_a_clock_that_is_set(seconds):
            clock.jump(seconds)
            assert cache.get("token")

    Args:
        largest: Seconds, at most, in either direction.
        backwards: Whether it may go back.

    Raises:
        ValueError: `largest` is no number above 0.001, or infinite.
    """
    if not (math.isfinite(largest) and largest >= TYPICAL_JUMPS[1]):
        raise ValueError(f"expected largest to be a number of seconds from {TYPICAL_JUMPS[1]} on, got {largest!r}")
    typical = [seconds for seconds in TYPICAL_JUMPS if seconds <= largest]
    forwards = st.sampled_from(typical) | st.floats(TYPICAL_JUMPS[1], largest)
    return forwards | forwards.map(lambda seconds: -seconds) if backwards else forwards


def clock_jump_lists(
    *, max_size: int = 3, within: float = HOUR, largest: float = DAY, backwards: bool = True
) -> SearchStrategy[list[ClockJump]]:
    """Draw the jumps of one run, in order.

    ::

        @given(clock_jump_lists(within=60))
        def test_my_session_outlives_a_restless_clock(jumps):
            for jump in jumps:
                clock.pass_by(jump.after)
                clock.jump(jump.by)

    Args:
        max_size: How many, at most.
        within: Seconds in which all of them happen.
        largest: Seconds of one of them, at most, in either direction.
        backwards: Whether they may go back.

    Raises:
        ValueError: one of these is no such number.
    """
    if max_size < 0 or not (math.isfinite(within) and within >= 0):
        raise ValueError(f"expected max_size and within to be 0 or more, got {max_size!r} and {within!r}")
    jumps = clock_jumps(largest=largest, backwards=backwards)
    each = st.tuples(st.integers(0, math.floor(within)) | st.floats(0, within), jumps)
    return st.lists(each, max_size=max_size).map(_in_order)


def _in_order(drawn: list[tuple[float, float]]) -> list[ClockJump]:
    passed, jumps = 0.0, []
    for at, by in sorted(drawn, key=lambda jump: jump[0]):
        jumps.append(ClockJump(at - passed, by))
        passed = at
    return jumps
