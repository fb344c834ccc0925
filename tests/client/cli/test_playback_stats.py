"""Tests of the statistics about received frames that `odyssey watch` prints. The tests use fixed times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.cli.playback_stats import PlaybackStats
from odyssey_client.media.stamp import Stamp

EPOCH = 1_790_000_000.0
"""The wall clock time, in seconds since the epoch, at which the monotonic clock is 0."""

SIZE = (704, 1280)


def stamp(index: int, *, made: float = 0.0, tag: int | None = 1) -> Stamp:
    """Return the stamp of a frame that was sent ``made`` seconds after ``EPOCH``."""
    return Stamp(tag, index, round((EPOCH + made) * 1000))


def see(viewing: PlaybackStats, now: float, of: Stamp | None) -> None:
    viewing.add(SIZE, of, now=now, time=EPOCH + now)


def test_statistics_before_first_frame_are_empty() -> None:
    viewing = PlaybackStats(5.0)
    assert viewing.line(5.0) == "0 frames, 0 fps"
    assert viewing.document(5.0) == {
        "frames": 0,
        "seconds": 0.0,
        "fps": None,
        "width": None,
        "height": None,
        "stamps": None,
    }
    assert dict(viewing.pairs(5.0)) == {"frames": 0, "stamps": None, "duration": "0.0 s", "fps": None, "size": None}


def test_line_shows_count_rate_age_gaps_size() -> None:
    viewing = PlaybackStats(0.0)
    see(viewing, 0.05, stamp(7, made=0.0))
    assert viewing.line(0.05) == "1 frame, 1 fps, age 50 ms, 0 missing, 704x1280"
    see(viewing, 0.2, stamp(10, made=0.157))
    assert viewing.line(0.2) == "2 frames, 2 fps, age 43 ms, 2 missing, 704x1280"
    assert viewing.document(0.5) == {
        "frames": 2,
        "seconds": 0.5,
        "fps": 4.0,
        "width": 704,
        "height": 1280,
        "stamps": {"first": 7, "last": 10, "missing": 2},
    }
    assert dict(viewing.pairs(0.5)) == {
        "frames": 2,
        "stamps": "7 to 10, 2 missing",
        "duration": "0.5 s",
        "fps": 4.0,
        "size": "704x1280",
    }


def test_frames_without_stamp_have_no_age() -> None:
    viewing = PlaybackStats(0.0)
    see(viewing, 0.1, None)
    assert viewing.line(0.1) == "1 frame, 1 fps, 704x1280"
    assert viewing.document(0.1)["stamps"] is None


def test_line_shows_size_of_last_frame() -> None:
    viewing = PlaybackStats(0.0)
    see(viewing, 0.1, None)
    viewing.add((1280, 704), None, now=0.2, time=EPOCH)
    assert viewing.line(0.2).endswith("1280x704")


def test_rate_drops_and_age_grows_without_frames() -> None:
    viewing = PlaybackStats(0.0)
    for index in range(20):
        see(viewing, index / 20, stamp(index, made=index / 20 - 0.04))
    assert viewing.line(0.96).startswith("20 frames, 20 fps, age 50 ms")
    assert viewing.line(1.46).startswith("20 frames, 10 fps, age 550 ms")
    assert viewing.line(4.96).startswith("20 frames, 0 fps, age 4050 ms")


def test_frames_before_the_beginning_count_from_their_arrival() -> None:
    viewing = PlaybackStats(2.0)
    for index in range(60):
        see(viewing, 0.05 * index, stamp(index))
    assert viewing.line(3.0).startswith("60 frames, 19 fps")
    told = viewing.document(3.0)
    assert (told["seconds"], told["fps"]) == (1.0, 20.0)


@pytest.mark.parametrize(("age", "told"), [(-0.001, False), (0.0, True), (10.0, True), (10.01, False)])
def test_implausible_age_is_not_shown(age: float, told: bool) -> None:
    viewing = PlaybackStats(0.0)
    see(viewing, 20.0, stamp(0, made=20.0 - age))
    assert ("age" in viewing.line(20.0)) is told
    assert "0 missing" in viewing.line(20.0)


def test_frame_without_stamp_clears_age() -> None:
    viewing = PlaybackStats(0.0)
    see(viewing, 0.1, stamp(0, made=0.05))
    see(viewing, 0.2, None)
    assert "age" not in viewing.line(0.2)


def test_gap_between_streams_is_not_counted() -> None:
    viewing = PlaybackStats(0.0)
    for index, tag in [(100, None), (0, 1), (1, 1), (50, 2), (52, 2)]:
        see(viewing, 0.1, stamp(index, tag=tag))
    assert viewing.missing == 1


@given(st.lists(st.sampled_from(("comes", "is lost", "cannot be read")), max_size=60))
def test_missing_counts_frames_lost_between_stamps(fates: list[str]) -> None:
    viewing = PlaybackStats(0.0)
    for index, fate in enumerate(fates):
        if fate != "is lost":
            see(viewing, index / 20, stamp(index) if fate == "comes" else None)
    read = [index for index, fate in enumerate(fates) if fate == "comes"]
    between = fates[read[0] : read[-1]] if read else []
    assert viewing.missing == between.count("is lost")
    assert viewing.frames == len(fates) - fates.count("is lost")


@given(st.lists(st.floats(0, 0.5), max_size=60), st.floats(0, 3))
def test_rate_counts_frames_of_last_second(gaps: list[float], later: float) -> None:
    viewing, arrivals = PlaybackStats(0.0), [sum(gaps[: count + 1]) for count in range(len(gaps))]
    for now in arrivals:
        see(viewing, now, None)
        viewing.fps(now)
    end = (arrivals[-1] if arrivals else 0.0) + later
    assert viewing.fps(end) == sum(now > end - 1 for now in arrivals)
