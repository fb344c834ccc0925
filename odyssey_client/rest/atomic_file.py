"""A file that is not there before it is whole: written under a hidden name beside its own, then renamed.

All of it blocks, and is used in one thread.
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

logger = logging.getLogger("odyssey_client")

_TO_DO: Mapping[int, str] = {
    errno.ENOENT: "Make its directory first.",
    errno.ENOTDIR: "One of the directories in the path is a file: choose another path.",
    errno.EACCES: "Choose a directory that you may write in.",
    errno.EPERM: "Choose a directory that you may write in.",
    errno.EROFS: "Choose a directory that can be written.",
    errno.ENOSPC: "Make room on that disk, or choose another.",
    errno.EDQUOT: "Make room in your quota, or choose another disk.",
    errno.EFBIG: "Choose a file system that takes files of this size.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What file systems without hard links answer: FAT, some network shares and containers."""


class AtomicFile:
    """The file while it comes in. `close` must be called, whatever happens; only `commit` gives it its name."""

    def __init__(self, target: Path, *, overwrite: bool, unique: str) -> None:
        """``unique`` is a word for the hidden name that no other download draws."""
        self._target = target
        self._overwrite = overwrite
        self._unique = unique
        self._path: Path | None = None
        self._file: FileIO | None = None

    def open(self) -> None:
        """Begin an empty file under the hidden name.

        Raises:
            DownloadError: something is there already, or the directory cannot be written in.
        """
        with self._told("write"):
            self._check_target()
            for number in itertools.count():
                path = self._target.with_name(f".odyssey-{self._unique}{f'-{number}' if number else ''}.part")
                with contextlib.suppress(FileExistsError):
                    self._file = path.open("xb", buffering=0)
                    self._path = path
                    return

    def write(self, content: bytes) -> None:
        """Add ``content`` at the end.

        Raises:
            DownloadError: it cannot be written, such as on a full disk.
        """
        with self._told("write"):
            rest = memoryview(content)
            while rest:
                rest = rest[self._opened().write(rest) :]

    def restart(self) -> None:
        """Begin anew with an empty file.

        Raises:
            DownloadError: it cannot be written.
        """
        with self._told("write"):
            self._opened().seek(0)
            self._opened().truncate()

    def commit(self) -> None:
        """Give the file its name: whole, or not at all.

        Raises:
            DownloadError: it cannot be written, or meanwhile something else has come by that name.
        """
        with self._told("write"):
            file, path = self._opened(), self._path
            os.fsync(file.fileno())
            file.close()
            if path is None:
                raise RuntimeError("the part file was not opened")
            if self._overwrite:
                self._check_target()
                path.replace(self._target)
            else:
                self._name(path)

    def close(self) -> None:
        """Remove the hidden name, and with it what has not been committed; twice is fine."""
        if self._file is not None:
            self._file.close()
        path, self._path = self._path, None
        if path is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s is left over of a download and could not be removed: %s", path, error)

    def _name(self, path: Path) -> None:
        """Name the file without replacing another, even one that comes in this very moment."""
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
        if not self._overwrite:
            raise _exists(self._target)
        if self._target.exists() and not self._target.is_file():
            raise DownloadError(
                f"{self._target} is there already and no regular file: choose another path.", code="file_exists"
            )

    def _opened(self) -> FileIO:
        if self._file is None:
            raise RuntimeError("the part file was not opened")
        return self._file

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn the system's errors into ones that name the path and say what to do."""
        try:
            yield
        except OSError as error:
            why = excerpt(error.strerror or str(error))
            todo = _TO_DO.get(error.errno or 0, "Choose another path.")
            raise DownloadError(f"Cannot {what} {self._target}: {why}. {todo}", code="cannot_write") from error


def _exists(target: Path) -> DownloadError:
    return DownloadError(
        f"{target} is there already: choose another path, or pass overwrite=True to replace it.", code="file_exists"
    )
