"""Sequence diagram of a simulated test, drawn from the server's journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from odyssey_mock.core.journal import Entry
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.sim.platform import EPOCH
from odyssey_mock.sim.run_log import WORLD, RunLogLine, run_diagram
from odyssey_mock.sim.world import CLIENT, SERVER

SHOWN = 80
"""Maximum number of journal entries in a diagram, which shows the latest ones."""
TOLD = ("prompt", "status", "code", "event", "do", "reason")
"""Fields of an entry, or of its message, that are shown after the name."""


def seed_report(entries: Sequence[Entry]) -> str:
    """Return a sequence diagram of the latest journal entries, with a heading. All clients share one column."""
    head = f"what the server recorded ({len(entries)} entries)"
    left_out = len(entries) - SHOWN
    if left_out > 0:
        head += f", without the first {left_out}"
    return f"{head}:\n{run_diagram([_line(entry) for entry in entries[-SHOWN:]])}"


def _line(entry: Entry) -> RunLogLine:
    at, data = entry.time - EPOCH, entry.data
    match entry.kind:
        case "rest":
            return RunLogLine(at, CLIENT, entry.name, SERVER, _told(data))
        case "channel" | "signaling":
            who, to = (CLIENT, SERVER) if data.get("from") == "client" else (SERVER, CLIENT)
            return RunLogLine(at, who, entry.name, to, _told(data.get("message")))
        case "state":
            before, after = data.get("from"), data.get("to")
            change = f"{entry.name} {after}" if before is None else f"{entry.name} {before} -> {after}"
            return RunLogLine(at, SERVER, change, None, _told(data))
        case "note":
            return RunLogLine(at, WORLD, entry.name, None, None)
        case _:
            return RunLogLine(at, SERVER, f"{entry.kind} {entry.name}", None, _told(data))


def _told(data: Any) -> dict[str, JSON] | None:  # Any: JSON of any shape
    if not isinstance(data, dict):
        return None
    return {name: data[name] for name in TOLD if isinstance(data.get(name), str | int)} or None
