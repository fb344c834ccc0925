"""`FileLock`, a locked file that shows other processes that this process still runs.

The system releases the lock (``flock``) when the process ends, however it ends. A lock is therefore never left behind,
and no process ids and no times are compared. All functions block, for the duration of a few system calls.
"""

import os
import sys
from io import FileIO
from pathlib import Path
from typing import Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOCKED_BYTE = 2**30
"""On Windows, the offset of the locked byte. It is beyond the text, so that other processes can read the text."""


class FileLock:
    """A file that this process has locked. Call `release` at the end."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self._file = file

    @classmethod
    def take(cls, path: Path, *, create: bool = True) -> Self | None:
        """Lock the file `path`; return None if it is locked already, or was deleted before it was locked.

        `create`: whether to create a missing file. If it is missing and not created, the result is None.

        Raises:
            OSError: the file cannot be opened or created, or its file system has no locks.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        except FileNotFoundError:
            if create:
                raise
            return None
        lock = cls(path, FileIO(descriptor, "r+b"))
        try:
            if lock._lock() and lock._is_in_place():
                return lock
        except BaseException:
            lock.release()
            raise
        lock.release()
        return None

    def write(self, text: str) -> None:
        """Replace the content of the file, which other processes can read; see `text_of`."""
        self._file.seek(0)
        self._file.write(text.encode())
        self._file.truncate()

    def release(self) -> None:
        """Unlock the file, and leave it in place."""
        self._file.close()

    def _lock(self) -> bool:
        """Lock the file. Return False if it is locked already."""
        if sys.platform == "win32":
            self._file.seek(_LOCKED_BYTE)
            try:
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                return False
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_in_place(self) -> bool:
        """Return whether `path` is still a name of the locked file."""
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False


def text_of(path: Path) -> str:
    """Return the text that another process wrote into its lock; empty if there is none.

    Raises:
        OSError: the file cannot be read.
    """
    return path.read_bytes()[:100].decode(errors="replace")
