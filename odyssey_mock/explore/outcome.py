"""The outcome of one seed, and the records of many: which rules held, as values that processes hand to each other."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from odyssey_mock.sim.trace import TraceLine

if TYPE_CHECKING:
    from odyssey_mock.explore.scenario import Scenario
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
        steps: how many steps of the scenario were taken.
        seconds: of virtual time.
    """

    seed: int
    fidelity: Fidelity
    failures: tuple[Failure, ...]
    lines: tuple[TraceLine, ...] = ()
    trace_hash: str = ""
    steps: int = 0
    seconds: float = 0.0


PROCESS_DIED = "process_died"
"""The rule that a seed breaks whose process did not live to tell how it went."""
RUN_RAISED = "run_raised"
"""The rule that a seed breaks whose run ended in an error of the explorer itself."""

_turn = threading.Lock()
"""Runs take turns: a simulated run has its process to itself."""


class PlaySeed(Protocol):
    """Plays the scenario of one seed: `odyssey_mock.explore.explorer.play`."""

    def __call__(
        self, seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_trace: bool = False
    ) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class HeldSeeds:
    """Seeds from `first` to `last` in which every rule held.

    Attributes:
        steps: that their scenarios took, all together.
        seconds: of virtual time, all together.
    """

    first: int
    last: int
    steps: int
    seconds: float

    @property
    def seeds(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class FailedSeed:
    """A seed in which rules did not hold."""

    seed: int
    failures: tuple[Failure, ...]
    steps: int = 0
    seconds: float = 0.0

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + 1)


type SeedRecord = HeldSeeds | FailedSeed


@dataclass(frozen=True, slots=True)
class SeedPlayer:
    """What is to be done with each seed, as a value that processes hand to each other."""

    play: PlaySeed
    fidelity: Fidelity

    def played(self, seeds: Iterable[int]) -> tuple[SeedRecord, ...]:
        """Play them, one after the other; what a process does at once is no more than one run."""
        return joined(self._played(seed) for seed in seeds)

    def _played(self, seed: int) -> SeedRecord:
        with _turn:
            try:
                outcome = self.play(seed, fidelity=self.fidelity)
            except Exception as error:  # told like any other failure, with the command that shows where it comes from
                return FailedSeed(seed, (Failure(RUN_RAISED, f"{type(error).__name__}: {error}", 0.0),))
        if outcome.failures:
            return FailedSeed(seed, outcome.failures, outcome.steps, outcome.seconds)
        return HeldSeeds(seed, seed, outcome.steps, outcome.seconds)


def joined(records: Iterable[SeedRecord]) -> tuple[SeedRecord, ...]:
    """The same, with neighbors that held in one."""
    kept: list[SeedRecord] = []
    for record in records:
        last = kept[-1] if kept else None
        if isinstance(last, HeldSeeds) and isinstance(record, HeldSeeds) and last.last + 1 == record.first:
            seconds = round(last.seconds + record.seconds, 6)
            kept[-1] = HeldSeeds(last.first, record.last, last.steps + record.steps, seconds)
        else:
            kept.append(record)
    return tuple(kept)


def missing(wanted: range, played: Iterable[SeedRecord]) -> Iterator[range]:
    """What of `wanted`, in steps of one, was not played yet, in order."""
    begin = wanted.start
    for seeds in sorted((record.seeds for record in played), key=lambda seeds: seeds.start):
        if begin < min(seeds.start, wanted.stop):
            yield range(begin, min(seeds.start, wanted.stop))
        begin = max(begin, seeds.stop)
    if begin < wanted.stop:
        yield range(begin, wanted.stop)


def batches(ranges: Iterable[range], size: int) -> Iterator[range]:
    """The same seeds, no more than `size` at a time."""
    for seeds in ranges:
        for first in range(seeds.start, seeds.stop, size):
            yield seeds[first - seeds.start : first - seeds.start + size]
