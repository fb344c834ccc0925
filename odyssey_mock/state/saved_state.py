"""`SavedState`, the `StateStore` that saves the records of a mock in a directory.

Changed records wait in a dict and not in a queue: a record that changes twice waits once. The memory that waits for a
slow disk is therefore bounded by that of the records. One thread writes all changes as one transaction, and then those
of the meantime. The database therefore always has the state of the mock at one instant.
"""

import asyncio
import base64
import contextlib
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from odyssey_mock.core.journal import Entry, Journal, Kind
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.state_store import AnyText, RecordKind
from odyssey_mock.state.database import Batch, Database, damaged
from odyssey_mock.state.directory import StateDirectory
from odyssey_mock.state.errors import StateError, StateWriteError

WRITE_INTERVAL = 0.1
"""Maximum real seconds until a change is written if nothing waits for it; `kill -9` can lose these changes."""

TIME_INTERVAL = 5.0
"""Maximum real seconds until the time of a running clock is written.

A live stream that is running when the process is killed has used the hours up to this time.
"""

RETRY_INTERVAL = 1.0
"""Real seconds until the next attempt after a failed write."""

FLUSH_LIMIT = 20.0
"""Maximum real seconds that `flush` waits: a disk that takes longer for some megabytes does not work."""

logger = get_logger("odyssey_mock")


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """The values that a server continues when it is started again."""

    time: float
    """The time of the server's clock."""
    starts: int
    """How often the server was started with this state."""
    journal_began_at: float
    journal_next: int
    """The index of the next journal entry."""


_SERVER = RecordKind("server", ServerRecord)
_ENTRY = tuple[int, float, Kind, AnyText, AnyText | None, AnyText | None, AnyText | None, AnyText]
"""A journal entry: the arguments of `Entry`, in order."""

type OpenDatabase = Callable[[Path], Database]


