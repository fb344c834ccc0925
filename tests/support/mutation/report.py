"""The report of a mutation campaign: figures, survivors, and the survivors that are accepted with a reason."""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.mutation.campaign import Outcome, Target, run_mutants

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
        accepted: the number of mutants that survived with a reason in `ACCEPTED`.
        unlisted: the number of mutants that survived without a reason.
        superfluous: the number of names in `ACCEPTED` that do not belong to a survivor.
    """

    path: str
    numbers: Mapping[Outcome, int]
    accepted: int
    unlisted: int
    superfluous: int

    @property
    def total(self) -> int:
        return sum(self.numbers.values()) - self.numbers.get(Outcome.EQUAL, 0)

    @property
    def killed(self) -> int:
        return self.numbers.get(Outcome.KILLED, 0) + self.numbers.get(Outcome.TIMED_OUT, 0)

    @property
    def is_good(self) -> bool:
        return not self.unlisted and not self.superfluous and self.killed >= LEAST_KILLED * self.total

    def summary(self) -> str:
        """Return one line with the figures."""
        share = f"{100 * self.killed / self.total:.1f} %" if self.total else "none"
        timeouts = self.numbers.get(Outcome.TIMED_OUT, 0)
        survived = self.numbers.get(Outcome.SURVIVED, 0)
        return (
            f"{self.path}: {self.total} mutants, {self.killed} killed ({share}; {timeouts} by a time limit), "
            f"{survived} survived ({self.accepted} accepted)"
        )


def run_and_report(target: Target, root: Path, text: str = "") -> int:
    """Run the mutants of a module with `text` in their names, print the report, and return the exit status."""
    reasons = accepted(target.path)
    numbers = Counter[Outcome]()
    survivors = 0
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
            survivors += 1
            print(f"{target.path}:{mutant.line}: survived: {mutant.name}\n{mutant.diff()}\n", flush=True)
    for name in sorted(unused):
        print(f"{target.path}: accepted.toml lists a mutant that did not survive: {name}")
    report = Report(target.path, numbers, accepted=known, unlisted=survivors, superfluous=len(unused))
    print(report.summary(), flush=True)
    return 0 if report.is_good else 1


def accepted(path: str, file: Path = ACCEPTED) -> dict[str, str]:
    """Return the reason of each accepted survivor of a module, by the name of the mutant."""
    groups = tomllib.loads(file.read_text()).get(path, [])
    return {name: group["reason"] for group in groups for name in group["mutants"]}
