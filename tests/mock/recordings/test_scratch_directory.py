"""Tests of scratch directories: those of killed processes are removed, and all others are left alone."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from odyssey_mock.recordings.scratch_directory import ScratchDirectory, remove_leftovers
from tests.support.interrupts import interruptible
from tests.support.served import served
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 20.0

HOLD = """
import sys
from odyssey_mock.recordings.scratch_directory import ScratchDirectory
directory = ScratchDirectory()
(directory.path / "video.mp4").write_bytes(b"content")
print(directory.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a directory of the test as the temporary directory, also in subprocesses."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_directory_of_a_killed_process_is_removed(temporary: Path) -> None:
    with interruptible():
        child = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        assert path.parent == temporary
        assert remove_leftovers() == 0
        assert (path / "video.mp4").read_bytes() == b"content"
        child.kill()
    assert remove_leftovers() == 1
    assert list(temporary.iterdir()) == []


def test_directory_in_use_is_kept(temporary: Path) -> None:
    directory = ScratchDirectory()
    assert remove_leftovers() == 0
    assert directory.path.exists()
    directory.delete()
    assert list(temporary.iterdir()) == []


def test_directories_stay_where_files_cannot_be_locked(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = temporary / "odyssey-mock-left"
    left.mkdir()
    (left / ".lock").touch()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    directory = ScratchDirectory()
    assert remove_leftovers() == 0
    assert {each.name for each in temporary.iterdir()} == {left.name, directory.path.name}
    directory.delete()
    assert list(temporary.iterdir()) == [left]


def test_other_files_are_not_removed(temporary: Path) -> None:
    (temporary / "odyssey-mock-notes").write_text("a file")
    (temporary / "odyssey-mock-of-a-user").mkdir()
    (temporary / "other").mkdir()
    (temporary / "other" / ".lock").touch()
    (temporary / "odyssey-mock-link").symlink_to(temporary / "other")
    before = sorted(temporary.rglob("*"))
    assert remove_leftovers() == 0
    assert sorted(temporary.rglob("*")) == before


def test_server_removes_what_a_killed_server_left(temporary: Path) -> None:
    with (
        served() as (first, ready),
        httpx.Client(base_url=ready["url"], trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http,
    ):
        token = http.post("/auth/token", json={"api_key": ready["api_key"]}).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        script = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 100, "end": {}}]
        job = http.post("/simulation-jobs", json={"script": script}).json()["job_id"]
        http.post("/_mock/clock/advance", json={"seconds": 60})
        (stream,) = http.get(f"/simulation-jobs/{job}").json()["streams"]
        assert http.get(stream["thumbnail_url"]).status_code == 200
        (left,) = temporary.glob("odyssey-mock-*")
        first.send_signal(signal.SIGKILL)
        first.wait(LIMIT)
    assert left.exists()
    with served() as (second, _):
        assert list(temporary.glob("odyssey-mock-*")) == []
        second.send_signal(signal.SIGTERM)
        assert second.wait(LIMIT) == 0
    assert list(temporary.iterdir()) == []
