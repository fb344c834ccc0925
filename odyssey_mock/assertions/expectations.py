"""Assertions on the journal of a mock; `MockOdyssey.expect`, `expect_none` and `expect_in_order` call them.

::

    mock.expect("POST /sessions/token", status=200)
    mock.expect("rest.sessions.request", kind="fault", count=3)
    mock.expect_none("interactive_stream_error")
    mock.expect_in_order(["POST /sessions/request", "offer", ("session", {"to": "connected"}), "stream_started"])

An entry matches by its name (`Entry.name`), by values in `account`, `session`, `stream` or its data, and optionally by
its `kind`. Only entries that exist already are checked; use `MockOdyssey.wait_for` to wait for a later entry. The
message of a failure shows the nearest entry, which is the existing entry most similar to the expected one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from odyssey_mock.assertions.failures import (
    Difference,
    ExpectationError,
    ReadableJournal,
    cut,
    diff,
    differences,
    place,
    shown,
    times,
)
from odyssey_mock.core.journal import PLACES, Entry, Kind, nearest
from odyssey_mock.core.strict_json import JSON

SHOWN = 5
"""Maximum number of matching entries that a message lists; further entries are only counted."""

type Step = str | tuple[str, Mapping[str, Any]]  # Any: `kind` and values, as in the keywords of `expect`
"""One step of `expect_in_order`: a name, or a name with `kind` and values."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions that an entry must meet to match an expectation.

    Attributes:
        name: the required `Entry.name`.
        kind: the required `Entry.kind`; None for any kind.
        where: required values, as in `Entry.matches`.
    """

    name: str
    kind: Kind | None
    where: Mapping[str, JSON]

    @classmethod
    def of(cls, step: Step) -> Self:
        """Create the conditions from one step of `expect_in_order`."""
        name, more = (step, {}) if isinstance(step, str) else step
        return cls(name, more.get("kind"), {key: value for key, value in more.items() if key != "kind"})

    def __str__(self) -> str:
        kind = "" if self.kind is None else f" of kind {self.kind}"
        return f"{self.name}{kind}{_listed(self.where)}"

    def is_met_by(self, entry: Entry) -> bool:
        """Return whether `entry` meets the conditions."""
        return entry.matches(self.kind, self.name, self.where)

    def found_in(self, journal: ReadableJournal, since: int) -> list[Entry]:
        """Return the matching entries from index `since` on, oldest first."""
        return [entry for entry in journal.since(since) if self.is_met_by(entry)]

    def nearest_in(self, journal: ReadableJournal, since: int) -> str:
        """Return the text about the most similar entry that does not match, for the message of a failed assertion.

        The text states how the entry differs. Only entries from index `since` on are compared. If there are none, the
        text says so.
        """
        others = [entry for entry in journal.since(since) if not self.is_met_by(entry)]
        near = nearest(others, self.kind, self.name, self.where)
        if near is None:
            return "the journal has no other entry" + (f" from index {since} on" if since else "")
        found = [Difference("name", repr(self.name), repr(near.name))] if near.name != self.name else []
        if self.kind not in (None, near.kind):
            found.append(Difference("kind", repr(self.kind), repr(near.kind)))
        found += differences(self.where, near.data | {key: getattr(near, key) for key in PLACES})
        why = f"; why: {near.why}" if near.why else ""
        return f"the nearest entry is {place(journal, near)}{diff(found)}{why}"


def expect(journal: ReadableJournal, wanted: Wanted, *, count: int | None, since: int) -> Entry:
    """Assert that `count` entries match, or at least one if `count` is None; return the first matching entry.

    Raises:
        ExpectationError: no entry matches, or the number of matching entries is not `count`.
        ValueError: `count` is below 1.
    """
    __tracebackhide__ = True
    if count is not None and count < 1:
        raise ValueError(f"count must be 1 or more, got {count!r}; use expect_none() to expect no entry")
    found = wanted.found_in(journal, since)
    if not found:
        raise ExpectationError(f"expected {wanted}, got none; {wanted.nearest_in(journal, since)}")
    if count is not None and len(found) != count:
        listed = ", ".join(place(journal, entry) for entry in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        near = f"; {wanted.nearest_in(journal, since)}" if len(found) < count else ""
        raise ExpectationError(f"expected {wanted} {times(count)}, got it {times(len(found))}: {listed}{more}{near}")
    return found[0]


def expect_none(journal: ReadableJournal, wanted: Wanted, *, since: int) -> None:
    """Assert that no entry matches.

    Raises:
        ExpectationError: an entry matches.
    """
    __tracebackhide__ = True
    found = wanted.found_in(journal, since)
    if found:
        raise ExpectationError(
            f"expected no {wanted}, got it {times(len(found))}; "
            f"the first is {place(journal, found[0])}: {cut(found[0].encoded)}"
        )


def expect_in_order(journal: ReadableJournal, steps: Sequence[Step], *, since: int) -> list[Entry]:
    """Assert that the journal has a matching entry for each step, in this order, and return these entries.

    Other entries may be in between.

    Raises:
        ExpectationError: a step has no matching entry after the entry of the previous step.
    """
    __tracebackhide__ = True
    matched: list[Entry] = []
    for number, wanted in enumerate(map(Wanted.of, steps), 1):
        after = matched[-1].index + 1 if matched else since
        found = wanted.found_in(journal, after)
        if not found:
            where = f" after {place(journal, matched[-1])}" if matched else ""
            before = [entry for entry in wanted.found_in(journal, since) if entry not in matched]
            hint = f"an earlier match is {place(journal, before[-1])}; " if before else ""
            raise ExpectationError(
                f"step {number} of {len(steps)}: expected {wanted}{where}, got none; "
                f"{hint}{wanted.nearest_in(journal, after)}"
            )
        matched.append(found[0])
    return matched


def _listed(where: Mapping[str, JSON]) -> str:
    return f" with {', '.join(f'{key}={shown(value)}' for key, value in where.items())}" if where else ""
