"""How the life of one seed went, as a value that processes hand to each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odyssey_mock.explore.log import Line

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

_VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}(?:-[0-9a-f]+)*|\d+(?:[.:-]\d+)*")
"""Numbers, ids and addresses in a message."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that did not hold.

    Attributes:
        rule: its name, such as `every_call_settles`.
        message: what was expected, and what came.
        at: seconds of virtual time.
    """

    rule: str
    message: str
    at: float

    @property
    def signature(self) -> str:
        """The same for failures that are the same but for numbers and ids: how distinct failures are told apart."""
        return f"{self.rule}: {_VARYING.sub('#', self.message)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed's run.

    Attributes:
        failures: in the order they were found; none where all held.
        lines: what passed; empty where it was not asked for.
        trace_hash: over the lines, and every callback, timer and packet; empty where not asked for.
        steps: how many steps of the workload were taken.
        seconds: of virtual time.
    """

    seed: int
    depth: Fidelity
    failures: tuple[Failure, ...]
    lines: tuple[Line, ...] = ()
    trace_hash: str = ""
    steps: int = 0
    seconds: float = 0.0
