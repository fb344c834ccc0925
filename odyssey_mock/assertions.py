"""What a test expects of the journal, and a message that says what came nearest where it is not so.

::

    mock.expect("POST /sessions/token", status=200)
    mock.expect("rest.sessions.request", kind="fault", count=3)
    mock.expect_none("interactive_stream_error")
    mock.expect_in_order(["POST /sessions/request", "offer", ("session", {"to": "connected"}), "stream_started"])

An entry is expected by its name, which says what it was (`Entry.name`), and by values that it must have in `account`,
`session`, `stream` or its data; by its `kind` too, where a name stands for several things. Only what has happened
already counts: to wait for what is still to come there is `MockOdyssey.wait_for`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from odyssey_mock.core.journal import DIGEST_LENGTH, PLACES, Entry, Journal, Kind, nearest
from odyssey_mock.core.strict_json import JSON

SHOWN = 5
"""Entries listed of those that match; of more, only how many."""

type Step = str | tuple[str, Mapping[str, Any]]  # Any: `kind` and values, as `expect` takes them by keyword
"""One of several things in order: its name, or its name and what else it must have."""


class ExpectationError(AssertionError):
    """The journal is not as expected; the message says what was, and which entry came nearest to it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an entry must be to match."""

    name: str
    kind: Kind | None
    where: Mapping[str, JSON]

    @classmethod
    def of(cls, step: Step) -> Self:
        """Read one step of `expect_in_order`."""
        name, more = (step, {}) if isinstance(step, str) else step
        return cls(name, more.get("kind"), {key: value for key, value in more.items() if key != "kind"})

    def __str__(self) -> str:
        kind = "" if self.kind is None else f" of kind {self.kind}"
        return f"{self.name}{kind}{_listed(self.where)}"

    def is_met_by(self, entry: Entry) -> bool:
        """Say whether the entry matches."""
        return entry.matches(self.kind, self.name, self.where)

    def found_in(self, journal: Journal, since: int) -> list[Entry]:
        """The entries that match, from index `since` on, oldest first."""
        return [entry for entry in journal.entries if entry.index >= since and self.is_met_by(entry)]

    def nearest_in(self, journal: Journal, since: int) -> str:
        """Tell which of the others, from index `since` on, comes nearest, and in what it differs."""
        others = [entry for entry in journal.entries if entry.index >= since and not self.is_met_by(entry)]
        near = nearest(others, self.kind, self.name, self.where)
        if near is None:
            return "the journal has nothing else" + (f" from index {since} on" if since else "")
        differences: dict[str, tuple[JSON, JSON]] = {}
        if near.name != self.name:
            differences["name"] = (self.name, near.name)
        if self.kind not in (None, near.kind):
            differences["kind"] = (self.kind, near.kind)
        differences |= near.differences(self.where)
        there = {*differences.keys() - self.where.keys(), *PLACES, *near.data}
        told = [
            f"{key}: expected {_shown(expected)}, {f'got {_shown(got)}' if key in there else f'it has no {key}'}"
            for key, (expected, got) in differences.items()
        ]
        return f"the nearest was {_place(journal, near)}: {'; '.join(told)}"


def expect(journal: Journal, wanted: Wanted, *, count: int | None, since: int) -> Entry:
    """Find what is `wanted`: at least once, or exactly `count` times; return the first.

    Raises:
        ExpectationError: it is not there, or another number of times.
        ValueError: `count` is below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"count must be 1 or more, not {count!r}; expect_none() is for what must not be there")
    found = wanted.found_in(journal, since)
    if not found:
        raise ExpectationError(f"no {wanted}; {wanted.nearest_in(journal, since)}")
    if count is not None and len(found) != count:
        shown = ", ".join(_place(journal, entry) for entry in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        near = f"; {wanted.nearest_in(journal, since)}" if len(found) < count else ""
        raise ExpectationError(f"expected {wanted} {_times(count)}, got {_times(len(found))}: {shown}{more}{near}")
    return found[0]


def expect_none(journal: Journal, wanted: Wanted, *, since: int) -> None:
    """Make sure that what is `wanted` elsewhere is not there.

    Raises:
        ExpectationError: it is.
    """
    found = wanted.found_in(journal, since)
    if found:
        raise ExpectationError(
            f"expected no {wanted}, got {_times(len(found))}; "
            f"the first was {_place(journal, found[0])}: {_cut(found[0].encoded)}"
        )


def expect_in_order(journal: Journal, steps: Sequence[Step], *, since: int) -> list[Entry]:
    """Find an entry for each step, each after the one before, whatever else is between them.

    Raises:
        ExpectationError: a step is not there after the one before it.
    """
    matched: list[Entry] = []
    for number, wanted in enumerate(map(Wanted.of, steps), 1):
        after = matched[-1].index + 1 if matched else since
        found = wanted.found_in(journal, after)
        if not found:
            where = f" after {_place(journal, matched[-1])}" if matched else ""
            before = [entry for entry in wanted.found_in(journal, since) if entry not in matched]
            hint = f"it was there before, {_place(journal, before[-1])}; " if before else ""
            raise ExpectationError(
                f"step {number} of {len(steps)}: no {wanted}{where}; {hint}{wanted.nearest_in(journal, after)}"
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
    """Its beginning: a session description has pages, and an expectation a line."""
    return text if len(text) <= DIGEST_LENGTH else f"{text[:DIGEST_LENGTH]}..."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
