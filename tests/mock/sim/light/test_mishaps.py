"""Tests that faults affect the client and the mock in the same way with light peers as with WebRTC.

Light peers replace WebRTC peers in simulated runs: they report the same events, but their video has no pixels.
"""

import asyncio
from collections.abc import Sequence

import pytest

from odyssey_client import OdysseyError
from odyssey_mock.sim.light import stamp_of
from tests.support.loopback import PeerKind, Told, staged

LIMIT = 30.0
BOTH: Sequence[PeerKind] = ("real", "light")

CONNECT_S = 2.0
"""Timeout in seconds for a connection that cannot be made. A busy machine needs a second to reach the fault."""

IN_VAIN = f"ConnectTimeoutError: The connection was not up within {CONNECT_S:g} s: still waiting for {{}}. "
IN_VAIN += "Call connect() again, or raise AdvancedConfig.connect_timeout_s. (fatal)"
NO_CHANNEL = IN_VAIN.format("the data channel clientToStreamer")

NOT_CONNECTED = {
    "peer.ice never": NO_CHANNEL,
    "peer.dtls fail": "PeerError: The peer connection to the streamer was lost: its state is failed. (fatal)",
    "peer.channels never": NO_CHANNEL,
    "signaling.offer silent": IN_VAIN.format("the offer and the peer connection"),
    "signaling.answer ignore": NO_CHANNEL,
}
"""For each fault, the error that the client reports when it cannot connect."""

HISTORY = {
    "peer.ice never": ["socket_opened", "answered", "client_left"],
    "peer.dtls fail": ["socket_opened", "answered", "peer_connected", "client_left"],
    "peer.channels never": ["socket_opened", "answered", "peer_connected", "client_left"],
    "signaling.offer silent": ["socket_opened", "client_left"],
    "signaling.answer ignore": ["socket_opened", "answered", "client_left"],
}
"""For each fault, the events of the mock's session."""


@pytest.mark.parametrize("fidelity", BOTH)
@pytest.mark.parametrize("fault", NOT_CONNECTED)
async def test_failed_connection_reports_its_cause(fidelity: PeerKind, fault: str) -> None:
    at, do = fault.split()
    told = Told()
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT):
        stage.mock.faults.add({"at": at, "do": do})
        with pytest.raises(OdysseyError):
            # The DTLS handshake of aiortc must fail before the timeout, but is slow on a busy machine.
            await stage.client(connect_timeout_s=LIMIT if at == "peer.dtls" else CONNECT_S).connect(**told.handlers())
        await stage.mock.wait_for("state", "session", to="closed")
        assert [event for event, _ in stage.session_history()] == HISTORY[fault]
    assert told.words == ["authenticating", "connecting", "failed", NOT_CONNECTED[fault]]


@pytest.mark.parametrize("fidelity", BOTH)
async def test_broken_offer_fails_the_connection(fidelity: PeerKind) -> None:
    told = Told()
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT):
        stage.mock.faults.add(at="signaling.offer", do="broken_sdp")
        with pytest.raises(OdysseyError, match="The service's offer cannot be answered"):
            await stage.client().connect(**told.handlers())
    assert told.words[:3] == ["authenticating", "connecting", "failed"]


@pytest.mark.parametrize("fidelity", BOTH)
async def test_repeated_offer_is_answered_once(fidelity: PeerKind) -> None:
    told = Told()
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT):
        stage.mock.faults.add(at="signaling.offer", do="twice")
        async with stage.client() as client:
            await client.connect(**told.handlers())
            await client.start_stream("A cat")
            await client.end_stream()
            assert len(stage.mock.journal.find("signaling", "offer")) == 2
            stage.mock.expect("answer", count=1)
            stage.mock.expect_none("interactive_stream_error")


COMES_BACK = {
    "vanish": "no video for 0.5 s",
    "freeze": "no video for 0.5 s",
    "close": "the data channel streamerToClient closed",
    "close_channels": "the data channel streamerToClient closed",
    "end_track": "the video track ended",
}
"""For each fault, the reason that the client states for the lost connection."""


@pytest.mark.parametrize("fidelity", BOTH)
@pytest.mark.parametrize("mishap", COMES_BACK)
async def test_lost_connection_is_restored(fidelity: PeerKind, mishap: str) -> None:
    told = Told()
    is_back = asyncio.Event()
    async with staged(fidelity) as stage, asyncio.timeout(LIMIT):
        async with stage.client(peer_timeout_s=0.5) as client:
            handlers = told.handlers()

            def status(now: str) -> None:
                told.words.append(now)
                if now == "connected" and "reconnecting" in told.words:
                    is_back.set()

            stage.mock.faults.add({"at": "peer.connected", "do": mishap, "seconds": 0.2, "times": 1})
            stream = await client.connect(**{**handlers, "on_status_change": status})
            await is_back.wait()
            before = stream.frames_received
            await anext(stream.frames())
            assert stream.frames_received > before, (
                f"expected more than {before} received frames after the reconnect, got no new frame"
            )
            await client.start_stream("A cat")
        events = [event for event, _ in stage.session_history()]
    lost = f"PeerError: The peer connection to the streamer was lost: {COMES_BACK[mishap]}. "
    if mishap in {"vanish", "freeze"}:
        lost = f"PeerError: The streamer was lost: {COMES_BACK[mishap]}. "
    assert told.words == [
        "authenticating",
        "connecting",
        "connected",
        "reconnecting",
        lost,
        "connected",
        "started",
        "disconnected",
    ]
    assert events[3:5] == ["socket_lost", "socket_opened"]


async def frames_with(fidelity: PeerKind, do: str, **parameters: object) -> list[tuple[int, int, int]]:
    """Return index, width and height of the first ten frames that a client receives.

    The fault `do` affects frames 2 to 4.
    """
    async with staged(fidelity, fps=50) as stage, asyncio.timeout(LIMIT), stage.client() as client:
        reader = (await client.connect()).frames(buffer=1000)
        stage.mock.faults.add(at="peer.frame", do=do, after=2, times=3, match={"prompt": "A cat"}, **parameters)  # type: ignore[arg-type]  # checked at run time
        await client.start_stream("A cat")
        seen: list[tuple[int, int, int]] = []
        async for frame in reader:
            stamp = stamp_of(frame)
            assert stamp is not None
            if stamp.stream_tag is not None:
                seen.append((stamp.frame_index, frame.width, frame.height))
            if len(seen) == 10:
                return seen
    raise AssertionError(f"expected 10 frames before the end of the video, got {seen}")


async def test_frame_faults_reach_the_client() -> None:
    dropped = await frames_with("light", "drop")
    assert [index for index, *_ in dropped] == [0, 1, *range(5, 13)]
    frozen = await frames_with("light", "freeze")
    assert [index for index, *_ in frozen] == [0, 1, 1, 1, 1, *range(5, 10)]
    resized = await frames_with("light", "resize", width=320, height=240)
    assert [size for _, *size in resized] == [[176, 320]] * 2 + [[320, 240]] * 3 + [[176, 320]] * 5
    assert [index for index, *_ in resized] == list(range(10))
    late = await frames_with("light", "late", seconds=0.1)
    assert [index for index, *_ in late] == list(range(10))