class SavedState:
    """The saved state of one mock: an async context manager that opens, locks and closes its directory.

    Args:
        path: the directory, which is created if it is missing.
        now: returns the time of the server's clock, which is saved with every write.
        open_database: opens the database.
    """

    def __init__(self, path: Path, *, now: Callable[[], float], open_database: OpenDatabase = Database) -> None:
        self._path = path
        self._now = now
        self._open_database = open_database
        self._directory: StateDirectory | None = None
        self._database: Database | None = None
        self._records: dict[str, Mapping[str, str]] = {}
        """The texts of the records that are not loaded yet, by kind and key."""
        self._entries: Sequence[str] = ()
        """The texts of the journal entries that are not restored yet."""
        self.previous: ServerRecord | None = None
        """The values of the process that used the directory before; None if there was none."""
        self._server: ServerRecord | None = None
        """The values of the latest write."""
        self._journal: Journal | None = None
        self._next_entry = 0
        """The index of the first journal entry that is not written."""
        self._oldest = 0
        """The index of the oldest journal entry at the latest write."""
        self._changed: dict[tuple[str, str], Callable[[], object] | None] = {}
        """Functions that return the records that are not written yet, by kind and key; None deletes the record."""
        self._waiters: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop, while the directory is open."""
        self._starts = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="odyssey-state")
        self._fails = False
        """Whether the latest write has failed."""

    @property
    def recordings(self) -> Path:
        """The directory of recorded files."""
        assert self._directory is not None  # it is open
        return self._directory.recordings

    def load[Record](self, kind: RecordKind[Record]) -> Mapping[str, Record]:
        """Return the saved records; see `StateStore.load`. Each kind can be loaded once, which frees its text.

        Raises:
            DamagedStateError: a record is invalid.
        """
        texts = self._records.pop(kind.name, {})
        if not texts:
            return {}
        adapter = TypeAdapter(kind.type)
        return {
            key: self._decoded(adapter, text, f"{kind.name} {number}")
            for number, (key, text) in enumerate(texts.items())
        }

    @property
    def stopped_at(self) -> float | None:
        """The time of the server's clock at which the earlier process last wrote its state; None if there was none."""
        return None if self.previous is None else self.previous.time

    def save[Record](self, kind: RecordKind[Record], key: str, snapshot: Callable[[], Record]) -> None:
        """Save a record within `WRITE_INTERVAL`; see `StateStore.save`."""
        self._changed[kind.name, key] = snapshot
        self._touch()

    def delete(self, kind: RecordKind[Any], key: str) -> None:  # Any: of every kind
        """Delete a record within `WRITE_INTERVAL`."""
        self._changed[kind.name, key] = None
        self._touch()

    def keep_journal(self, journal: Journal) -> None:
        """Restore the entries of an empty journal, and save those that are written from now on.

        Raises:
            DamagedStateError: a saved entry is invalid.
        """
        if self.previous is not None:
            adapter = TypeAdapter[Any](_ENTRY)  # Any: a tuple, which `Entry` takes
            entries = [
                Entry(*self._decoded(adapter, text, f"journal entry {number}"))
                for number, text in enumerate(self._entries)
            ]
            journal.restore(entries, next_index=self.previous.journal_next, began_at=self.previous.journal_began_at)
        self._entries = ()
        self._next_entry = journal.next_index
        self._journal = journal
        journal.observe(lambda _: self._touch())

    async def flush(self) -> None:
        """Wait until everything saved so far is written, including the journal and the time of the clock.

        Raises:
            StateWriteError: it cannot be written, the disk needs more than `FLUSH_LIMIT` seconds, or the mock was
                stopped.
        """
        if self._loop is None:
            raise self._closed()
        written = asyncio.get_running_loop().create_future()
        self._waiters.append(written)
        self._wanted.set()
        try:
            async with asyncio.timeout(FLUSH_LIMIT):
                await written
        except TimeoutError:
            raise StateWriteError(
                f"the state of the mock was not written to {self._path} within {FLUSH_LIMIT:g} s; check the disk"
            ) from None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pool, self._open)
            servers = self.load(_SERVER)
        except BaseException:
            await self._close()
            raise
        self.previous = self._server = servers.get("")
        self._starts = 1 if self.previous is None else self.previous.starts + 1
        self._loop = loop
        self._writing = loop.create_task(self._write(), name="state of the mock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write all changes, and close the directory.

        Raises:
            StateWriteError: the changes cannot be written. They are lost.
        """
        try:
            await self.flush()
        finally:
            await self._close()

    async def _close(self) -> None:
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing})
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._closed())
        self._pool.submit(self._close_files)
        await asyncio.to_thread(self._pool.shutdown)

    def _closed(self) -> StateWriteError:
        return StateWriteError(f"the state of the mock was not written to {self._path}, because the mock was stopped")

    def _open(self) -> None:
        self._directory = StateDirectory.open(self._path)
        self._database = self._open_database(self._directory.database)
        content = self._database.read()
        self._records, self._entries = dict(content.records), content.entries

    def _close_files(self) -> None:
        if self._database is not None:
            self._database.close()
        if self._directory is not None:
            self._directory.close()

    def _touch(self, interval: float = WRITE_INTERVAL) -> None:
        """Write the changes after `interval`, unless something waits for them earlier."""
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(interval, self._due)

    def _due(self) -> None:
        self._timer = None
        self._wanted.set()

    async def _write(self) -> None:
        """Write the changes whenever it is wanted, and the time regularly, until the task is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TIME_INTERVAL):
                    await self._wanted.wait()
            self._wanted.clear()
            waiters, self._waiters = self._waiters, []
            changed, self._changed = self._changed, {}
            entries: Sequence[Entry] = ()
            server = self._server
            oldest = 0
            if (journal := self._journal) is not None:
                entries, oldest = journal.since(self._next_entry), journal.oldest_index
                server = ServerRecord(self._now(), self._starts, journal.began_at, journal.next_index)
            try:
                records = {place: None if snapshot is None else snapshot() for place, snapshot in changed.items()}
                if records or entries or server != self._server or oldest != self._oldest:
                    await loop.run_in_executor(self._pool, self._commit, records, entries, oldest, server)
            except asyncio.CancelledError:
                self._waiters += waiters
                raise
            except Exception as error:  # those who wait get it, and `_failed` logs it
                self._changed = changed | self._changed
                self._failed(error, waiters)
            else:
                self._server, self._oldest, self._fails = server, oldest, False
                self._next_entry = self._next_entry if journal is None or server is None else server.journal_next
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(None)

    def _failed(self, error: Exception, waiters: Sequence[asyncio.Future[None]]) -> None:
        """Pass the error of a write to those who wait for it, log it once, and try again later."""
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)
        if not self._fails:
            # Another error is a bug in the mock, which needs its traceback.
            logger.error("%s", error, exc_info=None if isinstance(error, StateError) else error)
        self._fails = True
        self._touch(RETRY_INTERVAL)

    def _commit(
        self,
        records: Mapping[tuple[str, str], object],
        entries: Sequence[Entry],
        oldest: int,
        server: ServerRecord | None,
    ) -> None:
        """Encode and write changes; called in the thread."""
        assert self._database is not None  # it is open while the task runs
        texts = {place: None if record is None else _encoded(record) for place, record in records.items()}
        if server is not None:
            texts[_SERVER.name, ""] = _encoded(server)
        rows = [(each.index, json.dumps(_values(each), separators=(",", ":"))) for each in entries]
        self._database.write(Batch(texts, rows, oldest))

    def _decoded[Value](self, adapter: TypeAdapter[Value], text: str, what: str) -> Value:
        try:
            return adapter.validate_python(json.loads(text))
        except (ValueError, RecursionError) as error:
            # Not the whole error, which quotes the record: it may contain secrets.
            why = error.errors()[0]["type"] if isinstance(error, ValidationError) else type(error).__name__
            raise damaged(self._path, f"the record of {what} is invalid ({why})") from None


def _encoded(record: Any) -> str:  # Any: an instance of some dataclass
    """Return a record as JSON in ASCII, because SQLite cannot store lone surrogates."""
    return json.dumps(dataclasses.asdict(record), separators=(",", ":"), default=_base64)


def _base64(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"expected a record that contains only JSON and bytes, got {type(value).__name__} in it")
    return base64.b64encode(value).decode()


def _values(entry: Entry) -> list[object]:
    """Return an entry in the form of `_ENTRY`."""
    places = (entry.account, entry.session, entry.stream)
    return [entry.index, entry.time, entry.kind, entry.name, *places, entry.encoded]
