"""`complete_sdp`: writes out what a session description leaves implicit, because aiortc does not know the defaults.

It also rejects a description that lacks what WebRTC requires. Only a complete description shows this. Before, the
function `checked_description` in `remote_description.py` has limited the size of a client's description.
"""

import re
from collections.abc import Iterator, Sequence

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_MEDIA = ("audio", "video")
_TRANSPORT = ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
"""Attributes of a bundled section that its BUNDLE group has only once (RFC 9143 section 7.1.3)."""

_REQUIRED = (("fingerprint", 8122), ("ice-ufrag", 8839), ("ice-pwd", 8839), ("setup", 8842))
"""Attributes that every section needs, or the session, each with the RFC that defines it."""


class SdpError(ValueError):
    """A session description lacks something that WebRTC requires; the message states what."""


class _Section:
    """A media section, or the session section before it: its lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = [*lines]

    @property
    def kind(self) -> str:
        """The medium, such as `video`; empty for the session section."""
        first = self.lines[0] if self.lines else ""
        return first.removeprefix("m=").partition(" ")[0] if first.startswith("m=") else ""

    @property
    def is_rejected(self) -> bool:
        """Whether the section has port 0 and is not `bundle-only` (RFC 9143 section 6)."""
        return bool(re.match(r"m=\S+ 0[ /]", self.lines[0])) and not self.has("bundle-only")

    @property
    def mid(self) -> str:
        """The value of `a=mid`; empty if there is none."""
        return next(iter(self.values("mid")), "")

    def has(self, *names: str) -> bool:
        """Return whether the section has one of the attributes `names`."""
        return any(_name(line) in names for line in self.lines)

    def values(self, name: str) -> Iterator[str]:
        """Yield the values of the attribute `name`."""
        return (line.partition(":")[2] for line in self.lines if _name(line) == name)

    def remove(self, *names: str) -> None:
        """Remove all attributes with these names."""
        self.lines = [line for line in self.lines if _name(line) not in names]

    def add(self, lines: Sequence[str]) -> None:
        """Add attribute lines."""
        self.lines.extend(lines)


def complete_sdp(sdp: str) -> str:
    """Return `sdp` with its defaults written out, one line for each, and with CRLF after each line.

    - A section without a direction has that of the session, or `sendrecv` (RFC 8866 section 6.7). A rejected section,
      which has port 0 and is not `bundle-only`, becomes `inactive`.
    - A section without `a=mid` gets a unique one.
    - A section of a BUNDLE group has the transport attributes of the group's first section (RFC 9143 section 7.1.3).

    Raises:
        SdpError: an attribute that WebRTC requires is missing, the `a=mid` lines are not unique or do not match
            `a=group:BUNDLE`, or a section is neither audio, video nor data.
    """
    lines = [line.rstrip(" \t") for line in sdp.splitlines()]  # as aiortc splits them
    session, *sections = _split([line for line in lines if line])
    default = next((line for line in reversed(session.lines) if _name(line) in _DIRECTIONS), "a=sendrecv")
    taken = {section.mid for section in sections}
    for number, section in enumerate(sections):
        if section.kind in _MEDIA:
            if section.is_rejected:
                section.remove(*_DIRECTIONS)
                section.add(["a=inactive"])
            elif not section.has(*_DIRECTIONS):
                section.add([default])
        if not section.mid:
            section.remove("mid")
            mid = next(
                mid for mid in (f"{number}{'-' * tried}" for tried in range(len(sections) + 1)) if mid not in taken
            )
            taken.add(mid)
            section.add([f"a=mid:{mid}"])
    _bundle(session, sections)
    _check(session, sections)
    return "".join(f"{line}\r\n" for section in (session, *sections) for line in section.lines)


def _check(session: _Section, sections: Sequence[_Section]) -> None:
    """Check what aiortc does not check, or rejects without a reason.

    Raises:
        SdpError: see `complete_sdp`.
    """
    if not any(section.has("fingerprint") for section in (session, *sections)):
        raise SdpError("expected an a=fingerprint line (RFC 8122), got none")
    if not sections:
        raise SdpError("expected media sections (m=, RFC 8866 section 5.14), got none")
    mids = [section.mid for section in sections]
    if len(set(mids)) < len(mids):
        raise SdpError("expected a unique a=mid in each section (RFC 9143), got duplicates")
    bundled = [
        mid for group in session.values("group") if (words := group.split())[:1] == ["BUNDLE"] for mid in words[1:]
    ]
    if unknown := next((mid for mid in bundled if mid not in mids), None):
        raise SdpError(f"expected a section for each mid of a=group:BUNDLE (RFC 9143), got none for {unknown[:40]!r}")
    for section in sections:
        if section.kind not in (*_MEDIA, "application"):
            raise SdpError(f"expected audio, video and application sections, got {section.lines[0][:40]!r}")
        for name, rfc in _REQUIRED:
            if not section.has(name) and not session.has(name):
                raise SdpError(f"expected an a={name} line (RFC {rfc}) for m={section.kind}, got none")
        if len([*section.values("mid")]) > 1:
            raise SdpError(f"expected one a=mid line for m={section.kind} (RFC 5888), got several")
        if section.kind in _MEDIA and not section.has("rtcp-mux"):
            raise SdpError(f"expected an a=rtcp-mux line (RFC 5761) for m={section.kind}, got none")


def _bundle(session: _Section, sections: Sequence[_Section]) -> None:
    """Copy the transport attributes of the first section of each BUNDLE group to the sections that have none.

    Rejected sections, which are in no group, also get them, because aiortc expects them in every section.
    """
    by_mid = {section.mid: section for section in sections}
    for group in session.values("group"):
        words = group.split()
        members = [by_mid[mid] for mid in words[1:] if mid in by_mid]
        if words[:1] != ["BUNDLE"] or not members:
            continue
        tagged, *others = members
        for other in (*others, *(each for each in sections if each.is_rejected and each not in members)):
            for name in (*_TRANSPORT, "rtcp-mux"):
                if not other.has(name):
                    other.add([line for line in tagged.lines if _name(line) == name])


def _split(lines: Sequence[str]) -> list[_Section]:
    """Split the lines into the session section, which may be empty, and the media sections."""
    sections = [_Section([])]
    for line in lines:
        if line.startswith("m="):
            sections.append(_Section([]))
        sections[-1].lines.append(line)
    return sections


def _name(line: str) -> str:
    """Return the name of the attribute on a line, such as `mid` for `a=mid:0`; empty for other lines."""
    return line[2:].partition(":")[0] if line.startswith("a=") else ""
