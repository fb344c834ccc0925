"""Results of benchmarks: comparisons with a baseline, and growth over time."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from odyssey_client.models import JSON


class MissingBaselineError(RuntimeError):
    """A package that a benchmark needs for its baseline is not installed. The message states how to install it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the quartiles of some samples."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Self:
        """Return the spread of at least one sample. That of a single sample has three equal values."""
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0])
        return cls(*statistics.quantiles(samples, n=4, method="inclusive"))


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison of measurements with their baseline. Smaller values are better.

    `ours` and `baseline` were measured in turns, so that each pair of samples had the same load of the machine. The
    result is the median of the pairs' ratios.

    A row about growth compares the cost of one more item at the largest size with that at the smallest.

    Attributes:
        name: name of the row. It is unique among all benchmarks, and the same in each run.
        ours: samples of the project.
        baseline: as many samples of what the project is compared with.
        unit: unit of the samples.
        limit: highest acceptable value of `ratio`.
        note: another figure of the same run, for readers.

    Raises:
        ValueError: the numbers of samples are different or 0, or a sample of the baseline is not greater than 0.
    """

    name: str
    ours: Sequence[float]
    baseline: Sequence[float]
    unit: str
    limit: float
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 < len(self.ours) == len(self.baseline):
            raise ValueError(
                f"{self.name}: expected one sample of the baseline for each of ours, "
                f"got {len(self.ours)} and {len(self.baseline)}"
            )
        if (least := min(self.baseline)) <= 0:
            raise ValueError(f"{self.name}: expected samples of the baseline greater than 0, got {least:g}")

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:  # Any: JSON
        """Return the row that `to_json` has written. Its samples have five significant digits."""
        samples = row["samples"]
        return cls(row["name"], samples["ours"], samples["baseline"], row["unit"], row["limit"], row["note"])

    @property
    def spread(self) -> Spread:
        """The spread of the ratios of all pairs."""
        return Spread.of([ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True)])

    @property
    def ratio(self) -> float:
        """The median of the ratios of all pairs."""
        return self.spread.median

    @property
    def ok(self) -> bool:
        """Whether `ratio` is at most `limit`."""
        return self.ratio <= self.limit

    def to_json(self) -> dict[str, JSON]:
        """Return the row as `odyssey-mock bench --json` writes it."""
        spread, ours, baseline = self.spread, Spread.of(self.ours), Spread.of(self.baseline)
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": _rounded(ours.median),
            "ours_quartiles": [_rounded(ours.lower), _rounded(ours.upper)],
            "baseline": _rounded(baseline.median),
            "baseline_quartiles": [_rounded(baseline.lower), _rounded(baseline.upper)],
            "ratio": _rounded(spread.median),
            "ratio_quartiles": [_rounded(spread.lower), _rounded(spread.upper)],
            "limit": self.limit,
            "ok": self.ok,
            "note": self.note,
            "samples": {"ours": [_rounded(each) for each in self.ours], "baseline": [*map(_rounded, self.baseline)]},
        }

    def __str__(self) -> str:
        spread = self.spread
        verdict = "ok" if self.ok else "TOO SLOW"
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.name}: {shown(Spread.of(self.ours).median)} {self.unit}{note}, "
            f"baseline {shown(Spread.of(self.baseline).median)} {self.unit}: "
            f"{spread.median:.2f} times ({spread.lower:.2f} to {spread.upper:.2f}), limit {self.limit:.3g}: {verdict}"
        )


def shown(value: float) -> str:
    """Return a value for readers, with at least four significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _rounded(value: float) -> float:
    """Return `value` with five significant digits."""
    return float(f"{value:.5g}")


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of a resource in a part of a long run, after caches have filled."""

    name: str
    grown: float
    """The value at the end of the part minus the value at its beginning."""
    rounds: int
    """Number of repetitions of the work between the two measurements."""
    unit: str
    reach: float
    """The highest acceptable value of `each`."""

    @property
    def each(self) -> float:
        """The growth per repetition."""
        return self.grown / self.rounds

    @property
    def ok(self) -> bool:
        """Whether the growth per repetition is at most the limit `reach`."""
        return self.each <= self.reach

    def to_json(self) -> dict[str, JSON]:
        """Return the row as `odyssey-mock bench --json` writes it."""
        return {**asdict(self), "each": round(self.each, 3), "ok": self.ok}

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "GROWS"
        return (
            f"{self.name}: {self.grown:+.0f} {self.unit} in {self.rounds} rounds, {self.each:+.2f} per round, "
            f"limit {self.reach:g}: {verdict}"
        )


type Result = Row | Growth
