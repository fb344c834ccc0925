"""Print the coverage of both packages from a report of `coverage json`. Exit with status 1 if it is below the limits.

The usage is `python scripts/coverage_figures.py FIGURES.json [WORST]`. `WORST` is the number of files to list.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PACKAGES = ("odyssey_client", "odyssey_mock")

LIMIT = 95.0
"""Least percentage of each package: of lines, of branches, and of both together."""

WORST = 15
"""Number of files to list, beginning with the one that has most lines and branches that were not executed."""


@dataclass(frozen=True)
class Figures:
    """Numbers of lines and branches.

    Attributes:
        lines: lines with a statement.
        executed_lines: those of them that were executed.
        branches: jumps from one line to another that depend on a condition.
        taken_branches: those of them that were taken.
    """

    lines: int = 0
    executed_lines: int = 0
    branches: int = 0
    taken_branches: int = 0

    @classmethod
    def from_summary(cls, summary: Mapping[str, int]) -> Self:
        """Read the ``summary`` of a file in the report."""
        return cls(
            summary["num_statements"],
            summary["covered_lines"],
            summary["num_branches"],
            summary["covered_branches"],
        )

    @classmethod
    def total(cls, parts: Iterable["Figures"]) -> "Figures":
        """Return the sums of the figures of several files."""
        listed = list(parts)
        return Figures(
            sum(each.lines for each in listed),
            sum(each.executed_lines for each in listed),
            sum(each.branches for each in listed),
            sum(each.taken_branches for each in listed),
        )

    @property
    def missing(self) -> int:
        """Lines that were not executed, and branches that were not taken."""
        return self.lines - self.executed_lines + self.branches - self.taken_branches

    def percentages(self) -> Mapping[str, float]:
        """Return the percentage of lines, of branches, and of both together."""
        return {
            "lines": _percentage(self.executed_lines, self.lines),
            "branches": _percentage(self.taken_branches, self.branches),
            "both": _percentage(self.executed_lines + self.taken_branches, self.lines + self.branches),
        }


def _percentage(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 100.0


def main(path: Path, worst: int = WORST) -> int:
    """Print the figures in the report `path`. Return 1 if a package is below the limits, otherwise 0."""
    summaries = {name: file["summary"] for name, file in json.loads(path.read_text())["files"].items()}
    files = {name: Figures.from_summary(summary) for name, summary in summaries.items()}
    faults = [fault for package in PACKAGES for fault in _show(package, files)]
    _write("\nmost lines and branches that were not executed:")
    for name, figures in sorted(files.items(), key=lambda item: -item[1].missing)[:worst]:
        _write(f"{figures.missing:5} {figures.percentages()['both']:6.1f} %  {name}")
    for fault in faults:
        sys.stderr.write(f"coverage: {fault}\n")
    return 1 if faults else 0


def _show(package: str, files: Mapping[str, Figures]) -> Iterable[str]:
    """Print the figures of a package, and yield a message for each percentage that is below the limit."""
    total = Figures.total(figures for name, figures in files.items() if Path(name).parts[0] == package)
    if not total.lines:
        yield f"{package}: expected lines in the report, got none"
        return
    percentages = total.percentages()
    _write(
        f"{package}: {percentages['lines']:.2f} % of {total.lines:,} lines, "
        f"{percentages['branches']:.2f} % of {total.branches:,} branches, {percentages['both']:.2f} % of both"
    )
    for kind, percentage in percentages.items():
        if percentage < LIMIT:
            yield f"{package}: expected at least {LIMIT:g} % of {kind}, got {percentage:.2f} %"


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
