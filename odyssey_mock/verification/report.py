"""The report of a run as data for JSON, and as text for a terminal. It is redacted when it is created."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from odyssey_client.trace.client_trace import recorded_by
from odyssey_mock.verification.judgment import VERDICTS, Finding, Judgment
from odyssey_mock.verification.masking import masked, masked_text

if TYPE_CHECKING:
    from odyssey_client.models import JSON
    from odyssey_mock.verification.observations import StepRun

HEADINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "contradicted": ("Contradicted", "The service does something else than the statement says."),
        "new": ("New", "No statement and no schema of this project knows this."),
        "not seen": ("Not seen", "The run had no occasion to see whether the statement is true."),
        "confirmed": ("Confirmed", "Everything that was seen is as the statement says."),
    }
)
"""Heading and explanation of each verdict."""

ASSUMED = "an assumption of this project, which is false"
"""Describes a contradicted statement whose only source is a decision of this project."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a run, without secrets and addresses.

    Attributes:
        service: the URL of the service.
        began_at: when the run began, in RFC 3339.
        seconds: how long it took.
        findings: the findings, as in `Judgment`.
        steps: how each step went.
        counts: the number of findings of each verdict.
        recorded_by: the versions of the software.
    """

    service: str
    began_at: str
    seconds: float
    findings: Sequence[Finding]
    steps: Sequence[StepRun]
    counts: Mapping[str, int]
    recorded_by: Mapping[str, str]

    def to_json(self) -> dict[str, JSON]:
        """Return the report as a JSON object."""
        return {
            "service": self.service,
            "began_at": self.began_at,
            "seconds": round(self.seconds, 1),
            "recorded_by": dict(self.recorded_by),
            "counts": dict(self.counts),
            "false_assumptions": [
                each.statement.id for each in self.findings if each.is_false_assumption and each.statement is not None
            ],
            "steps": [
                {"name": each.name, "outcome": each.outcome, "reason": each.reason, "seconds": round(each.seconds, 1)}
                for each in self.steps
            ],
            "findings": [_finding_json(each) for each in self.findings],
        }


def report_of(service: str, began_at: float, seconds: float, judgment: Judgment) -> Report:
    """Return the report of a run, redacted."""
    return Report(
        service=masked_text(service),
        began_at=datetime.fromtimestamp(began_at, UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        findings=[_masked_finding(each) for each in judgment.findings],
        steps=[_masked_step(each) for each in judgment.steps],
        counts=judgment.counts,
        recorded_by=recorded_by(),
    )


def _masked_finding(finding: Finding) -> Finding:
    return Finding(
        verdict=finding.verdict,
        statement=finding.statement,
        what=finding.what if finding.statement is not None else masked_text(finding.what),
        where=masked_text(finding.where),
        expected=masked_text(finding.expected),
        seen=masked_text(finding.seen),
    )


def _masked_step(step: StepRun) -> StepRun:
    facts = cast("dict[str, JSON]", masked(dict(step.facts)))
    return type(step)(
        name=step.name, outcome=step.outcome, reason=masked_text(step.reason), seconds=step.seconds, facts=facts
    )


def _finding_json(finding: Finding) -> JSON:
    statement = finding.statement
    return {
        "verdict": finding.verdict,
        "statement": None if statement is None else statement.id,
        "sources": None if statement is None else [*statement.sources],
        "what": finding.what,
        "where": finding.where,
        "expected": finding.expected,
        "seen": finding.seen,
    }


def summary(report: Report) -> str:
    """Return the result in one sentence."""
    counts = report.counts
    if counts["confirmed"] == len(report.findings):
        return f"All {counts['confirmed']} tested statements are confirmed, and nothing is new."
    parts = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
    return f"Of the tested statements and schemas: {', '.join(parts)}."


def text_report(report: Report, *, width: int = 100) -> Iterator[str]:
    """Yield the lines of the report."""
    wide = max(len(step.name) for step in report.steps)
    for step in report.steps:
        line = f"{step.name:<{wide}}  {step.outcome:<7}  {step.seconds:5.1f} s  {step.reason}".rstrip()
        yield from textwrap.wrap(line, width, subsequent_indent=" " * (wide + 20)) or [line]
    for verdict in VERDICTS:
        found = [each for each in report.findings if each.verdict == verdict]
        if not found:
            continue
        heading, meaning = HEADINGS[verdict]
        yield ""
        yield f"{heading} ({len(found)}): {meaning}"
        yield from _LISTED.get(verdict, _each)(found, width)
    yield ""
    yield summary(report)


def _each(found: Sequence[Finding], width: int) -> Iterator[str]:
    for finding in found:
        yield ""
        name = "" if finding.statement is None else f"{finding.statement.id} [{']['.join(finding.statement.sources)}]: "
        yield from textwrap.wrap(f"{name}{finding.what}", width, initial_indent="  ", subsequent_indent="    ")
        for line in told(finding):
            yield from textwrap.wrap(line, width, initial_indent="    ", subsequent_indent="      ")


def told(finding: Finding) -> Iterator[str]:
    """Yield the details of a finding: values, place, and whether an assumption is false."""
    if finding.verdict == "contradicted":
        yield f"expected {finding.expected}, got {finding.seen} ({finding.where})"
    else:
        yield f"{finding.where}: expected {finding.expected}"
    if finding.is_false_assumption:
        yield f"This is {ASSUMED}."


def _not_seen(found: Sequence[Finding], width: int) -> Iterator[str]:
    """Yield each reason once, with the ids of its statements."""
    for reason in dict.fromkeys(finding.seen for finding in found):
        yield ""
        yield from textwrap.wrap(f"Because {reason.rstrip('.')}:", width, initial_indent="  ", subsequent_indent="  ")
        yield from _ids([finding for finding in found if finding.seen == reason], width, indent=4)


def _confirmed(found: Sequence[Finding], width: int) -> Iterator[str]:
    yield from _ids(found, width, indent=2)


def _ids(found: Sequence[Finding], width: int, *, indent: int) -> Iterator[str]:
    """Yield the ids of statements, in one line for each subject."""
    subjects: dict[str, list[str]] = {}
    for finding in found:
        if finding.statement is not None:
            subject, _, fact = finding.statement.id.rpartition(".")
            subjects.setdefault(subject, []).append(fact)
    wide = max((len(subject) for subject in subjects), default=0)
    for subject, facts in subjects.items():
        line = f"{' ' * indent}{subject:<{wide}}  {', '.join(facts)}"
        yield from textwrap.wrap(line, width, subsequent_indent=" " * (indent + wide + 2), break_on_hyphens=False)


_LISTED: Mapping[str, Callable[[Sequence[Finding], int], Iterator[str]]] = {
    "confirmed": _confirmed,
    "not seen": _not_seen,
}
"""Functions that list the findings of a verdict compactly."""
