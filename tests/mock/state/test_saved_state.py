"""Tests of the saved state: what is flushed survives a crash at any point, and nothing else changes."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.state_store import NO_STATE, AnyText, Bytes, RecordKind, SavedSecrets
from odyssey_mock.state import saved_state as module
from odyssey_mock.state.database import Batch, Database
from odyssey_mock.state.errors import DamagedStateError, StateInUseError, StateWriteError
from odyssey_mock.state.saved_state import SavedState


@dataclass(frozen=True, slots=True)
class Note:
    text: AnyText
    image: Bytes | None = None


LIMIT = 10.0
"""Timeout of a wait in seconds, much longer than it takes."""

NOTES = RecordKind("note", Note)
KEYS = st.sampled_from(["a", "b", "c", "d"])

type Snapshot = tuple[dict[str, Note], list[str]]
"""The records by key in order, and the names of the journal entries."""


def opened(path: Path, **more: Callable[[Path], Database]) -> SavedState:
    return SavedState(path, now=lambda: 7.0, **more)


async def content(path: Path, limit: int = 1000) -> Snapshot:
    """Return what a mock would restore from a directory."""
    async with opened(path) as state:
        journal = Journal(lambda: 7.0, limit)
        state.keep_journal(journal)
        assert [entry.index for entry in journal.entries] == list(
            range(journal.next_index - len(journal.entries), journal.next_index)
        )
        return dict(state.load(NOTES)), [entry.name for entry in journal.entries]


class Crashes(RuleBasedStateMachine):
    """A store with a journal of 5 entries, whose files are copied between the statements of a write."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="crashes-"))
        self.notes: dict[str, Note] = {}
        self.entries: list[str] = []
        self.written = 0
        self.flushed: Snapshot = ({}, [])

    @initialize()
    def open(self) -> None:
        async def enter() -> None:
            self.state = await opened(self.folder / "state").__aenter__()
            self.journal = Journal(lambda: 7.0, 5)
            self.state.keep_journal(self.journal)
            await self.state.flush()

        self.runner.run(enter())

    @rule(key=KEYS, text=st.text(max_size=5), image=st.none() | st.binary(max_size=5))
    def save(self, key: str, text: str, image: bytes | None) -> None:
        note = self.notes[key] = Note(text + "\ud800", image)
        self.in_loop(lambda: self.state.save(NOTES, key, lambda: note))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.notes.pop(key, None)
        self.in_loop(lambda: self.state.delete(NOTES, key))

    @rule(times=st.integers(1, 7))
    def record(self, times: int) -> None:
        def record() -> None:
            for _ in range(times):
                self.written += 1
                self.journal.record("note", f"entry {self.written}")
                self.entries = [*self.entries, f"entry {self.written}"][-5:]

        self.in_loop(record)

    @rule()
    def clear(self) -> None:
        self.entries = []
        self.in_loop(self.journal.clear)

    @rule()
    def flush(self) -> None:
        self.runner.run(self.state.flush())
        self.flushed = self.now()

    @rule(at=st.integers(0, 12))
    def crash_while_writing(self, at: int) -> None:
        """Copy the files before statement `at` of a write. The copy has the state before or after the write."""
        database = self.state._database
        assert database is not None
        copy = self.folder / "copy"
        count = -1

        def traced(_: str) -> None:
            nonlocal count
            count += 1
            if count == at:
                self.copy_to(copy)

        database._connection.set_trace_callback(traced)
        before = self.flushed
        self.flush()
        database._connection.set_trace_callback(None)
        if count < at:
            self.copy_to(copy)
            before = self.flushed
        found = self.runner.run(content(copy))
        shutil.rmtree(copy)
        assert found in (before, self.flushed)

    @precondition(lambda self: self.flushed != ({}, []))
    @rule()
    def crash(self) -> None:
        """Copy the files between two writes, and continue with the copy."""
        self.flush()
        self.copy_to(self.folder / "copy")
        self.runner.run(self.state.__aexit__(None, None, None))
        shutil.rmtree(self.folder / "state")
        (self.folder / "copy").rename(self.folder / "state")
        found = self.runner.run(content(self.folder / "state", 5))
        assert found == self.flushed
        self.open()
        assert self.journal.next_index == self.written

    def teardown(self) -> None:
        self.runner.run(self.state.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.folder)

    def now(self) -> Snapshot:
        return dict(self.notes), list(self.entries)

    def in_loop(self, function: Callable[[], None]) -> None:
        async def call() -> None:
            function()

        self.runner.run(call())

    def copy_to(self, folder: Path) -> None:
        shutil.copytree(self.folder / "state", folder)


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(
    max_examples=8, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)


