"""Errors of state directories. Each message states the directory, the cause and what to do."""

from pathlib import Path

from odyssey_mock.core.picklable_error import PicklableError


class StateError(PicklableError):
    """The state of a mock cannot be read from its directory, or written to it."""


class StateDirectoryError(StateError):
    """The directory cannot be created, read or written, or contains files of another program."""


class StateInUseError(StateError):
    """Another mock uses the directory.

    Attributes:
        pid: the id of its process; None if it is unknown.
    """

    def __init__(self, directory: Path, pid: int | None) -> None:
        by = "another process" if pid is None else f"the process {pid}"
        super().__init__(
            f"{directory} is used by {by}; stop the mock that runs there, or give this one another `state_dir`"
        )
        self.pid = pid


class NewerStateError(StateError):
    """A newer version of the mock has written the directory."""


class DamagedStateError(StateError):
    """The database or a record in it is damaged."""


class StateWriteError(StateError):
    """The state cannot be written, for example because the disk is full. The mock keeps it in memory, and retries."""
