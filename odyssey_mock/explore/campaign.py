"""Many seeds: what is still to be played is spread, and what comes of it is counted and written down."""

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
"""Seeds played between two words with a worker, at most: about a second's work, which is what an interrupt costs."""
SHARES = 4
"""Batches for each worker, at least, where there are enough seeds: so that they end together."""


@dataclass(slots=True)
class DistinctFailure:
    """Failures that are the same but for numbers and ids.

    Attributes:
        failure: that of the example.
        seed: the example, the lowest.
        count: in how many seeds.
    """

    failure: Failure
    seed: int
    count: int = 0


@dataclass(slots=True)
class Tally:
    """What came of the seeds so far.

    Attributes:
        seeds: how many were played.
        failed: in how many of them rules did not hold.
        steps: of their scenarios.
        seconds: of virtual time.
        distinct: failures by their signature.
    """

    seeds: int = 0
    failed: int = 0
    steps: int = 0
    seconds: float = 0.0
    distinct: dict[str, DistinctFailure] = field(default_factory=dict)

    def add(self, records: Iterable[SeedRecord]) -> None:
        """Count them."""
        for record in records:
            self.seeds += len(record.seeds)
            self.steps += record.steps
            self.seconds += record.seconds
            if isinstance(record, FailedSeed):
                self.failed += 1
                self._add_failures(record)

    def examples(self) -> list[DistinctFailure]:
        """One of each distinct failure, those of the lowest seeds first."""
        return [known for _, known in sorted(self.distinct.items(), key=lambda item: (item[1].seed, item[0]))]

    def _add_failures(self, record: FailedSeed) -> None:
        # The same twice in one seed counts once.
        for signature, failure in {each.signature: each for each in reversed(record.failures)}.items():
            known = self.distinct.setdefault(signature, DistinctFailure(failure, record.seed))
            known.count += 1
            if record.seed < known.seed:
                known.seed, known.failure = record.seed, failure


class Campaign:
    """Seeds that are wanted, of which some may have been played before.

    Attributes:
        tally: of all that is known: what was in the file of results before as well.
        total: how many seeds it will be of in the end.
        before: how many of them were in the file.
    """

    def __init__(self, seeds: range, fidelity: Fidelity, results: Results | None = None) -> None:
        """`seeds`: in steps of one; `results`: what is there already, and where the rest is to be written."""
        known = () if results is None else results.before
        self._fidelity: Fidelity = fidelity
        self._results = results
        self._todo = list(missing(seeds, known))
        self.tally = Tally()
        self.tally.add(known)
        self.before = self.tally.seeds
        self.total = self.before + sum(map(len, self._todo))

    def run(self, place: SeedWorkers, show: Callable[[Tally], None]) -> None:
        """Play what is missing; `show` is called with the tally at first, and whenever it has grown.

        An error, an interrupt too, leaves the tally and the file of results as far as they came.

        Raises:
            WorkersError: there is nowhere to play them, any more.
        """
        show(self.tally)
        left = self.total - self.before
        size = max(1, min(BATCH[self._fidelity], math.ceil(left / (SHARES * place.width))))
        with closing(place.played(batches(self._todo, size))) as played:
            for records in played:
                if not records:  # a batch that is to be played again
                    continue
                if self._results is not None:
                    self._results.add(records)
                self.tally.add(records)
                show(self.tally)
