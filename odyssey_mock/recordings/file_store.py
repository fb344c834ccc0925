"""Files that are made when they are first asked for, in threads of their own, and kept until they are dropped."""

import asyncio
import functools
import hashlib
import logging
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

WORKERS = 2
"""Files made at once: a short one need not wait for a long one, and the executor of live video is left alone."""

STOP_LIMIT = 5.0
"""Seconds that work which was given up may take to stop; it looks up between frames, tens of milliseconds apart."""

logger = logging.getLogger(__name__)

type Write = Callable[[Path, Callable[[], None]], None]
"""`write(path, checkpoint)` makes a file, in a thread, and calls `checkpoint` now and then, which raises to end it."""


class FileDroppedError(Exception):
    """The file is not wanted any more."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is there, and does not change."""

    path: Path
    size: int
    """Bytes."""
    digest: str
    """SHA-256 of its content, in hexadecimal."""


@dataclass(eq=False, slots=True)
class _Making:
    """A file on its way."""

    name: str
    path: Path
    """Where it is written until it is whole."""
    made: asyncio.Future[None]
    """What all those wait for who want it."""
    ended: asyncio.Future[None]
    """Set once no thread is at it any more."""
    given_up: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Taken by the thread that begins, or by whoever gives it up before."""

    def run(self, write: Write) -> str:
        """Write the file and give its digest; called in a thread."""
        if not self.turn.acquire(blocking=False):
            raise FileDroppedError
        try:
            write(self.path, self.checkpoint)
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise

    def checkpoint(self) -> None:
        if self.given_up.is_set():
            raise FileDroppedError


class FileStore:
    """Makes each file once, however many ask for it, and keeps it in a temporary directory until `close`.

    All but the making is done on the event loop. Threads and directory come with the first file.
    """

    def __init__(self) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._files: dict[str, StoredFile] = {}
        self._wanted: dict[str, _Making] = {}
        self._unfinished: dict[_Making, None] = {}
        self._begun = 0
        self._is_closed = False

    async def get(self, name: str, write: Write) -> StoredFile:
        """Find the file `name`, made by `write` where it is not there yet.

        Who stops waiting stops nobody else. A file that could not be made is tried again when it is next asked for.

        Raises:
            FileDroppedError: it was dropped meanwhile.
            RuntimeError: the store was closed.
            Exception: what `write` raised.
        """
        if name not in self._files:
            making = self._wanted.get(name) or self._begin(name, write)
            await asyncio.shield(making.made)
        stored = self._files.get(name)
        if stored is None:
            raise FileDroppedError
        return stored

    def drop(self, name: str) -> None:
        """Remove the file, or give it up where it is being made; nothing where it is neither."""
        stored = self._files.pop(name, None)
        if stored is not None:
            _remove(stored.path)
        making = self._wanted.pop(name, None)
        if making is not None:
            making.given_up.set()
            _fail(making.made, FileDroppedError())
            if making.turn.acquire(blocking=False):
                self._over(making)

    async def settle(self) -> None:
        """Wait until no thread is at work any more on what was dropped, `STOP_LIMIT` at most."""
        stopping = [making.ended for making in self._unfinished if making.given_up.is_set()]
        if stopping:
            _, late = await asyncio.wait(stopping, timeout=STOP_LIMIT)
            if late:
                logger.warning("%s files that were given up are still being made after %s s", len(late), STOP_LIMIT)

    async def close(self) -> None:
        """Drop everything and remove the directory; may be called more than once."""
        self._is_closed = True
        for name in [*self._files, *self._wanted]:
            self.drop(name)
        await self.settle()
        if self._pool is not None:
            self._pool.shutdown(wait=not self._unfinished)
        if self._directory is not None:
            self._directory.cleanup()

    def _begin(self, name: str, write: Write) -> _Making:
        if self._is_closed:
            raise RuntimeError(f"expected an open store, got a closed one: {name} can no longer be made")
        if self._directory is None:
            # What cannot be removed when it is left is a file that somebody on Windows still reads.
            self._directory = tempfile.TemporaryDirectory(prefix="odyssey-mock-", ignore_cleanup_errors=True)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="odyssey-recordings")
        loop = asyncio.get_running_loop()
        self._begun += 1
        making = _Making(
            name=name,
            path=Path(self._directory.name, f"{self._begun}.part"),
            made=loop.create_future(),
            ended=loop.create_future(),
        )
        self._unfinished[making] = None
        self._wanted[name] = making
        work = loop.run_in_executor(self._pool, making.run, write)
        work.add_done_callback(functools.partial(self._ended, making))
        return making

    def _ended(self, making: _Making, work: asyncio.Future[str]) -> None:
        """Take over what a thread has made."""
        if making in self._unfinished:
            self._over(making)
        if making.given_up.is_set():
            work.exception()  # seen: nobody waits for it any more
            _remove(making.path)
            return
        del self._wanted[making.name]
        try:
            digest = work.result()
            path = making.path.replace(making.path.with_name(making.name))
            self._files[making.name] = StoredFile(path, path.stat().st_size, digest)
        except Exception as error:  # passed on to those who wait
            _fail(making.made, error)
        else:
            making.made.set_result(None)

    def _over(self, making: _Making) -> None:
        del self._unfinished[making]
        making.ended.set_result(None)


def _fail(made: asyncio.Future[None], error: Exception) -> None:
    made.set_exception(error)
    # Perhaps nobody waits any more, and asyncio would complain that nobody was told.
    made.exception()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        # Windows removes no file that is being read; it goes with the directory.
        logger.debug("a file that is being read stays until the mock is left")
