"""Tests of state directories: one process at a time, private files, and refusal of other directories."""

import errno
import fcntl
import os
import stat
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from odyssey_mock.state.directory import StateDirectory
from odyssey_mock.state.errors import StateDirectoryError, StateInUseError


def test_new_directory_is_readable_only_by_its_user(tmp_path: Path) -> None:
    with closing(StateDirectory.open(tmp_path / "a" / "state")) as directory:
        made = [directory.path, *directory.path.iterdir()]
        modes = {each.name: stat.filemode(each.stat().st_mode) for each in made}
    assert modes == {
        "state": "drwx------",
        "lock": "-rw-------",
        "recordings": "drwx------",
        "state.sqlite3": "-rw-------",
    }


def test_directory_in_use_is_refused_with_the_pid(tmp_path: Path) -> None:
    with closing(StateDirectory.open(tmp_path)):
        with pytest.raises(StateInUseError, match=rf"used by the process {os.getpid()}; stop the mock") as refusal:
            StateDirectory.open(tmp_path)
        assert refusal.value.pid == os.getpid()
    StateDirectory.open(tmp_path).close()


def test_directory_with_other_files_is_refused_unchanged(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "recordings"):
        (tmp_path / name).touch()
    with pytest.raises(StateDirectoryError, match=r"contains a\.txt, b\.txt, c\.txt and more; use another directory"):
        StateDirectory.open(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_mount_point_of_an_empty_disk_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    StateDirectory.open(tmp_path).close()


@pytest.mark.parametrize("path", ["/proc/odyssey", "/dev/null/state", "/" + "a" * 300])
def test_directory_that_cannot_be_created_is_an_error(path: str) -> None:
    with pytest.raises(
        StateDirectoryError, match=r"cannot be used as `state_dir`: .*use a directory that this user can"
    ):
        StateDirectory.open(Path(path))


def test_unwritable_file_in_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").mkdir()
    with pytest.raises(StateDirectoryError, match=r"cannot be used as `state_dir`: .*check its permissions"):
        StateDirectory.open(tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StateDirectoryError, match=r"cannot be used as `state_dir`: .*on a file system with locks"):
        StateDirectory.open(tmp_path)
    assert str(tmp_path / "lock") not in [each.path for each in psutil.Process().open_files()]
