"""SDP fragments with trickled candidates (RFC 8840)."""

from dataclasses import dataclass

MEDIA_TYPE = "application/trickle-ice-sdpfrag"


class FragmentError(ValueError):
    """The text is not a valid SDP fragment; the message states the reason."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """The contents of an SDP fragment with trickled candidates.

    Attributes:
        ufrags: the ICE user name fragments in it (RFC 8839 section 5.4); may be empty.
        candidates: pairs of a candidate line (`candidate:...`) and the `mid` of its media section, or None.
    """

    ufrags: frozenset[str]
    candidates: tuple[tuple[str, str | None], ...]


def parse_fragment(text: str) -> Fragment:
    """Parse an SDP fragment. Lines other than `m=`, `a=ice-ufrag`, `a=mid` and `a=candidate` are ignored.

    Raises:
        FragmentError: a line is not SDP, or the fragment has neither an `a=candidate` nor an `a=ice-ufrag` line.
    """
    ufrags: set[str] = set()
    mid: str | None = None
    candidates: list[tuple[str, str | None]] = []
    for number, line in enumerate(_lines(text), 1):
        if not line:
            continue
        if line[1:2] != "=":
            raise FragmentError(f"line {number}: expected an SDP line such as a=candidate:..., got {line[:40]!r}")
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
    """Return all ICE user name fragments (`a=ice-ufrag`) of a session description."""
    return frozenset(
        line.removeprefix("a=ice-ufrag:").strip() for line in _lines(description) if line.startswith("a=ice-ufrag:")
    )


def _lines(text: str) -> list[str]:
    """Split SDP into lines, which end in CRLF or LF (RFC 8866 section 5).

    `str.splitlines` would also split at characters that do not end a line in SDP.
    """
    return text.replace("\r\n", "\n").split("\n")
