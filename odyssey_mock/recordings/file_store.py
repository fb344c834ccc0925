"""A store of files that are written on first request, in separate threads, and kept until they are dropped.

A file is written under a temporary name, and renamed once it is complete. A file with its final name is therefore
complete, even if the process was killed.
"""

import asyncio
import functools
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.recordings.scratch_directory import ScratchDirectory, remove_leftovers

WORKERS = 2
"""Number of threads that write files. With two, a short file need not wait for a long one."""

PART = ".part"
"""The end of the names of incomplete files."""

STOP_LIMIT = 5.0
"""Maximum seconds to wait for dropped files. Their writers check for cancellation every few tens of milliseconds."""

logger = get_logger(__name__)

type Write = Callable[[Path, Callable[[], None]], None]
"""`write(path, checkpoint)` writes a file in a thread and regularly calls `checkpoint`, which raises to cancel it."""


class FileDroppedError(Exception):
    """The file was dropped before or while it was written."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A complete file, whose content never changes."""

    path: Path
    size: int
    """Size in bytes."""
    digest: str
    """SHA-256 of the content, in hexadecimal."""


@dataclass(eq=False, slots=True)
class _Making:
    """A file that is waiting to be written or being written."""

    name: str
    part: str
    """Temporary name until the file is complete."""
    made: asyncio.Future[None]
    """Done when the file was written, writing failed, or the file was dropped. All callers of `get` await it."""
    ended: asyncio.Future[None]
    """Done as soon as no thread works on the file."""
    given_up: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Acquired by the thread when it begins to write, or by `drop` to prevent this; never released."""
    naming: threading.Lock = field(default_factory=threading.Lock)
    """Acquired by the thread when it renames the file, or by `drop` to prevent this; never released."""

    def run(self, directory: "_Directory", write: Write) -> StoredFile:
        """Write the file; called in a thread. A file of an earlier process is not written again."""
        if not self.turn.acquire(blocking=False):
            raise FileDroppedError
        part, target = directory.path() / self.part, directory.path() / self.name
        if target.exists():
            return _stored(target)
        try:
            write(part, self.checkpoint)
            stored = _stored(part)
            if not self.naming.acquire(blocking=False):
                raise FileDroppedError
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return replace(stored, path=target)

    def checkpoint(self) -> None:
        if self.given_up.is_set():
            raise FileDroppedError


class _Directory:
    """The directory of a store: an existing one, or a temporary one that is created when it is first needed.

    All methods block, and may be called in several threads at once.
    """

    def __init__(self, kept_in: Path | None) -> None:
        self._kept_in = kept_in
        self._scratch: ScratchDirectory | None = None
        self._is_deleted = False
        self._lock = threading.Lock()

    def path(self) -> Path:
        """Return the path of the directory.

        Before the first temporary directory is created, those that killed processes have left are removed.

        Raises:
            FileDroppedError: the directory was deleted.
        """
        if self._kept_in is not None:
            return self._kept_in
        with self._lock:
            if self._is_deleted:
                raise FileDroppedError
            if self._scratch is None:
                remove_leftovers()
                self._scratch = ScratchDirectory()
            return self._scratch.path

    def delete(self) -> None:
        """Delete the temporary directory with its files; may be called more than once."""
        with self._lock:
            self._is_deleted = True
            if self._scratch is not None:
                self._scratch.delete()


class FileStore:
    """Writes each file once, for any number of callers, and keeps it until it is dropped.

    All methods must be called on the event loop. Threads do all work on files. They are created for the first file.

    Args:
        kept_in: an existing directory, which keeps the files after `close`, for a store of another process. By default,
            the files are in a temporary directory, which is created for the first file and deleted by `close`.
    """

    def __init__(self, kept_in: Path | None = None) -> None:
        self._is_kept = kept_in is not None
        self._directory = _Directory(kept_in)
        self._pool: ThreadPoolExecutor | None = None
        self._files: dict[str, StoredFile] = {}
        self._wanted: dict[str, _Making] = {}
        self._unfinished: dict[_Making, None] = {}
        self._removals: dict[str, asyncio.Task[None]] = {}
        """The deletions of dropped files. A file is written again after its deletion."""
        self._begun = 0
        self._is_closed = False

    async def get(self, name: str, write: Write) -> StoredFile:
        """Return the file `name`; if it does not exist, write it with `write` first.

        Cancelling one caller does not affect the others. If writing fails, the next call tries again.

        Raises:
            FileDroppedError: the file was dropped before it was complete.
            RuntimeError: the store is closed.
            Exception: `write` raised this exception.
        """
        while name in self._removals:
            await asyncio.wait([self._removals[name]])
        if name not in self._files:
            making = self._wanted.get(name) or self._begin(name, write)
            await asyncio.shield(making.made)
        stored = self._files.get(name)
        if stored is None:
            raise FileDroppedError
        return stored

    def drop(self, name: str) -> None:
        """Forget the file and begin to delete it, or cancel its writing; an unknown name has no effect.

        `settle` waits for the deletion.
        """
        is_stored = self._files.pop(name, None) is not None
        making = self._give_up(name)
        is_renamed = making is not None and not making.naming.acquire(blocking=False)
        if is_stored or is_renamed or self._is_kept:  # a directory that is kept may have the file of an earlier process
            removal = asyncio.create_task(self._remove(name, making if is_renamed else None, self._removals.get(name)))
            self._removals[name] = removal
            removal.add_done_callback(functools.partial(self._removed, name))

    def _give_up(self, name: str) -> _Making | None:
        making = self._wanted.pop(name, None)
        if making is not None:
            making.given_up.set()
            _fail(making.made, FileDroppedError())
            if making.turn.acquire(blocking=False):
                self._over(making)
        return making

    async def _remove(self, name: str, making: _Making | None, earlier: asyncio.Task[None] | None) -> None:
        """Delete a file in a thread, after the thread that is giving it its name, and after an earlier deletion."""
        if earlier is not None:
            await asyncio.wait([earlier])
        if making is not None:
            await asyncio.shield(making.ended)
        await asyncio.get_running_loop().run_in_executor(None, _delete, self._directory, name)

    def _removed(self, name: str, removal: asyncio.Task[None]) -> None:
        if self._removals[name] is removal:
            del self._removals[name]

    async def settle(self) -> None:
        """Wait until dropped files are deleted and no thread writes one, for `STOP_LIMIT` seconds at most."""
        stopping = [making.ended for making in self._unfinished if making.given_up.is_set()]
        if stopping or self._removals:
            _, late = await asyncio.wait([*stopping, *self._removals.values()], timeout=STOP_LIMIT)
            if late:
                logger.warning(
                    "the work on %s dropped files has not ended within %s s; it continues in background threads",
                    len(late),
                    STOP_LIMIT,
                )

    @property
    def is_unused(self) -> bool:
        """Whether no file was requested yet, so that there are no threads and no temporary directory."""
        return self._pool is None

    async def close(self) -> None:
        """Cancel all writing, and delete the temporary directory with its files; may be called more than once."""
        self._is_closed = True
        if not self._is_kept:
            self._files.clear()
        for name in [*self._wanted]:
            self._give_up(name)
        await self.settle()
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, wait=not self._unfinished)
            await asyncio.to_thread(self._directory.delete)

    def _begin(self, name: str, write: Write) -> _Making:
        if self._is_closed:
            raise RuntimeError(f"expected an open file store to create {name}, got a closed one")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="odyssey-recordings")
        loop = asyncio.get_running_loop()
        self._begun += 1
        making = _Making(name=name, part=f"{self._begun}{PART}", made=loop.create_future(), ended=loop.create_future())
        self._unfinished[making] = None
        self._wanted[name] = making
        work = loop.run_in_executor(self._pool, making.run, self._directory, write)
        work.add_done_callback(functools.partial(self._ended, making))
        return making

    def _ended(self, making: _Making, work: asyncio.Future[StoredFile]) -> None:
        """Store the file that a thread has written, or pass the thread's error to the callers of `get`."""
        if making in self._unfinished:
            self._over(making)
        if making.given_up.is_set():
            work.exception()  # mark as retrieved: no caller waits for it
            return
        del self._wanted[making.name]
        try:
            self._files[making.name] = work.result()
        except Exception as error:  # all waiting callers raise it
            _fail(making.made, error)
        else:
            making.made.set_result(None)

    def _over(self, making: _Making) -> None:
        del self._unfinished[making]
        making.ended.set_result(None)


def _stored(path: Path) -> StoredFile:
    with path.open("rb") as file:
        return StoredFile(path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _fail(made: asyncio.Future[None], error: Exception) -> None:
    made.set_exception(error)
    # Mark as retrieved: if no caller waits any more, asyncio would log a warning.
    made.exception()


def _delete(directory: _Directory, name: str) -> None:
    try:
        (directory.path() / name).unlink(missing_ok=True)
    except FileDroppedError:
        pass  # it was deleted with the directory
    except PermissionError as error:
        # Windows does not delete a file that is being read; it is deleted with the directory.
        logger.debug("a file that is being read cannot be deleted; it is deleted when the mock is closed: %s", error)
    except OSError as error:
        logger.warning("a dropped recording cannot be deleted; it takes space until it is: %s", error)
