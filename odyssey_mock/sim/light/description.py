"""Session descriptions of light peers: the subset of SDP (RFC 8866, RFC 8839) that client and mock read."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, Self, get_args

from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.remote_description import read_candidate

type Direction = Literal["sendonly", "recvonly", "sendrecv", "inactive"]

MAX_MESSAGE = 262144
"""Maximum bytes of a data channel message, the same as in aiortc's descriptions."""

CODECS: tuple[Codec, ...] = get_args(Codec.__value__)
_NAMES: dict[Codec, str] = {"h264": "H264", "vp8": "VP8"}
_TYPES: dict[Codec, int] = {"h264": 99, "vp8": 97}
_DIRECTIONS: tuple[Direction, ...] = get_args(Direction.__value__)
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 (udp|tcp) \d+ (\S+) (\d+) typ host", re.MULTILINE)
_RTPMAP = re.compile(r"^a=rtpmap:\d+ (\w+)/90000", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """A media section: `video`, `audio` or `application` (data channels)."""

    kind: str
    direction: Direction = "sendrecv"
    codecs: tuple[Codec, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """The session description (SDP) that one light peer sends to the other.

    Attributes:
        host: address of the sender's UDP and TCP sockets.
        udp_port: port on which the sender receives frames.
        tcp_port: port on which the sender accepts a TCP connection; None if the sender opens the connection.
    """

    host: str
    udp_port: int
    tcp_port: int | None
    sections: tuple[Section, ...]
    fingerprint: str = ""
    ufrag: str = ""

    @classmethod
    def of(cls, host: str, udp_port: int, tcp_port: int | None, sections: Sequence[Section]) -> Self:
        """Create the description of a peer. Derive its fingerprint and ICE user name from `host` and `udp_port`."""
        return cls(host, udp_port, tcp_port, tuple(sections), _certificate(host, udp_port), _ufrag(host, udp_port))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the description of a light peer.

        Raises:
            ValueError: `text` is not the description of a light peer; the message states the reason.
        """
        if "a=fingerprint:" not in text:
            raise ValueError("expected an a=fingerprint line (RFC 8122) in the description, got none")
        parts = re.split(r"^m=", text.replace("\r\n", "\n"), flags=re.MULTILINE)
        sections = tuple(_section(part) for part in parts[1:])
        mids = re.findall(r"^a=mid:(\S+)", text, re.MULTILINE)
        if len(mids) != len(sections) or len(set(mids)) < len(mids):
            raise ValueError(
                f"expected a unique a=mid in each of {len(sections)} sections (RFC 9143), "
                f"got {', '.join(mids) or 'none'}"
            )
        ports = {protocol: (host, int(port)) for protocol, host, port in _CANDIDATE.findall(text)}
        if "udp" not in ports:
            raise ValueError(
                "expected a UDP host candidate in the description, got none: light peers connect only to each other"
            )
        host, udp_port = ports["udp"]
        tcp_port = ports["tcp"][1] if "tcp" in ports else None
        fingerprint, ufrag = _value(text, "a=fingerprint:sha-256 "), _value(text, "a=ice-ufrag:")
        return cls(host, udp_port, tcp_port, sections, fingerprint, ufrag)

    def section(self, kind: str) -> Section | None:
        """Return the first section of `kind`, or None."""
        return next((each for each in self.sections if each.kind == kind), None)

    def text(self, setup: str) -> str:
        """Return the description as the text of an SDP offer or answer.

        `setup`: DTLS role (RFC 4145), `actpass` in offers and `active` in answers.
        """
        family = _family(self.host)
        lines = ["v=0", f"o=- {self.udp_port} 2 IN {family} {self.host}", "s=-", "t=0 0"]
        lines += ["a=group:BUNDLE " + " ".join(map(str, range(len(self.sections)))), "a=msid-semantic:WMS *"]
        for mid, section in enumerate(self.sections):
            lines += self._media(section)
            lines += [f"c=IN {family} {self.host}", f"a=mid:{mid}"]
            lines += [f"a=candidate:1 1 udp 2130706431 {self.host} {self.udp_port} typ host"]
            if self.tcp_port is not None:
                lines += [f"a=candidate:2 1 tcp 1518280447 {self.host} {self.tcp_port} typ host tcptype passive"]
            lines += ["a=end-of-candidates", f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{_password(self.ufrag)}"]
            lines += [f"a=fingerprint:sha-256 {self.fingerprint}", f"a=setup:{setup}"]
        return "\r\n".join(lines) + "\r\n"

    def _media(self, section: Section) -> list[str]:
        if section.kind == "application":
            first = f"m=application {self.udp_port} UDP/DTLS/SCTP webrtc-datachannel"
            return [first, "a=sctp-port:5000", f"a=max-message-size:{MAX_MESSAGE}"]
        types = " ".join(str(_TYPES[codec]) for codec in section.codecs) or "0"
        maps = [f"a=rtpmap:{_TYPES[codec]} {_NAMES[codec]}/90000" for codec in section.codecs]
        return [f"m={section.kind} {self.udp_port} UDP/TLS/RTP/SAVPF {types}", f"a={section.direction}", *maps]


@lru_cache
def _family(host: str) -> str:
    return f"IP{ip_address(host).version}"


def _section(part: str) -> Section:
    kind, _, port = part.partition("\n")[0].partition(" ")
    if not port:
        raise ValueError(f"expected a port in the section m={kind} of the description, got none")
    lines = part.split("\n")
    usual: Direction = "sendrecv"
    direction = next((each for each in _DIRECTIONS if f"a={each}" in lines), usual)
    names = [name.lower() for name in _RTPMAP.findall(part)]
    return Section(kind, direction, tuple(codec for name in names for codec in CODECS if codec == name))


def _value(text: str, name: str) -> str:
    line = next((line for line in text.splitlines() if line.startswith(name)), None)
    if line is None:
        raise ValueError(f"expected a line that begins with {name} in the description, got none")
    return line.removeprefix(name).strip()


def _digest(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()


def _certificate(host: str, port: int) -> str:
    digest = _digest(f"certificate of {host} {port}").upper()
    return ":".join(digest[at : at + 2] for at in range(0, 64, 2))


def _ufrag(host: str, port: int) -> str:
    return _digest(f"user name of {host} {port}")[:8]


def _password(ufrag: str) -> str:
    return _digest(f"password of {ufrag}")[:24]


def check_candidate(candidate: str) -> None:
    """Check that `candidate` is an ICE candidate line, or empty to mark the end of the candidates.

    Raises:
        DescriptionError: `candidate` is not empty, and not a candidate line.
    """
    if candidate:
        read_candidate(candidate)
