"""Tests of `JournalCursor`: a reader that is cut anywhere, and resumes, has read the journal without gaps."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.journal import Entry, Journal
from odyssey_mock.http.journal_cursor import Gap, JournalCursor, Reset

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 6)),
        st.tuples(st.just("read"), st.integers(1, 4)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("clear"), st.just(0)),
    ),
    max_size=30,
)


def journal_of(entries: int, limit: int = 1000) -> Journal:
    journal = Journal(lambda: 0.0, limit)
    for number in range(entries):
        journal.record("note", f"{number}")
    return journal


def indexes(read: Reset | Gap | Sequence[Entry]) -> list[int]:
    assert not isinstance(read, Reset | Gap), f"expected entries, got {read}"
    return [entry.index for entry in read]


class Page:
    """A page that shows what it has read, and resumes after the last entry that it has read."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.shown: list[int] = []
        self.missing: list[int] = []
        self.next = 0
        self.cursor = JournalCursor(journal, 0)

    def read(self, limit: int) -> None:
        match self.cursor.read(limit, 1000):
            case Reset():
                self.shown, self.missing = [], []
            case Gap(start, end):
                self.missing += range(start, end)
            case entries:
                self.shown += [entry.index for entry in entries]
                self.next = self.shown[-1] + 1 if self.shown else self.next

    def reconnect(self) -> None:
        # The missing entries are announced again, because the page resumes after the last entry.
        self.missing = [index for index in self.missing if index < self.next]
        self.cursor = JournalCursor(self.journal, self.next)


@given(steps=STEPS, limit=st.integers(1, 12))
def test_resumed_reader_reads_the_whole_journal(steps: list[tuple[str, int]], limit: int) -> None:
    journal = journal_of(0, limit)
    page = Page(journal)
    for step, number in steps:
        match step:
            case "write":
                for _ in range(number):
                    journal.record("note", "x")
            case "read":
                page.read(number)
            case "cut":
                page.reconnect()
            case _:
                journal.clear()
    while page.cursor.has_more:
        page.read(3)

    known = sorted({*page.shown, *page.missing})
    assert known == list(range(known[0] if known else journal.next_index, journal.next_index))
    assert len(known) == len(page.shown) + len(page.missing), (
        "an entry was read twice, or read and announced as missing"
    )
    assert page.shown[len(page.shown) - len(journal.entries) :] == [entry.index for entry in journal.entries]
    assert all(index >= journal.cleared_at for index in known), "the page shows entries that were cleared"


def test_reader_begins_at_its_index() -> None:
    assert indexes(JournalCursor(journal_of(5), 3).read(10, 1000)) == [3, 4]


def test_page_has_the_limits() -> None:
    cursor = JournalCursor(journal_of(5), 0)
    assert indexes(cursor.read(2, 1000)) == [0, 1]
    assert indexes(cursor.read(9, 0)) == [2], "expected one entry, even if it is longer than a page"
    assert indexes(cursor.read(9, 2)) == [3, 4]


def test_dropped_entries_are_a_gap() -> None:
    cursor = JournalCursor(journal_of(10, limit=4), 2)
    assert cursor.read(10, 1000) == Gap(2, 6)
    assert indexes(cursor.read(10, 1000)) == [6, 7, 8, 9]


def test_index_of_another_journal_begins_with_a_reset() -> None:
    cursor = JournalCursor(journal_of(2), 900)
    assert (cursor.has_more, cursor.read(10, 1000)) == (True, Reset())
    assert indexes(cursor.read(10, 1000)) == [0, 1]


def test_clearing_an_empty_journal_is_a_reset() -> None:
    journal = journal_of(0)
    cursor = JournalCursor(journal, 0)
    journal.clear()
    assert (cursor.has_more, cursor.read(10, 1000), cursor.has_more) == (True, Reset(), False)


def test_new_reader_gets_no_reset() -> None:
    journal = journal_of(3)
    journal.clear()
    journal.record("note", "3")
    assert indexes(JournalCursor(journal, 0).read(10, 1000)) == [3]
