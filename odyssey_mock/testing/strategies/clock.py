"""Strategies for jumps of a wall clock, which happen when the time of a machine is set."""

import math
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

SECOND, HOUR, DAY = 1.0, 3600.0, 86_400.0

TYPICAL_JUMPS = (SECOND, 0.001, 0.5, 60.0, HOUR, DAY, 30 * DAY, 365 * DAY)
"""Typical jumps in seconds: a leap second, corrections by a time server, a wrong time zone, day, month or year."""


class ClockJump(NamedTuple):
    """One jump of a wall clock."""

    after: float
    """Seconds since the previous jump, or since the start of the run, on a clock that does not jump."""
    by: float
    """Seconds by which the clock jumps: forwards if positive, backwards if negative."""


def clock_jumps(*, largest: float = DAY, backwards: bool = True) -> SearchStrategy[float]:
    """Draw the seconds by which a wall clock jumps: never 0, typically a second, a minute, an hour or a day.

    ::

        @given(clock_jumps())
        def test_cache_survives_clock_jump(seconds):
            clock.jump(seconds)
            assert cache.get("token")

    Args:
        largest: Maximum seconds of a jump, in either direction.
        backwards: Whether the clock may jump backwards.

    Raises:
        ValueError: `largest` is below 0.001 or not finite.
    """
    if not (math.isfinite(largest) and largest >= TYPICAL_JUMPS[1]):
        raise ValueError(f"largest must be a finite number of seconds, {TYPICAL_JUMPS[1]} or more, got {largest!r}")
    typical = [seconds for seconds in TYPICAL_JUMPS if seconds <= largest]
    forwards = st.sampled_from(typical) | st.floats(TYPICAL_JUMPS[1], largest)
    return forwards | forwards.map(lambda seconds: -seconds) if backwards else forwards


def clock_jump_lists(
    *, max_size: int = 3, within: float = HOUR, largest: float = DAY, backwards: bool = True
) -> SearchStrategy[list[ClockJump]]:
    """Draw the clock jumps of one run, in order.

    ::

        @given(clock_jump_lists(within=60))
        def test_session_survives_clock_jumps(jumps):
            for jump in jumps:
                clock.pass_by(jump.after)
                clock.jump(jump.by)

    Args:
        max_size: Maximum number of jumps.
        within: Seconds within which all jumps happen.
        largest: Maximum seconds of a jump, in either direction.
        backwards: Whether the clock may jump backwards.

    Raises:
        ValueError: `max_size` or `within` is negative, or `within` is not finite, or `largest` is invalid for
            `clock_jumps`.
    """
    if max_size < 0 or not (math.isfinite(within) and within >= 0):
        raise ValueError(f"max_size and within must be 0 or more and finite, got {max_size!r} and {within!r}")
    jumps = clock_jumps(largest=largest, backwards=backwards)
    each = st.tuples(st.integers(0, math.floor(within)) | st.floats(0, within), jumps)
    return st.lists(each, max_size=max_size).map(_in_order)


def _in_order(drawn: list[tuple[float, float]]) -> list[ClockJump]:
    passed, jumps = 0.0, []
    for at, by in sorted(drawn, key=lambda jump: jump[0]):
        jumps.append(ClockJump(at - passed, by))
        passed = at
    return jumps
