"""The report of a mutation campaign: figures, survivors, and the survivors that are accepted with a reason."""

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.mutation.campaign import Outcome, Target, run_mutants
from tests.support.mutation.mutants import Mutant

ACCEPTED = Path(__file__).with_name("accepted.toml")
"""The survivors that are accepted. Each module has a list of tables with `reason` and `mutants`, a list of names."""

LEAST_KILLED = 0.85
"""The share of the mutants of a module that its tests must kill. An accepted survivor counts as survived."""


@dataclass(frozen=True)
class Report:
    """The outcomes of one module.

    Attributes:
        path: the module.
        numbers: the number of mutants with each outcome.
        survivors: the mutants that survived without a reason.
        accepted: the number of the mutants that survived with a reason.
        superfluous: names in `ACCEPTED` that do not belong to a survivor.
    """

    path: str
    numbers: Mapping[Outcome, int]
    survivors: Sequence[Mutant]
    accepted: int
    superfluous: Sequence[str]

    @property
    def total(self) -> int:
        return sum(self.numbers.values()) - self.numbers.get(Outcome.EQUAL, 0)

    @property
    def killed(self) -> int:
        return self.numbers.get(Outcome.KILLED, 0) + self.numbers.get(Outcome.TIMED_OUT, 0)

    @property
    def is_good(self) -> bool:
        return not self.survivors and not self.superfluous and self.killed >= LEAST_KILLED * self.total

    def summary(self) -> str:
        """Return one line with the figures."""
        share = f"{100 * self.killed / self.total:.1f} %" if self.total else "none"
        timeouts = self.numbers.get(Outcome.TIMED_OUT, 0)
        survived = self.numbers.get(Outcome.SURVIVED, 0)
        return (
            f"{self.path}: {self.total} mutants, {self.killed} killed ({share}; {timeouts} by a time limit), "
            f"{survived} survived ({self.accepted} accepted)"
        )

    def text(self) -> str:
        """Return the survivors with their diffs, and the summary."""
        parts = [f"{self.path}:{each.line}: survived: {each.name}\n{each.diff()}\n" for each in self.survivors]
        parts += [f"{self.path}: accepted.toml lists, but did not survive: {each}" for each in self.superfluous]
        return "\n".join([*parts, self.summary()])


def run_and_report(target: Target, root: Path, text: str = "") -> int:
    """Run the mutants of a module with `text` in their names, print the report, and return the exit status."""
    reasons = accepted(target.path)
    numbers = Counter[Outcome]()
    survivors: list[Mutant] = []
    unused = {name for name in reasons if text in name}
    known = 0
    for mutant, outcome in run_mutants(target, root, lambda each: text in each.name):
        numbers[outcome] += 1
        if outcome is not Outcome.SURVIVED:
            continue
        if mutant.name in reasons:
            unused.discard(mutant.name)
            known += 1
        else:
            survivors.append(mutant)
    survivors.sort(key=lambda each: each.line)
    report = Report(target.path, numbers, survivors, known, sorted(unused))
    print(report.text(), flush=True)
    return 0 if report.is_good else 1


def accepted(path: str, file: Path = ACCEPTED) -> dict[str, str]:
    """Return the reason of each accepted survivor of a module, by the name of the mutant."""
    groups = tomllib.loads(file.read_text()).get(path, [])
    return {name: group["reason"] for group in groups for name in group["mutants"]}
