"""Sequence diagrams in text: one column for each participant, one row for each event, time running down.

A diagram is plain ASCII, except for the ellipsis of cut texts and for texts in other scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from odyssey_mock.core.strict_json import JSON


@dataclass(frozen=True, slots=True)
class DiagramEvent:
    """One event of a diagram.

    Attributes:
        at: time of the event in seconds.
        who: participant of the event. An event of a participant without a column spans all columns.
        what: short description, such as `connect()`, `POST /sessions/token`, `interact_acknowledged`.
        to: receiving participant of a message or request; None if the event concerns only `who`.
        details: additional values, which are shown after `what`.
    """

    at: float
    who: str
    what: str
    to: str | None = None
    details: Mapping[str, JSON] | None = None


WIDTH = 120
"""Default width of a diagram in characters."""
TIME = 12
"""Characters at the left of each row, for the time."""
TAIL = 44
"""Characters kept free right of the last lifeline, for its events and for labels longer than their arrows."""
NARROWEST, WIDEST = 6, 38
"""Minimum and maximum characters from one lifeline to the next."""
WAIT = 1.0
"""Seconds without an event after which a separate row marks the pause."""

_LIFELINE, _PAUSE = "|", ":"


def diagram(events: Sequence[DiagramEvent], columns: Sequence[str], *, width: int = WIDTH) -> str:
    """Draw `events` as a sequence diagram. The returned text has no final newline; it is empty if `events` is empty.

    A message is an arrow. Its label is on the arrow if there is room, else to the right of it. An event of one
    participant is a note at its lifeline. A text that does not fit ends in an ellipsis.

    Args:
        events: the events.
        columns: the participants that have a column, from left to right.
        width: maximum number of characters in a row; exceeded only if the lifelines need more.
    """
    if not events:
        return ""
    lanes = _Lanes(columns, width)
    return "\n".join(row.rstrip() for row in _rows(events, lanes))


def printable(text: str) -> str:
    """Return the text with unprintable characters escaped, so that it is one line and cannot control a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def natural_order(name: str) -> list[tuple[str, int]]:
    """Return a sort key that puts `client-2` before `client-10`."""
    return [(letters, int(digits or 0)) for letters, digits in re.findall(r"(\D*)(\d*)", name)]


def _rows(events: Sequence[DiagramEvent], lanes: _Lanes) -> Iterator[str]:
    yield f"{'seconds':>{TIME - 2}}  {lanes.heads()}"
    shown, last = "", events[0].at
    for event in events:
        if event.at - last >= WAIT:
            yield " " * TIME + lanes.pause()
        time = f"{event.at:.3f}"
        yield f"{'' if time == shown else time:>{TIME - 2}}  {lanes.row(event)}"
        shown, last = time, event.at


class _Lanes:
    """Computes the positions of the lifelines, and draws the rows of a diagram."""

    def __init__(self, columns: Sequence[str], width: int) -> None:
        room = width - TIME
        gap = (room - TAIL) // (len(columns) - 1) if len(columns) > 1 else WIDEST
        self._gap = max(NARROWEST, min(WIDEST, gap))
        self._at = {name: index * self._gap for index, name in enumerate(columns)}
        self._last = self._at[columns[-1]]
        self._room = max(room, self._last + NARROWEST)

    def heads(self) -> str:
        """Return the row of names, each cut to its column."""
        names = [_cut(printable(name), self._gap - 1) for name in list(self._at)[:-1]]
        return "".join(f"{name:<{self._gap}}" for name in names) + printable(list(self._at)[-1])

    def pause(self) -> str:
        return self._lifelines(_PAUSE)

    def row(self, event: DiagramEvent) -> str:
        text = _label(event)
        if event.who not in self._at:  # a participant without a column
            return f"{_cut(f'== {text} ', self._room - 2):=<{self._room}}"
        if event.to is None or event.to == event.who or event.to not in self._at:
            return self._note(self._at[event.who], text)
        return self._arrow(self._at[event.who], self._at[event.to], text)

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


def _label(event: DiagramEvent) -> str:
    """Return the description and the details of an event in one line."""
    return printable(f"{event.what}{_known(event.details)}")


def _known(details: Mapping[str, JSON] | None) -> str:
    if not details:
        return ""
    shown = [f"{name}={json.dumps(details[name], ensure_ascii=False, sort_keys=True)}" for name in sorted(details)]
    return f" ({', '.join(shown)})"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"
