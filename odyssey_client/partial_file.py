"""Hidden files in which new files are written before they get their names.

A partial file is in the directory of its target. Its name contains a hash of the target's name, and this name itself,
shortened if it is long. Its writer locks the file (``flock``). The system releases the lock when the process ends,
however it ends. A partial file without a lock is therefore a leftover of a process that was killed, and
`PartialFile.leftovers` finds it. No process ids and no times are compared: ids are used again, and a recording has no
maximum duration.

A child process that the writer forked without starting another program, as ``multiprocessing`` may do, has the lock
too. While it runs, the file of its killed parent does not count as a leftover.

Where a lock is impossible, as on some network file systems, no file counts as a leftover. Windows has no such locks,
but does not rename a file that a process has open. There, a file that can be renamed is a leftover. All functions
block.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from odyssey_client.file_replacement import replace, take_free_name

if sys.platform != "win32":
    import fcntl

LONGEST_NAME = 96
"""Maximum size in bytes of a target's name as a part of a hidden name. Some file systems limit names to 143 bytes."""


class PartialFile:
    """A hidden file that this process has locked. Always call `delete` or `close` at the end.

    Attributes:
        path: The hidden path.
        file: The open file. Another handle may write the file too.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self.file = file

    @classmethod
    def create(cls, target: Path, purpose: str) -> PartialFile:
        """Create an empty file for ``target`` and lock it. ``purpose`` is a part of its name.

        Raises:
            OSError: the file cannot be created.
        """
        numbers = itertools.count()
        while True:
            path = target.with_name(f"{_beginning(target, purpose)}{next(numbers)}-{_shortened(target.name)}.part")
            with contextlib.suppress(FileExistsError):
                made = cls(path, path.open("x+b", buffering=0))
                try:
                    if made._lock():
                        return made
                except OSError:  # without locks, no process takes the file for a leftover
                    return made
                made.close()  # another process took the file for a leftover before it was locked

    @classmethod
    def leftovers(cls, target: Path, purpose: str) -> Iterator[PartialFile]:
        """Lock and yield the partial files of ``target`` whose writers ended without moving or deleting them.

        Delete or close each file before the next one is requested.
        """
        yield from cls._left(target.parent.glob(f"{_beginning(target, purpose)}*.part"))

    @classmethod
    def leftovers_in(cls, directory: Path, purpose: str) -> Iterator[PartialFile]:
        """Lock and yield the partial files of all targets in ``directory``, as `leftovers` does for one.

        Raises:
            OSError: the directory cannot be read.
        """
        names = re.compile(rf"\.odyssey-{purpose}-[0-9a-f]{{16}}-\d+-.+\.part", re.DOTALL)
        yield from cls._left(path for path in directory.iterdir() if names.fullmatch(path.name))

    @classmethod
    def _left(cls, paths: Iterable[Path]) -> Iterator[PartialFile]:
        for path in sorted(paths):
            try:
                if not stat.S_ISREG(path.lstat().st_mode):
                    continue
                if sys.platform == "win32":
                    path.rename(path)  # fails while the writer has the file open
                found = cls(path, path.open("r+b", buffering=0))
            except OSError:  # the file was moved in the meantime, or belongs to another user
                continue
            try:
                is_left = found._lock()
            except OSError:  # without locks, it is unknown whether the writer still runs
                is_left = False
            if is_left:
                yield found
            else:
                found.close()

    @property
    def target_name(self) -> str:
        """The name of the target; shortened if it is longer than `LONGEST_NAME`."""
        return self.path.name.removesuffix(".part").split("-", 4)[4]

    def replace(self, target: Path) -> None:
        """Move the complete file to ``target``, a path that `file_to_replace` returned.

        Raises:
            OSError: the file cannot be moved.
        """
        self._before_moving()
        replace(self.path, target)

    def take_free_name(self, target: Path) -> None:
        """Give the complete file the name ``target``, unless something exists there.

        Raises:
            FileExistsError: ``target`` exists.
            OSError: the file cannot get this name.
        """
        self._before_moving()
        take_free_name(self.path, target)

    def delete(self) -> None:
        """Remove the hidden name and unlock the file. This deletes the file unless it already has its final name.

        Raises:
            OSError: the name cannot be removed. The file is unlocked nevertheless.
        """
        self._before_moving()
        try:
            if self.file.closed or self._is_in_place():
                self.path.unlink(missing_ok=True)
        finally:
            self.file.close()

    def close(self) -> None:
        """Unlock the file and leave it in place, as a leftover."""
        self.file.close()

    def _before_moving(self) -> None:
        if sys.platform == "win32":
            self.file.close()

    def _lock(self) -> bool:
        """Lock the file. Return False if it is locked already, or was moved or deleted before it was locked.

        Raises:
            OSError: the file system has no locks.
        """
        if sys.platform != "win32":
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return self._is_in_place()

    def _is_in_place(self) -> bool:
        """Return whether `path` is still a name of this file."""
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self.file.fileno()))
        except FileNotFoundError:
            return False


def _beginning(target: Path, purpose: str) -> str:
    """Return the beginning of hidden names for ``target``. It has a hash, because the whole name may be too long."""
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return f".odyssey-{purpose}-{digest}-"


def _shortened(name: str) -> str:
    """Return ``name`` with at most `LONGEST_NAME` bytes. The end of its stem is cut off, and its suffix is kept."""
    stem, suffix = Path(name).stem, Path(name).suffix
    if len(os.fsencode(suffix)) >= LONGEST_NAME:
        stem, suffix = name, ""
    while len(os.fsencode(stem + suffix)) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + suffix
