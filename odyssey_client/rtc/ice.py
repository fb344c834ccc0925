"""Host candidates and ICE servers of an aiortc peer.

aioice reads the addresses of the machine's interfaces; a `Network` cannot choose them. It leaves out 127.0.0.1, so a
machine with only a loopback interface has no candidates. It waits five seconds for a STUN server. It ignores late
responses to consent checks, and notices the result of connectivity checks late. `gather_on` changes these five
properties for one ICE connection.
"""

from __future__ import annotations

from aioice import Candidate, Connection
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection
from aiortc.rtcicetransport import parse_stun_turn_uri

from odyssey_client.loopback import is_loopback
from odyssey_client.rtc.connectivity_checks import complete_at_once
from odyssey_client.rtc.consent import accept_late_consent

STUN_LIMIT_S = 2
"""Seconds to wait for STUN and TURN servers; candidates that take longer are left out."""


def ice_transports(peer: RTCPeerConnection) -> set[RTCIceTransport]:
    """Return the ICE transports of ``peer``: a single one if everything is bundled."""
    return {transport.transport for transport in dtls_transports(peer)}


def dtls_transports(peer: RTCPeerConnection) -> set[RTCDtlsTransport]:
    """Return the DTLS transports of ``peer``: a single one if everything is bundled."""
    transports = {transceiver.receiver.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport)
    return transports


def gather_on(peer: RTCPeerConnection, addresses: list[str] | None) -> None:
    """Make ``peer`` gather its host candidates on ``addresses``; None for the addresses that aioice finds.

    Call this function after a transceiver or the remote description has created the transports, and before setting the
    local description, which starts the gathering.
    """
    for transport in ice_transports(peer):
        _gather_on(transport.iceGatherer._connection, addresses)  # noqa: SLF001 - aioice has no public way to choose


def _gather_on(connection: Connection, ours: list[str] | None) -> None:
    if connection.stun_server is not None and is_loopback(connection.stun_server[0]):
        # A STUN server on this machine would only report addresses of host candidates, and a request to it would
        # start a thread for a name lookup.
        connection.stun_server = None
    gather = connection.get_component_candidates

    async def get_component_candidates(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        return await gather(component, addresses if ours is None else ours, min(timeout, STUN_LIMIT_S))

    connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign]
    complete_at_once(connection)
    accept_late_consent(connection)


def can_be_asked(url: str) -> bool:
    """Return whether aiortc can use the URL of an ICE server (RFC 7064, RFC 7065).

    A URL that aiortc cannot parse would make the offer fail; an invalid port would make gathering fail.
    """
    try:
        port = parse_stun_turn_uri(url)["port"]
    except ValueError:
        return False
    return isinstance(port, int) and 0 < port < 2**16
