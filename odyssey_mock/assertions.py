"""Assertions on the journal of a mock; `MockOdyssey.expect`, `expect_none` and `expect_in_order` call them.

::

    mock.expect("POST /sessions/token", status=200)
    mock.expect("rest.sessions.request", kind="fault", count=3)
    mock.expect_none("interactive_stream_error")
    mock.expect_in_order(["POST /sessions/request", "offer", ("session", {"to": "connected"}), "stream_started"])

An entry matches by its name (`Entry.name`), by values in `account`, `session`, `stream` or its data, and optionally by
its `kind`. Only entries that exist already are checked; use `MockOdyssey.wait_for` to wait for a later one. The message
of a failure shows the nearest entry: the one most similar to the expected one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from odyssey_mock.core.journal import DIGEST_LENGTH, PLACES, Entry, Journal, Kind, nearest
from odyssey_mock.core.strict_json import JSON

SHOWN = 5
"""Maximum number of matching entries that a message lists; the others are only counted."""

type Step = str | tuple[str, Mapping[str, Any]]  # Any: `kind` and values, as in the keywords of `expect`
"""One step of `expect_in_order`: a name, or a name with `kind` and values."""


class ExpectationError(AssertionError):
    """The journal does not match an expectation.

    The message states the expectation. It shows the most similar entry, or the entry that was not expected.
    """


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions of an expectation on one entry.

    Attributes:
        name: the required `Entry.name`.
        kind: the required `Entry.kind`; None for any.
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

    def found_in(self, journal: Journal, since: int) -> list[Entry]:
        """Return the matching entries from index `since` on, oldest first."""
        return [entry for entry in journal.entries if entry.index >= since and self.is_met_by(entry)]

    def nearest_in(self, journal: Journal, since: int) -> str:
        """Describe the most similar entry that does not match, and how it differs. If there is none, state that.

        Only entries from index `since` on are compared.
        """
        others = [entry for entry in journal.entries if entry.index >= since and not self.is_met_by(entry)]
        near = nearest(others, self.kind, self.name, self.where)
        if near is None:
            return "the journal has no other entry" + (f" from index {since} on" if since else "")
        differences: dict[str, tuple[JSON, JSON]] = {}
        if near.name != self.name:
            differences["name"] = (self.name, near.name)
        if self.kind not in (None, near.kind):
            differences["kind"] = (self.kind, near.kind)
        differences |= near.differences(self.where)
        there = {*differences.keys() - self.where.keys(), *PLACES, *near.data}
        told = [
            f"{key}: expected {_shown(expected)}, {f'got {_shown(got)}' if key in there else f'the entry has no {key}'}"
            for key, (expected, got) in differences.items()
        ]
        return f"the nearest entry is {_place(journal, near)}: {'; '.join(told)}"


def expect(journal: Journal, wanted: Wanted, *, count: int | None, since: int) -> Entry:
    """Check that at least one entry matches, or exactly `count` entries; return the first one.

    Raises:
        ExpectationError: no entry matches, or not `count` of them.
        ValueError: `count` is below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"count must be 1 or more, got {count!r}; use expect_none() to expect no entry")
    found = wanted.found_in(journal, since)
    if not found:
        raise ExpectationError(f"expected {wanted}, got none; {wanted.nearest_in(journal, since)}")
    if count is not None and len(found) != count:
        shown = ", ".join(_place(journal, entry) for entry in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        near = f"; {wanted.nearest_in(journal, since)}" if len(found) < count else ""
        raise ExpectationError(f"expected {wanted} {_times(count)}, got it {_times(len(found))}: {shown}{more}{near}")
    return found[0]


def expect_none(journal: Journal, wanted: Wanted, *, since: int) -> None:
    """Assert that no entry matches.

    Raises:
        ExpectationError: an entry matches.
    """
    found = wanted.found_in(journal, since)
    if found:
        raise ExpectationError(
            f"expected no {wanted}, got it {_times(len(found))}; "
            f"the first is {_place(journal, found[0])}: {_cut(found[0].encoded)}"
        )


def expect_in_order(journal: Journal, steps: Sequence[Step], *, since: int) -> list[Entry]:
    """Check that the journal has a matching entry for each step, in this order, and return these entries.

    Other entries may be in between.

    Raises:
        ExpectationError: a step has no matching entry after that of the previous step.
    """
    matched: list[Entry] = []
    for number, wanted in enumerate(map(Wanted.of, steps), 1):
        after = matched[-1].index + 1 if matched else since
        found = wanted.found_in(journal, after)
        if not found:
            where = f" after {_place(journal, matched[-1])}" if matched else ""
            before = [entry for entry in wanted.found_in(journal, since) if entry not in matched]
            hint = f"an earlier match is {_place(journal, before[-1])}; " if before else ""
            raise ExpectationError(
                f"step {number} of {len(steps)}: expected {wanted}{where}, got none; "
                f"{hint}{wanted.nearest_in(journal, after)}"
            )
        matched.append(found[0])
    return matched


def _listed(where: Mapping[str, JSON]) -> str:
    return f" with {', '.join(f'{key}={_shown(value)}' for key, value in where.items())}" if where else ""


def _place(journal: Journal, entry: Entry) -> str:
    return f"#{entry.index} {entry.name} at {entry.time - journal.began_at:+.2f} s"


def _shown(value: JSON) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    """Shorten `text` to fit a one-line message. Entries with a session description would be several pages long."""
    return text if len(text) <= DIGEST_LENGTH else f"{text[:DIGEST_LENGTH]}..."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
