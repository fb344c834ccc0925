"""The trace of a simulated run: what passed, in order, as lines and as a sequence diagram in text.

Two runs of one seed have the same trace. A diagram has a column for each client's host and one for the server, at the
right; time runs down. It is plain ASCII but for the ellipsis of what is cut and for texts in other letters.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from odyssey_mock.core.strict_json import JSON

SERVER = "odyssey"
"""The server's host."""
CLIENT = "client"
"""The host of clients unless another is named."""
WORLD = "world"
"""Who, of what no host does: the network, the clocks, the explorer."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One thing that passed.

    Attributes:
        at: seconds of virtual time since the run began.
        who: the host it passed on: a client's, the server's, or `WORLD`.
        to: the host it goes to, where it is a message or a request; None where it concerns `who` alone.
        what: in a few words, such as `connect()`, `POST /sessions/token`, `interact_acknowledged`.
        details: what else is known; nothing that differs between two runs of a seed.
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
    """The lines of one run."""

    def __init__(self, now: Callable[[], float], *, keeps_lines: bool = True) -> None:
        self._now = now
        self._keeps_lines = keeps_lines
        self.lines: list[TraceLine] = []

    def add(self, who: str, what: str, details: Mapping[str, JSON] | None = None, *, to: str | None = None) -> None:
        """Add what has just passed."""
        if self._keeps_lines:
            self.lines.append(TraceLine(self._now(), who, what, to, details))

    def hash(self) -> str:
        """SHA-256 over the lines, in hexadecimal."""
        digest = hashlib.sha256()
        for line in self.lines:
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()


WIDTH = 120
"""Columns of a diagram, unless told otherwise."""
TIME = 12
"""Columns at the left, for the time."""
TAIL = 44
"""Columns kept free at the right of the last lifeline: for what the server does, and for labels longer than arrows."""
NARROWEST, WIDEST = 6, 38
"""Columns from one lifeline to the next."""
WAIT = 1.0
"""Seconds in which nothing passed that are worth a row of their own."""

_LIFELINE, _PAUSE = "|", ":"


def diagram(lines: Sequence[TraceLine], *, width: int = WIDTH) -> str:
    """Draw the lines, in their order; a text without a last newline, empty where there are no lines.

    A message is an arrow, with its words on it where they fit, else behind it; what concerns one host is a note at its
    lifeline; what befalls all goes across. What is longer than there is room for ends in an ellipsis.

    Args:
        lines: what passed.
        width: columns, at most; more only where the lifelines alone take more.
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
    """Those that something is said of: clients in the order of their names (2 before 10), and the server last."""
    named = {name for line in lines for name in (line.who, line.to) if name is not None}
    return [*sorted(named - {WORLD, SERVER}, key=_natural), SERVER]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), letters) for letters, digits in re.findall(r"(\D*)(\d*)", name)]


class _Lanes:
    """Where the lifelines are, and what is drawn between them."""

    def __init__(self, hosts: Sequence[str], width: int) -> None:
        room = width - TIME
        gap = (room - TAIL) // (len(hosts) - 1) if len(hosts) > 1 else WIDEST
        self._gap = max(NARROWEST, min(WIDEST, gap))
        self._at = {host: index * self._gap for index, host in enumerate(hosts)}
        self._last = self._at[hosts[-1]]
        self._room = max(room, self._last + NARROWEST)

    def heads(self) -> str:
        """The names, each cut to its column."""
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
        """Beside the lifeline, over the next ones where it is longer than its column."""
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
    """Write over what is there."""
    return row[:at].ljust(at) + text + row[at + len(text) :]


def _label(line: TraceLine) -> str:
    """What passed, and what else is known of it."""
    return _visible(f"{line.what}{_known(line.details)}")


def _known(details: Mapping[str, JSON] | None) -> str:
    if not details:
        return ""
    shown = [f"{name}={json.dumps(details[name], ensure_ascii=False, sort_keys=True)}" for name in sorted(details)]
    return f" ({', '.join(shown)})"


def _visible(text: str) -> str:
    """One line of it, in which nothing steers a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"
