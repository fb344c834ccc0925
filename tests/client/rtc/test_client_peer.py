"""Tests of `AiortcClientPeer`, connected to an aiortc `RTCPeerConnection` that acts as the streamer."""

import asyncio
import threading

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from odyssey_client import PeerError, SystemClock
from odyssey_client.platform import IceServer, PeerListener
from odyssey_client.rtc.client_peer import AiortcClientPeer
from tests.support.scripted_streamer import GreyTrack
from tests.support.tls_contexts import no_tls


class Heard:
    """Records a peer's callbacks. Each callback sets a future or an event for which a test can wait."""

    def __init__(self) -> None:
        self.frame: asyncio.Future[VideoFrame] = asyncio.get_running_loop().create_future()
        self.message: asyncio.Future[str | bytes] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[PeerError] = asyncio.get_running_loop().create_future()
        self.open = asyncio.Event()

    def listener(self) -> PeerListener:
        def once[T](future: asyncio.Future[T], value: T) -> None:
            if not future.done():
                future.set_result(value)

        return PeerListener(
            video_added=lambda: None,
            channel_opened=self.open.set,
            frame=lambda frame: once(self.frame, frame),
            message=lambda message: once(self.message, message),
            lost=lambda error: once(self.lost, error),
        )


def peer(heard: Heard) -> AiortcClientPeer:
    return AiortcClientPeer(["127.0.0.1"], SystemClock(), heard.listener(), tls=no_tls)


async def offer_of(streamer: RTCPeerConnection) -> str:
    await streamer.setLocalDescription(await streamer.createOffer())
    return str(streamer.localDescription.sdp)


async def test_video_and_messages_arrive_and_close_is_reported() -> None:
    streamer, heard = RTCPeerConnection(), Heard()
    streamer.addTrack(GreyTrack())
    to_client = streamer.createDataChannel("streamerToClient")
    from_client = streamer.createDataChannel("clientToStreamer")
    said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    from_client.on("message", said.set_result)
    to_client.on("open", lambda: to_client.send("hello"))
    async with peer(heard) as ours, asyncio.timeout(10):
        assert not ours.send("too early")
        answer = await ours.answer(await offer_of(streamer), [IceServer(["stun:host:no-port"])])
        await streamer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        pumping = asyncio.create_task(ours.pump())
        assert (await heard.frame).width == 64
        assert await heard.message == "hello"
        await heard.open.wait()
        assert ours.send("update")
        assert await said == "update"
        assert not ours.send("long " * 60_000)
        await streamer.close()
        assert "was lost" in str(await heard.lost)
        await pumping


async def test_closing_an_unknown_channel_is_ignored() -> None:
    streamer, heard = RTCPeerConnection(), Heard()
    streamer.addTrack(GreyTrack())
    streamer.createDataChannel("clientToStreamer")
    other = streamer.createDataChannel("of the future")
    opened, closed = asyncio.Event(), asyncio.Event()
    other.on("open", opened.set)
    async with peer(heard) as ours, asyncio.timeout(10):
        ours._connection.on("datachannel", lambda channel: channel.on("close", closed.set))
        answer = await ours.answer(await offer_of(streamer), [])
        await streamer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await opened.wait()
        other.close()
        await closed.wait()
        assert not heard.lost.done()
    await streamer.close()


@pytest.mark.parametrize("what", ["nonsense", "audio", "video without channels", "channels without video"])
async def test_unusable_offer_raises_peer_error(what: str) -> None:
    streamer = RTCPeerConnection()
    if what == "audio":
        streamer.addTransceiver("audio")
    if what == "video without channels":
        streamer.addTrack(GreyTrack())
    if what == "channels without video":
        streamer.createDataChannel("clientToStreamer")
    offer = "v=0\r\nnonsense" if what == "nonsense" else await offer_of(streamer)
    async with peer(Heard()) as ours:
        with pytest.raises(PeerError, match="offer cannot be answered"):
            await ours.answer(offer, [])
    await streamer.close()


async def test_invalid_candidate_raises_and_hidden_one_is_ignored() -> None:
    async with peer(Heard()) as ours:
        await ours.add_candidate("candidate:1 1 udp 1 0000.local 9 typ host", "0", 0)
        with pytest.raises(PeerError, match="The service sent an invalid ICE candidate"):
            await ours.add_candidate("candidate:nonsense", "0", 0)


async def test_candidates_above_the_limit_are_reported_once() -> None:
    async with peer(Heard()) as ours:
        for port in range(1, 101):
            await ours.add_candidate(f"candidate:1 1 udp 1 192.0.2.7 {port} typ host", "0", 0)
        with pytest.raises(PeerError, match="too many ICE candidates: expected at most 100"):
            await ours.add_candidate("candidate:1 1 udp 1 192.0.2.7 101 typ host", "0", 0)
        await ours.add_candidate("candidate:1 1 udp 1 192.0.2.7 102 typ host", "0", 0)


async def test_offer_that_bundles_an_unknown_section_raises() -> None:
    streamer = RTCPeerConnection()
    streamer.addTrack(GreyTrack())
    streamer.createDataChannel("clientToStreamer")
    offer = (await offer_of(streamer)).replace("a=group:BUNDLE 0", "a=group:BUNDLE 7")
    async with peer(Heard()) as ours:
        with pytest.raises(PeerError, match="a=group:BUNDLE must name only"):
            await ours.answer(offer, [])
    await streamer.close()


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        ("candidate:1 1 udp 1 127.0.0.1 65536 typ host", "its port is not a number from 0 to 65535"),
        ("\r\na=".join(f"candidate:1 1 udp 1 127.0.0.1 {n} typ host" for n in range(1, 102)), "at most 100 ICE cand"),
    ],
    ids=["invalid port", "101 candidates"],
)
async def test_offer_with_invalid_or_too_many_candidates_raises(candidate: str, why: str) -> None:
    streamer = RTCPeerConnection()
    streamer.addTrack(GreyTrack())
    streamer.createDataChannel("clientToStreamer")
    offer = (await offer_of(streamer)).replace("a=ice-ufrag", f"a={candidate}\r\na=ice-ufrag")
    async with peer(Heard()) as ours:
        with pytest.raises(PeerError, match=why):
            await ours.answer(offer, [])
    await streamer.close()


async def test_stop_decoding_ends_the_decoder_thread() -> None:
    streamer, heard, before = RTCPeerConnection(), Heard(), set(threading.enumerate())
    streamer.addTrack(GreyTrack())
    streamer.createDataChannel("clientToStreamer")
    async with peer(heard) as ours, asyncio.timeout(10):
        answer = await ours.answer(await offer_of(streamer), [])
        await streamer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        pumping = asyncio.create_task(ours.pump())
        await heard.frame
        ours.stop_decoding()
        assert not [thread for thread in set(threading.enumerate()) - before if "decoder" in thread.name]
        await pumping
    await streamer.close()
