"""Campaigns: `Campaign` distributes many seeds to workers, and counts and stores their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from odyssey_mock.explore.outcome import FailedSeed, Failure, SeedRecord, batches, missing
from odyssey_mock.explore.results_file import Results
from odyssey_mock.explore.workers import SeedWorkers

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

BATCH: Mapping[Fidelity, int] = MappingProxyType({"light": 10, "full": 2})
"""Maximum number of seeds in a batch, by fidelity.

A batch takes about one second. If the campaign is interrupted, the results of unfinished batches are lost.
"""
SHARES = 4
"""Minimum number of batches per worker if there are enough seeds, so that all workers finish at about the same time."""


@dataclass(slots=True)
class DistinctFailure:
    """All failures with the same signature.

    Attributes:
        failure: the failure of the example seed.
        seed: the example seed, which is the lowest seed with this failure.
        count: number of seeds with this failure.
    """

    failure: Failure
    seed: int
    count: int = 0


@dataclass(slots=True)
class Tally:
    """Totals of the seeds that were run so far.

    Attributes:
        seeds: number of seeds that were run.
        failed: number of seeds that violated rules.
        steps: total number of steps that actors performed.
        seconds: total duration of the runs in virtual seconds.
        distinct: distinct failures by signature.
    """

    seeds: int = 0
    failed: int = 0
    steps: int = 0
    seconds: float = 0.0
    distinct: dict[str, DistinctFailure] = field(default_factory=dict)

    def add(self, records: Iterable[SeedRecord]) -> None:
        """Add records to the totals."""
        for record in records:
            self.seeds += len(record.seeds)
            self.steps += record.steps
            self.seconds += record.seconds
            if isinstance(record, FailedSeed):
                self.failed += 1
                self._add_failures(record)

    def examples(self) -> list[DistinctFailure]:
        """Return the distinct failures, sorted by example seed."""
        return [known for _, known in sorted(self.distinct.items(), key=lambda item: (item[1].seed, item[0]))]

    def _add_failures(self, record: FailedSeed) -> None:
        # A signature counts once per seed.
        for signature, failure in {each.signature: each for each in reversed(record.failures)}.items():
            known = self.distinct.setdefault(signature, DistinctFailure(failure, record.seed))
            known.count += 1
            if record.seed < known.seed:
                known.seed, known.failure = record.seed, failure


class Campaign:
    """A range of seeds to run, except those that earlier runs stored in the results file.

    Attributes:
        tally: totals of all known seeds, including those in the results file.
        total: number of seeds in `tally` once the campaign has finished.
        before: number of seeds that were in the results file at the start.
    """

    def __init__(self, seeds: range, fidelity: Fidelity, results: Results | None = None) -> None:
        """Create the campaign.

        `seeds`: a range with step 1; `results`: the results file, to which new results are added. Seeds that it already
        contains are skipped.
        """
        known = () if results is None else results.before
        self._fidelity: Fidelity = fidelity
        self._results = results
        self._todo = list(missing(seeds, known))
        self.tally = Tally()
        self.tally.add(known)
        self.before = self.tally.seeds
        self.total = self.before + sum(map(len, self._todo))

    def run(self, place: SeedWorkers, show: Callable[[Tally], None]) -> None:
        """Run the missing seeds. Call `show` with the tally at the start and after each batch.

        After an error or an interrupt, the tally and the results file contain all batches that had finished.

        Raises:
            WorkersError: the workers could not be started, or failed.
        """
        show(self.tally)
        left = self.total - self.before
        size = max(1, min(BATCH[self._fidelity], math.ceil(left / (SHARES * place.width))))
        with closing(place.played(batches(self._todo, size))) as played:
            for records in played:
                if not records:  # the process died; the seeds of the batch are run again
                    continue
                if self._results is not None:
                    self._results.add(records)
                self.tally.add(records)
                show(self.tally)
