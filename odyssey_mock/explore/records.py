"""What is kept of seeds that were played: which held, and which rules did not hold in the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from odyssey_mock.explore.outcome import Failure, Outcome

if TYPE_CHECKING:
    from odyssey_mock.explore.scenario import Scenario
    from odyssey_mock.sim.fidelity import Fidelity

PROCESS_DIED = "process_died"
"""The rule that a seed breaks whose process did not live to tell how it went."""
RUN_RAISED = "run_raised"
"""The rule that a seed breaks whose run ended in an error of the explorer itself."""

_turn = threading.Lock()
"""Runs take turns: a simulated run has its process to itself."""


class Play(Protocol):
    """Plays the life of one seed: `odyssey_mock.explore.explorer.play`."""

    def __call__(
        self, seed: int, *, depth: Fidelity = "light", workload: Scenario | None = None, keeps_trace: bool = False
    ) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Seeds from `first` to `last` in which every rule held.

    Attributes:
        steps: that their workloads took, all together.
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
class Failed:
    """A seed in which rules did not hold."""

    seed: int
    failures: tuple[Failure, ...]
    steps: int = 0
    seconds: float = 0.0

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + 1)


type Record = Held | Failed


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with each seed, as a value that processes hand to each other."""

    play: Play
    depth: Fidelity

    def played(self, seeds: Iterable[int]) -> tuple[Record, ...]:
        """Play them, one after the other; what a process does at once is no more than one run."""
        return joined(self._played(seed) for seed in seeds)

    def _played(self, seed: int) -> Record:
        with _turn:
            try:
                outcome = self.play(seed, depth=self.depth)
            except Exception as error:  # told like any other failure, with the command that shows where it comes from
                return Failed(seed, (Failure(RUN_RAISED, f"{type(error).__name__}: {error}", 0.0),))
        if outcome.failures:
            return Failed(seed, outcome.failures, outcome.steps, outcome.seconds)
        return Held(seed, seed, outcome.steps, outcome.seconds)


def joined(records: Iterable[Record]) -> tuple[Record, ...]:
    """The same, with neighbours that held in one."""
    kept: list[Record] = []
    for record in records:
        last = kept[-1] if kept else None
        if isinstance(last, Held) and isinstance(record, Held) and last.last + 1 == record.first:
            seconds = round(last.seconds + record.seconds, 6)
            kept[-1] = Held(last.first, record.last, last.steps + record.steps, seconds)
        else:
            kept.append(record)
    return tuple(kept)


def missing(wanted: range, played: Iterable[Record]) -> Iterator[range]:
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
