"""Tests of the end of a peer connection whose `close` of aiortc does not end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCSctpTransport

from odyssey_mock.rtc import peer_connection
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.streamer_peer import AiortcStreamerPeer
from tests.support.leftovers import nothing_left

LIMIT = 20.0
"""Timeout of a wait in seconds, much longer than it takes."""

HERE = "127.0.0.1"


class LateNetwork:
    """A network that delivers every datagram after an hour."""

    def deliveries(self, direction: object, kind: object, size: int, now: float) -> tuple[float, ...]:
        return (now + 3600,)


@asynccontextmanager
async def hanging(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[AiortcStreamerPeer, asyncio.Event]]:
    """Yield a peer with open sockets whose `close` hangs, and an event that is set when it does.

    Assert that the peer leaves no task and no socket behind.
    """
    hangs = asyncio.Event()

    async def hang(_: RTCSctpTransport) -> None:
        hangs.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(RTCSctpTransport, "stop", hang)
    async with asyncio.timeout(LIMIT), nothing_left():
        peer = AiortcStreamerPeer(
            PacketTrack(),
            [HERE],
            HostCandidates(),
            on_connected=_nothing,
            on_lost=_nothing,
            on_message=_nothing,
            on_keyframe_wanted=_nothing,
        )
        await peer.offer()
        yield peer, hangs


@pytest.mark.parametrize("is_impaired", [False, True])
async def test_cancelled_close_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, is_impaired: bool) -> None:
    async with hanging(monkeypatch) as (peer, hangs):
        if is_impaired:
            peer.impair(LateNetwork())
        closing = asyncio.create_task(peer.close())
        await hangs.wait()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing


async def test_close_has_a_time_limit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(peer_connection, "CLOSE_LIMIT", 0.05)
    async with hanging(monkeypatch) as (peer, _):
        await peer.close()
    assert "did not close within 0.05 s" in caplog.text


def _nothing(*_: object) -> None:
    """Ignore a callback."""
