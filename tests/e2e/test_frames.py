"""Tests that the client receives every frame that the mock sends, and that frames show acknowledged interactions."""

import asyncio
from itertools import pairwise

import pytest

from odyssey_client import MediaStream, Odyssey
from odyssey_mock import FrameStamp, MockOdyssey, read_stamp

WITHIN = 3
"""Maximum number of frames from the index in an acknowledgment to the first frame that shows the interaction."""


async def collect(stream: MediaStream, into: list[FrameStamp | None]) -> None:
    async for frame in stream.frames(buffer=256):
        into.append(read_stamp(frame.luma))  # noqa: PERF401 - the list is read after the task is cancelled


async def pass_frames(stream: MediaStream, count: int) -> None:
    async with asyncio.timeout(20):
        reader = stream.frames(buffer=256)
        for _ in range(count):
            await anext(reader)


async def test_every_frame_arrives_once_and_in_order(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    seen: list[FrameStamp | None] = []
    stream = await odyssey_client.connect()
    async with asyncio.TaskGroup() as tasks:
        collecting = tasks.create_task(collect(stream, seen))
        await pass_frames(stream, 5)
        stream_id = await odyssey_client.start_stream("A harbour in the morning")
        for prompt in ("Fog comes in", "The fog lifts"):
            await pass_frames(stream, 12)
            await odyssey_client.interact(prompt)
        await pass_frames(stream, 12)
        await odyssey_client.end_stream()
        await pass_frames(stream, 5)
        collecting.cancel()

    assert None not in seen, f"expected a readable stamp on every frame, got none on frame {seen.index(None)}"
    stamps = [stamp for stamp in seen if stamp is not None]
    record = odyssey_mock.streams[stream_id]
    tags = [stamp.stream_tag for stamp in stamps]
    first, last = tags.index(record.timeline.tag), len(tags) - 1 - tags[::-1].index(record.timeline.tag)
    assert set(tags[:first]) == {None}, (
        f"expected only frames of the idle scene (tag None) before the stream, got the tags {set(tags[:first])}"
    )
    assert set(tags[last + 1 :]) == {None}, (
        f"expected only frames of the idle scene (tag None) after the stream, got the tags {set(tags[last + 1 :])}"
    )

    ours = stamps[first : last + 1]
    sent = record.timeline.frames
    indexes = [stamp.frame_index for stamp in ours]
    assert indexes == list(range(sent or -1)), f"expected each of the {sent} frames once, in order, got {indexes}"
    assert [stamp.sent_at_ms for stamp in ours] == sorted(stamp.sent_at_ms for stamp in ours)

    acknowledged = odyssey_mock.journal.find("channel", "update_acknowledged")
    assert len(acknowledged) == 2
    for revision, entry in enumerate(acknowledged, start=1):
        spoken_of = entry.data["frame_index"]
        shown = next(stamp.frame_index for stamp in ours if stamp.prompt_revision == revision)
        assert 0 <= shown - spoken_of <= WITHIN
        assert ours[spoken_of].sent_at_ms <= entry.time * 1000, (
            f"expected the mock to send the acknowledged frame before the acknowledgment at {entry.time} s, "
            f"got a frame sent at {ours[spoken_of].sent_at_ms / 1000} s"
        )
    revisions = [stamp.prompt_revision for stamp in ours]
    assert revisions == sorted(revisions, key=lambda revision: revision or 0)


async def test_second_stream_starts_with_its_own_first_frame(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    stream = await odyssey_client.connect()
    for portrait, size in ((True, (704, 1280)), (False, (1280, 704)), (True, (704, 1280))):
        reader = stream.frames(buffer=256)
        stream_id = await odyssey_client.start_stream("A kite", portrait=portrait)
        tag = odyssey_mock.streams[stream_id].timeline.tag
        async with asyncio.timeout(20):
            async for frame in reader:
                stamp = read_stamp(frame.luma)
                if stamp is not None and stamp.stream_tag == tag:
                    break
        assert (frame.width, frame.height) == size
        assert stamp is not None
        assert stamp.frame_index == 0
        await odyssey_client.end_stream()


async def test_idle_frames_arrive_at_20_fps(odyssey_client: Odyssey) -> None:
    stream = await odyssey_client.connect()
    reader = stream.frames(buffer=256)
    async with asyncio.timeout(20):
        frames = [await anext(reader) for _ in range(21)]

    stamps = [stamp for frame in frames if (stamp := read_stamp(frame.data)) is not None]
    assert {stamp.stream_tag for stamp in stamps} == {None}
    # A busy machine may skip slots but never send early. The frame index and the timestamp both count skipped slots.
    times = [frame.timestamp_ms for frame in frames]
    assert len(stamps) == len(frames)
    assert [stamp.frame_index - stamps[0].frame_index for stamp in stamps] == [
        round((time - times[0]) / 50) for time in times
    ]
    assert min(later - earlier for earlier, later in pairwise(times)) == pytest.approx(50, abs=1)
    assert stamps[-1].sent_at_ms - stamps[0].sent_at_ms > 0.8 * (times[-1] - times[0]), (
        f"expected the mock to send at most 25 frames per second on average, got {len(stamps) - 1} frame intervals "
        f"in {stamps[-1].sent_at_ms - stamps[0].sent_at_ms} ms"
    )
