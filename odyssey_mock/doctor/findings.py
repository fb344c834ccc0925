"""Findings of checks, and how bad they are."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from odyssey_mock.core.strict_json import JSON

type Status = Literal["ok", "warning", "error"]
STATUSES: tuple[Status, ...] = get_args(Status.__value__)
"""From the best to the worst. After a warning, most things work; after an error, the mock does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        check: the name of the check.
        status: whether something is wrong.
        found: what the check has found.
        advice: what to do; empty if nothing is wrong.
    """

    check: str
    status: Status
    found: str
    advice: str = ""

    def to_json(self) -> dict[str, JSON]:
        """Return the finding as a JSON object."""
        return asdict(self)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status of the findings; `ok` if there are none."""
    return STATUSES[max((STATUSES.index(finding.status) for finding in findings), default=0)]
