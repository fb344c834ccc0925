"""Results of seeds: the full outcome of one run, and short records of runs, which workers send to the main process."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from odyssey_mock.sim.run_log import RunLogLine

if TYPE_CHECKING:
    from odyssey_mock.explore.scenario import Scenario
    from odyssey_mock.sim.fidelity import Fidelity

_VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}(?:-[0-9a-f]+)*|\d+(?:[.:-]\d+)*")
"""Matches numbers, ids and addresses in a message, which differ between occurrences of the same failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A violated rule.

    Attributes:
        rule: name of the rule, such as `every_call_settles`.
        message: what was expected and what was received.
        at: virtual time of the violation, in seconds.
    """

    rule: str
    message: str
    at: float

    @property
    def signature(self) -> str:
        """Rule and message without numbers and ids; failures with the same signature count as the same failure."""
        return f"{self.rule}: {_VARYING.sub('#', self.message)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of running one seed.

    Attributes:
        failures: violated rules in the order they were found; empty if all rules held.
        lines: lines of the log; empty if no log was requested.
        run_hash: hash over the lines and every callback, timer and packet; empty if no log was requested.
        steps: number of steps that were started.
        seconds: duration in virtual time.
    """

    seed: int
    fidelity: Fidelity
    failures: tuple[Failure, ...]
    lines: tuple[RunLogLine, ...] = ()
    run_hash: str = ""
    steps: int = 0
    seconds: float = 0.0


PROCESS_DIED = "process_died"
"""Name of the rule that a seed violates if its process dies during the run."""
RUN_RAISED = "run_raised"
"""Name of the rule that a seed violates if the explorer itself raises an error during the run."""

_turn = threading.Lock()
"""Lock that a thread holds during a run, because a process can run only one simulation at a time."""


class PlaySeed(Protocol):
    """A function like `odyssey_mock.explore.explorer.play`, which runs the scenario of one seed."""

    def __call__(
        self, seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
    ) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class HeldSeeds:
    """The record of the seeds from `first` to `last`; all rules held in the runs of these seeds.

    Attributes:
        steps: total number of steps.
        seconds: total duration in virtual time.
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
    """The record of a seed whose run violated rules."""

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
    """Runs seeds and returns their records. Each worker process receives a copy of this object."""

    play: PlaySeed
    fidelity: Fidelity

    def played(self, seeds: Iterable[int]) -> tuple[SeedRecord, ...]:
        """Run the seeds one after the other, and return their records.

        Threads of one process take turns, because a process can run only one seed at a time.
        """
        return joined(self._played(seed) for seed in seeds)

    def _played(self, seed: int) -> SeedRecord:
        with _turn:
            try:
                outcome = self.play(seed, fidelity=self.fidelity)
            except Exception as error:  # reported as a failure, with the command that reproduces it
                return FailedSeed(seed, (Failure(RUN_RAISED, f"{type(error).__name__}: {error}", 0.0),))
        if outcome.failures:
            return FailedSeed(seed, outcome.failures, outcome.steps, outcome.seconds)
        return HeldSeeds(seed, seed, outcome.steps, outcome.seconds)


def joined(records: Iterable[SeedRecord]) -> tuple[SeedRecord, ...]:
    """Return the records in the same order, with adjacent records of consecutive seeds merged if all rules held."""
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
    """Yield the parts of `wanted` that no record in `played` covers, in ascending order.

    The step of `wanted` must be 1.
    """
    begin = wanted.start
    for seeds in sorted((record.seeds for record in played), key=lambda seeds: seeds.start):
        if begin < min(seeds.start, wanted.stop):
            yield range(begin, min(seeds.start, wanted.stop))
        begin = max(begin, seeds.stop)
    if begin < wanted.stop:
        yield range(begin, wanted.stop)


def batches(ranges: Iterable[range], size: int) -> Iterator[range]:
    """Split each range into batches of at most `size` seeds, and yield the batches."""
    for seeds in ranges:
        for first in range(seeds.start, seeds.stop, size):
            yield seeds[first - seeds.start : first - seeds.start + size]
