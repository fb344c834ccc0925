"""The fault matrix: faults, calls and expected outcomes. `docs/reference/fault-matrix.md` is generated from it.

The cells are in `cells.txt`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.matrix.calls import CALLS, nothing

SHAPES: Mapping[str, str] = {
    "up": "authenticating connecting connected on_connected",
    "refused": "authenticating failed on_error(fatal)",
    "garbled": "authenticating connecting on_error failed on_error(fatal)",
    "closed": "authenticating connecting disconnected",
    "crash": "on_stream_error(model_crash) on_stream_ended",
    "no peer": "authenticating connecting failed on_error(fatal)",
    "back": "reconnecting on_error connected",
    "gone": "failed on_error(fatal) on_disconnected",
    "left": "disconnected on_disconnected",
}
"""Names for frequent sequences of client statuses and handler calls. `cells.txt` uses the names in brackets."""

NOT_FELT: Mapping[tuple[str, str], str] = {
    **dict.fromkeys(
        [(point, action) for point in ("hls.playlist", "hls.segment") for action in
         ("status", "delay", "no_answer", "reset", "truncate", "slow")],
        "players fetch HLS, odyssey_client does not",
    ),
    **dict.fromkeys(
        [("whep.candidates", action) for action in ("status", "delay", "no_answer", "reset", "truncate")],
        "odyssey_client sends its candidates in the offer, and a PATCH only while the first frame is late",
    ),
}  # fmt: skip
"""Faults, as (fault point, action), that affect no client call, each with the reason."""

WITHIN_S = 8.0
"""Maximum duration of a call in seconds on the client's clock, including timeouts and retries."""

_STATUSES = frozenset({"authenticating", "connecting", "reconnecting", "connected", "disconnected", "failed"})


@dataclass(frozen=True)
class Cell:
    """One fault during one call, and the expected outcome."""

    fault: str
    call: str
    result: str
    told: tuple[str, ...]
    limit: str | None

    @property
    def status(self) -> str:
        """The client's expected status after the call: the last one in `told`, or else the status before the call."""
        before = "connected" if self.call in _LIVE else "disconnected"
        return next((word for word in reversed(self.told) if word in _STATUSES), before)

    @property
    def recovers(self) -> bool:
        """Whether the client is expected to reconnect before the call returns."""
        return "reconnecting" in self.told


_NO_CONNECTION = frozenset(
    {"poll", "list_simulations", "cancel_simulation", "list_stream_recordings", "download", "spectate"}
)
"""Calls that need preparation, but that the client makes without a connection."""

_LIVE = frozenset({name for name, call in CALLS.items() if call.before is not nothing} - _NO_CONNECTION)


def _groups() -> Iterator[tuple[str, Sequence[Cell]]]:
    for block in Path(__file__).with_name("cells.txt").read_text().split("\n## ")[1:]:
        title, *lines = block.strip().splitlines()
        yield title, [_cell(*(each.strip() for each in line.split(" |"))) for line in lines]


def _cell(fault: str, call: str, result: str, told: str = "", limit: str = "") -> Cell:
    words = re.sub(r"\[([\w ]+)\]", lambda found: SHAPES[found[1]], told).split()
    return Cell(fault, call, result, tuple(words), limit or None)


GROUPS: Mapping[str, Sequence[Cell]] = dict(_groups())
CELLS: Sequence[Cell] = [cell for group in GROUPS.values() for cell in group]
