"""Clocks and networks of a simulated run, for the client and the mock."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from typing import Never, cast, override

import httpx

import odyssey_client
from odyssey_mock.core import clock
from odyssey_mock.core.network import ListenError, PrivateAddressError
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.sockets import BoundSocket
from odyssey_mock.system_network import SystemNetwork

EPOCH = clock.MANUAL_START
"""Time at which every run starts, in seconds since the epoch."""


_VIRTUAL = "virtual time passes by itself while all tasks wait; write `await asyncio.sleep(...)`"
_ONE_PACE = "expected a mock outside of a simulated run; all clocks of the run show the same virtual time"


class WallClock:
    """The wall clock of one host: the time of the run plus an offset."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.offset = 0.0
        """Seconds by which the clock is ahead. Assigning a value makes the clock jump, without effect on timers."""

    def time(self) -> float:
        return EPOCH + self._loop.time() + self.offset


class ClientClock(odyssey_client.SystemClock):
    """The `odyssey_client.Clock` of one simulated host."""

    def __init__(self, loop: SimulatedLoop, wall: WallClock) -> None:
        self._loop = loop
        self._wall = wall

    @override
    def time(self) -> float:
        return self._wall.time()

    @override
    def monotonic(self) -> float:
        return self._loop.time()


class ServerClock(clock.RealClock):
    """The `odyssey_mock.Clock` of the simulated server. Its deadlines do not depend on the wall clock's offset."""

    def __init__(self, wall: WallClock) -> None:
        super().__init__()
        self._shown = wall

    @override
    def time(self) -> float:
        return self._shown.time()

    @override
    async def advance(self, seconds: float) -> None:
        """Raise `RuntimeError`: virtual time passes by itself."""
        raise RuntimeError(_VIRTUAL)

    @override
    async def advance_to_next(self) -> clock.Deadline | None:
        """Raise `RuntimeError`: virtual time passes by itself."""
        raise RuntimeError(_VIRTUAL)

    @override
    def pause(self) -> None:
        """Raise `ClockKindError`: the clocks of a simulated run have one pace."""
        raise clock.ClockKindError(_ONE_PACE)

    @override
    def resume(self) -> None:
        """Raise `ClockKindError`: the clocks of a simulated run have one pace."""
        raise clock.ClockKindError(_ONE_PACE)

    @override
    def set_speed(self, speed: float) -> None:
        """Raise `ClockKindError`: the clocks of a simulated run have one pace."""
        raise clock.ClockKindError(_ONE_PACE)

    @override
    def _earlier_than(self, deadline: object) -> Sequence[Never]:
        """Return nothing: the event loop of the run chooses among callbacks that are due at the same time."""
        return ()


class ClientNetwork(odyssey_client.SystemNetwork):
    """The `odyssey_client.Network` of one simulated host."""

    def __init__(self, loop: SimulatedLoop, host: str) -> None:
        self._loop = loop
        self._host = host

    @override
    def http_transport(self) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(verify=_no_tls(), trust_env=False)

    @override
    def proxy(self, url: str) -> None:
        """Return None: a simulated network has no proxies."""

    @override
    def ice_addresses(self) -> list[str]:
        return [self._loop.network.address(self._host)]


class ServerNetwork(SystemNetwork):
    """The `odyssey_mock.Network` of the simulated server."""

    def __init__(self, loop: SimulatedLoop, host: str) -> None:
        self._loop = loop
        self._host = host

    def listen(self, host: str, port: int) -> socket.socket:
        network = self._loop.network
        try:
            owner, number = network._bind_address(host, port)  # noqa: SLF001 - same package
        except OSError as error:
            raise ListenError(error.errno, f"cannot listen on {host} port {port}: {error}") from error
        return cast("socket.socket", BoundSocket((network.address(owner), number)))

    def reserve(self, closed: socket.socket, address: tuple[str, int]) -> socket.socket:  # noqa: ARG002 - part of the protocol
        return cast("socket.socket", BoundSocket(address))

    async def datagrams[P: asyncio.DatagramProtocol](
        self, factory: Callable[[], P], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, P]:
        endpoint: tuple[asyncio.DatagramTransport, P] = await self._loop.create_datagram_endpoint(
            factory, local_addr=(host, port)
        )
        return endpoint

    async def dial(
        self, host: str, port: int, *, tls: bool, public_only: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if public_only:
            raise PrivateAddressError("all simulated hosts are in one private network")
        return await asyncio.open_connection(host, port, ssl=_no_tls() if tls else None)

    def ice_addresses(self, loopback_only: bool) -> list[str]:  # noqa: ARG002 - a host has one address
        return [self._loop.network.address(self._host)]


SystemServerNetwork: type[MockNetwork] = ServerNetwork
"""Makes mypy check that `ServerNetwork` implements `MockNetwork`."""


@cache
def _no_tls() -> ssl.SSLContext:
    """Return an SSL context without trusted certificates: a simulation has no TLS, and loading them takes 20 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
