"""Judges observations: which statements are confirmed, contradicted or not seen, and what is new."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal

from odyssey_client.redaction import MASK
from odyssey_mock.http.openapi import document
from odyssey_mock.verification import looks
from odyssey_mock.verification.checks import Check, checks, place, violations
from odyssey_mock.verification.contract_documents import Contract, Violation
from odyssey_mock.verification.expectations import Absent, Seen, is_secret, shown
from odyssey_mock.verification.observations import Exchange, Message, Observations, StepRun, says_nothing
from odyssey_mock.verification.statements import Statement, statements

type Verdict = Literal["contradicted", "new", "not seen", "confirmed"]
VERDICTS: tuple[Verdict, ...] = ("contradicted", "new", "not seen", "confirmed")
"""In the order of the report: what needs attention is first."""

_VALUES = 3
"""Number of different values in one finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result for one statement, or for one thing that no statement describes.

    Attributes:
        verdict: the result.
        statement: the statement; None for a deviation from the schemas of the contract, and for something new.
        what: the statement as text, or the thing.
        where: where it was observed, such as `POST /auth/token -> 200`; empty if it was not seen.
        expected: what was expected.
        seen: what was seen, or why nothing was.
    """

    verdict: Verdict
    statement: Statement | None
    what: str
    where: str = ""
    expected: str = ""
    seen: str = field(default="", repr=False)

    @property
    def is_false_assumption(self) -> bool:
        """Whether a decision of this project turned out to differ from the service."""
        return self.verdict == "contradicted" and self.statement is not None and self.statement.is_assumed


@dataclass(frozen=True, slots=True)
class Judgment:
    """All findings of a run.

    Attributes:
        findings: the findings in the order of `VERDICTS`, and of the program within a verdict.
        steps: how the steps of the program went.
    """

    findings: Sequence[Finding]
    steps: Sequence[StepRun]

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of findings of each verdict."""
        counted = Counter(finding.verdict for finding in self.findings)
        return {verdict: counted[verdict] for verdict in VERDICTS}


def judge(seen: Observations) -> Judgment:
    """Return the findings of a run. Statements that only other steps than those of the run show are left out."""
    chosen = {step.name for step in seen.steps}
    results = [(check, *_tested(check, seen)) for check in checks()]
    tested = [
        (found, values) for check, found, values in results if check.step in chosen or found.verdict != "not seen"
    ]
    wrong = {(value.where, value.path) for _, values in tested for value in values}
    others = list(_deviating(seen, wrong)) + list(_new(seen))
    findings = [*(found for found, _ in tested), *others]
    return Judgment(sorted(findings, key=lambda it: VERDICTS.index(it.verdict)), seen.steps)


def _tested(check: Check, seen: Observations) -> tuple[Finding, Sequence[Seen]]:
    """Return the finding of a check, and the values that contradict its statement."""
    statement = statements()[check.statement]
    why = ""
    try:
        values = list(check.look(seen))
        wrong = [each for each in values if isinstance(each.value, Absent) or not check.expected.holds(each.value)]
    except Exception as error:  # a service can answer with anything; the report has what other checks have found
        values, wrong = [], []
        why = f"the check of {check.statement} failed with {type(error).__name__}: {error}"
    if not values:
        reason = why or _why(check.step, seen)
        return Finding(verdict="not seen", statement=statement, what=statement.text, seen=reason), ()
    shown_values = wrong or values
    finding = Finding(
        verdict="contradicted" if wrong else "confirmed",
        statement=statement,
        what=statement.text,
        where=shown_values[0].where,
        expected=check.expected.text if not wrong else _expected(check, wrong[0]),
        seen=" and ".join(list(dict.fromkeys(each.text for each in shown_values))[:_VALUES]),
    )
    return finding, wrong


def _expected(check: Check, wrong: Seen) -> str:
    if wrong.expected:
        return wrong.expected
    name = wrong.path.removeprefix("$.")
    return f"a field `{name}`: {check.expected.text}" if isinstance(wrong.value, Absent) else check.expected.text


