"""Tests that a live session works over light peers as over WebRTC, although no frames are rendered or encoded.

Light peers replace WebRTC peers in simulated runs: they report the same events, but their video has no pixels.
"""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client import Odyssey, OdysseyStreamError, VideoFrame
from odyssey_client.connection import messages
from odyssey_client.media.stamp import read_stamp as read_by_client
from odyssey_mock.media.encoder import VideoEncoder
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.sim.light import LightFrame, stamp_of
from odyssey_mock.sim.light.description import MAX_MESSAGE
from tests.support.loopback import SIZE, PeerKind, Told, staged

LIMIT = 20.0
BOTH: Sequence[PeerKind] = ("real", "light")


async def life_cycle(client: Odyssey, told: Told) -> None:
    await client.connect(**told.handlers())
    await client.start_stream("A cat")
    for prompt in ("It looks up", "It looks out"):
        await client.interact(prompt)
    await client.end_stream()
    await client.start_stream("A dog", portrait=False)
    await client.end_stream()
    await client.disconnect()


@pytest.mark.parametrize("fidelity", BOTH)
async def test_life_cycle_has_expected_events_in_order(fidelity: PeerKind) -> None:
    told = Told()
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT):
        await life_cycle(stage.client(), told)
        assert stage.session_history() == [
            ("socket_opened", "signaling"),
            ("answered", "connecting"),
            ("peer_connected", "connected"),
            ("client_left", "closed"),
        ]
        assert not stage.mock.sessions
    spoken = [word for word in told.words if not word.startswith("acknowledged")]
    assert spoken == [
        "authenticating",
        "connecting",
        "connected",
        "started",
        "ended",
        "started",
        "ended",
        "disconnected",
    ]
    assert [word.removeprefix("acknowledged: ")[:8] for word in told.words if word not in spoken] == ["It looks"] * 2


async def test_frames_arrive_in_order_with_their_stamps() -> None:
    async with staged("light", fps=100) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        reader = (await client.connect()).frames(buffer=1000)
        stream_id = await client.start_stream("A cat")
        await client.interact("It looks up")
        seen: list[FrameStamp] = []
        shown: list[VideoFrame] = []
        async for frame in reader:
            stamp = stamp_of(frame)
            assert stamp is not None
            if stamp.stream_tag is not None:
                seen.append(stamp)
                shown.append(frame)
            if len(seen) == 30:
                break
        timeline = stage.mock.streams[stream_id].timeline
        assert {stamp.stream_tag for stamp in seen} == {timeline.tag}
        first = seen[0].frame_index
        assert [stamp.frame_index for stamp in seen] == list(range(first, first + 30)), (
            f"expected 30 consecutive frame indexes, as on a network without loss, got {seen}"
        )
        assert [stamp.prompt_revision for stamp in seen] == [timeline.at(each.frame_index).revision for each in seen]
        assert seen[-1].prompt_revision == 1
        assert [stamp.sent_at_ms for stamp in seen] == sorted(stamp.sent_at_ms for stamp in seen)
        pauses = [round(later.timestamp_ms - one.timestamp_ms) for one, later in itertools.pairwise(shown)]
        assert all(pause > 0 and pause % 10 == 0 for pause in pauses), (
            f"expected frame times that increase by multiples of 10 ms, got increases of {pauses} ms"
        )


async def test_frame_is_drawn_on_demand_with_its_stamp() -> None:
    async with staged("light") as stage, asyncio.timeout(LIMIT), stage.client() as client:
        stream = await client.connect()
        frame = await anext(stream.frames())
    stamp = stamp_of(frame)
    assert stamp is not None
    assert (frame.width, frame.height) == SIZE
    light: object = frame.to_av()
    assert isinstance(light, LightFrame)
    assert light._drawn is None
    assert frame.data.shape == (SIZE[1], SIZE[0], 3)
    assert read_stamp(frame.data) == stamp
    assert frame.luma.shape == (SIZE[1], SIZE[0])
    read = read_by_client(frame.luma)
    assert read is not None
    assert (read.stream_tag, read.frame_index, read.sent_at_ms) == (None, stamp.frame_index, stamp.sent_at_ms)
    assert isinstance(light.drawn, av.VideoFrame)
    assert repr(stamp) in repr(light)


async def test_light_session_renders_and_encodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> Any:
        raise AssertionError("expected no frame to be drawn or encoded, but a frame was")

    monkeypatch.setattr(Renderer, "render", never)
    monkeypatch.setattr(VideoEncoder, "encode", never)
    monkeypatch.setattr(LightFrame, "drawn", property(never))
    told = Told()
    async with staged("light") as stage, asyncio.timeout(LIMIT):
        client = stage.client()
        await life_cycle(client, told)
        assert client.media_stream is not None
    assert told.words[-1] == "disconnected"


@pytest.mark.parametrize("fidelity", BOTH)
@pytest.mark.parametrize(("longer", "is_taken"), [(0, True), (1, False)])
async def test_message_size_is_limited_by_the_channel(fidelity: PeerKind, longer: int, is_taken: bool) -> None:
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        await client.connect()
        await client.start_stream("A cat")
        prompt = "x" * (MAX_MESSAGE + longer - len(messages.encode(messages.Update(""))))
        if is_taken:
            await client.interact(prompt)
        else:
            with pytest.raises(OdysseyStreamError, match="longer than the channel accepts"):
                await client.interact(prompt)
        assert len(stage.mock.journal.find("channel", "update")) == is_taken


@given(seconds=st.floats(0, 0.15), steps=st.integers(0, 5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_disconnect_at_any_moment_leaves_nothing_open(seconds: float, steps: int) -> None:
    async def play() -> None:
        async with staged("light", fps=100) as stage, asyncio.timeout(LIMIT):
            client = stage.client()
            work = asyncio.create_task(life_cycle(client, Told()))
            await asyncio.wait([work], timeout=seconds)
            for _ in range(steps):
                await asyncio.wait([work], timeout=0)
            await client.disconnect()
            await asyncio.wait([work])
            error = work.exception()
            assert error is None or "disconnect" in str(error).lower(), (
                f"expected no error, or an error that mentions disconnect(), got {error!r}"
            )
            await client.disconnect()

    with asyncio.Runner() as runner:
        runner.run(play())


@given(seconds=st.floats(0, 0.15), steps=st.integers(0, 5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_cancellation_at_any_moment_leaves_nothing_open(seconds: float, steps: int) -> None:
    async def play() -> None:
        async with staged("light", fps=100) as stage, asyncio.timeout(LIMIT), stage.client() as client:
            work = asyncio.create_task(life_cycle(client, Told()))
            await asyncio.wait([work], timeout=seconds)
            for _ in range(steps):
                await asyncio.wait([work], timeout=0)
            work.cancel()
            await asyncio.wait([work])

    with asyncio.Runner() as runner:
        runner.run(play())
