"""Checks of the session descriptions and ICE candidates that clients send, before aiortc parses them.

aiortc trusts a description: its work grows with the square of some counts, and a candidate with an invalid port makes
it lose a socket. `checked_description` and `read_candidate` therefore refuse what is invalid or too large, and leave
out candidates that are valid but of no use to the mock, as browsers do:

- candidates of TCP, of a second component (RTCP has none, RFC 8858), and of unknown types;
- candidates with a host name. Looking up an mDNS name (`.local`) takes up to a second, and the client's connectivity
  checks reveal its address anyway (RFC 8445 section 7.3.1.3).
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aiortc import RTCIceCandidate


MAX_LENGTH = 64 << 10
"""Maximum length of a description in characters. A browser sends about 10,000."""
MAX_LINES = 500
"""Maximum number of lines apart from candidates. A browser sends about 300.

aiortc's work grows with the square of some kinds of lines: 1000 lines of the worst kind stop all sessions for 0.1 s.
"""
MAX_SECTIONS = 8
"""Maximum number of media sections. A client needs at most three: video, audio and data channels."""
MAX_CODECS = 128
"""Maximum number of `a=rtpmap` lines in a section: RTP has 128 payload types (RFC 3550 section 5.1)."""
MAX_CANDIDATES = 100
"""Maximum number of usable candidates in a section, and in total of trickled ones.

RFC 8445 section 6.1.2.5 recommends to check at most 100 pairs. aioice's work grows with the square of the candidates:
100 stop all sessions for 20 ms, 1000 for 1.2 s, 5000 for 21 s.
"""

_CANDIDATE = re.compile(
    r"(?:candidate:)?(?P<foundation>\S{1,32}) +(?P<component>\d{1,3}) +(?P<transport>\S{1,32}) +(?P<priority>\d{1,10})"
    r" +(?P<address>\S{1,255}) +(?P<port>\d{1,5}) +typ +(?P<type>\S{1,32})(?: .{0,1000})?",
    re.ASCII,
)
_TYPES = frozenset({"host", "srflx", "relay"})
"""The types of candidates that a peer can signal (RFC 8839 section 5.1) and aioice can use."""
_CREDENTIALS = {
    "a=ice-ufrag": (re.compile(r"[A-Za-z0-9+/]{4,256}"), 4),
    "a=ice-pwd": (re.compile(r"[A-Za-z0-9+/]{22,256}"), 22),
}
"""The form of ICE credentials, and their minimum length (RFC 8839 section 5.4)."""
_SHOWN = 60
"""Number of characters of an invalid line that an error quotes."""


class DescriptionError(ValueError):
    """A session description or a candidate is invalid or not supported."""


def checked_description(sdp: str, kind: Literal["offer", "answer"]) -> str:
    """Return a client's description without the candidates that are of no use.

    If a candidate with an mDNS name is left out, so is the end-of-candidates line, which Firefox writes. With this line
    and without candidates, ICE would fail before the client's connectivity checks arrive.

    Raises:
        DescriptionError: the description is too large, or a part of it is invalid.
    """
    try:
        return "".join(f"{line}\r\n" for line in _checked(sdp))
    except DescriptionError as error:
        raise DescriptionError(f"the {kind}'s SDP cannot be used: {error}") from error


def _checked(sdp: str) -> list[str]:
    if len(sdp) > MAX_LENGTH:
        raise _too_much("characters", MAX_LENGTH, len(sdp))
    lines = sdp.splitlines()
    others = sum(not line.startswith("a=candidate:") for line in lines)
    if others > MAX_LINES:
        raise _too_much("lines apart from candidates", MAX_LINES, others)
    sections = [at for at, line in enumerate(lines) if line.startswith("m=")]
    if len(sections) > MAX_SECTIONS:
        raise _too_much("media sections", MAX_SECTIONS, len(sections))
    for begin, end in itertools.pairwise([*sections, len(lines)]):
        codecs = sum(line.startswith("a=rtpmap:") for line in lines[begin:end])
        if codecs > MAX_CODECS:
            raise _too_much("codecs in a media section", MAX_CODECS, codecs)
        if lines[begin].startswith("m=application"):
            _check_sctp_port(lines[begin:end])
    kept = list(_usable(lines))
    has_local_names = any(line.startswith("a=candidate:") and ".local " in line for line in lines)
    return [line for line in kept if line != "a=end-of-candidates"] if has_local_names else kept


def _usable(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a description, without unusable candidates; check candidates and ICE credentials."""
    seen: set[str] = set()
    for line in lines:
        name, _, value = line.partition(":")
        if name == "a=candidate":
            candidate = read_candidate(value)
            text = None if candidate is None else _line(candidate)
            if text is None or text in seen:
                continue
            seen.add(text)
            if len(seen) > MAX_CANDIDATES:
                raise DescriptionError(f"expected at most {MAX_CANDIDATES} ICE candidates in a media section, got more")
            yield text
            continue
        if line.startswith("m="):
            seen = set()
        elif name in _CREDENTIALS:
            form, least = _CREDENTIALS[name]
            if form.fullmatch(value.strip()) is None:
                raise DescriptionError(
                    f"expected {name} with {least} to 256 letters, digits, + or / (RFC 8839 section 5.4), "
                    f"got {len(value)} characters"
                )
        yield line


