"""Tests of broadcasts from end to end: `odyssey_client` as host and as spectator, over real WebRTC."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from odyssey_client import BroadcastInfo, MediaStream, Odyssey, SpectatorConnection, connect_to_stream
from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, raw_peer

SPECTATORS = 20

small = pytest.mark.odyssey(portrait_size=(176, 320))
"""Marker for small frames. With 20 spectators, the test process decodes 400 frames per second."""


async def broadcast(client: Odyssey, prompt: str = "A floating alien temple") -> BroadcastInfo:
    """Connect the client and start a broadcast. When spectators can connect, return the broadcast's URLs and token."""
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    await client.connect(on_broadcast_ready=ready.set_result)
    await client.start_stream(prompt, broadcast=True)
    async with asyncio.timeout(LIMIT):
        return await ready


def watch(info: BroadcastInfo) -> "asyncio.Task[SpectatorConnection]":
    return asyncio.create_task(connect_to_stream(info.webrtc_url, info.spectator_token))


async def stamps(stream: MediaStream) -> list[FrameStamp]:
    """Read frames until the stream ends; return their stamps."""
    read = [read_stamp(frame.luma) async for frame in stream.frames(buffer=512)]
    assert None not in read, f"expected a readable stamp on every frame, got none on frame {read.index(None)}"
    return [stamp for stamp in read if stamp is not None]


async def pass_frames(stream: MediaStream, count: int) -> None:
    reader = stream.frames(buffer=256)
    async with asyncio.timeout(LIMIT):
        for _ in range(count):
            await anext(reader)


async def share_with_spectators(client: Odyssey, share: Callable[[str, str], None]) -> None:
    """Start a broadcast as in the example "Broadcast Streamer" of the vendor's documentation."""

    def on_broadcast_ready(info: BroadcastInfo) -> None:
        share(info.webrtc_url, info.spectator_token)

    await client.connect(on_broadcast_ready=on_broadcast_ready)

    await client.start_stream(prompt="A floating alien temple", broadcast=True)


async def spectate(
    webrtc_url: str, spectator_token: str, show: Callable[[MediaStream], None], log: Callable[[str], None]
) -> None:
    """Watch a broadcast as in the example "Broadcast Spectator" of the vendor's documentation."""
    spectator = await Odyssey.connect_to_stream(webrtc_url, spectator_token)

    show(spectator.stream)

    spectator.on_disconnect(lambda: log("Broadcast ended"))


async def test_documented_host_and_spectator_example_works(odyssey_client: Odyssey) -> None:
    shared: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    shown: list[MediaStream] = []
    logged: asyncio.Queue[str] = asyncio.Queue()
    await share_with_spectators(odyssey_client, lambda *given: shared.put_nowait(given))
    async with asyncio.timeout(LIMIT):
        webrtc_url, token = await shared.get()
        await spectate(webrtc_url, token, shown.append, logged.put_nowait)
        await pass_frames(shown[0], 5)
        assert logged.empty()
        await odyssey_client.end_stream()
        assert await logged.get() == "Broadcast ended"
        assert shown[0].ended


