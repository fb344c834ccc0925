"""Tests of locked files: only one owner at a time, released however the owner ends."""

import subprocess
import sys
from pathlib import Path

from odyssey_mock.core.file_lock import FileLock, text_of
from tests.support.interrupts import interruptible

HOLD = """
import sys
from pathlib import Path
from odyssey_mock.core.file_lock import FileLock
lock = FileLock.take(Path(sys.argv[1]))
lock.write("of a child")
print("locked", flush=True)
sys.stdin.read()
"""


def test_locked_file_cannot_be_locked_again(tmp_path: Path) -> None:
    first = FileLock.take(tmp_path / "lock")
    assert first is not None
    assert FileLock.take(tmp_path / "lock") is None
    first.release()
    second = FileLock.take(tmp_path / "lock")
    assert second is not None
    second.release()


def test_missing_file_is_created_only_on_request(tmp_path: Path) -> None:
    assert FileLock.take(tmp_path / "lock", create=False) is None
    assert list(tmp_path.iterdir()) == []


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with interruptible():
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        assert FileLock.take(path) is None
        assert text_of(path) == "of a child"
        child.kill()
    lock = FileLock.take(path)
    assert lock is not None
    lock.write("mine")
    assert text_of(path) == "mine"
    lock.release()


def test_deleted_file_is_no_longer_locked(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = FileLock.take(path)
    assert first is not None
    path.unlink()
    assert not first._is_in_place()
    second = FileLock.take(path)
    assert second is not None
    first.release()
    second.release()
