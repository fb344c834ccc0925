"""Which addresses an aiortc peer offers as host candidates.

aioice leaves 127.0.0.1 out, so that a machine with loopback alone has no candidate at all; and it reads the machine's
interfaces itself, where the `Network` seam should say. Both are cured on the one ICE connection at hand, with nothing
patched for anybody else.
"""

import functools
from collections.abc import Callable, Coroutine

from aioice import Candidate
from aiortc import RTCPeerConnection


def offer_addresses(peer: RTCPeerConnection, addresses: list[str]) -> None:
    """Make `peer` gather its host candidates on `addresses`, whatever the machine has.

    To be called once the transceivers and the SCTP transport exist and before the local description is set, which
    gathers.
    """
    transports = {transceiver.sender.transport.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    for transport in transports:
        connection = transport.iceGatherer._connection  # noqa: SLF001 - aioice has no public way to choose addresses
        gather = functools.partial(_gather, connection.get_component_candidates, addresses)
        connection.get_component_candidates = gather  # type: ignore[method-assign]


async def _gather(
    original: Callable[[int, list[str], int], Coroutine[None, None, list[Candidate]]],
    ours: list[str],
    component: int,
    addresses: list[str],  # noqa: ARG001 - what aioice read from the machine
    timeout: int = 5,
) -> list[Candidate]:
    return await original(component, ours, timeout)
