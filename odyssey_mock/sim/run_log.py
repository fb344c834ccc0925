"""The log of a simulated run: its events in order, as lines and as a sequence diagram in text.

Two runs of one seed have the same log. Its diagram has one column for each client host, and one for the server at the
right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from odyssey_mock.core.sequence_diagram import WIDTH, DiagramEvent, diagram, natural_order
from odyssey_mock.core.strict_json import JSON

SERVER = "odyssey"
"""Name of the server's host."""
CLIENT = "client"
"""Name of the default host for clients."""
WORLD = "world"
"""Name used as the source of events that belong to no host: events of the network, the clocks and the explorer."""


@dataclass(frozen=True, slots=True)
class RunLogLine(DiagramEvent):
    """One event of a run: `who` and `to` are a client's host, the server's, or `WORLD`.

    The values of `details` must be the same in two runs of a seed. `at` counts from the beginning of the run.
    """

    def __str__(self) -> str:
        arrow = "" if self.to is None else f" -> {self.to}"
        more = "" if not self.details else " " + json.dumps(self.details, sort_keys=True, ensure_ascii=False)
        return f"{self.at:12.6f} {self.who}{arrow}: {self.what}{more}"


class RunLog:
    """The events of one run, in order.

    Attributes:
        keeps_lines: whether `add` keeps the events.
    """

    def __init__(self, now: Callable[[], float], *, keeps_lines: bool = True) -> None:
        self._now = now
        self.keeps_lines = keeps_lines
        self.lines: list[RunLogLine] = []

    def add(self, who: str, what: str, details: Mapping[str, JSON] | None = None, *, to: str | None = None) -> None:
        """Add an event that has just happened."""
        if self.keeps_lines:
            self.lines.append(RunLogLine(self._now(), who, what, to, details))

    def hash(self) -> str:
        """Return the SHA-256 of all lines, in hexadecimal."""
        digest = hashlib.sha256()
        for line in self.lines:
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()


def run_diagram(lines: Sequence[RunLogLine], *, width: int = WIDTH) -> str:
    """Draw a run as a sequence diagram: clients in the natural order of their names, then the server."""
    named = {name for line in lines for name in (line.who, line.to) if name is not None}
    clients = sorted(named - {WORLD, SERVER}, key=natural_order)
    return diagram(lines, [*clients, SERVER], width=width)
