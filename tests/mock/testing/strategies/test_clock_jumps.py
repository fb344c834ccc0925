"""Tests of the strategies for clock jumps: the size and direction of a jump, and lists of jumps."""

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
def test_default_jump_is_at_most_one_day(seconds: float) -> None:
    assert 0.001 <= abs(seconds) <= 86_400


@FEW
@given(clock_jumps(largest=10 * 365 * DAY))
def test_every_jump_leads_to_valid_date(seconds: float) -> None:
    """The time after a jump is valid for the mock's clock and can be written as an ISO date."""
    assert abs(ManualClock(MANUAL_START + seconds).time() - (MANUAL_START + seconds)) < 0.001
    assert datetime.fromtimestamp(MANUAL_START + seconds, UTC).isoformat()


@FEW
@given(st.floats(0.001, 10 * DAY), st.data())
def test_jump_is_at_most_as_large_as_requested(largest: float, data: st.DataObject) -> None:
    assert abs(data.draw(clock_jumps(largest=largest))) <= largest
    assert 0 < data.draw(clock_jumps(largest=largest, backwards=False)) <= largest


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1, 60, 3600, 86_400])
def test_typical_jumps_are_drawn_in_both_directions(seconds: float, sign: int) -> None:
    any_of(clock_jumps(), lambda jump: jump == sign * seconds)


def test_months_and_years_are_drawn_if_allowed() -> None:
    for seconds in TYPICAL_JUMPS:
        any_of(clock_jumps(largest=TYPICAL_JUMPS[-1]), lambda jump, seconds=seconds: jump == -seconds)  # type: ignore[misc]  # bound in this iteration


def test_untypical_jumps_are_drawn_too() -> None:
    examples = drawn(clock_jumps(), 300)
    assert any(abs(jump) not in TYPICAL_JUMPS and abs(jump) > HOUR for jump in examples)
    assert any(abs(jump) not in TYPICAL_JUMPS and jump != int(jump) for jump in examples)


@FEW
@given(clock_jump_lists(max_size=4, within=60.0, largest=HOUR))
def test_all_jumps_happen_within_given_time(jumps: list[ClockJump]) -> None:
    assert len(jumps) <= 4
    assert all(jump.after >= 0 and 0 < abs(jump.by) <= HOUR for jump in jumps)
    assert math.fsum(jump.after for jump in jumps) <= 60.0 + 1e-9


def test_lists_of_every_length_and_kind_are_drawn() -> None:
    assert {len(jumps) for jumps in drawn(clock_jump_lists(), 100)} == {0, 1, 2, 3}
    any_of(clock_jump_lists(), lambda jumps: len(jumps) > 1 and jumps[1].after == 0)
    any_of(clock_jump_lists(), lambda jumps: len(jumps) > 1 and jumps[0].by == -jumps[1].by)
    any_of(clock_jump_lists(), lambda jumps: len(jumps) > 1 and jumps[1].after > 60)


@FEW
@given(clock_jump_lists(backwards=False))
def test_lists_without_backward_jumps_can_be_requested(jumps: list[ClockJump]) -> None:
    assert all(jump.by > 0 for jump in jumps)


def test_simplest_jump_is_one_second() -> None:
    assert smallest(clock_jumps()) == 1.0
    assert smallest(clock_jumps(), lambda jump: jump < 0) == -1.0
    assert smallest(clock_jump_lists()) == []
    assert smallest(clock_jump_lists(), bool) == [ClockJump(0, 1.0)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: clock_jumps(largest=0), "0.001 or more, got 0"),
        (lambda: clock_jumps(largest=math.inf), "got inf"),
        (lambda: clock_jumps(largest=math.nan), "got nan"),
        (lambda: clock_jump_lists(max_size=-1), "got -1"),
        (lambda: clock_jump_lists(within=math.inf), "inf"),
    ],
)
def test_invalid_arguments_are_rejected_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
