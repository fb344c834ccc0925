"""Functions that set the host candidates of an aiortc peer, and find its ICE transports and their sockets.

aioice omits 127.0.0.1, so that a machine with only a loopback interface has no candidates. aioice also reads the
machine's interfaces instead of asking the `Network`, and uses any free ports. `offer_addresses` replaces this gathering
for the ICE connections of one peer, without a global patch.
"""

import asyncio
from collections.abc import Sequence

from aioice import Candidate, Connection
from aiortc import RTCIceTransport, RTCPeerConnection

from odyssey_mock.rtc.connectivity_checks import complete_at_once
from odyssey_mock.rtc.consent import accept_late_consent
from odyssey_mock.rtc.gathering import gather
from odyssey_mock.rtc.host_candidates import HostCandidates


def offer_addresses(peer: RTCPeerConnection, addresses: Sequence[str], offered: HostCandidates) -> None:
    """Make `peer` listen on `addresses`, and gather the candidates that `offered` describes (`gathering.py`).

    The ICE connections also complete as soon as a check has succeeded (`connectivity_checks.py`), and accept late
    responses to consent checks (`consent.py`).

    Call this function after the transceivers and the SCTP transport are created, and before the local description is
    set: aiortc gathers the candidates when it sets the description.
    """
    for transport in ice_transports(peer):
        connection = transport.iceGatherer._connection  # noqa: SLF001 - aioice has no public way to choose addresses
        _gather_on(connection, addresses, offered)
        complete_at_once(connection)
        accept_late_consent(connection)


def ice_transports(peer: RTCPeerConnection) -> set[RTCIceTransport]:
    """Return the ICE transports of `peer`: one for each media section, or a single one after bundling."""
    transports = {transceiver.sender.transport.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    return transports


def open_sockets(peer: RTCPeerConnection) -> list[asyncio.DatagramTransport]:
    """Return the sockets of `peer`, which it has until it is closed."""
    return [
        protocol.transport
        for transport in ice_transports(peer)
        for protocol in transport.iceGatherer._connection._protocols  # noqa: SLF001 - no public way to its sockets
    ]


def _gather_on(connection: Connection, ours: Sequence[str], offered: HostCandidates) -> None:
    async def get_component_candidates(
        component: int,
        addresses: list[str],  # noqa: ARG001 - the addresses that aioice found on the machine
        timeout: int = 5,  # noqa: ARG001 - for the STUN and TURN servers, which the mock's peers do not use
    ) -> list[Candidate]:
        return await gather(connection, component, ours, offered)

    connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign]
