"""Tests of the file store: each file is written once, and deleted when it is dropped or the store is closed."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from odyssey_mock.recordings import file_store as module
from odyssey_mock.recordings.file_store import WORKERS, FileDroppedError, FileStore
from tests.support.leftovers import nothing_left

LIMIT = 5.0
"""Timeout of a test in seconds, much longer than a test needs."""

type Checkpoint = Callable[[], None]


class Work:
    """A file writer: writes one byte, waits for `may_go_on`, calls the checkpoint, and raises `error` or writes all."""

    def __init__(self, content: bytes = b"content", error: Exception | None = None) -> None:
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.times = 0
        self._content = content
        self._error = error

    def __call__(self, path: Path, checkpoint: Checkpoint) -> None:
        self.times += 1
        path.write_bytes(self._content[:1])
        self.begun.set()
        assert self.may_go_on.wait(LIMIT)
        checkpoint()
        if self._error is not None:
            raise self._error
        path.write_bytes(self._content)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, LIMIT)


def at_once(path: Path, checkpoint: Checkpoint) -> None:
    path.write_bytes(b"at once")


@pytest_asyncio.fixture
async def store() -> AsyncIterator[FileStore]:
    store = FileStore()
    yield store
    await store.close()
    assert leftovers(store) == []


def leftovers(store: FileStore) -> list[object]:
    directory = directory_of(store)
    return [*threads(), *([directory] if directory is not None and directory.exists() else [])]


def directory_of(store: FileStore) -> Path | None:
    """Return the temporary directory of the store; None if it has not been created."""
    scratch = store._directory._scratch
    return None if scratch is None else scratch.path


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("odyssey-recordings")]


def files(store: FileStore) -> list[Path]:
    directory = directory_of(store)
    found = [] if directory is None else sorted(directory.iterdir())
    return [path for path in found if path.name != ".lock"]


async def test_file_is_written_on_first_request_and_kept(store: FileStore) -> None:
    work = Work()
    work.may_go_on.set()
    first = await store.get("a.txt", work)
    assert (first.path.read_bytes(), first.size, first.path.name) == (b"content", 7, "a.txt")
    assert await store.get("a.txt", work) == first
    assert work.times == 1


async def test_simultaneous_requests_write_file_once(store: FileStore) -> None:
    work = Work()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(store.get("a.txt", work)) for _ in range(20)]
        await work.has_begun()
        work.may_go_on.set()
    assert len({task.result() for task in asking}) == 1
    assert work.times == 1


async def test_cancelled_caller_does_not_affect_others(store: FileStore) -> None:
    work = Work()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(store.get("a.txt", work))
        await work.has_begun()
        second = tasks.create_task(store.get("a.txt", work))
        first.cancel()
        await asyncio.wait([first])
        work.may_go_on.set()
    assert first.cancelled()
    assert second.result().path.read_bytes() == b"content"


async def test_file_is_completed_without_waiting_callers(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    asking.cancel()
    await asyncio.wait([asking])
    work.may_go_on.set()
    assert (await store.get("a.txt", at_once)).path.read_bytes() == b"content"


async def test_file_gets_its_name_when_complete(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    (part,) = files(store)
    assert part.name != "a.txt"
    work.may_go_on.set()
    stored = await asking
    assert files(store) == [stored.path]


async def test_short_file_does_not_wait_for_long_one(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("long", work))
    await work.has_begun()
    async with asyncio.timeout(LIMIT):
        await store.get("short", at_once)
    assert not asking.done()
    work.may_go_on.set()
    await asking


async def test_failure_reaches_all_callers_and_is_retried(store: FileStore) -> None:
    work = Work(error=OSError("no space left"))
    asking = [asyncio.create_task(store.get("a.txt", work)) for _ in range(3)]
    await work.has_begun()
    work.may_go_on.set()
    async with asyncio.timeout(LIMIT):
        for task in asking:
            with pytest.raises(OSError, match="no space left"):
                await task
    assert files(store) == []
    assert (await store.get("a.txt", at_once)).path.read_bytes() == b"at once"


async def test_failure_without_callers_logs_no_asyncio_warning(
    store: FileStore, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(error=OSError("no space left"))
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    asking.cancel()
    await asyncio.wait([asking])
    work.may_go_on.set()
    (making,) = store._unfinished
    await making.ended
    del asking, making, work
    gc.collect()
    assert caplog.text == ""


async def test_dropped_file_is_deleted_and_written_again(store: FileStore) -> None:
    stored = await store.get("a.txt", at_once)
    store.drop("a.txt")
    store.drop("a.txt")
    await store.settle()
    assert not stored.path.exists()
    again = Work(b"again")
    again.may_go_on.set()
    assert (await store.get("a.txt", again)).path.read_bytes() == b"again"


async def test_open_file_stays_readable_after_drop(store: FileStore) -> None:
    stored = await store.get("a.txt", at_once)
    with stored.path.open("rb") as file:
        store.drop("a.txt")
        await store.settle()
        assert file.read() == b"at once"


async def test_new_file_outlives_deletion_of_dropped_one(store: FileStore) -> None:
    await store.get("a.txt", at_once)
    store.drop("a.txt")
    again = Work(b"again")
    again.may_go_on.set()
    stored = await store.get("a.txt", again)  # without waiting for the deletion
    await store.settle()
    assert stored.path.read_bytes() == b"again"


@pytest.mark.parametrize("drops", [1, 2])
async def test_dropped_file_of_earlier_store_is_deleted(tmp_path: Path, drops: int) -> None:
    first = FileStore(tmp_path)
    await first.get("a.txt", at_once)
    await first.close()
    later = FileStore(tmp_path)
    for _ in range(drops):
        later.drop("a.txt")
    await later.settle()
    assert await asyncio.to_thread(lambda: [*tmp_path.iterdir()]) == []
    await later.close()


async def test_file_that_cannot_be_deleted_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FileStore(tmp_path)
    (tmp_path / "a.txt").mkdir()
    store.drop("a.txt")
    await store.settle()
    await store.close()
    assert "a dropped recording cannot be deleted" in caplog.text


async def test_drop_during_writing_fails_waiting_callers_at_once(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    store.drop("a.txt")
    async with asyncio.timeout(LIMIT):
        with pytest.raises(FileDroppedError):
            await asking
        anew = await store.get("a.txt", at_once)
        work.may_go_on.set()
        await store.settle()
    assert files(store) == [anew.path]
    assert anew.path.read_bytes() == b"at once"


async def test_drop_right_after_writing_deletes_the_file(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    pool = store._pool
    assert pool is not None
    work.may_go_on.set()
    pool.shutdown(wait=True)  # the thread has finished, but its callback has not run yet
    assert [path.name for path in files(store)] == ["a.txt"]
    store.drop("a.txt")
    await store.settle()
    assert files(store) == []
    with pytest.raises(FileDroppedError):
        await asking


async def test_queued_file_is_dropped_without_being_written(store: FileStore) -> None:
    busy = [Work() for _ in range(WORKERS)]
    asking = [asyncio.create_task(store.get(str(number), work)) for number, work in enumerate(busy)]
    for work in busy:
        await work.has_begun()
    waiting = Work()
    dropped = asyncio.create_task(store.get("waiting", waiting))
    await asyncio.wait([dropped], timeout=0)
    async with asyncio.timeout(LIMIT):
        store.drop("waiting")
        with pytest.raises(FileDroppedError):
            await dropped
        await store.settle()
    for work in busy:
        work.may_go_on.set()
    await asyncio.gather(*asking)
    assert waiting.times == 0


async def test_close_during_writing_leaves_nothing_behind() -> None:
    async with nothing_left():
        store, busy = FileStore(), [Work() for _ in range(WORKERS + 3)]
        asking = [asyncio.create_task(store.get(str(number), work)) for number, work in enumerate(busy)]
        await busy[0].has_begun()
        directory = files(store)[0].parent
        closing = asyncio.create_task(store.close())
        for work in busy:
            work.may_go_on.set()
        async with asyncio.timeout(LIMIT):
            await closing
            results = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(result) for result in results} == {FileDroppedError}
        assert not directory.exists()
        await store.close()


async def test_closed_store_rejects_new_files() -> None:
    store = FileStore()
    await store.close()
    with pytest.raises(RuntimeError, match="closed"):
        await store.get("a.txt", at_once)


async def test_writer_that_ignores_cancellation_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "STOP_LIMIT", 0.05)
    async with nothing_left():
        store, work = FileStore(), Work()
        asking = asyncio.create_task(store.get("a.txt", work))
        await work.has_begun()
        (making,) = store._unfinished
        await store.close()
        assert "the work on 1 dropped files has not ended" in caplog.text
        with pytest.raises(FileDroppedError):
            await asking
        work.may_go_on.set()
        await making.ended
        for thread in threads():
            await asyncio.to_thread(thread.join, LIMIT)


async def test_unused_store_creates_no_files_or_threads() -> None:
    store = FileStore()
    store.drop("a.txt")
    await store.settle()
    await store.close()
    assert files(store) == []
    assert threads() == []
