"""Results of chaos runs, their summary as text and their report as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Self, get_args

from odyssey_mock.core.strict_json import JSON

type Verdict = Literal["passed", "failed", "hung", "not reached"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict.__value__)

VERSION = 1
"""Version of the JSON report, increased by each change that is not backward compatible."""

OUTPUT_LINES = 40
"""Maximum number of lines of output that a result keeps, from the end."""
OUTPUT_LENGTH = 6000
"""Maximum number of characters of output that a result keeps, from the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The result of one test under one fault.

    Attributes:
        test: the id of the test, or the command.
        fault: the fault in words (`PlannedFault.name`).
        point: the name of the fault point.
        action: the action at this point.
        verdict: `passed`, `failed`, `hung` (stopped at the time limit), or `not reached`: the fault did not act.
        seconds: the duration in real seconds.
        reason: the failure in one line, such as the error or the exit status; empty if the test passed.
        output: the last lines of the output or of the traceback; empty if the test passed.
    """

    test: str
    fault: str
    point: str
    action: str
    verdict: Verdict
    seconds: float
    reason: str = ""
    output: str = ""

    @property
    def survived(self) -> bool:
        """Whether the test neither failed nor hung."""
        return self.verdict not in {"failed", "hung"}

    def to_json(self) -> dict[str, JSON]:
        """Return the result as a JSON object, from which `of` can create it again."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}

    @classmethod
    def of(cls, described: Mapping[str, JSON]) -> Self:
        """Create a result from a JSON object that `to_json` returned."""
        return cls(**described)  # type: ignore[arg-type]  # written by `to_json`


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosReport:
    """The results of chaos runs.

    Attributes:
        runs: the results, in the order of the runs.
        planned: the number of planned runs; more than `runs` if the runs were interrupted.
    """

    runs: Sequence[Run]
    planned: int

    @property
    def survived(self) -> bool:
        """Whether all planned runs were completed, and no run failed or hung."""
        return self.planned == len(self.runs) and all(run.survived for run in self.runs)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """The number of runs with each verdict, in the order of `VERDICTS`."""
        found = Counter(run.verdict for run in self.runs)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def tests(self) -> Mapping[str, Sequence[Run]]:
        """The results by test."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.test, []).append(run)
        return found

    def to_json(self) -> dict[str, JSON]:
        """Return the report as a JSON object.

        The object has `version`, `planned`, `survived`, `counts` by verdict, and the array `tests`. Each element of
        `tests` has the id `test` and the array `runs`, whose elements have the other fields of `Run`.
        """
        return {
            "version": VERSION,
            "planned": self.planned,
            "survived": self.survived,
            "counts": {str(verdict): count for verdict, count in self.counts.items()},
            "tests": [
                {"test": test, "runs": [_without_test(run) for run in runs]} for test, runs in self.tests.items()
            ],
        }

    def to_text(self) -> str:
        """Return the report as a JSON text."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"


def _without_test(run: Run) -> dict[str, JSON]:
    return {name: value for name, value in run.to_json().items() if name != "test"}


def last_lines(output: str) -> str:
    """Return the last lines of an output, at most `OUTPUT_LINES` lines and `OUTPUT_LENGTH` characters."""
    return "\n".join(output.rstrip().splitlines()[-OUTPUT_LINES:])[-OUTPUT_LENGTH:]


def headline(report: ChaosReport) -> str:
    """Return one line with the number of tests, the number of runs, and the number of runs with each verdict."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items() if count)
    missing = report.planned - len(report.runs)
    interrupted = f"; {missing} of {_many(report.planned, 'run')} not completed" if missing else ""
    tests = len(report.tests)
    return f"{_many(tests, 'test')}, {_many(len(report.runs), 'run')}: {counts or 'no results'}{interrupted}"


def summary(report: ChaosReport) -> Iterator[str]:
    """Yield the lines of a summary, grouped by test.

    Each group has the failed and hung runs first, then those whose fault point the test never reached, then the others.
    """
    yield headline(report)
    for test, runs in report.tests.items():
        yield ""
        yield test
        width = max(len(run.fault) for run in runs)
        for verdict in ("failed", "hung", "not reached"):
            for run in runs:
                if run.verdict == verdict:
                    yield f"  {verdict:<11}  {run.fault:<{width}}  {run.reason}".rstrip()
        passed: dict[str, list[str]] = {}
        for run in runs:
            if run.verdict == "passed":
                passed.setdefault(run.point, []).append(run.fault.removeprefix(f"{run.point}: "))
        for point, faults in passed.items():
            yield f"  {'passed':<11}  {point}: {' | '.join(faults)}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
