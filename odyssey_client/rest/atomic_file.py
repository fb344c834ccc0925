"""Atomic file writes: a file is written under a hidden name in the target's directory, and renamed when complete.

All functions block. Use each file from one thread only.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

from odyssey_client.errors import DownloadError, excerpt
from odyssey_client.file_replacement import file_to_replace, protect, replace

logger = logging.getLogger("odyssey_client")

_TO_DO: Mapping[int, str] = {
    errno.ENOENT: "Create its directory first.",
    errno.ENOTDIR: "A parent of the path is not a directory: choose another path.",
    errno.EACCES: "Choose a file and a directory that you can write to.",
    errno.EPERM: "Choose a file and a directory that you can write to.",
    errno.EROFS: "Choose a directory on a writable file system.",
    errno.ENOSPC: "Free space on that disk, or choose another disk.",
    errno.EDQUOT: "Free space in your quota, or choose another disk.",
    errno.EFBIG: "Choose a file system that supports files of this size.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""Errors of `link` on file systems without hard links: FAT, some network shares and containers."""


class AtomicFile:
    """A file that appears under its name only after `commit`. Always call `close`, also after an error."""

    def __init__(self, target: Path, *, overwrite: bool, unique: str) -> None:
        """Store the settings; ``unique`` is part of the hidden name and must differ for every download."""
        self._target = target
        self._final = target
        """The path without links: the file that `commit` creates or replaces."""
        self._overwrite = overwrite
        self._unique = unique
        self._path: Path | None = None
        self._file: FileIO | None = None

    def open(self) -> None:
        """Create an empty file under the hidden name.

        Raises:
            DownloadError: the target exists and may not be replaced, or the directory cannot be written to.
        """
        with self._told("write"):
            if self._overwrite:
                self._final = file_to_replace(self._target)
            else:
                self._check_target()
            for number in itertools.count():
                path = self._final.with_name(f".odyssey-{self._unique}{f'-{number}' if number else ''}.part")
                with contextlib.suppress(FileExistsError):
                    self._file = path.open("xb", buffering=0)
                    self._path = path
                    break
            if self._overwrite:
                protect(path, self._final)

    def write(self, content: bytes) -> None:
        """Append ``content``.

        Raises:
            DownloadError: the content cannot be written, for example because the disk is full.
        """
        with self._told("write"):
            rest = memoryview(content)
            while rest:
                rest = rest[self._opened().write(rest) :]

    def restart(self) -> None:
        """Empty the file to start again.

        Raises:
            DownloadError: the file cannot be truncated.
        """
        with self._told("write"):
            self._opened().seek(0)
            self._opened().truncate()

    def commit(self) -> None:
        """Move the complete file to its final name.

        Raises:
            DownloadError: the file cannot be written, or another file was created at its path in the meantime.
        """
        with self._told("write"):
            file, path = self._opened(), self._path
            os.fsync(file.fileno())
            file.close()
            if path is None:
                raise RuntimeError("the file is not open: call open() first")
            if self._overwrite:
                replace(path, self._final)
            else:
                self._name(path)

    def close(self) -> None:
        """Close the file and remove its hidden name, which deletes an uncommitted file. Further calls do nothing."""
        if self._file is not None:
            self._file.close()
        path, self._path = self._path, None
        if path is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s: could not remove the partial download: %s", path, error)

    def _name(self, path: Path) -> None:
        """Move the file to its final name without replacing an existing file.

        A hard link does this atomically. On file systems without hard links, a check and a rename are used.
        """
        try:
            self._target.hardlink_to(path)
        except FileExistsError:
            raise _exists(self._target) from None
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            self._check_target()
            path.rename(self._target)

    def _check_target(self) -> None:
        try:
            self._target.lstat()
        except FileNotFoundError:
            return
        raise _exists(self._target)

    def _opened(self) -> FileIO:
        if self._file is None:
            raise RuntimeError("the file is not open: call open() first")
        return self._file

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Convert an OSError to a `DownloadError` that names the path and the remedy."""
        try:
            yield
        except (FileExistsError, IsADirectoryError) as error:
            raise DownloadError(
                f"{self._target} exists and is not a regular file: choose another path.", code="file_exists"
            ) from error
        except OSError as error:
            why = excerpt(error.strerror or str(error))
            todo = _TO_DO.get(error.errno or 0, "Choose another path.")
            raise DownloadError(f"Cannot {what} {self._target}: {why}. {todo}", code="cannot_write") from error


def _exists(target: Path) -> DownloadError:
    return DownloadError(
        f"{target} already exists: choose another path, or pass overwrite=True to replace it.", code="file_exists"
    )
