"""Atomic file writes: a file is written under a hidden name in the target's directory, and renamed when complete.

A process that is killed leaves its hidden file behind. The next `AtomicFile` with the same target deletes it. All
functions block. Use each file from one thread only.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from odyssey_client.errors import DownloadError, excerpt
from odyssey_client.file_replacement import check_free, file_to_replace, protect
from odyssey_client.partial_file import PartialFile
from odyssey_client.redaction import get_logger

logger = get_logger("odyssey_client")

_PURPOSE = "download"
"""Part of the hidden names, which distinguishes them from those of recordings."""

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


class AtomicFile:
    """A file that appears under its name only after `commit`. Always call `close`, also after an error."""

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self._target = target
        self._final = target
        """The path without links: the file that `commit` creates or replaces."""
        self._overwrite = overwrite
        self._part: PartialFile | None = None

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
            self._part = PartialFile.create(self._final, _PURPOSE)
            if self._overwrite:
                protect(self._part.path, self._final)
            for leftover in PartialFile.leftovers(self._final, _PURPOSE):
                _delete(leftover)

    def write(self, content: bytes) -> None:
        """Append ``content``.

        Raises:
            DownloadError: the content cannot be written, for example because the disk is full.
        """
        with self._told("write"):
            rest = memoryview(content)
            while rest:
                rest = rest[self._opened().file.write(rest) :]

    def restart(self) -> None:
        """Empty the file to start again.

        Raises:
            DownloadError: the file cannot be truncated.
        """
        with self._told("write"):
            self._opened().file.seek(0)
            self._opened().file.truncate()

    def commit(self) -> None:
        """Move the complete file to its final name.

        Raises:
            DownloadError: the file cannot be written, or another file was created at its path in the meantime.
        """
        with self._told("write"):
            part = self._opened()
            os.fsync(part.file.fileno())
            if self._overwrite:
                part.replace(self._final)
            else:
                try:
                    part.take_free_name(self._target)
                except FileExistsError:
                    raise _exists(self._target) from None

    def close(self) -> None:
        """Close the file, and delete it if it is not committed. Further calls do nothing."""
        part, self._part = self._part, None
        if part is not None:
            _delete(part)

    def _check_target(self) -> None:
        try:
            check_free(self._target)
        except FileExistsError:
            raise _exists(self._target) from None

    def _opened(self) -> PartialFile:
        if self._part is None:
            raise RuntimeError("the file is not open: call open() first")
        return self._part

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Convert an `OSError` in the block to a `DownloadError` that states the path and what to do."""
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


def _delete(part: PartialFile) -> None:
    try:
        part.delete()
    except OSError as error:
        logger.warning("%s: could not remove the partial download: %s", part.path, error)


def _exists(target: Path) -> DownloadError:
    return DownloadError(
        f"{target} already exists: choose another path, or pass overwrite=True to replace it.", code="file_exists"
    )
