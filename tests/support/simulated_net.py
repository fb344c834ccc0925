"""Two simulated machines and the network between them, for tests of the simulated network."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import override

from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.network_conditions import NetworkConditions
from odyssey_mock.sim.run import _without_collections

HERE, THERE = "here", "there"
PORT = 80

type Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Inbox(asyncio.DatagramProtocol):
    """An asyncio protocol that records received datagrams, their arrival times and their source addresses."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.at: list[float] = []
        self.sources: list[tuple[str, int]] = []
        self.errors: list[Exception] = []

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append(data)
        self.at.append(asyncio.get_running_loop().time())
        self.sources.append(addr)

    @override
    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


@dataclass
class Net:
    """Two simulated machines, `HERE` and `THERE`, the network between them, and their connections."""

    wire: NetworkConditions
    accepted: list[Peer] = field(default_factory=list)
    hosts: list[object] = field(default_factory=list)
    kept: list[Peer] = field(default_factory=list)
    """All connections. These references prevent their garbage collection before the simulation ends."""

    async def on[T](self, host: str, work: Awaitable[T]) -> T:
        async def do() -> T:
            return await work

        return await self.wire.host(host).create_task(do())  # type: ignore[no-any-return]  # simloop has no types here

    async def listen(self, host: str = THERE, port: int = PORT) -> asyncio.Server:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted.append((reader, writer))
            self.kept.append((reader, writer))
            self.hosts.append(self.wire.here)

        return await self.on(host, asyncio.start_server(accept, "0.0.0.0", port))

    async def dial(self, target: str = THERE, port: int = PORT, *, host: str = HERE) -> Peer:
        peer = await self.on(host, asyncio.open_connection(target, port))
        self.kept.append(peer)
        return peer

    async def connected(self) -> tuple[Peer, Peer]:
        """Open a TCP connection from `HERE` to `THERE`; return the reader and writer of both ends."""
        if not any(end.startswith(f"{THERE}: listens") for end in self.wire.open_ends):
            await self.listen()
        mine = await self.dial()
        await wait(1)
        return mine, self.accepted[-1]

    async def datagrams(self) -> tuple[asyncio.DatagramTransport, Inbox]:
        """Open a UDP socket on `HERE` that sends to a UDP socket on `THERE`.

        Return the transport of the sending socket, and the `Inbox` of the receiving one.
        """
        loop = asyncio.get_running_loop()
        _, inbox = await self.on(THERE, loop.create_datagram_endpoint(Inbox, ("0.0.0.0", 9)))
        mine, _ = await self.on(HERE, loop.create_datagram_endpoint(Inbox, remote_addr=(self.wire.address(THERE), 9)))
        return mine, inbox

    def part(self) -> None:
        self.wire.cut(HERE, THERE)
        self.wire.cut(THERE, HERE)


def play[T](scenario: Callable[[Net], Awaitable[T]], *, seed: int = 1) -> T:
    async def main() -> T:
        return await scenario(net)

    loop = SimulatedLoop(seed)
    net = Net(loop.network)
    for host in (HERE, THERE):
        loop.network.host(host)
    with _without_collections():
        try:
            return loop.run_until_complete(main())  # type: ignore[no-any-return]  # as above
        finally:
            loop.end()


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 - virtual time, which costs nothing


def now() -> float:
    return asyncio.get_running_loop().time()


async def read(peer: Peer, size: int) -> bytes:
    return await peer[0].readexactly(size)
