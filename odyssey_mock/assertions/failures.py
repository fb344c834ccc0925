"""`ExpectationError`, and functions that format its messages: values, journal entries and their differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from odyssey_mock.core.journal import DIGEST_LENGTH, Entry
from odyssey_mock.core.strict_json import JSON

FEW = 2
"""Maximum number of differences that a message shows in one line; more are shown one below the other."""
SHOWN_DIFFERENCES = 8
"""Maximum number of differences that a message shows; the others are only counted."""
_CONTEXT = 20
"""Number of equal characters that a message shows before the first difference between two long values."""


class ExpectationError(AssertionError):
    """An assertion of the mock failed. The message states what was expected and what the mock recorded instead."""

    __module__ = "odyssey_mock"
    """The public module: pytest's short summary shows it before the message, and a longer name leaves less room."""


class ReadableJournal(Protocol):
    """The part of a `Journal` that the assertions read."""

    @property
    def began_at(self) -> float:
        """When the journal was created, in seconds since the epoch on the server's clock."""
        ...

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries that the journal still has, oldest first."""
        ...

    def since(self, index: int) -> Sequence[Entry]:
        """Return the entries from `index` on that the journal still has, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A value of a journal entry that differs from the expected value.

    Attributes:
        key: the key of the value; keys of nested objects are joined with dots (`message.prompt`).
        expected: the expected value as text; None if no value was expected.
        got: the actual value as text; None if the entry has no such key.
    """

    key: str
    expected: str | None
    got: str | None

    def __str__(self) -> str:
        got = f"the entry has no {self.key}" if self.got is None else f"got {self.got}"
        return f"{self.key}: expected {self.expected or 'no value'}, {got}"


def differences(expected: Mapping[str, JSON], got: Mapping[str, JSON]) -> list[Difference]:
    """Return the differences of `got` from `expected`. Keys that only `got` has are ignored at the top level."""
    found: list[Difference] = []
    for key, value in expected.items():
        actual = got.get(key)
        if key not in got:
            found.append(Difference(key, shown(value), None))
        elif value == actual:
            continue
        elif isinstance(value, Mapping) and isinstance(actual, Mapping):
            found += _nested(key, value, actual)
        else:
            found.append(Difference(key, *_pair(repr(value), repr(actual))))
    return found


def _nested(key: str, expected: Mapping[str, JSON], got: Mapping[str, JSON]) -> Iterator[Difference]:
    for each in differences(expected, got):
        yield Difference(f"{key}.{each.key}", each.expected, each.got)
    for more, value in got.items():
        if more not in expected:
            yield Difference(f"{key}.{more}", None, shown(value))


def diff(found: Sequence[Difference]) -> str:
    """Format differences as the end of a message: in the same line, or as lines with - and + if there are many."""
    if len(found) <= FEW:
        return f": {'; '.join(map(str, found))}"
    lines = [" (- expected, + got):"]
    for each in found[:SHOWN_DIFFERENCES]:
        lines += [f"  - {each.key}: {each.expected}"] if each.expected is not None else []
        lines += [f"  + {each.key}: {each.got}"] if each.got is not None else []
    if len(found) > SHOWN_DIFFERENCES:
        lines.append(f"  and {len(found) - SHOWN_DIFFERENCES} more differences")
    return "\n".join(lines)


def place(journal: ReadableJournal, entry: Entry) -> str:
    """Return the index and name of an entry, and its time in seconds after the start of the journal, as text."""
    return f"#{entry.index} {entry.name} at {moment(journal, entry)}"


def moment(journal: ReadableJournal, entry: Entry) -> str:
    """Return the time of an entry in seconds after the start of the journal, as text."""
    return f"{entry.time - journal.began_at:+.2f} s"


def shown(value: JSON) -> str:
    """Return the `repr` of a value, shortened to fit in one line."""
    return cut(repr(value))


def cut(text: str) -> str:
    """Shorten `text` to `DIGEST_LENGTH` characters, because an entry with SDP would be several pages long."""
    return text if len(text) <= DIGEST_LENGTH else f"{text[:DIGEST_LENGTH]}..."


def _pair(expected: str, got: str) -> tuple[str, str]:
    """Shorten two different values so that the first difference is visible."""
    pairs = enumerate(zip(expected, got, strict=False))
    same = next((index for index, (ours, theirs) in pairs if ours != theirs), min(len(expected), len(got)))
    if max(len(expected), len(got)) > DIGEST_LENGTH and same > DIGEST_LENGTH // 2:
        start = same - _CONTEXT
        expected, got = f"...{expected[start:]}", f"...{got[start:]}"
    return cut(expected), cut(got)


def times(count: int) -> str:
    """Return a number of occurrences as text: `once`, `2 times`."""
    return "once" if count == 1 else f"{count} times"
