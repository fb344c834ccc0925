"""What a benchmark reports."""

from dataclasses import asdict, dataclass

type Scalar = str | float | bool


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; the smaller `ours` is beside `beside`, the better."""

    name: str
    ours: float
    beside: float
    unit: str
    reach: float
    """The ratio that is still good enough."""

    @property
    def ratio(self) -> float:
        """How many times `beside` ours takes."""
        return self.ours / self.beside

    @property
    def ok(self) -> bool:
        """Whether the ratio is within reach."""
        return self.ratio <= self.reach

    def to_json(self) -> dict[str, Scalar]:
        """The row as `odyssey-mock bench --json` writes it."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "ok": self.ok}

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "TOO SLOW"
        return (
            f"{self.name}: {self.ours:.1f} {self.unit}, beside {self.beside:.1f} {self.unit}: "
            f"{self.ratio:.2f} times, reach {self.reach:g} times: {verdict}"
        )
