"""Tests of the database: atomic batches, versions, and typed errors for a damaged file and a full disk."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.state.database import MIGRATIONS, Batch, Database
from odyssey_mock.state.errors import DamagedStateError, NewerStateError, StateDirectoryError, StateWriteError

FIRST_VERSION = Path(__file__).parent / "version_1" / "state.sqlite3"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


def write(path: Path, records: dict[tuple[str, str], str | None], **more: object) -> None:
    with closing(Database(path)) as database:
        database.write(Batch(records, **more))  # type: ignore[arg-type]  # entries and oldest


def read(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    with closing(Database(path)) as database:
        content = database.read()
    return {kind: dict(texts) for kind, texts in content.records.items()}, list(content.entries)


def test_records_keep_the_order_of_their_first_write(path: Path) -> None:
    write(path, {("job", "b"): "1", ("job", "a"): "2", ("stream", "a"): "3"})
    write(path, {("job", "a"): "4", ("job", "c"): "5"})
    write(path, {("job", "b"): "6", ("stream", "a"): None, ("stream", "x"): None})
    records, entries = read(path)
    assert list(records["job"].items()) == [("b", "6"), ("a", "4"), ("c", "5")]
    assert (list(records), entries) == (["job"], [])


def test_old_journal_entries_are_deleted(path: Path) -> None:
    write(path, {}, entries=[(0, "a"), (1, "b"), (2, "c")])
    write(path, {}, entries=[(3, "d")], oldest=2)
    assert read(path) == ({}, ["c", "d"])
    write(path, {}, oldest=4)
    assert read(path) == ({}, [])


def test_failed_batch_changes_nothing(path: Path) -> None:
    write(path, {("job", "a"): "1"}, entries=[(0, "a")])
    with closing(Database(path)) as database:
        with pytest.raises(StateWriteError, match=r"cannot be written to .*state\.sqlite3: UNIQUE constraint failed"):
            database.write(Batch({("job", "a"): "2", ("job", "b"): "3"}, [(1, "b"), (0, "again")]))
        database.write(Batch({("job", "c"): "4"}))
    assert read(path) == ({"job": {"a": "1", "c": "4"}}, ["a"])


def test_write_succeeds_after_a_full_disk(path: Path) -> None:
    with closing(Database(path, page_limit=12)) as database:
        with pytest.raises(StateWriteError, match=r"database or disk is full.*make space on the disk"):
            database.write(Batch({("job", "a"): "x" * 100_000}))
        database.write(Batch({("job", "a"): "small"}))
    assert read(path) == ({"job": {"a": "small"}}, [])


def test_uncommitted_batch_is_not_there_after_a_crash(path: Path, tmp_path: Path) -> None:
    """The files are copied before every statement of a write, as if the process were killed there."""
    write(path, {("job", "a"): "1"})
    copies: list[Path] = []
    with closing(Database(path)) as database:

        def copy(_: str) -> None:
            folder = tmp_path / f"copy-{len(copies)}"
            folder.mkdir()
            for each in path.parent.glob("state.sqlite3*"):
                shutil.copy(each, folder)
            copies.append(folder / path.name)

        database._connection.set_trace_callback(copy)
        database.write(Batch({("job", "a"): None, ("job", "b"): "2", ("job", "c"): "3"}, [(0, "x"), (1, "y")]))
        database._connection.set_trace_callback(None)
        copy("")
    before: object = ({"job": {"a": "1"}}, [])
    after = ({"job": {"b": "2", "c": "3"}}, ["x", "y"])
    found = [read(each) for each in copies]
    assert len(found) >= 7
    assert found == [*[before] * (len(found) - 1), after]


# Versions


def test_database_of_the_first_version_can_be_read(path: Path) -> None:
    shutil.copy(FIRST_VERSION, path)
    records, entries = read(path)
    assert {kind: len(texts) for kind, texts in records.items()} == {
        "access token": 2,
        "account": 1,
        "fault": 2,
        "fault registry": 1,
        "job": 3,
        "job request": 2,
        "secret": 4,
        "server": 1,
        "stream": 3,
        "usage": 1,
    }
    assert len(entries) > 10


def add_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE films (name TEXT)")
    connection.execute("UPDATE records SET body = body || '!'")


def fail(connection: sqlite3.Connection) -> None:
    add_table(connection)
    raise sqlite3.OperationalError("disk I/O error")


def test_older_database_is_migrated_once(path: Path) -> None:
    write(path, {("job", "a"): "1"})
    for _ in range(2):
        with closing(Database(path, migrations=[*MIGRATIONS, add_table])) as database:
            assert database.read().records == {"job": {"a": "1!"}}


def test_failed_migration_changes_nothing(path: Path) -> None:
    write(path, {("job", "a"): "1"})
    with pytest.raises(StateDirectoryError, match="disk I/O error"):
        Database(path, migrations=[*MIGRATIONS, fail])
    assert read(path) == ({"job": {"a": "1"}}, [])


def test_newer_database_is_refused_and_unchanged(path: Path) -> None:
    with closing(Database(path, migrations=[*MIGRATIONS, add_table])) as database:
        database.write(Batch({("job", "a"): "1"}))
    before = path.read_bytes()
    expected = rf"version {len(MIGRATIONS)} or earlier, got version {len(MIGRATIONS) + 1}, .*; update the mock"
    with pytest.raises(NewerStateError, match=expected):
        Database(path)
    assert path.read_bytes() == before


def test_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(StateDirectoryError, match="got one of another program; use another `state_dir`"):
        Database(path)


# Damaged files


def damages(content: bytes) -> Iterator[bytes]:
    """Yield damaged copies of a database file."""
    yield b"not a database, but text. " * 100
    yield content[:50]
    yield content[: len(content) // 2]
    chance = SeededEntropy(1)
    for _ in range(30):
        damaged = bytearray(content)
        at = 100 + chance.number(32) % (len(content) - 200)
        damaged[at : at + 64] = chance.token(48).encode()
        yield bytes(damaged)


def test_damaged_file_gives_a_typed_error(path: Path) -> None:
    write(path, {("job", str(number)): "x" * 50 for number in range(200)}, entries=[(0, "a")])
    refused: list[str] = []
    for damaged in damages(path.read_bytes()):
        for each in path.parent.iterdir():
            each.unlink()
        path.write_bytes(damaged)
        try:
            with closing(Database(path)) as database:
                database.read()
        except DamagedStateError as error:
            refused.append(str(error))
    assert len(refused) >= 3
    for message in refused:
        assert message.startswith(f"{path} is damaged: ")
        assert message.endswith("move its directory away, or use another `state_dir`")