async def test_changes_are_written_without_a_flush(tmp_path: Path) -> None:
    written = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Noting(Database):
        def write(self, batch: Batch) -> None:
            super().write(batch)
            loop.call_soon_threadsafe(written.set)

    async with opened(tmp_path / "state", open_database=Noting) as state:
        state.save(NOTES, "a", lambda: Note("kept"))
        async with asyncio.timeout(LIMIT):
            await written.wait()
        shutil.copytree(tmp_path / "state", tmp_path / "copy")
    assert await content(tmp_path / "copy") == ({"a": Note("kept")}, [])


async def test_time_of_a_running_clock_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIME_INTERVAL", 0.01)
    times = iter(range(1000))
    loop = asyncio.get_running_loop()
    third = asyncio.Event()

    class Noting(Database):
        writes = 0

        def write(self, batch: Batch) -> None:
            super().write(batch)
            self.writes += 1
            if self.writes == 3:
                loop.call_soon_threadsafe(third.set)

    async with SavedState(tmp_path, now=lambda: float(next(times)), open_database=Noting) as state:
        state.keep_journal(Journal(lambda: 7.0, 5))
        async with asyncio.timeout(LIMIT):
            await third.wait()  # nothing changes, and nothing waits for a write
    async with opened(tmp_path) as state:
        assert state.stopped_at is not None
        assert state.stopped_at >= 2.0


async def test_clean_exit_writes_the_latest_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        state.save(NOTES, "a", lambda: Note("first"))
        state.save(NOTES, "a", lambda: Note("second", b"\x00\xff"))
    assert await content(tmp_path) == ({"a": Note("second", b"\x00\xff")}, [])


async def test_changes_between_two_waits_are_one_write(tmp_path: Path) -> None:
    batches: list[Batch] = []

    class Noting(Database):
        def write(self, batch: Batch) -> None:
            batches.append(batch)
            super().write(batch)

    async with opened(tmp_path, open_database=Noting) as state:
        for number in range(100):
            state.save(NOTES, str(number % 10), lambda: Note("same"))
        await asyncio.gather(*(state.flush() for _ in range(20)))
        await state.flush()
    assert [len(batch.records) for batch in batches] == [10]


class Failing(Database):
    """A database whose disk is full until `has_space` is set."""

    has_space = False

    def write(self, batch: Batch) -> None:
        if not self.has_space:
            raise StateWriteError("the disk is full")
        super().write(batch)


async def test_failed_write_is_an_error_and_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_INTERVAL", 0.01)
    async with opened(tmp_path / "state", open_database=Failing) as state:
        database = state._database
        assert isinstance(database, Failing)
        state.save(NOTES, "a", lambda: Note("first"))
        state.save(NOTES, "b", lambda: Note("second"))
        for _ in range(3):
            with pytest.raises(StateWriteError, match="the disk is full"):
                await state.flush()
        state.save(NOTES, "a", lambda: Note("changed"))
        database.has_space = True
        await state.flush()
        shutil.copytree(tmp_path / "state", tmp_path / "copy")
    assert await content(tmp_path / "copy") == ({"a": Note("changed"), "b": Note("second")}, [])
    assert [record.message for record in caplog.records] == ["the disk is full"]


