"""Functions that read from the journal of a chaos run when a fault should act, and whether it acted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from odyssey_mock.chaos_runs.plan import MIDWAY, SOON
from odyssey_mock.core.journal import Entry

_STATES: Mapping[str, tuple[Literal["session", "stream"], str]] = {
    "signaling.connected": ("session", "connected"),
    "peer.connected": ("session", "connected"),
    "stream.running": ("stream", "running"),
}
"""The state that begins at each fault point of `MIDWAY`, as (object that has the state, name of the state)."""


def midway(entries: Iterable[Entry]) -> Mapping[str, float]:
    """Return the seconds after which a fault at each point of `MIDWAY` acts, by point.

    At each of these points, a state of the session or stream begins. The fault acts in the middle of this state: after
    half of its duration, but at least `SOON`. The result leaves out points that the run did not reach.

    `entries` is the journal of a run without faults. The durations are those of the first session and first stream
    of this run, on the server's clock.
    """
    kept: Sequence[Entry] = tuple(entries)
    found: dict[str, float] = {}
    for point in MIDWAY:
        what, state = _STATES[point]
        changes = [entry for entry in kept if entry.kind == "state" and entry.name == what]
        began = next((entry for entry in changes if entry.data["to"] == state), None)
        if began is None:
            continue
        ended = next(
            (
                entry
                for entry in changes
                if entry.index > began.index
                and (entry.session, entry.data["from"]) == (began.session, state)
                and entry.data["to"] != state
            ),
            kept[-1],
        )
        found[point] = max(round((ended.time - began.time) / 2, 3), SOON)
    return found


def times_acted(entries: Iterable[Entry], point: str, action: str) -> int:
    """Return how often a fault acted in a run.

    A fault at a point of `MIDWAY` acts some seconds after the point was reached, at a deadline. It does not act if the
    session or the stream ends before that deadline.
    """
    if point in MIDWAY:
        name = f"fault: {point} {action}"
        return sum(entry.kind == "deadline" and entry.name == name for entry in entries)
    return sum(entry.kind == "fault" and entry.name == point and entry.data["do"] == action for entry in entries)