def _check_sctp_port(section: list[str]) -> None:
    """Check the SCTP port of the data channels, without which aiortc fails later in one of its own tasks."""
    words = section[0].split()
    # Some clients still write the format of 2014, `m=application 9 DTLS/SCTP 5000`.
    ports = words[3:4]
    if words[2:3] != ["DTLS/SCTP"]:
        ports = [line.removeprefix("a=sctp-port:").strip() for line in section if line.startswith("a=sctp-port:")]
    port = ports[-1] if ports else "none"
    if re.fullmatch(r"[0-9]{1,5}", port) is None or not 0 < int(port) <= 65535:
        raise DescriptionError(f"expected an a=sctp-port from 1 to 65535 (RFC 8841), got {port[:_SHOWN]}")


def read_candidate(text: str) -> RTCIceCandidate | None:
    """Parse a candidate line, `candidate:...`; return None for a valid candidate that the mock cannot use.

    Raises:
        DescriptionError: `text` is not a candidate line.
    """
    from aiortc import RTCIceCandidate  # noqa: PLC0415 - see `odyssey_mock.rtc`

    fields = _CANDIDATE.fullmatch(text.strip())
    if fields is None:
        raise DescriptionError(f"expected an ICE candidate line (RFC 8839 section 5.1), got {text[:_SHOWN]!r}")
    component, priority, port = (int(fields[name]) for name in ("component", "priority", "port"))
    for name, value, least, most in (
        ("component", component, 1, 256),
        ("priority", priority, 0, 2**32 - 1),
        ("port", port, 0, 65535),
    ):
        if not least <= value <= most:
            raise DescriptionError(
                f"expected a {name} from {least} to {most} in an ICE candidate line (RFC 8839 section 5.1), got {value}"
            )
    is_usable = component == 1 and fields["transport"].lower() == "udp" and fields["type"] in _TYPES and port > 0
    if not is_usable or not _is_address(fields["address"]):
        return None
    return RTCIceCandidate(
        component=component,
        foundation=fields["foundation"],
        ip=fields["address"],
        port=port,
        priority=priority,
        protocol="udp",
        type=fields["type"],
    )


def _is_address(text: str) -> bool:
    """Return whether a text is an IP address without a scope id, which has a meaning only on the client's machine."""
    try:
        return "%" not in text and ipaddress.ip_address(text) is not None
    except ValueError:
        return False


def _line(candidate: RTCIceCandidate) -> str:
    # Without the extensions behind the type, which are not checked.
    return (
        f"a=candidate:{candidate.foundation} {candidate.component} {candidate.protocol} {candidate.priority} "
        f"{candidate.ip} {candidate.port} typ {candidate.type}"
    )


def _too_much(what: str, most: int, got: int) -> DescriptionError:
    return DescriptionError(f"expected at most {most} {what}, got {got}")
