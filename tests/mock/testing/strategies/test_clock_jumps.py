"""Jumps of a clock that are drawn: of every usual size, in both directions, one after the other."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.clock import MANUAL_START, ManualClock
from odyssey_mock.testing.strategies import ClockJump, clock_jump_lists, clock_jumps
from odyssey_mock.testing.strategies.clock import DAY, HOUR, TYPICAL_JUMPS
from tests.support.drawing import FEW, any_of, drawn, smallest


@FEW
@given(clock_jumps())
def test_a_jump_is_one_and_no_longer_than_a_day(seconds: float) -> None:
    assert 0.001 <= abs(seconds) <= 86_400


@FEW
@given(clock_jumps(largest=10 * 365 * DAY))
def test_there_is_a_date_after_every_jump(seconds: float) -> None:
    """As the mock's clock and its JSON have them."""
    assert abs(ManualClock(MANUAL_START + seconds).time() - (MANUAL_START + seconds)) < 0.001
    assert datetime.fromtimestamp(MANUAL_START + seconds, UTC).isoformat()


@FEW
@given(st.floats(0.001, 10 * DAY), st.data())
def test_a_jump_is_no_larger_than_was_asked_for(largest: float, data: st.DataObject) -> None:
    assert abs(data.draw(clock_jumps(largest=largest))) <= largest
    assert 0 < data.draw(clock_jumps(largest=largest, backwards=False)) <= largest


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1, 60, 3600, 86_400])
def test_every_usual_jump_is_drawn_in_both_directions(seconds: float, sign: int) -> None:
    any_of(clock_jumps(), lambda jump: jump == sign * seconds)


def test_months_and_years_are_drawn_where_they_may_be() -> None:
    for seconds in TYPICAL_JUMPS:
        any_of(clock_jumps(largest=TYPICAL_JUMPS[-1]), lambda jump, seconds=seconds: jump == -seconds)  # type: ignore[misc]  # of this turn


def test_unusual_ones_are_drawn_too() -> None:
    examples = drawn(clock_jumps(), 300)
    assert any(abs(jump) not in TYPICAL_JUMPS and abs(jump) > HOUR for jump in examples)
    assert any(abs(jump) not in TYPICAL_JUMPS and jump != int(jump) for jump in examples)


@FEW
@given(clock_jump_lists(max_size=4, within=60.0, largest=HOUR))
def test_jumps_come_one_after_the_other_within_their_time(jumps: list[ClockJump]) -> None:
    assert len(jumps) <= 4
    assert all(jump.after >= 0 and 0 < abs(jump.by) <= HOUR for jump in jumps)
    assert math.fsum(jump.after for jump in jumps) <= 60.0 + 1e-9


def test_lists_of_every_length_are_drawn_and_jumps_at_one_moment_and_back_again() -> None:
    assert {len(jumps) for jumps in drawn(clock_jump_lists(), 100)} == {0, 1, 2, 3}
    any_of(clock_jump_lists(), lambda jumps: len(jumps) > 1 and jumps[1].after == 0)
    any_of(clock_jump_lists(), lambda jumps: len(jumps) > 1 and jumps[0].by == -jumps[1].by)
    any_of(clock_jump_lists(), lambda jumps: len(jumps) > 1 and jumps[1].after > 60)


@FEW
@given(clock_jump_lists(backwards=False))
def test_no_list_goes_back_where_that_is_not_wanted(jumps: list[ClockJump]) -> None:
    assert all(jump.by > 0 for jump in jumps)


def test_the_simplest_jump_is_a_second_and_the_simplest_list_has_none() -> None:
    assert smallest(clock_jumps()) == 1.0
    assert smallest(clock_jumps(), lambda jump: jump < 0) == -1.0
    assert smallest(clock_jump_lists()) == []
    assert smallest(clock_jump_lists(), bool) == [ClockJump(0, 1.0)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: clock_jumps(largest=0), "from 0.001 on, got 0"),
        (lambda: clock_jumps(largest=math.inf), "got inf"),
        (lambda: clock_jumps(largest=math.nan), "got nan"),
        (lambda: clock_jump_lists(max_size=-1), "got -1"),
        (lambda: clock_jump_lists(within=math.inf), "inf"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
