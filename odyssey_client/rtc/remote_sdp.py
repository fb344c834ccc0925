"""Limits and checks for what the service sends of SDP: session descriptions and trickled ICE candidates.

aiortc does not protect itself: with thousands of candidates it blocks the event loop for many seconds, and a candidate
with an invalid port closes its socket. So descriptions pass `check_sdp`, and candidates pass `read_candidate`, before
aiortc sees them. Both skip candidates that are well-formed but of no use, as browsers do: candidates for TCP or for a
separate RTCP component, of unknown types, or with a host name. An mDNS lookup of a ``.local`` name would block for up
to a second. The peers can connect without it: connectivity checks of the other peer reveal the address (RFC 8445
section 7.3.1.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType

from aiortc import RTCIceCandidate

MAX_SDP_CHARS = 64 * 2**10
"""The service's descriptions have less than 5,000 characters, those of browsers about 10,000."""
MAX_SDP_LINES = 500
"""Lines apart from candidates, of which a browser has about 300. The time to parse some kinds of lines is quadratic."""
MAX_SDP_SECTIONS = 8
"""Sections for video, audio and data channels are the only ones of use."""
MAX_SECTION_CODECS = 128
"""RTP has 128 payload types (RFC 3550 section 5.1)."""
MAX_CANDIDATES = 100
"""Maximum of usable candidates in one section, and of trickled ones in one connection.

RFC 8445 section 6.1.2.5 recommends 100 as the limit of checks. The time that aioice needs is quadratic in this number.
"""

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_RANGES: Mapping[str, range] = MappingProxyType(
    {"component": range(1, 257), "priority": range(2**32), "port": range(2**16)}
)
_USED_TYPES = frozenset({"host", "srflx", "relay"})


def check_sdp(sdp: str) -> str:
    """Return ``sdp`` without the candidates that are of no use.

    Raises:
        ValueError: ``sdp`` exceeds a limit, or has a line that aiortc would accept and then fail at, unnoticed.
    """
    _check_most("characters", len(sdp), MAX_SDP_CHARS)
    lines = sdp.splitlines()
    others = sum(not line.startswith("a=candidate:") for line in lines)
    _check_most("lines apart from candidates", others, MAX_SDP_LINES)
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    _check_most("media sections", len(sections) - 1, MAX_SDP_SECTIONS)
    if "a=fingerprint:" not in sdp:
        raise ValueError("the description has no a=fingerprint line (RFC 8122)")
    _check_bundle(sections)
    return "".join(f"{line}\r\n" for section in sections for line in _checked_section(section))


def _check_bundle(sections: list[list[str]]) -> None:
    """Check that each section has a mid of its own, and that the BUNDLE groups name no others (RFC 9143).

    Otherwise aiortc leaves a section without a transport, and cannot even be closed.
    """
    found = [[line[6:].strip() for line in lines if line.startswith("a=mid:")] for lines in sections[1:]]
    mids = {mid for each in found for mid in each}
    if any(len(each) != 1 for each in found) or len(mids) < len(found):
        raise ValueError("each section must have an a=mid of its own (RFC 9143)")
    for line in sections[0]:
        words = line.removeprefix("a=group:").split()
        if line.startswith("a=group:") and words[:1] == ["BUNDLE"] and not mids.issuperset(words[1:]):
            raise ValueError("a=group:BUNDLE must name only the a=mid of sections (RFC 9143)")


def _checked_section(lines: list[str]) -> list[str]:
    _check_most("codecs in a section", sum(line.startswith("a=rtpmap:") for line in lines), MAX_SECTION_CODECS)
    if lines and lines[0].startswith("m=application "):
        _check_data_section(lines)
    kept: dict[str, None] = {}
    others = []
    for line in lines:
        name, _, value = line.partition(":")
        if name == "a=candidate":
            candidate = read_candidate(value)
            if candidate is not None:
                kept[_written(candidate)] = None
            continue
        if name == "a=ice-ufrag" and not _UFRAG.fullmatch(value):
            raise ValueError("a=ice-ufrag must have 4 to 256 letters, digits, + or / (RFC 8839 section 5.4)")
        if name == "a=ice-pwd" and not _PASSWORD.fullmatch(value):
            raise ValueError("a=ice-pwd must have 22 to 256 letters, digits, + or / (RFC 8839 section 5.4)")
        others.append(line)
    _check_most("ICE candidates in a section", len(kept), MAX_CANDIDATES)
    # The order of attributes has no meaning, but the end of the candidates must not be before them.
    return [*others[:1], *kept, *others[1:]]


def _check_data_section(lines: list[str]) -> None:
    words = lines[0].split()
    # The older form has the port in the first line: `m=application 9 DTLS/SCTP 5000`.
    stated = words[3:4] if words[2:3] == ["DTLS/SCTP"] else []
    stated += [line.partition(":")[2] for line in lines if line.startswith("a=sctp-port:")]
    if not stated or not re.fullmatch(r"[0-9]{1,5}", stated[-1]) or int(stated[-1]) not in range(1, 2**16):
        raise ValueError("the section of the data channels must have an a=sctp-port from 1 to 65535 (RFC 8841)")


def read_candidate(line: str, mid: str | None = None, mline_index: int | None = None) -> RTCIceCandidate | None:
    """Parse a candidate as browsers write it, ``candidate:...`` (RFC 8839 section 5.1).

    Without ``mid`` and ``mline_index``, the candidate belongs to the first section. Return None for a candidate that is
    of no use.

    Raises:
        ValueError: ``line`` is not a candidate.
    """
    words = line.removeprefix("a=").removeprefix("candidate:").split(maxsplit=8)
    if len(words) < 8 or words[6] != "typ" or len(words[0]) > 32:
        raise ValueError("the text is not an ICE candidate line (RFC 8839 section 5.1)")
    foundation, component, transport, priority, address, port, _, kind = words[:8]
    numbers = {"component": component, "priority": priority, "port": port}
    for name, text in numbers.items():
        allowed = _RANGES[name]
        if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) not in allowed:
            raise ValueError(
                f"the text is not an ICE candidate line (RFC 8839 section 5.1): its {name} is not a number from "
                f"{allowed[0]} to {allowed[-1]}"
            )
    if component != "1" or transport.lower() != "udp" or kind not in _USED_TYPES or port == "0":
        return None
    if not _is_address(address):
        return None
    return RTCIceCandidate(
        foundation=foundation,
        component=1,
        protocol="udp",
        priority=int(priority),
        ip=address,
        port=int(port),
        type=kind,
        sdpMid=mid,
        sdpMLineIndex=0 if mid is None and mline_index is None else mline_index,
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a scope names a network interface of the other machine


def _written(candidate: RTCIceCandidate) -> str:
    """Return the line of a candidate, without its extensions, which `read_candidate` did not check."""
    start = f"a=candidate:{candidate.foundation} 1 udp {candidate.priority}"
    return f"{start} {candidate.ip} {candidate.port} typ {candidate.type}"


def _check_most(what: str, got: int, most: int) -> None:
    if got > most:
        raise ValueError(f"expected at most {most} {what}, got {got}")
