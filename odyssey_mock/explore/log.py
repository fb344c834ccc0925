"""What passed in a run, in order: the trace that people read, and that two runs are compared by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from odyssey_mock.core.strict_json import JSON

WORLD = "world"
"""Who: nobody's doing, but the network's, the clocks', the explorer's."""


@dataclass(frozen=True, slots=True)
class Line:
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


class Log:
    """The lines of one run."""

    def __init__(self, now: Callable[[], float], *, keeps_lines: bool = True) -> None:
        self._now = now
        self._keeps_lines = keeps_lines
        self.lines: list[Line] = []

    def add(self, who: str, what: str, details: Mapping[str, JSON] | None = None, *, to: str | None = None) -> None:
        """Add what has just passed."""
        if self._keeps_lines:
            self.lines.append(Line(self._now(), who, what, to, details))

    def hash(self) -> str:
        """SHA-256 over the lines, in hexadecimal."""
        digest = hashlib.sha256()
        for line in self.lines:
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()