async def test_change_during_a_failing_write_is_kept(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    writing, changed = asyncio.Event(), asyncio.Event()

    class Slow(Failing):
        def write(self, batch: Batch) -> None:
            if not self.has_space:
                loop.call_soon_threadsafe(writing.set)
                asyncio.run_coroutine_threadsafe(changed.wait(), loop).result(LIMIT)
            super().write(batch)

    async with opened(tmp_path, open_database=Slow) as state:
        database = state._database
        assert isinstance(database, Slow)
        state.save(NOTES, "a", lambda: Note("older"))
        failing = asyncio.create_task(state.flush())
        async with asyncio.timeout(LIMIT):
            await writing.wait()
        state.save(NOTES, "a", lambda: Note("newer"))
        changed.set()
        with pytest.raises(StateWriteError, match="the disk is full"):
            await failing
        database.has_space = True
    assert await content(tmp_path) == ({"a": Note("newer")}, [])


async def test_writer_survives_a_bug_in_a_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Note:
        raise KeyError("broken")

    async with opened(tmp_path) as state:
        state.save(NOTES, "a", broken)
        with pytest.raises(KeyError, match="broken"):
            await state.flush()
        state.save(NOTES, "a", lambda: Note("kept"))
        await state.flush()
    assert await content(tmp_path) == ({"a": Note("kept")}, [])
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_lost_changes_at_the_end_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateWriteError, match="the disk is full"):
        async with opened(tmp_path, open_database=Failing) as state:
            state.save(NOTES, "a", lambda: Note("lost"))
    assert await content(tmp_path) == ({}, [])


async def test_slow_disk_ends_the_wait_of_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_LIMIT", 0.05)
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(Database):
        def write(self, batch: Batch) -> None:
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(LIMIT)
            super().write(batch)

    async with opened(tmp_path, open_database=Slow) as state:
        state.save(NOTES, "a", lambda: Note("late"))
        with pytest.raises(StateWriteError, match=r"not written to .* within 0.05 s; check the disk"):
            await state.flush()
        released.set()
        monkeypatch.setattr(module, "FLUSH_LIMIT", LIMIT)
    assert await content(tmp_path) == ({"a": Note("late")}, [])


async def test_flush_after_the_end_is_an_error(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        pass
    async with asyncio.timeout(LIMIT):
        with pytest.raises(StateWriteError, match="because the mock was stopped"):
            await state.flush()


async def test_directory_in_use_stays_usable(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        with pytest.raises(StateInUseError):
            await opened(tmp_path).__aenter__()
        state.save(NOTES, "a", lambda: Note("kept"))
    assert await content(tmp_path) == ({"a": Note("kept")}, [])


def write(folder: Path, batch: Batch) -> None:
    """Write a batch into the database of a state directory."""
    with closing(Database(folder / "state.sqlite3")) as database:
        database.write(batch)


@pytest.mark.parametrize("body", ["{", "{}", '{"text": 1}', '{"text": "hush", "image": "!"}', "[]", "[" * 50_000])
async def test_invalid_record_is_an_error_without_its_text(tmp_path: Path, body: str) -> None:
    async with opened(tmp_path):
        pass
    await asyncio.to_thread(write, tmp_path, Batch({("note", "hush"): body}))
    async with opened(tmp_path) as state:
        with pytest.raises(DamagedStateError, match=r"is damaged: the record of note 0 is invalid \(\w+\)") as error:
            state.load(NOTES)
    assert "hush" not in str(error.value)


async def test_invalid_journal_entry_is_an_error(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        state.keep_journal(Journal(lambda: 7.0, 5))
    await asyncio.to_thread(write, tmp_path, Batch(entries=[(0, '[0, "noon"]')]))
    async with opened(tmp_path) as state:
        with pytest.raises(DamagedStateError, match="the record of journal entry 0 is invalid"):
            state.keep_journal(Journal(lambda: 7.0, 5))


async def test_secrets_stay_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        secrets = SavedSecrets(state, SeededEntropy(1))
        first = (secrets.token("one", 16), secrets.token("two", 16), secrets.keep("three", "mine"))
        assert first == (secrets.token("one", 16), secrets.token("two", 16), "mine")
    async with opened(tmp_path) as state:
        secrets = SavedSecrets(state, SeededEntropy(2))
        assert first == (secrets.token("one", 16), secrets.token("two", 16), secrets.keep("three", "another"))
    assert SavedSecrets(NO_STATE, SeededEntropy(2)).token("one", 16) != first[0]
