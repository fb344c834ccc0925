"""`StateDirectory`, the directory with the state of one mock, which only one process uses at a time.

It contains the database `state.sqlite3`, recorded files in `recordings/`, and `lock`, a locked file with the id of the
process. Only the user can read them, because they contain API keys and tokens.
"""

import os
from pathlib import Path
from typing import Self

from odyssey_mock.core.file_lock import FileLock, text_of
from odyssey_mock.state.errors import StateDirectoryError, StateInUseError

DATABASE = "state.sqlite3"
_LOCK = "lock"
_RECORDINGS = "recordings"
_OWN = frozenset(
    {_LOCK, _RECORDINGS, DATABASE, *(f"{DATABASE}-{end}" for end in ("wal", "shm", "journal")), "lost+found"}
)
"""Names that a new directory may contain: those of this program, and that of an empty disk."""


class StateDirectory:
    """A locked state directory. Call `close` at the end."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self.database = path / DATABASE
        self.recordings = path / _RECORDINGS
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create the directory if it is missing, and lock it.

        Raises:
            StateInUseError: another mock uses the directory.
            StateDirectoryError: the directory cannot be created or written, or contains files of another program.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {each.name for each in path.iterdir()}
            if DATABASE not in names and (others := sorted(names - _OWN)):
                raise StateDirectoryError(
                    f"expected {path} to be empty or the `state_dir` of an earlier mock, got a directory that contains "
                    f"{', '.join(others[:3])}{' and more' if others[3:] else ''}; use another directory"
                )
            lock = FileLock.take(path / _LOCK)
            if lock is None:
                raise StateInUseError(path, _pid(text_of(path / _LOCK)))
        except OSError as error:
            raise StateDirectoryError(
                f"{path} cannot be used as `state_dir`: {error}; use a directory that this user can write, on a file "
                "system with locks"
            ) from error
        directory = cls(path, lock)
        try:
            directory._prepare()
        except OSError as error:
            lock.release()
            raise StateDirectoryError(
                f"{path} cannot be used as `state_dir`: {error}; check its permissions and the space on the disk"
            ) from error
        return directory

    def close(self) -> None:
        """Unlock the directory."""
        self._lock.release()

    def _prepare(self) -> None:
        self._lock.write(str(os.getpid()))
        self.recordings.mkdir(mode=0o700, exist_ok=True)
        # SQLite would create the file with more permissions. Its other files get those of this one.
        os.close(os.open(self.database, os.O_RDWR | os.O_CREAT, 0o600))


def _pid(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
