"""Which addresses an aiortc peer offers as host candidates, and how it falls silent on them.

aioice leaves 127.0.0.1 out, so that a machine with loopback alone has no candidate at all; and it reads the machine's
interfaces itself, where the `Network` seam should say. Both are cured on the one ICE connection at hand, with nothing
patched for anybody else.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, override

from aioice import Candidate
from aiortc import RTCIceTransport, RTCPeerConnection


def offer_addresses(peer: RTCPeerConnection, addresses: list[str]) -> None:
    """Make `peer` gather its host candidates on `addresses`, whatever the machine has.

    To be called once the transceivers and the SCTP transport exist and before the local description is set, which
    gathers.
    """
    for transport in ice_transports(peer):
        connection = transport.iceGatherer._connection  # noqa: SLF001 - aioice has no public way to choose addresses
        gather = functools.partial(_gather, connection.get_component_candidates, addresses)
        connection.get_component_candidates = gather  # type: ignore[method-assign]


def ice_transports(peer: RTCPeerConnection) -> set[RTCIceTransport]:
    """The ICE transports of `peer`; after bundling one, before that one for each section."""
    transports = {transceiver.sender.transport.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    return transports


def silence(peer: RTCPeerConnection) -> None:
    """Let nothing of `peer` go out or come in any more, as when a cable is cut.

    The sockets stay open: with closed ones aiortc would know at once, and its `close` would hang.
    """
    for transport in ice_transports(peer):
        for protocol in transport.iceGatherer._connection._protocols:  # noqa: SLF001 - no public way to its sockets
            protocol.transport = _Severed(protocol.transport)
            protocol.datagram_received = _unheard  # type: ignore[method-assign]


class _Severed(asyncio.DatagramTransport):
    """A transport that sends nothing."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        super().__init__()
        self._transport = transport

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:  # Any: as asyncio has them
        pass

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:  # Any: as asyncio has them
        return self._transport.get_extra_info(name, default)

    @override
    def close(self) -> None:
        self._transport.close()


def _unheard(data: bytes | str, addr: tuple[Any, ...]) -> None:  # Any: as aioice has them
    """Take what comes, and tell nobody."""


async def _gather(
    original: Callable[[int, list[str], int], Coroutine[None, None, list[Candidate]]],
    ours: list[str],
    component: int,
    addresses: list[str],  # noqa: ARG001 - what aioice read from the machine
    timeout: int = 5,
) -> list[Candidate]:
    return await original(component, ours, timeout)
