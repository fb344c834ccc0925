"""Impaired datagrams of an aiortc peer: the sockets of its ICE connections lose, delay and repeat real datagrams.

aioice has no way to intercept datagrams. `ImpairedDatagrams` therefore replaces the transport of each of its sockets,
and the method that receives datagrams.
"""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from typing import Any, override

from aiortc import RTCPeerConnection

from odyssey_mock.impairment.delay_line import DelayLine
from odyssey_mock.impairment.profile import Direction, kind_of
from odyssey_mock.rtc.ice import ice_transports
from odyssey_mock.rtc.protocols import DatagramNetwork

FLUSH_LIMIT = 1.0
"""Maximum seconds for which the closed sockets of a peer stay open, so that delayed datagrams are still sent.

The limit counts from the first socket that is closed. aioice closes each socket when the previous one is closed.
"""


class ImpairedDatagrams:
    """The datagrams of one peer, which pass through `network` in both directions.

    Attributes:
        network: decides when datagrams are delivered; None delivers them at once.
    """

    def __init__(self, context: contextvars.Context) -> None:
        """Create it without a socket. Tasks of the peer that delayed datagrams start get `context`."""
        self.network: DatagramNetwork | None = None
        self._is_cut = False
        self._line = DelayLine(context)
        self._replaced: dict[asyncio.DatagramProtocol, None] = {}
        self._close_by: float | None = None
        """When all sockets are closed at the latest; None until the first one is closed."""
        self._closes: dict[Callable[[], object], None] = {}
        """Functions that close sockets which wait for their delayed datagrams."""

    def attach(self, peer: RTCPeerConnection) -> None:
        """Replace the transports of the sockets that `peer` has. Sockets that were replaced before stay as they are."""
        for transport in ice_transports(peer):
            for protocol in transport.iceGatherer._connection._protocols:  # noqa: SLF001 - no public way to its sockets
                if protocol not in self._replaced:
                    self._replaced[protocol] = None
                    protocol.transport = _ImpairedTransport(protocol.transport, self)
                    receive = functools.partial(self._receive, protocol.datagram_received)
                    protocol.datagram_received = receive  # type: ignore[method-assign]  # aioice has no other way

    def cut(self) -> None:
        """Let nothing pass from now on; datagrams on their way are lost. Sockets that wait for them are closed."""
        self._is_cut = True
        self._line.clear()
        for close in [*self._closes]:
            self._close(close)

    def pass_on(self, direction: Direction, data: bytes, deliver: Callable[[], object]) -> None:
        """Call `deliver` once for each copy of a datagram that the network delivers, at its time."""
        if self._is_cut:
            return
        if self.network is None:
            deliver()
            return
        now = asyncio.get_running_loop().time()
        for when in self.network.deliveries(direction, kind_of(data), len(data), now):
            self._line.add(when, deliver)

    def finish(self, close: Callable[[], object]) -> None:
        """Call `close` once the datagrams on their way have been delivered, or at the end of `FLUSH_LIMIT`."""
        if self._close_by is None:
            self._close_by = asyncio.get_running_loop().time() + FLUSH_LIMIT
        self._closes[close] = None
        latest = self._line.latest
        when = self._close_by if latest is None else min(latest, self._close_by)
        if latest is None or not self._line.add(when, functools.partial(self._close, close)):
            self._close(close)

    def _close(self, close: Callable[[], object]) -> None:
        if close in self._closes:
            del self._closes[close]
            close()

    def _receive(
        self, receive: Callable[[bytes, tuple[Any, ...]], None], data: bytes, address: tuple[Any, ...]
    ) -> None:  # Any: as in aioice
        self.pass_on("from_client", data, functools.partial(receive, data, address))


class _ImpairedTransport(asyncio.DatagramTransport):
    """A datagram transport whose datagrams pass through the network of `ImpairedDatagrams`."""

    def __init__(self, transport: asyncio.DatagramTransport, datagrams: ImpairedDatagrams) -> None:
        super().__init__()
        self._transport = transport
        self._datagrams = datagrams
        self._is_closed = False

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:  # Any: as in asyncio
        self._datagrams.pass_on("to_client", data, functools.partial(self._send, data, addr))

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:  # Any: as in asyncio
        return self._transport.get_extra_info(name, default)

    @override
    def close(self) -> None:
        self._datagrams.finish(self._close)

    def _send(self, data: Any, addr: Any) -> None:  # Any: as in asyncio
        if not self._is_closed:
            self._transport.sendto(data, addr)

    def _close(self) -> None:
        self._is_closed = True
        self._transport.close()
