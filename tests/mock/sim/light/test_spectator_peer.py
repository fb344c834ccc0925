"""Tests of broadcasts over light peers: spectators receive every frame, and their connections end as with WebRTC.

Light peers replace WebRTC peers in simulated runs: they report the same events, but their video has no pixels.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from odyssey_client import BroadcastInfo, OdysseyError, PeerError, SpectatorConnection, connect_to_stream
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sim.light import stamp_of
from odyssey_mock.sim.light.spectator_peer import LightClientSpectatorPeer, LightSpectatorPeer
from tests.support.loopback import PeerKind, Stage, staged

LIMIT = 30.0
BOTH: Sequence[PeerKind] = ("real", "light")


async def watched(stage: Stage, info: BroadcastInfo) -> SpectatorConnection:
    return await connect_to_stream(info.webrtc_url, info.spectator_token, network=stage.network())


@pytest.mark.parametrize("fidelity", BOTH)
async def test_spectators_watch_until_the_stream_ends(fidelity: PeerKind) -> None:
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
        await client.connect(on_broadcast_ready=ready.set_result)
        await client.start_stream("A cat", broadcast=True)
        info = await ready
        spectators = [await watched(stage, info) for _ in range(3)]
        for spectator in spectators:
            await anext(spectator.frames())
        ended: list[OdysseyError | None] = []
        for spectator in spectators:
            spectator.on_disconnect(ended.append)
        await client.end_stream()
        for spectator in spectators:
            async for _ in spectator.frames():
                pass
            assert spectator.connection_state == "closed"
            await spectator.disconnect()
        assert ended == [None] * 3
        assert [entry.data["to"] for entry in stage.mock.journal.find("state", "broadcast")] == ["live", "over"]


async def test_spectator_receives_the_last_frame() -> None:
    async with staged("light", fps=100) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
        await client.connect(on_broadcast_ready=ready.set_result)
        stream_id = await client.start_stream("A cat", broadcast=True)
        spectator = await watched(stage, await ready)
        reader = spectator.frames(buffer=1000)
        seen = [await anext(reader) for _ in range(5)]
        await client.end_stream()
        seen += [frame async for frame in reader]
        stamps = [stamp_of(frame) for frame in seen]
        indexes = [stamp.frame_index for stamp in stamps if stamp is not None]
        frames = stage.mock.streams[stream_id].timeline.frames
        assert frames is not None
        assert indexes == list(range(indexes[0], frames))
        await spectator.disconnect()


@pytest.mark.parametrize("fidelity", BOTH)
async def test_other_spectators_continue_when_one_leaves(fidelity: PeerKind) -> None:
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
        await client.connect(on_broadcast_ready=ready.set_result)
        await client.start_stream("A cat", broadcast=True)
        one, other = [await watched(stage, await ready) for _ in range(2)]
        await one.disconnect()
        gone = await stage.mock.wait_for("state", "spectator", to="gone")
        assert gone.data["spectator"] == 1
        reader = other.frames()
        await anext(reader)
        await other.disconnect()
        others = stage.mock.journal.find("state", "spectator", spectator=2)
        assert [entry.data["to"] for entry in others][:2] == ["answered", "connected"]


@pytest.mark.parametrize("fidelity", BOTH)
async def test_spectator_of_a_vanished_mock_times_out(fidelity: PeerKind) -> None:
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
        await client.connect(on_broadcast_ready=ready.set_result)
        await client.start_stream("A cat", broadcast=True)
        spectator = await watched(stage, await ready)
        spectator._peer_timeout = 0.3
        spectator._watchdog._limit = 0.3
        await anext(spectator.frames())
        await stage.mock.go_away()
        with pytest.raises(PeerError, match=r"no video for 0\.3 s"):
            async for _ in spectator.frames():
                pass
        assert spectator.connection_state == "failed"
        await spectator.disconnect()
        await stage.mock.come_back()


@pytest.mark.parametrize("fidelity", BOTH)
async def test_hls_is_available_during_a_broadcast(fidelity: PeerKind) -> None:
    async with staged(fidelity, hls_segment_duration=0.2) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
        await client.connect(on_broadcast_ready=ready.set_result)
        stream_id = await client.start_stream("A cat", broadcast=True)
        await ready
        hls = stage.mock.broadcasts[stream_id].hls
        assert hls is not None
        playlist = await hls.playlist("")
        assert "#EXTINF" in playlist
        name = next(line for line in playlist.splitlines() if line and not line.startswith("#"))
        assert hls.file(name.partition("?")[0])


# Descriptions


def nothing(*_: object) -> None:
    """Ignore an event of a peer."""


def servers_peer() -> LightSpectatorPeer:
    return LightSpectatorPeer(
        "127.0.0.1", PacketTrack(), ("h264",), on_connected=nothing, on_lost=nothing, on_keyframe_wanted=nothing
    )


@asynccontextmanager
async def offering(host: str = "127.0.0.1") -> AsyncIterator[tuple[LightClientSpectatorPeer, str]]:
    """Yield the peer of a client, and its offer."""
    peer = LightClientSpectatorPeer(host, connected=nothing, ended=nothing, frame=nothing, lost=nothing)
    async with peer:
        yield peer, await peer.offer(())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda offer: offer[:10], "the offer's SDP cannot be used"),
        (lambda offer: re.sub(r"(H264|VP8)/90000", "AV1/90000", offer), "expected a video section with H.264 or VP8"),
        (lambda offer: re.sub(r"a=candidate:2.*\r\n", "", offer), "and a TCP candidate"),
        (lambda offer: offer.replace("a=recvonly", "a=sendonly"), "expected a video section with a=recvonly"),
    ],
    ids=["nonsense", "no common codec", "no TCP candidate", "sends only"],
)
async def test_unusable_offer_is_refused(change: Callable[[str], str], why: str) -> None:
    async with offering() as (_, offer), servers_peer() as peer:
        with pytest.raises(DescriptionError, match=re.escape(why)):
            await peer.answer(change(offer))


@pytest.mark.parametrize("direction", ["inactive", "recvonly"])
async def test_answer_without_video_is_refused(direction: str) -> None:
    async with offering() as (client, offer), servers_peer() as server:
        answer, codec = await server.answer(offer)
        assert codec == "h264"
        with pytest.raises(PeerError, match="the answer has no video track"):
            await client.apply(answer.replace("a=sendonly", f"a={direction}"))


async def test_address_that_cannot_be_bound_is_an_error() -> None:
    with pytest.raises(PeerError, match="Cannot create an SDP offer: OSError"):
        async with offering("192.0.2.1"):
            raise AssertionError("expected no offer")


async def test_invalid_candidate_is_refused() -> None:
    async with servers_peer() as peer:
        await peer.add_candidate("", "0", 0)
        with pytest.raises(DescriptionError, match="expected an ICE candidate line"):
            await peer.add_candidate("candidate:what", "0", 0)
