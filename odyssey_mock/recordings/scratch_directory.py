"""`ScratchDirectory`, a temporary directory of this process, and the removal of those that killed processes left.

A scratch directory contains a locked file (`core/file_lock.py`). A directory whose file is not locked belongs to a
process that has ended. All functions block.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from odyssey_mock.core.file_lock import FileLock
from odyssey_mock.core.redaction import get_logger

PREFIX = "odyssey-mock-"
"""The beginning of the names of scratch directories."""

_LOCK = ".lock"

logger = get_logger(__name__)


class ScratchDirectory:
    """A new temporary directory. Call `delete` at the end.

    Where files cannot be locked, as on some network file systems, the directory is never taken for a leftover.
    """

    def __init__(self) -> None:
        self._lock: FileLock | None = None
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            try:
                self._lock = FileLock.take(self.path / _LOCK)
            except FileNotFoundError:
                continue  # as below, before the file was opened
            except OSError:
                return
            if self._lock is not None:
                return
            # Another process took the directory for a leftover, before its file was locked.

    def delete(self) -> None:
        """Delete the directory with its files; may be called more than once."""
        # Windows does not delete an open file.
        if self._lock is not None:
            self._lock.release()
        # On Windows a file that is still being read cannot be deleted.
        shutil.rmtree(self.path, ignore_errors=True)


def remove_leftovers(parent: Path | None = None) -> int:
    """Delete the scratch directories of processes that have ended, and return their number.

    `parent`: the directory to search; by default the temporary directory of the system.
    """
    removed = 0
    for path in sorted((parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*")):
        try:
            lock = FileLock.take(path / _LOCK, create=False) if _is_own_directory(path) else None
        except OSError as error:  # without locks, it is unknown whether the process still runs
            logger.debug("%s is left in place: %s", path, error)
            continue
        if lock is None:
            continue
        # The lock keeps other processes from using or removing the directory at the same time.
        shutil.rmtree(path, ignore_errors=True)
        lock.release()
        removed += 1
    return removed


def _is_own_directory(path: Path) -> bool:
    """Return whether `path` is a directory of this user, and not a link to one."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())
