"""The trace of a simulated run: its events in order, as lines and as a sequence diagram in text.

Two runs of one seed have the same trace. A diagram has one column for each client host, and one for the server at the
right; time runs down. A diagram is plain ASCII, except for the ellipsis of cut texts and for texts in other scripts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from odyssey_mock.core.strict_json import JSON

SERVER = "odyssey"
"""Name of the server's host."""
CLIENT = "client"
"""Name of the default host for clients."""
WORLD = "world"
"""Name used as the source of events that belong to no host: events of the network, the clocks and the explorer."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One event of a run.

    Attributes:
        at: virtual time of the event, in seconds since the run began.
        who: host of the event: a client's, the server's, or `WORLD`.
        to: receiving host of a message or request; None if the event concerns only `who`.
        what: short description, such as `connect()`, `POST /sessions/token`, `interact_acknowledged`.
        details: additional values; they must be the same in two runs of a seed.
    """

    at: float
    who: str
    what: str
    to: str | None = None
    details: Mapping[str, JSON] | None = None

    def __str__(self) -> str:
        arrow = "" if self.to is None else f" -> {self.to}"
        more = "" if not self.details else " " + json.dumps(self.details, sort_keys=True, ensure_ascii=False)
        return f"{self.at:12.6f} {self.who}{arrow}: {self.what}{more}"


class Trace:
    """The events of one run, in order."""

    def __init__(self, now: Callable[[], float], *, keeps_lines: bool = True) -> None:
        self._now = now
        self._keeps_lines = keeps_lines
        self.lines: list[TraceLine] = []

    def add(self, who: str, what: str, details: Mapping[str, JSON] | None = None, *, to: str | None = None) -> None:
        """Add an event that has just happened."""
        if self._keeps_lines:
            self.lines.append(TraceLine(self._now(), who, what, to, details))

    def hash(self) -> str:
        """Return the SHA-256 of all lines, in hexadecimal."""
        digest = hashlib.sha256()
        for line in self.lines:
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()


WIDTH = 120
"""Default width of a diagram in characters."""
TIME = 12
"""Characters at the left of each row, for the time."""
TAIL = 44
"""Characters kept free right of the last lifeline, for events of the server and labels longer than their arrows."""
NARROWEST, WIDEST = 6, 38
"""Minimum and maximum characters from one lifeline to the next."""
WAIT = 1.0
"""Seconds without an event after which a separate row marks the pause."""

_LIFELINE, _PAUSE = "|", ":"


def diagram(lines: Sequence[TraceLine], *, width: int = WIDTH) -> str:
    """Draw `lines` as a sequence diagram. The returned text has no final newline; it is empty if `lines` is empty.

    A message is an arrow. Its label is on the arrow if there is room, else to the right of it. An event of one host is
    a note at its lifeline. An event of the world spans all columns. A text that does not fit ends in an ellipsis.

    Args:
        lines: the events.
        width: maximum number of characters in a row; exceeded only if the lifelines need more.
    """
    if not lines:
        return ""
    lanes = _Lanes(_hosts(lines), width)
    return "\n".join(row.rstrip() for row in _rows(lines, lanes))


def _rows(lines: Sequence[TraceLine], lanes: _Lanes) -> Iterator[str]:
    yield f"{'seconds':>{TIME - 2}}  {lanes.heads()}"
    shown, last = "", lines[0].at
    for line in lines:
        if line.at - last >= WAIT:
            yield " " * TIME + lanes.pause()
        time = f"{line.at:.3f}"
        yield f"{'' if time == shown else time:>{TIME - 2}}  {lanes.row(line)}"
        shown, last = time, line.at


def _hosts(lines: Iterable[TraceLine]) -> list[str]:
    """Return the hosts of the events: clients in natural order of their names (2 before 10), then the server."""
    named = {name for line in lines for name in (line.who, line.to) if name is not None}
    return [*sorted(named - {WORLD, SERVER}, key=_natural), SERVER]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), letters) for letters, digits in re.findall(r"(\D*)(\d*)", name)]


class _Lanes:
    """Computes the positions of the lifelines, and draws the rows of a diagram."""

    def __init__(self, hosts: Sequence[str], width: int) -> None:
        room = width - TIME
        gap = (room - TAIL) // (len(hosts) - 1) if len(hosts) > 1 else WIDEST
        self._gap = max(NARROWEST, min(WIDEST, gap))
        self._at = {host: index * self._gap for index, host in enumerate(hosts)}
        self._last = self._at[hosts[-1]]
        self._room = max(room, self._last + NARROWEST)

    def heads(self) -> str:
        """Return the row of host names, each cut to its column."""
        names = [_cut(_visible(host), self._gap - 1) for host in list(self._at)[:-1]]
        return "".join(f"{name:<{self._gap}}" for name in names) + _visible(list(self._at)[-1])

    def pause(self) -> str:
        return self._lifelines(_PAUSE)

    def row(self, line: TraceLine) -> str:
        text = _label(line)
        if line.who not in self._at:  # the world
            return f"{_cut(f'== {text} ', self._room - 2):=<{self._room}}"
        if line.to is None or line.to == line.who or line.to not in self._at:
            return self._note(self._at[line.who], text)
        return self._arrow(self._at[line.who], self._at[line.to], text)

    def _lifelines(self, sign: str = _LIFELINE) -> str:
        return sign.ljust(self._gap) * (len(self._at) - 1) + sign

    def _note(self, at: int, text: str) -> str:
        """Draw a note at a lifeline. A note that is wider than its column covers the next lifelines."""
        return _over(self._lifelines(), at + 2, _cut(f"* {text}", self._room - at - 2) + " ")

    def _arrow(self, start: int, end: int, text: str) -> str:
        left, right = sorted((start, end))
        between = right - left - 1
        fits = len(text) <= between - 5
        body = (f" {text} " if fits else "").center(between - 1, "-")
        arrow = f"{body}>" if end > start else f"<{body}"
        drawn = _over(self._lifelines(), left + 1, arrow)
        return drawn if fits else _over(drawn, right + 2, _cut(text, self._room - right - 2))


def _over(row: str, at: int, text: str) -> str:
    """Return `row` with `text` written over it at column `at`."""
    return row[:at].ljust(at) + text + row[at + len(text) :]


def _label(line: TraceLine) -> str:
    """Return the description and the details of an event in one line."""
    return _visible(f"{line.what}{_known(line.details)}")


def _known(details: Mapping[str, JSON] | None) -> str:
    if not details:
        return ""
    shown = [f"{name}={json.dumps(details[name], ensure_ascii=False, sort_keys=True)}" for name in sorted(details)]
    return f" ({', '.join(shown)})"


def _visible(text: str) -> str:
    """Escape unprintable characters, so that the text is one line and cannot control a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"
