"""ICE transports of an aiortc peer, and their candidates.

aioice reads the addresses of the machine's interfaces; a `Network` cannot choose them. It leaves out 127.0.0.1, so a
machine with only a loopback interface has no candidates. It waits five seconds for STUN and TURN servers, and uses one
TURN server. It ignores late responses to consent checks, and notices the result of connectivity checks late.
`gather_on` changes these properties for one ICE connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aioice import Candidate, Connection
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection

from odyssey_client.platform import IceServer
from odyssey_client.rtc.connectivity_checks import complete_at_once
from odyssey_client.rtc.consent import accept_late_consent
from odyssey_client.rtc.server_candidates import TlsContext, ask_servers


def ice_transports(peer: RTCPeerConnection) -> set[RTCIceTransport]:
    """Return the ICE transports of ``peer``: a single one if everything is bundled."""
    return {transport.transport for transport in dtls_transports(peer)}


def dtls_transports(peer: RTCPeerConnection) -> set[RTCDtlsTransport]:
    """Return the DTLS transports of ``peer``: a single one if everything is bundled."""
    transports = {transceiver.receiver.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport)
    return transports


def gather_on(
    peer: RTCPeerConnection,
    addresses: list[str] | None,
    servers: Sequence[IceServer],
    tls: TlsContext,
    round_trip: Callable[[float], None] = lambda _: None,
) -> None:
    """Make ``peer`` gather its host candidates on ``addresses``; None for the addresses that aioice finds.

    Call this function after a transceiver or the remote description has created the transports, and before setting the
    local description, which starts the gathering.

    Args:
        peer: A peer without ICE servers in its configuration.
        addresses: Addresses of this machine.
        servers: The ICE servers to use.
        tls: Returns the TLS context for connections to TURN servers.
        round_trip: Called with the seconds from each consent check to its response.
    """
    for transport in ice_transports(peer):
        connection = transport.iceGatherer._connection  # noqa: SLF001 - aioice has no public way to choose addresses
        _gather_on(connection, addresses, servers, tls)
        accept_late_consent(connection, round_trip)


def _gather_on(connection: Connection, ours: list[str] | None, servers: Sequence[IceServer], tls: TlsContext) -> None:
    gather = connection.get_component_candidates

    async def get_component_candidates(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        own = await gather(component, addresses if ours is None else ours, timeout)
        return own + await ask_servers(connection, component, servers, tls)

    connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign]
    complete_at_once(connection)
