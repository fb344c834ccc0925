"""Which candidates an aiortc peer gathers and takes.

aioice reads the machine's interfaces itself and leaves 127.0.0.1 out: a machine with loopback alone has no candidate
then, and `Network` has no say. It also gives a STUN server five seconds to answer. Both are cured on the
one ICE connection at hand, by wrapping its bound method: nothing is patched for anybody else, and aioice's own code
still does the gathering.
"""

from __future__ import annotations

from collections.abc import Iterable

from aioice import Candidate, Connection
from aiortc import RTCIceCandidate, RTCIceTransport, RTCPeerConnection
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.sdp import candidate_from_sdp

from odyssey_client.loopback import is_loopback

STUN_LIMIT_S = 2
"""Seconds that STUN and TURN servers may take; what they have not said by then is done without."""


def ice_transports(peer: RTCPeerConnection) -> set[RTCIceTransport]:
    """Return the ICE transports of ``peer``: one, when everything is bundled."""
    transports = {transceiver.receiver.transport.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    return transports


def gather_on(peer: RTCPeerConnection, addresses: list[str] | None) -> None:
    """Make ``peer`` gather its host candidates on ``addresses``; None for those aioice finds.

    To be called when there are transports, which a transceiver or the remote description makes, and before the local
    description is set, which gathers.
    """
    for transport in ice_transports(peer):
        _gather_on(transport.iceGatherer._connection, addresses)  # noqa: SLF001 - aioice has no public way to choose


def _gather_on(connection: Connection, ours: list[str] | None) -> None:
    if connection.stun_server is not None and is_loopback(connection.stun_server[0]):
        # A server on this machine sees the very addresses that the host candidates have. Asking it costs a thread
        # for a look-up.
        connection.stun_server = None
    gather = connection.get_component_candidates

    async def get_component_candidates(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        return await gather(component, addresses if ours is None else ours, min(timeout, STUN_LIMIT_S))

    connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign]


def can_be_asked(url: str) -> bool:
    """Whether aiortc can do with the URL of an ICE server (RFC 7064, RFC 7065).

    One that it does not understand fails the offer; one with a port that is none, the gathering.
    """
    try:
        port = parse_stun_turn_uri(url)["port"]
    except ValueError:
        return False
    return isinstance(port, int) and 0 < port < 2**16


def without_local_names(sdp: str) -> str:
    """Leave candidates with ``.local`` names out of ``sdp``: looking one up by mDNS blocks for up to a second.

    Nothing is lost: the other side's checks come from the address behind the name (RFC 8445 section 7.3.1.3).
    """
    lines: Iterable[str] = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("a=candidate:") and is_local_name(line)))


def is_local_name(candidate: str) -> bool:
    """Whether a candidate line hides its address behind a ``.local`` name."""
    fields = candidate.split()
    return len(fields) > 4 and fields[4].lower().endswith(".local")


def read_candidate(line: str, mid: str | None, mline_index: int | None) -> RTCIceCandidate:
    """Read a candidate as browsers write it, ``candidate:...`` (RFC 8839 section 5.1).

    Raises:
        ValueError: it is none.
    """
    try:
        candidate = candidate_from_sdp(line.removeprefix("a=").removeprefix("candidate:"))
    except (ValueError, IndexError, AssertionError) as error:
        raise ValueError("no ICE candidate line (RFC 8839 section 5.1)") from error
    candidate.sdpMid = mid
    candidate.sdpMLineIndex = 0 if mid is None and mline_index is None else mline_index
    return candidate
