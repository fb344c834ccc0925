"""Candidates that come after the offer, as a fragment of SDP (RFC 8840)."""

from dataclasses import dataclass

MEDIA_TYPE = "application/trickle-ice-sdpfrag"


class FragmentError(ValueError):
    """The text is no fragment; the message says where."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a fragment says.

    Attributes:
        ufrags: the ICE user names it belongs to (RFC 8839 section 5.4); none where it does not say.
        candidates: candidate lines, `candidate:...`, each with the `mid` of its media section, if it is in one.
    """

    ufrags: frozenset[str]
    candidates: tuple[tuple[str, str | None], ...]


def parse_fragment(text: str) -> Fragment:
    """Read a fragment. What it may hold besides, such as `a=end-of-candidates`, says nothing that is needed here.

    Raises:
        FragmentError: a line is none of SDP, or there is neither a candidate nor a user name.
    """
    ufrags: set[str] = set()
    mid: str | None = None
    candidates: list[tuple[str, str | None]] = []
    for number, line in enumerate(_lines(text), 1):
        if not line:
            continue
        if line[1:2] != "=":
            raise FragmentError(f"line {number}: expected a line of SDP, such as a=candidate:..., got {line[:40]!r}")
        name, _, value = line[2:].partition(":")
        match line[0], name:
            case "m", _:
                mid = None
            case "a", "mid":
                mid = value.strip()
            case "a", "ice-ufrag":
                ufrags.add(value.strip())
            case "a", "candidate":
                candidates.append((line[2:], mid))
            case _:
                pass
    if not ufrags and not candidates:
        raise FragmentError("expected a=ice-ufrag or a=candidate lines, got neither (RFC 8840 section 9)")
    return Fragment(frozenset(ufrags), tuple(candidates))


def ufrags_of(description: str) -> frozenset[str]:
    """Every ICE user name of a session description."""
    return frozenset(
        line.removeprefix("a=ice-ufrag:").strip() for line in _lines(description) if line.startswith("a=ice-ufrag:")
    )


def _lines(text: str) -> list[str]:
    """The lines of SDP, which end in CRLF or in LF alone (RFC 8866 section 5) and in nothing else."""
    return text.replace("\r\n", "\n").split("\n")
