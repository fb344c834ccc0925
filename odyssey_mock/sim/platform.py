"""Clock and network of a simulated run, as the client and the mock take them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import cache
from typing import cast, override

import httpx

import odyssey_client
from odyssey_mock.core import clock
from odyssey_mock.core.network import ListenError
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.sockets import BoundSocket
from odyssey_mock.system_network import SystemNetwork

EPOCH = clock.MANUAL_START
"""When a run begins: the same in every run."""


class WallClock:
    """What a machine thinks the time is: the run's, and by how much it is wrong."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.offset = 0.0
        """Seconds that it is ahead. Set it, and the clock jumps; what is under way takes as long as it does."""

    def time(self) -> float:
        return EPOCH + self._loop.time() + self.offset


class ClientClock(odyssey_client.SystemClock):
    """`odyssey_client.Clock` of one simulated machine."""

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
    """`odyssey_mock.Clock` of the simulated server: deadlines come after as long as they should, whatever it shows."""

    def __init__(self, loop: SimulatedLoop, wall: WallClock) -> None:
        super().__init__()
        self._shown = wall
        self._true = loop

    @override
    def time(self) -> float:
        return self._shown.time()


class ClientNetwork(odyssey_client.SystemNetwork):
    """`odyssey_client.Network` of one simulated machine."""

    def __init__(self, loop: SimulatedLoop, host: str) -> None:
        self._loop = loop
        self._host = host

    @override
    def http_transport(self) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(verify=_no_tls(), trust_env=False)

    @override
    def proxy(self, host: str) -> None:
        """There are none."""

    @override
    def ice_addresses(self) -> list[str]:
        return [self._loop.network.address(self._host)]


class ServerNetwork(SystemNetwork):
    """`odyssey_mock.Network` of the simulated server."""

    def __init__(self, loop: SimulatedLoop, host: str) -> None:
        self._loop = loop
        self._host = host

    def listen(self, host: str, port: int) -> socket.socket:
        network = self._loop.network
        try:
            owner, number = network._bind_address(host, port)  # noqa: SLF001 - it is ours
        except OSError as error:
            raise ListenError(error.errno, f"cannot listen on {host} port {port}: {error}") from error
        return cast("socket.socket", BoundSocket((network.address(owner), number)))

    def reserve(self, closed: socket.socket, address: tuple[str, int]) -> socket.socket:  # noqa: ARG002 - as others do
        return cast("socket.socket", BoundSocket(address))

    async def datagrams[P: asyncio.DatagramProtocol](
        self, factory: Callable[[], P], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, P]:
        endpoint: tuple[asyncio.DatagramTransport, P] = await self._loop.create_datagram_endpoint(
            factory, local_addr=(host, port)
        )
        return endpoint

    async def dial(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port, ssl=_no_tls() if tls else None)

    def ice_addresses(self, loopback_only: bool) -> list[str]:  # noqa: ARG002 - there is one
        return [self._loop.network.address(self._host)]


SystemServerNetwork: type[MockNetwork] = ServerNetwork
"""Checked by mypy: it is one of the mock's networks."""


@cache
def _no_tls() -> ssl.SSLContext:
    """A context that trusts nobody: there is no TLS in a simulation, and loading real certificates takes 20 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
