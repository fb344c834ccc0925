"""Tests of `ImpairedDatagrams` between aiortc's sockets and a network with a constant delay, in simulated time."""

import asyncio
import contextvars
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from aiortc import RTCPeerConnection

from odyssey_mock.impairment.profile import Direction, TrafficKind
from odyssey_mock.rtc import impaired_datagrams
from odyssey_mock.rtc.impaired_datagrams import FLUSH_LIMIT, ImpairedDatagrams
from tests.support.simulated_loops import play

SOCKETS = 3


class Delay:
    """A network that delays every datagram."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def deliveries(self, direction: Direction, kind: TrafficKind, size: int, now: float) -> Sequence[float]:
        return (now + self._seconds,)


class Socket(asyncio.DatagramTransport):
    """A socket that notes what was sent, and the time at which it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[object] = []
        self.closed_at: float | None = None
        self.closed = asyncio.Event()

    def sendto(self, data: object, addr: object = None) -> None:
        self.sent.append(data)

    def close(self) -> None:
        assert self.closed_at is None, "the socket was closed twice"
        self.closed_at = asyncio.get_running_loop().time()
        self.closed.set()


class Protocol(asyncio.DatagramProtocol):
    """A protocol of aioice with its transport."""

    def __init__(self, socket: Socket) -> None:
        self.transport: asyncio.DatagramTransport = socket


def impaired(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> tuple[ImpairedDatagrams, list[Socket], list[asyncio.DatagramTransport]]:
    """Return the impaired datagrams of a peer with some sockets, the sockets, and the transports in their place."""
    protocols = [Protocol(Socket()) for _ in range(SOCKETS)]
    sockets = [cast("Socket", each.transport) for each in protocols]
    connection = SimpleNamespace(_protocols=protocols)
    transport = SimpleNamespace(iceGatherer=SimpleNamespace(_connection=connection))
    monkeypatch.setattr(impaired_datagrams, "ice_transports", lambda _: [transport])
    datagrams = ImpairedDatagrams(contextvars.copy_context())
    datagrams.network = Delay(seconds)
    datagrams.attach(cast("RTCPeerConnection", None))
    return datagrams, sockets, [each.transport for each in protocols]


def test_socket_closes_when_delayed_datagrams_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        _, (socket, *_), (transport, *_) = impaired(monkeypatch, 0.5)
        begun = asyncio.get_running_loop().time()
        transport.sendto(b"goodbye")
        transport.close()
        transport.close()  # permitted, as for every transport
        await socket.closed.wait()
        assert socket.sent == [b"goodbye"]
        assert socket.closed_at == pytest.approx(begun + 0.5)

    play(scenario)


def test_cut_closes_sockets_that_wait_for_delayed_datagrams(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        datagrams, sockets, transports = impaired(monkeypatch, 0.5)
        for each in transports:
            each.sendto(b"goodbye")
            each.close()
        assert not any(each.closed.is_set() for each in sockets)
        datagrams.cut()
        assert all(each.closed.is_set() for each in sockets)
        assert [each.sent for each in sockets] == [[]] * SOCKETS

    play(scenario)


def test_all_sockets_of_a_peer_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice closes them one after the other, while the client still sends."""

    async def scenario() -> None:
        _, sockets, transports = impaired(monkeypatch, 10)
        begun = asyncio.get_running_loop().time()
        for socket, transport in zip(sockets, transports, strict=True):
            transport.sendto(b"goodbye")
            transport.close()
            await socket.closed.wait()
        closed = [each.closed_at for each in sockets]
        assert closed == pytest.approx([begun + FLUSH_LIMIT] * SOCKETS)

    play(scenario)
