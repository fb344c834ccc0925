"""Files are made once, whoever asks and whoever stops asking; what is dropped or closed leaves nothing behind."""

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
"""Seconds to wait for anything; far beyond what is needed."""

type Checkpoint = Callable[[], None]


class Work:
    """Makes a file in steps: it waits at its first until it is let go on, then looks up whether it is still wanted."""

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
    directory = None if store._directory is None else Path(store._directory.name)
    return [*threads(), *([directory] if directory is not None and directory.exists() else [])]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("odyssey-recordings")]


def files(store: FileStore) -> list[Path]:
    return [] if store._directory is None else sorted(Path(store._directory.name).iterdir())


async def test_a_file_is_made_when_it_is_first_asked_for_and_kept(store: FileStore) -> None:
    work = Work()
    work.may_go_on.set()
    first = await store.get("a.txt", work)
    assert (first.path.read_bytes(), first.size, first.path.name) == (b"content", 7, "a.txt")
    assert await store.get("a.txt", work) == first
    assert work.times == 1


async def test_many_who_ask_at_once_wait_for_one_making(store: FileStore) -> None:
    work = Work()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(store.get("a.txt", work)) for _ in range(20)]
        await work.has_begun()
        work.may_go_on.set()
    assert len({task.result() for task in asking}) == 1
    assert work.times == 1


async def test_who_stops_waiting_stops_nobody_else(store: FileStore) -> None:
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


async def test_what_nobody_waits_for_any_more_is_made_all_the_same(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    asking.cancel()
    await asyncio.wait([asking])
    work.may_go_on.set()
    assert (await store.get("a.txt", at_once)).path.read_bytes() == b"content"


async def test_a_file_has_its_name_only_when_it_is_whole(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    (part,) = files(store)
    assert part.name != "a.txt"
    work.may_go_on.set()
    stored = await asking
    assert files(store) == [stored.path]


async def test_a_short_file_does_not_wait_for_a_long_one(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("long", work))
    await work.has_begun()
    async with asyncio.timeout(LIMIT):
        await store.get("short", at_once)
    assert not asking.done()
    work.may_go_on.set()
    await asking


async def test_a_making_that_fails_is_told_to_all_who_wait_and_tried_again_the_next_time(store: FileStore) -> None:
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


async def test_a_making_that_fails_when_nobody_waits_is_no_complaint_of_asyncio(
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


async def test_a_file_that_is_dropped_is_gone_and_made_anew_if_asked_for(store: FileStore) -> None:
    stored = await store.get("a.txt", at_once)
    store.drop("a.txt")
    store.drop("a.txt")
    assert not stored.path.exists()
    again = Work(b"again")
    again.may_go_on.set()
    assert (await store.get("a.txt", again)).path.read_bytes() == b"again"


async def test_dropped_while_it_is_read_it_can_be_read_to_its_end(store: FileStore) -> None:
    stored = await store.get("a.txt", at_once)
    with stored.path.open("rb") as file:
        store.drop("a.txt")
        assert file.read() == b"at once"


async def test_dropped_in_the_making_those_who_wait_hear_at_once_and_nothing_is_left(store: FileStore) -> None:
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


async def test_dropped_at_its_last_moment_it_does_not_come_back(store: FileStore) -> None:
    work = Work()
    asking = asyncio.create_task(store.get("a.txt", work))
    await work.has_begun()
    making, pool = store._wanted["a.txt"], store._pool
    assert pool is not None
    work.may_go_on.set()
    pool.shutdown(wait=True)  # the thread is done, and the loop has not heard of it
    assert making.path.exists()
    store.drop("a.txt")
    await making.ended
    assert files(store) == []
    with pytest.raises(FileDroppedError):
        await asking


async def test_what_waits_for_its_turn_can_be_dropped_without_a_turn(store: FileStore) -> None:
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


async def test_closed_in_the_middle_it_leaves_no_thread_no_task_and_no_file() -> None:
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


async def test_a_closed_store_makes_nothing_more() -> None:
    store = FileStore()
    await store.close()
    with pytest.raises(RuntimeError, match="closed"):
        await store.get("a.txt", at_once)


async def test_work_that_does_not_look_up_is_left_behind_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "STOP_LIMIT", 0.05)
    async with nothing_left():
        store, work = FileStore(), Work()
        asking = asyncio.create_task(store.get("a.txt", work))
        await work.has_begun()
        (making,) = store._unfinished
        await store.close()
        assert "still being made" in caplog.text
        with pytest.raises(FileDroppedError):
            await asking
        work.may_go_on.set()
        await making.ended
        for thread in threads():
            await asyncio.to_thread(thread.join, LIMIT)


async def test_nothing_is_made_for_nothing() -> None:
    store = FileStore()
    store.drop("a.txt")
    await store.settle()
    await store.close()
    assert files(store) == []
    assert threads() == []
