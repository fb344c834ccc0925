"""ICE candidates and servers of an aiortc peer.

aioice reads the addresses of the machine's interfaces; a `Network` cannot choose them. It leaves out 127.0.0.1, so a
machine with only a loopback interface has no candidates. It waits five seconds for a STUN server. `gather_on` changes
these three properties for one ICE connection.
"""

from __future__ import annotations

from collections.abc import Iterable

from aioice import Candidate, Connection
from aiortc import RTCIceCandidate, RTCIceTransport, RTCPeerConnection
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.sdp import candidate_from_sdp

from odyssey_client.loopback import is_loopback

STUN_LIMIT_S = 2
"""Seconds to wait for STUN and TURN servers; candidates that take longer are left out."""


def ice_transports(peer: RTCPeerConnection) -> set[RTCIceTransport]:
    """Return the ICE transports of ``peer``: a single one if everything is bundled."""
    transports = {transceiver.receiver.transport.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
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


def can_be_asked(url: str) -> bool:
    """Return whether aiortc can use the URL of an ICE server (RFC 7064, RFC 7065).

    A URL that aiortc cannot parse would make the offer fail; an invalid port would make gathering fail.
    """
    try:
        port = parse_stun_turn_uri(url)["port"]
    except ValueError:
        return False
    return isinstance(port, int) and 0 < port < 2**16


def without_local_names(sdp: str) -> str:
    """Return ``sdp`` without candidates that have ``.local`` names: an mDNS lookup blocks for up to a second.

    The peers can still connect: connectivity checks of the other peer reveal the address (RFC 8445 section 7.3.1.3).
    """
    lines: Iterable[str] = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("a=candidate:") and is_local_name(line)))


def is_local_name(candidate: str) -> bool:
    """Return whether a candidate line hides its address behind a ``.local`` name."""
    fields = candidate.split()
    return len(fields) > 4 and fields[4].lower().endswith(".local")


def read_candidate(line: str, mid: str | None, mline_index: int | None) -> RTCIceCandidate:
    """Parse a candidate as browsers write it, ``candidate:...`` (RFC 8839 section 5.1).

    Raises:
        ValueError: ``line`` is not a candidate.
    """
    try:
        candidate = candidate_from_sdp(line.removeprefix("a=").removeprefix("candidate:"))
    except (ValueError, IndexError, AssertionError) as error:
        raise ValueError("the text is not an ICE candidate line (RFC 8839 section 5.1)") from error
    candidate.sdpMid = mid
    candidate.sdpMLineIndex = 0 if mid is None and mline_index is None else mline_index
    return candidate
