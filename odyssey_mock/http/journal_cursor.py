"""JournalCursor, the position of one reader in a journal that grows."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from odyssey_mock.core.journal import Entry, Journal


@dataclass(frozen=True, slots=True)
class Reset:
    """The journal was cleared, or is another one: the reader must forget what it has read."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The journal has dropped entries that were not read.

    Attributes:
        start: the index of the first missing entry.
        end: the index of the first entry after the gap.
    """

    start: int
    end: int


class JournalCursor:
    """A position in the journal, from which `read` continues.

    The journal is the only buffer. A reader that is too slow gets a `Gap`.
    """

    def __init__(self, journal: Journal, since: int) -> None:
        """Begin at the entry with the index `since`.

        A reader with `since` above 0 has read the entries before. They may be those of an earlier journal, or may have
        been cleared in the meantime; `read` then begins with a `Reset`.
        """
        self._journal = journal
        self._is_stale = 0 < since <= journal.cleared_at or since > journal.next_index
        self._clears = journal.clears
        self.index = max(since, journal.cleared_at)

    @property
    def has_more(self) -> bool:
        """Whether `read` would return anything."""
        journal = self._journal
        return self._is_stale or self._clears != journal.clears or self.index < journal.next_index

    def read(self, limit: int, characters: int) -> Reset | Gap | Sequence[Entry]:
        """Return what comes next, and move on: a `Reset`, a `Gap`, or the next entries, none if none follow.

        `limit`: maximum number of entries. `characters`: length of the data of the entries above which no further entry
        is added.
        """
        journal = self._journal
        if self._is_stale or self._clears != journal.clears:
            self._is_stale, self._clears = False, journal.clears
            self.index = journal.cleared_at
            return Reset()
        oldest = journal.oldest_index
        if self.index < oldest:
            gap = Gap(self.index, oldest)
            self.index = oldest
            return gap
        page = journal.page(self.index, limit)
        sizes = itertools.accumulate((len(each.encoded) for each in page), initial=0)
        entries = [each for each, size in zip(page, sizes, strict=False) if size <= characters]
        self.index += len(entries)
        return entries
