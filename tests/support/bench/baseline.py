"""The committed baseline of `make bench-check`: the ratio of each row, and how much worse a run may be.

`scripts/bench_baseline.py` measures it in many quick runs, and `scripts/bench_check.py` compares a quick run with it.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

FILE = Path(__file__).parent.parent.parent / "bench_baseline.json"

LEAST_BAND = 0.1
"""Minimum of a band, as a share of the ratio. Ratios of two versions of Python or of aiortc differ by this much."""
BAND_FACTOR = 1.5
"""The band is this many times as wide as the distance from the median of all runs to the worst of them."""

REPEATS = 2
"""Number of further runs of a benchmark with a row that is worse."""

type Report = Mapping[str, Any]  # Any: JSON
"""A report of `odyssey-mock bench --json`."""
type Ratios = Mapping[str, float]
"""The ratio of each row by its name; lower is better."""


@dataclass(frozen=True, slots=True)
class Band:
    """The baseline of a row.

    Attributes:
        benchmark: the benchmark that measures the row.
        ratio: median of the ratios of all runs.
        band: how much higher the ratio of a run may be, because of noise.
    """

    benchmark: str
    ratio: float
    band: float

    @classmethod
    def of(cls, benchmark: str, ratios: Sequence[float]) -> Self:
        """Return the baseline of a row that had these ratios in several runs."""
        median = statistics.median(ratios)
        band = max(LEAST_BAND * abs(median), BAND_FACTOR * (max(ratios) - median))
        return cls(benchmark, float(f"{median:.4g}"), float(f"{band:.4g}"))

    @property
    def limit(self) -> float:
        """The highest ratio that is not worse."""
        return self.ratio + self.band


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one row: `missing` and `worse` fail the check; `better` and `new` ask for a new baseline."""

    name: str
    kind: Literal["same", "better", "worse", "missing", "new"]
    text: str

    @property
    def fails(self) -> bool:
        """Whether the check fails."""
        return self.kind in {"worse", "missing"}

    def __str__(self) -> str:
        return f"{self.kind:7} {self.name}: {self.text}"


def ratios_of(report: Report) -> Ratios:
    """Return the ratio of each row of a report."""
    return {row["name"]: row["ratio"] for row in report["rows"]}


def compare(ratios: Ratios, baseline: Mapping[str, Band]) -> list[Finding]:
    """Compare the ratios of a run with the baseline, row by row."""
    findings = [_compared(name, ratios.get(name), band) for name, band in baseline.items()]
    new = [Finding(name, "new", f"{ratios[name]:.3g} times, not in the baseline") for name in ratios.keys() - baseline]
    return [*findings, *sorted(new, key=lambda each: each.name)]


def _compared(name: str, ratio: float | None, band: Band) -> Finding:
    expected = f"expected {band.ratio:.3g} times, at most {band.limit:.3g}"
    if ratio is None:
        return Finding(name, "missing", f"{expected}, got no such row")
    kind: Literal["same", "better", "worse"] = "same"
    if ratio > band.limit:
        kind = "worse"
    elif ratio < band.ratio - band.band:
        kind = "better"
    return Finding(name, kind, f"{expected}, got {ratio:.3g}")


def best(runs: Sequence[Ratios]) -> Ratios:
    """Return the lowest ratio of each row in several runs.

    Noise makes a row worse in some runs, and a change of the code in all of them.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: min(run[name] for run in runs if name in run) for name in names}


def check(
    measure: Callable[[str], Report], baseline: Mapping[str, Band], *, repeats: int = REPEATS
) -> Sequence[Finding]:
    """Measure all benchmarks, and compare them with the baseline. Measure benchmarks with a worse row again.

    Args:
        measure: returns the report of the benchmark with this name, or of `all`.
        baseline: the committed baseline.
        repeats: how often a benchmark is measured again while one of its rows is worse.
    """
    ratios = ratios_of(measure("all"))
    for _ in range(repeats):
        worse = {baseline[each.name].benchmark for each in compare(ratios, baseline) if each.kind == "worse"}
        for name in sorted(worse):
            ratios = best([ratios, ratios_of(measure(name))])
    return compare(ratios, baseline)


def baseline_of(reports: Sequence[Report]) -> Mapping[str, Band]:
    """Return the baseline from the reports of several runs.

    Raises:
        ValueError: the reports have different rows.
    """
    ratios = [ratios_of(each) for each in reports]
    if any(each.keys() != ratios[0].keys() for each in ratios):
        different = sorted(set().union(*ratios) - set(ratios[0]).intersection(*ratios))
        raise ValueError(f"expected the same rows in all runs, got rows that only some have: {', '.join(different)}")
    return {
        row["name"]: Band.of(row["benchmark"], [each[row["name"]] for each in ratios]) for row in reports[0]["rows"]
    }


def load(path: Path = FILE) -> Mapping[str, Band]:
    """Read the committed baseline."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: Band(**band) for name, band in content["rows"].items()}


def save(reports: Sequence[Report], path: Path = FILE) -> None:
    """Write the baseline from the reports of several runs, with the machine and the versions of the first."""
    content = {
        "command": "scripts/bench_baseline.py",
        "runs": len(reports),
        "time": reports[0]["time"],
        "machine": reports[0]["machine"],
        "versions": reports[0]["versions"],
        "rows": {name: asdict(band) for name, band in baseline_of(reports).items()},
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
