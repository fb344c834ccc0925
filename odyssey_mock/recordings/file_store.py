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
from dataclasses import dataclass, field
from pathlib import Path

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.recordings.scratch_directory import ScratchDirectory, remove_leftovers

WORKERS = 2
"""Number of threads that write files. With two, a short file need not wait for a long one."""

PART = ".part"
"""The end of the names of incomplete files."""

STOP_LIMIT = 5.0
"""Maximum seconds to wait for cancelled writers, which check for cancellation every few tens of milliseconds."""

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
    path: Path
    """Temporary path until the file is complete."""
    target: Path
    """Path of the complete file."""
    made: asyncio.Future[None]
    """Done when the file was written, writing failed, or the file was dropped. All callers of `get` await it."""
    ended: asyncio.Future[None]
    """Done as soon as no thread works on the file."""
    given_up: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Acquired by the thread when it begins to write, or by `drop` to prevent this; never released."""

    def run(self, write: Write) -> str:
        """Write the file and return its digest; called in a thread. A file of an earlier process is not written again.

        The file gets its final name in `FileStore._ended`.
        """
        if not self.turn.acquire(blocking=False):
            raise FileDroppedError
        if self.target.exists():
            return _digest(self.target)
        try:
            write(self.path, self.checkpoint)
            return _digest(self.path)
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise

    def checkpoint(self) -> None:
        if self.given_up.is_set():
            raise FileDroppedError


class FileStore:
    """Writes each file once, for any number of callers, and keeps it until it is dropped.

    All methods must be called on the event loop; files are written in threads. The threads are created for the first
    file.

    Args:
        kept_in: an existing directory, which keeps the files after `close`, for a store of another process. By default,
            the files are in a temporary directory, which is created for the first file and deleted by `close`.
    """

    def __init__(self, kept_in: Path | None = None) -> None:
        self._kept_in = kept_in
        self._directory: ScratchDirectory | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._files: dict[str, StoredFile] = {}
        self._wanted: dict[str, _Making] = {}
        self._unfinished: dict[_Making, None] = {}
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
        if name not in self._files:
            making = self._wanted.get(name) or self._begin(name, write)
            await asyncio.shield(making.made)
        stored = self._files.get(name)
        if stored is None:
            raise FileDroppedError
        return stored

    def drop(self, name: str) -> None:
        """Delete the file, or cancel its writing; an unknown name has no effect."""
        stored = self._files.pop(name, None)
        if stored is not None:
            _remove(stored.path)
        elif self._kept_in is not None:
            _remove(self._kept_in / name)  # the file of an earlier process
        self._give_up(name)

    def _give_up(self, name: str) -> None:
        making = self._wanted.pop(name, None)
        if making is not None:
            making.given_up.set()
            _fail(making.made, FileDroppedError())
            if making.turn.acquire(blocking=False):
                self._over(making)

    async def settle(self) -> None:
        """Wait until no thread works on dropped files, for `STOP_LIMIT` seconds at most."""
        stopping = [making.ended for making in self._unfinished if making.given_up.is_set()]
        if stopping:
            _, late = await asyncio.wait(stopping, timeout=STOP_LIMIT)
            if late:
                logger.warning(
                    "the writing of %s cancelled files has not stopped within %s s; it continues in background threads",
                    len(late),
                    STOP_LIMIT,
                )

    async def close(self) -> None:
        """Cancel all writing, and delete the temporary directory with its files; may be called more than once."""
        self._is_closed = True
        for name in [*self._files, *self._wanted]:
            if self._kept_in is None:
                self.drop(name)
            else:
                self._give_up(name)
        await self.settle()
        if self._pool is not None:
            self._pool.shutdown(wait=not self._unfinished)
        if self._directory is not None:
            self._directory.delete()

    def _begin(self, name: str, write: Write) -> _Making:
        if self._is_closed:
            raise RuntimeError(f"expected an open file store to create {name}, got a closed one")
        is_first = self._directory is None and self._kept_in is None
        directory = self._kept_in
        if directory is None:
            self._directory = self._directory or ScratchDirectory()
            directory = self._directory.path
        if self._pool is None:
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="odyssey-recordings")
        loop = asyncio.get_running_loop()
        self._begun += 1
        making = _Making(
            name=name,
            path=directory / f"{self._begun}{PART}",
            target=directory / name,
            made=loop.create_future(),
            ended=loop.create_future(),
        )
        self._unfinished[making] = None
        self._wanted[name] = making
        run = functools.partial(_after_cleaning, making.run) if is_first else making.run
        work = loop.run_in_executor(self._pool, run, write)
        work.add_done_callback(functools.partial(self._ended, making))
        return making

    def _ended(self, making: _Making, work: asyncio.Future[str]) -> None:
        """Store the file that a thread has written, or pass the thread's error to the callers of `get`.

        If the file was dropped, delete it.
        """
        if making in self._unfinished:
            self._over(making)
        if making.given_up.is_set():
            work.exception()  # mark as retrieved: no caller waits for it
            _remove(making.path)
            return
        del self._wanted[making.name]
        try:
            digest = work.result()
            if not making.target.exists():
                making.path.replace(making.target)
            self._files[making.name] = StoredFile(making.target, making.target.stat().st_size, digest)
        except Exception as error:  # all waiting callers raise it
            _fail(making.made, error)
        else:
            making.made.set_result(None)

    def _over(self, making: _Making) -> None:
        del self._unfinished[making]
        making.ended.set_result(None)


def _after_cleaning(run: Callable[[Write], str], write: Write) -> str:
    """Call `run(write)` in a thread, after removing what killed processes have left in the temporary directory."""
    remove_leftovers()
    return run(write)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fail(made: asyncio.Future[None], error: Exception) -> None:
    made.set_exception(error)
    # Mark as retrieved: if no caller waits any more, asyncio would log a warning.
    made.exception()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        # Windows does not delete a file that is being read; it is deleted with the directory.
        logger.debug("%s is still being read and cannot be deleted; it is deleted when the mock is closed", path)
