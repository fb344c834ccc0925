"""Tests of the timeline: a stream's append-only log of events, which is read by frame index."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.timeline import Size, Timeline, TimelineError

PORTRAIT = Size(704, 1280)


def timeline(*, prompt: str = "a calm sea") -> Timeline:
    return Timeline(tag=7, size=PORTRAIT, prompt=prompt)


def test_start_prompt_is_revision_0() -> None:
    moment = timeline().at(0)
    assert (moment.prompt, moment.revision, moment.changed_at) == ("a calm sea", 0, 0)


@given(indexes=st.lists(st.integers(0, 50), max_size=8).map(sorted), index=st.integers(0, 60))
def test_frame_shows_the_latest_interaction_so_far(indexes: list[int], index: int) -> None:
    stream = timeline(prompt="start")
    for revision, at in enumerate(indexes, start=1):
        assert stream.interact(at, f"prompt {revision}") == revision

    moment = stream.at(index)

    shown = sum(at <= index for at in indexes)
    assert moment.revision == shown
    assert moment.prompt == (f"prompt {shown}" if shown else "start")
    assert moment.changed_at == (indexes[shown - 1] if shown else 0)
    assert len(moment.changes) == shown + 1


@given(at=st.integers(1, 100), data=st.data())
def test_later_interaction_does_not_change_a_frame(at: int, data: st.DataObject) -> None:
    stream = timeline()
    index = data.draw(st.integers(0, at - 1))
    before = stream.at(index)
    stream.interact(at, "later")
    assert stream.at(index) == before


def test_interaction_before_the_latest_is_rejected() -> None:
    stream = timeline()
    stream.interact(10, "one")
    with pytest.raises(TimelineError, match=r"expected frame 10 .* or later, got 9"):
        stream.interact(9, "two")
    assert stream.at(20).prompt == "one"


def test_interaction_before_the_start_is_rejected() -> None:
    with pytest.raises(TimelineError, match=r"expected frame 0 .* or later, got -1"):
        timeline().interact(-1, "before the beginning")


def test_idle_scene_rejects_interactions() -> None:
    idle = Timeline(tag=None, size=PORTRAIT)
    with pytest.raises(TimelineError, match="start a stream first"):
        idle.interact(3, "hello")


def test_running_stream_has_no_frame_count() -> None:
    assert timeline().frames is None


def test_ended_stream_has_the_frames_before_its_end() -> None:
    stream = timeline()
    stream.end(40)
    assert stream.frames == 40
    assert stream.at(39).prompt == "a calm sea"
    with pytest.raises(TimelineError, match="below 40, the end, got 40"):
        stream.at(40)


def test_ended_stream_rejects_interaction_and_second_end() -> None:
    stream = timeline()
    stream.end(40)
    with pytest.raises(TimelineError, match="ended at frame 40"):
        stream.interact(40, "too late")
    with pytest.raises(TimelineError, match="ended at frame 40"):
        stream.end(41)


def test_end_before_the_latest_interaction_is_rejected() -> None:
    stream = timeline()
    stream.interact(10, "one")
    with pytest.raises(TimelineError, match="frame 10 or later, got 9"):
        stream.end(9)


@pytest.mark.parametrize("index", [-1, -100])
def test_negative_frame_index_is_rejected(index: int) -> None:
    with pytest.raises(TimelineError, match="index of 0 or more, got -1"):
        timeline().at(index)


@pytest.mark.parametrize("tag", [-1, 2**16])
def test_stream_tag_above_16_bits_is_rejected(tag: int) -> None:
    with pytest.raises(TimelineError, match="65535"):
        Timeline(tag=tag, size=PORTRAIT)


def test_fps_below_one_is_rejected() -> None:
    with pytest.raises(TimelineError, match="at least 1 frame"):
        Timeline(tag=1, size=PORTRAIT, fps=0)


@pytest.mark.parametrize(
    ("width", "height"), [(705, 1280), (704, 1281), (86, 160), (160, 86), (88, 158), (-704, -1280)]
)
def test_size_without_room_for_a_stamp_is_rejected(width: int, height: int) -> None:
    with pytest.raises(TimelineError, match=f"got {width}x{height}"):
        Size(width, height)
