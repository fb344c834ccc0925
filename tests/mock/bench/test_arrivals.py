"""Tests of `Arrivals`."""

import pytest

from odyssey_mock.bench.arrivals import Arrivals


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


def test_constant_delay_is_on_time(arrivals: Arrivals) -> None:
    for frame in range(40):
        arrivals.note(frame / 20, 1000 + frame / 20)

    assert arrivals.on_time(2.0) == 1.0


@pytest.mark.parametrize(("late", "on_time"), [(0.05, 1.0), (0.07, 0.75)])
def test_frame_may_be_one_interval_late(arrivals: Arrivals, late: float, on_time: float) -> None:
    for frame in range(40):
        arrivals.note(frame / 20, frame / 20 + (late if frame % 4 == 0 else 0.01))

    assert arrivals.on_time(2.0) == on_time


def test_frames_that_were_skipped_are_not_on_time(arrivals: Arrivals) -> None:
    for frame in range(0, 40, 2):
        arrivals.note(frame / 20, frame / 20)

    assert arrivals.on_time(2.0) == 0.5


def test_window_without_frames_has_none_on_time(arrivals: Arrivals) -> None:
    assert arrivals.on_time(2.0) == 0.0


def test_share_of_frames_is_at_most_1(arrivals: Arrivals) -> None:
    for frame in range(41):
        arrivals.note(frame / 20, frame / 20)

    assert arrivals.on_time(2.0) == 1.0
