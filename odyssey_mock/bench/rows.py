"""Results of benchmarks: comparisons with a baseline, and growth over time."""

from dataclasses import asdict, dataclass

type Scalar = str | float | bool


class MissingBaselineError(RuntimeError):
    """A package that a benchmark needs for its baseline is not installed. The message states how to install it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison of a measurement (`ours`) with its baseline (`beside`); smaller values are better."""

    name: str
    ours: float
    beside: float
    unit: str
    reach: float
    """The highest acceptable value of `ratio`."""

    @property
    def ratio(self) -> float:
        """`ours` divided by `beside`."""
        return self.ours / self.beside

    @property
    def ok(self) -> bool:
        """Whether `ratio` is at most the limit `reach`."""
        return self.ratio <= self.reach

    def to_json(self) -> dict[str, Scalar]:
        """Return the row as `odyssey-mock bench --json` writes it."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "ok": self.ok}

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "TOO SLOW"
        return (
            f"{self.name}: {self.ours:.1f} {self.unit}, baseline {self.beside:.1f} {self.unit}: "
            f"{self.ratio:.2f} times, limit {self.reach:g} times: {verdict}"
        )


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

    def to_json(self) -> dict[str, Scalar]:
        """Return the row as `odyssey-mock bench --json` writes it."""
        return {**asdict(self), "each": round(self.each, 3), "ok": self.ok}

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "GROWS"
        return (
            f"{self.name}: {self.grown:+.0f} {self.unit} in {self.rounds} rounds, {self.each:+.2f} per round, "
            f"limit {self.reach:g}: {verdict}"
        )