def _why(step: str, seen: Observations) -> str:
    run = seen.step(step)
    if run is None or run.outcome == "done":
        refused = dict.fromkeys(
            each.where for each in seen.exchanges if each.step == step and says_nothing(each.status)
        )
        because = f", after {', '.join(refused)}" if refused else ""
        return f"the service gave no occasion in the step `{step}`{because}"
    return f"the step `{step}` {'was skipped' if run.outcome == 'skipped' else 'failed'}: {run.reason}"


# The contract.


def _deviating(seen: Observations, explained: set[tuple[str, str]]) -> Iterator[Finding]:
    """Return a finding for each deviation from the schemas that no contradicted statement names."""
    found: dict[tuple[str, str, str], Finding] = {}
    traffic: Iterable[tuple[str, Exchange | Message]] = [
        *((each.where, each) for each in seen.exchanges if not says_nothing(each.status)),
        *((looks.where(each), each) for each in seen.messages if each.sender == "server"),
    ]
    for where, each in traffic:
        for violation in _violations(each):
            path = place(violation)
            if violation.surplus:
                for name in violation.surplus:
                    what = _surplus(each, path, name)
                    known = Finding(
                        verdict="new", statement=None, what=what, where=where, expected=violation.expected, seen=name
                    )
                    found.setdefault(("new", what, where), known)
            elif (where, path) not in explained:
                what = f"the schema of the contract at {path}"
                finding = Finding(
                    verdict="contradicted",
                    statement=None,
                    what=what,
                    where=where,
                    expected=violation.expected,
                    seen=_got(path, violation),
                )
                found.setdefault((where, path, violation.expected), finding)
    yield from found.values()


def _violations(seen: Exchange | Message) -> Sequence[Violation]:
    try:
        return violations(seen)
    except (RecursionError, ValueError, OverflowError):  # values that no schema can be compared with
        return ()


def _got(path: str, violation: Violation) -> str:
    """Return what was received at a path, without a secret."""
    if violation.missing is not None:
        return violation.got
    try:
        value = json.loads(violation.got)
    except ValueError:  # text that was cut, or a description
        value = violation.got
    return MASK if is_secret(path, value) else violation.got


def _surplus(seen: Exchange | Message, path: str, name: str) -> str:
    if isinstance(seen, Message) and path == "$.type":
        return f"message type `{name}`"
    if isinstance(seen, Exchange) and name == str(seen.status) and path == "$":
        return f"status {name} of {seen.method} {seen.route}"
    return f"field `{path}.{name}`"


# What is new.

KNOWN_CODECS = frozenset({"H264", "VP8", "rtx"})
"""Codecs that a statement names, and the format of repeated packets (RFC 4588)."""
KNOWN_PROTOCOLS = frozenset({"udp"})
_NAMES: Mapping[str, tuple[looks.Look, frozenset[str]]] = MappingProxyType(
    {
        "codec": (looks.codecs, KNOWN_CODECS),
        "candidate protocol": (looks.candidate_protocols, KNOWN_PROTOCOLS),
    }
)
"""Names of some kinds: where to look, and which are known."""


def _new(seen: Observations) -> Iterator[Finding]:
    for kind, (look, known) in _NAMES.items():
        for name, first in {shown(each.value): each for each in look(seen) if each.value not in known}.items():
            expected = f"one of {', '.join(sorted(known))}"
            yield Finding(
                verdict="new",
                statement=None,
                what=f"{kind} {name.strip('"')}",
                where=first.where,
                expected=expected,
                seen=name.strip('"'),
            )
    routes = seen.fact("rest", "routes")
    for route in routes if isinstance(routes, list) else []:
        if _unnamed(str(route)) not in _known_routes():
            yield Finding(
                verdict="new",
                statement=None,
                what=f"route {route}",
                where="GET /openapi.json",
                expected="only routes of the contract",
                seen=str(route),
            )


def _unnamed(route: str) -> str:
    """Return a route without the names of its parameters, which a document chooses: `GET /recordings/{}`."""
    return re.sub(r"\{[^}/]*\}", "{}", route)


@cache
def _known_routes() -> frozenset[str]:
    """Return the routes of the contract and of the mock: the service may have this document too."""
    described = (Contract.load().openapi, document("http://127.0.0.1"))
    return frozenset(
        _unnamed(f"{method.upper()} {path}")
        for each in described
        for path, item in each["paths"].items()
        for method in item
    )
