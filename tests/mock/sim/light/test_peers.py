"""Tests of a streamer peer and a client peer, as light peers and with WebRTC. No client or mock is involved.

Light peers replace WebRTC peers in simulated runs: they report the same events, but their video has no pixels.
"""

import asyncio
import types
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager

import pytest

import odyssey_client
from odyssey_client.errors import PeerError
from odyssey_client.platform import ClientPeer, PeerListener
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.protocols import StreamerPeer
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sim.light import link as module
from odyssey_mock.system_network import SystemNetwork
from tests.support.leftovers import nothing_left
from tests.support.loopback import LightClientNetwork, LightServerNetwork, PeerKind

LIMIT = 20.0
BOTH: Sequence[PeerKind] = ("real", "light")


class Told:
    """A recorder of the callbacks of both peers, in order. A test can wait for a callback with `until`."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, word: str) -> None:
        self.words.append(word)
        self._changed.set()

    async def until(self, *words: str) -> None:
        """Wait until all callbacks in `words` have been recorded, in any order."""
        while not set(words) <= set(self.words):
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def pair(fidelity: PeerKind) -> AsyncIterator[tuple[StreamerPeer, ClientPeer, Told]]:
    """Yield a streamer peer and a client peer that are not connected yet, and the recorder of their callbacks."""
    told = Told()
    served = LightServerNetwork() if fidelity == "light" else SystemNetwork()
    used = LightClientNetwork() if fidelity == "light" else odyssey_client.SystemNetwork()
    async with nothing_left(), asyncio.timeout(LIMIT):
        streamer = served.streamer_peer(
            PacketTrack(),
            offered=HostCandidates(),
            on_connected=lambda: told("streamer connected"),
            on_lost=lambda: told("streamer lost"),
            on_message=lambda data: told(f"streamer heard {data!r}"),
            on_keyframe_wanted=lambda: told("key frame wanted"),
        )
        listener = PeerListener(
            video_added=lambda: told("video"),
            channel_opened=lambda: told("channel"),
            frame=lambda _: told("frame"),
            message=lambda data: told(f"client heard {data!r}"),
            lost=lambda error: told(str(error)),
        )
        async with streamer, used.peer(odyssey_client.SystemClock(), listener) as client:
            pumping = asyncio.create_task(client.pump())
            try:
                yield streamer, client, told
            finally:
                pumping.cancel()
                await asyncio.wait([pumping])


async def connect(streamer: StreamerPeer, client: ClientPeer, told: Told) -> None:
    answer = await client.answer(await streamer.offer(), [])
    assert told.words == ["video"]
    assert await streamer.answer(answer) == "h264"
    await told.until("streamer connected")


@pytest.mark.parametrize("fidelity", BOTH)
async def test_messages_wait_for_their_channel_in_order(fidelity: PeerKind) -> None:
    async with pair(fidelity) as (streamer, client, told):
        assert not client.send("too early")
        await connect(streamer, client, told)
        streamer.send("before")
        streamer.open_channels(0.01, lambda: told("both open"))
        streamer.send("while it opens")
        await told.until("channel")
        assert client.send("hello")
        await told.until("streamer heard 'hello'", "client heard 'while it opens'", "both open")
        streamer.send("ä" * 1000)
        await streamer.drain()
        await told.until(f"client heard {'ä' * 1000!r}")
        heard = [word for word in told.words if word.startswith("client heard")]
        assert heard == ["client heard 'before'", "client heard 'while it opens'", f"client heard {'ä' * 1000!r}"]
        assert told.words.count("both open") == 1
        with pytest.raises(ValueError, match="bytes"):
            streamer.send("x" * 262_145)


@pytest.mark.parametrize("fidelity", BOTH)
async def test_channels_closed_early_close_when_they_open(fidelity: PeerKind) -> None:
    async with pair(fidelity) as (streamer, client, told):
        await connect(streamer, client, told)
        streamer.close_channels()
        streamer.open_channels(0, lambda: told("both open"))
        lost = "The peer connection to the streamer was lost: the data channel {} closed."
        await told.until(lost.format("streamerToClient"), lost.format("clientToStreamer"))
        assert not client.send("not received")
        streamer.send("nor this")
        assert not [word for word in told.words if "heard" in word or word == "both open"]


@pytest.mark.parametrize("fidelity", BOTH)
async def test_close_by_the_client_is_recognized(fidelity: PeerKind) -> None:
    async with pair(fidelity) as (streamer, client, told):
        await connect(streamer, client, told)
        streamer.open_channels(0, lambda: told("both open"))
        await told.until("channel")
        assert not streamer.was_closed
        await client.__aexit__(None, None, None)
        await told.until("streamer lost")
        assert streamer.was_closed


async def test_silence_is_reported_as_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONSENT_INTERVAL", 0.02)
    async with pair("light") as (streamer, client, told):
        await connect(streamer, client, told)
        streamer.vanish()
        await told.until("streamer lost", "The peer connection to the streamer was lost: its state is failed.")
        assert not streamer.was_closed


@pytest.mark.parametrize("fidelity", BOTH)
async def test_invalid_description_or_candidate_is_rejected(fidelity: PeerKind) -> None:
    async with pair(fidelity) as (streamer, client, _):
        await streamer.offer()
        for nonsense in ("", "v=0\r\n", "v=0\r\na=fingerprint:x\r\n"):
            with pytest.raises(DescriptionError, match="cannot be used"):
                await streamer.answer(nonsense)
            with pytest.raises(PeerError, match="cannot be answered"):
                await client.answer(nonsense, [])
        with pytest.raises(DescriptionError, match="an ICE candidate line"):
            await streamer.add_candidate("nonsense", "0", 0)
        with pytest.raises(PeerError, match="invalid ICE candidate"):
            await client.add_candidate("nonsense", "0", 0)


@types.coroutine
def one_step() -> Generator[None]:
    """Let the event loop run for exactly one iteration."""
    yield


@pytest.mark.parametrize("fidelity", BOTH)
@pytest.mark.parametrize("steps", range(10))
async def test_cancelled_offer_leaves_nothing_open(fidelity: PeerKind, steps: int) -> None:
    async with pair(fidelity) as (streamer, _, _told):
        offering = asyncio.create_task(streamer.offer())
        for _ in range(steps):
            await one_step()
        offering.cancel()
        await asyncio.wait([offering])
