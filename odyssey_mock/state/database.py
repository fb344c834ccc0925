"""`Database`, the SQLite file of a state directory: its schema, migrations, and atomic writes of batches.

The database has write-ahead logging (WAL) with ``synchronous = NORMAL``. A committed batch survives the death of the
process, such as by ``kill -9``. After a power failure, the latest batches may be missing, but no batch is incomplete.
This is the only module with SQL. All methods block, and must be called in one thread at a time.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from odyssey_mock.state.errors import DamagedStateError, NewerStateError, StateDirectoryError, StateWriteError

APPLICATION_ID = 0x0D155E7
"""The number that marks a database as one of this program, in the header of the file."""

type Migration = Callable[[sqlite3.Connection], None]
"""A function that changes a database of one version to the next version, within a transaction."""


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE records (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, "
        "body TEXT NOT NULL, UNIQUE (kind, key))"
    )
    connection.execute("CREATE TABLE journal (position INTEGER PRIMARY KEY, body TEXT NOT NULL)")


MIGRATIONS: Sequence[Migration] = (_create,)
"""The migration to each version, from version 0, an empty database.

After a release, a change of the tables or of a record's fields is a new migration at the end. `tests/mock/state/` has a
database of every released version.
"""


@dataclass(slots=True)
class Batch:
    """Changes that are written together."""

    records: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    """The JSON text of each changed record by kind and key; None deletes the record."""
    entries: Sequence[tuple[int, str]] = ()
    """New journal entries: index and JSON text."""
    oldest: int = 0
    """The index of the oldest journal entry to keep."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a database contains."""

    records: Mapping[str, Mapping[str, str]]
    """The JSON text of each record, by kind and key, in the order in which they were first saved."""
    entries: Sequence[str]
    """The JSON text of each journal entry, oldest first."""


class Database:
    """An open database. Call `close` at the end, in the thread of the other calls.

    Args:
        path: the file, which is created if it is missing.
        migrations: the migration to each version; the last one leads to the version of this program.
        page_limit: the maximum number of pages of 4096 bytes; None for no limit.

    Raises:
        NewerStateError: the database has a version for which there is no migration.
        DamagedStateError: the file is not a database, or is damaged.
        StateDirectoryError: the file is the database of another program, or cannot be opened.
    """

    def __init__(
        self, path: Path, *, migrations: Sequence[Migration] = MIGRATIONS, page_limit: int | None = None
    ) -> None:
        self._path = path
        self._written: int | None = None
        """The index of the oldest journal entry after the latest write."""
        try:
            # `check_same_thread` is off, because the thread that opens the database is not always the one that closes
            # it. There is never more than one at a time.
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            self._refuse(error)
        try:
            if page_limit is not None:
                self._connection.execute(f"PRAGMA max_page_count = {page_limit}")
            self._prepare(migrations)
        except sqlite3.Error as error:
            self._connection.close()
            self._refuse(error)
        except BaseException:
            self._connection.close()
            raise

    def read(self) -> Content:
        """Return everything in the database.

        Raises:
            DamagedStateError: the database is damaged.
        """
        records: dict[str, dict[str, str]] = {}
        try:
            for kind, key, body in self._connection.execute("SELECT kind, key, body FROM records ORDER BY number"):
                records.setdefault(kind, {})[key] = body
            entries = [body for (body,) in self._connection.execute("SELECT body FROM journal ORDER BY position")]
        except sqlite3.Error as error:
            self._refuse(error)
        return Content(records, entries)

    def write(self, batch: Batch) -> None:
        """Write all changes of a batch, or none of them.

        Raises:
            StateWriteError: the changes cannot be written. A later call may succeed.
        """
        gone = [place for place, body in batch.records.items() if body is None]
        changed = [(*place, body) for place, body in batch.records.items() if body is not None]
        try:
            with _transaction(self._connection) as connection:
                connection.executemany("DELETE FROM records WHERE kind = ? AND key = ?", gone)
                connection.executemany(
                    "INSERT INTO records (kind, key, body) VALUES (?, ?, ?) "
                    "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                    changed,
                )
                connection.executemany("INSERT INTO journal (position, body) VALUES (?, ?)", batch.entries)
                if batch.oldest != self._written:
                    connection.execute("DELETE FROM journal WHERE position < ?", (batch.oldest,))
        except sqlite3.Error as error:
            raise StateWriteError(
                f"the state of the mock cannot be written to {self._path}: {error}. The mock keeps it in memory and "
                "tries again; make space on the disk, and check that the directory can be written"
            ) from error
        self._written = batch.oldest

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _prepare(self, migrations: Sequence[Migration]) -> None:
        """Check the file, and migrate it to the version of this program."""
        connection = self._connection
        version, application = (_number(connection, f"PRAGMA {name}") for name in ("user_version", "application_id"))
        has_tables = _number(connection, "SELECT count(*) FROM sqlite_master")
        if application != APPLICATION_ID and (version or has_tables):
            raise StateDirectoryError(
                f"expected {self._path} to be a database of this program, got one of another program; use another "
                "`state_dir`"
            )
        if version > len(migrations):
            raise NewerStateError(
                f"expected {self._path} to have version {len(migrations)} or earlier, got version {version}, which a "
                "newer version of the mock has written; update the mock, or use another `state_dir`"
            )
        (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if fault != "ok":
            raise self._damaged(fault)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if version == len(migrations):
            return
        with _transaction(connection):
            for migrate in migrations[version:]:
                migrate(connection)
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _refuse(self, error: sqlite3.Error) -> NoReturn:
        """Raise the error for a database that cannot be opened or read."""
        # SQLite has a subclass for each kind of error; the base class stands for a file that is not a database.
        if type(error) is sqlite3.DatabaseError:
            raise self._damaged(error) from error
        raise StateDirectoryError(
            f"{self._path} cannot be opened: {error}; check the permissions of the directory and the space on the "
            "disk, or use another `state_dir`"
        ) from error

    def _damaged(self, why: object) -> DamagedStateError:
        return damaged(self._path, why)


def damaged(path: Path, why: object) -> DamagedStateError:
    """Create the error for a damaged database."""
    return DamagedStateError(
        f"{path} is damaged: {why}. To begin with an empty state, move its directory away, or use another `state_dir`"
    )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Commit the statements of the block at its end; roll them back after an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _number(connection: sqlite3.Connection, statement: str) -> int:
    """Return the only value of a statement that returns a number."""
    (value,) = connection.execute(statement).fetchone()
    return int(value)