@small
async def test_20_spectators_receive_same_frames_from_one_encoder(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    info = await broadcast(odyssey_client)
    (live,) = odyssey_mock.broadcasts.values()
    record = odyssey_mock.streams[live.stream_id]
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        spectators = await asyncio.gather(*[watch(info) for _ in range(SPECTATORS)])
        assert len(live.spectators) == SPECTATORS
        reading = [tasks.create_task(stamps(spectator.stream)) for spectator in spectators]
        assert odyssey_client.media_stream is not None
        await pass_frames(odyssey_client.media_stream, 15)
        await odyssey_client.interact("The temple lights up")
        await pass_frames(odyssey_client.media_stream, 10)
        await odyssey_client.end_stream()
    for spectator in spectators:
        await spectator.disconnect()

    frames = record.timeline.frames
    assert frames is not None
    assert live.frames_encoded == {"h264": frames}, (
        f"expected the mock to encode each of the {frames} frames once, in H.264, for all spectators, "
        f"got {live.frames_encoded}"
    )
    everything = {stamp for task in reading for stamp in task.result()}
    by_index = {stamp.frame_index: stamp for stamp in everything}
    assert len(by_index) == len(everything), (
        f"expected all spectators to receive the same frame for each index, got {len(everything)} different frames "
        f"for {len(by_index)} indexes"
    )
    assert {stamp.stream_tag for stamp in everything} == {record.timeline.tag}, (
        f"expected only frames of the stream with the tag {record.timeline.tag}, "
        f"got frames with the tags { ({stamp.stream_tag for stamp in everything}) }; None is the idle scene"
    )
    for task in reading:
        indexes = [stamp.frame_index for stamp in task.result()]
        assert indexes == list(range(indexes[0], frames)), (
            f"expected all frames from {indexes[0]} to {frames - 1} in order, got {indexes}"
        )
        assert [stamp.prompt_revision for stamp in task.result()][-1] == 1


async def test_late_spectator_receives_a_frame_immediately(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    info = await broadcast(odyssey_client)
    assert odyssey_client.media_stream is not None
    await pass_frames(odyssey_client.media_stream, 25)
    async with await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
        connected = (await odyssey_mock.wait_for("state", "spectator", to="connected")).time
        async with asyncio.timeout(LIMIT):
            first = read_stamp((await anext(spectator.frames(buffer=256))).luma)
    assert first is not None
    # The spectator's first frame is sent at most 50 ms after it connects. A busy machine may skip frames, so this limit
    # is wide. Tests of the mock check that the key frame is sent at once.
    assert first.sent_at_ms / 1000 - connected < 0.25


ENDS = ("end_stream", "host disconnects", "host vanishes", "stream error", "duration limit")


@small
@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize("end", ENDS)
async def test_ended_broadcast_leaves_no_resources(odyssey_mock: MockOdyssey, end: str) -> None:
    over: asyncio.Queue[str] = asyncio.Queue()
    async with nothing_left():
        async with raw_peer(odyssey_mock) as host:
            host.say({"type": "interactive_stream_start", "prompt": "A cat", "broadcast": True})
            started, ready = await host.hear(), await host.hear()
            live = odyssey_mock.broadcasts[started["stream_id"]]
            spectators = [await connect_to_stream(ready["webrtc_url"], ready["spectator_token"]) for _ in range(3)]
            for number, spectator in enumerate(spectators):
                spectator.on_disconnect(partial(over.put_nowait, f"spectator {number}"))
                await pass_frames(spectator.stream, 2)
            (session,) = odyssey_mock.sessions.values()
            match end:
                case "end_stream":
                    host.say({"type": "interactive_stream_end"})
                case "host disconnects":
                    await host.say_on_socket({"type": "client_disconnecting"})
                case "host vanishes":
                    host.socket.transport.abort()
                    await odyssey_mock.wait_for("state", "session", to="held")
                    await odyssey_mock.advance(10)  # ends the grace period, in which the host could reconnect
                case "stream error":
                    session.break_stream("model_crash", "The model has crashed")
                case "duration limit":
                    await odyssey_mock.advance(150)
            async with asyncio.timeout(LIMIT):
                assert {await over.get() for _ in spectators} == {f"spectator {number}" for number in range(3)}
            assert live.is_over
            for spectator in spectators:
                await spectator.disconnect()
                assert spectator.stream.ended
            await odyssey_mock.wait_for("state", "broadcast", to="over")
        assert not live.spectators
        if end in {"end_stream", "stream error"}:
            assert [entry.data["message"]["type"] for entry in odyssey_mock.journal.find("channel", "stream_ended")]
        await odyssey_mock.advance(60)
        assert not odyssey_mock.broadcasts, (
            "expected the mock to have removed the broadcast, its playlist and its segments 60 s after its end, "
            f"got {list(odyssey_mock.broadcasts)}"
        )
        await odyssey_mock.reset()
