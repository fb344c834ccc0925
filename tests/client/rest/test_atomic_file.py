"""Tests of atomic file writes."""

import errno
import os
import stat
from pathlib import Path

import pytest

from odyssey_client.errors import DownloadError
from odyssey_client.rest.atomic_file import AtomicFile


def part(target: Path, *, overwrite: bool = False) -> AtomicFile:
    return AtomicFile(target, overwrite=overwrite)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_file_is_hidden_until_commit(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.write(b"half")
    (hidden,) = names(tmp_path)
    assert (hidden.startswith(".odyssey-download-"), hidden.endswith(".part")) == (True, True)
    file.write(b" a cat")
    file.commit()
    file.close()
    assert names(tmp_path) == ["cat.mp4"]
    assert (tmp_path / "cat.mp4").read_bytes() == b"half a cat"


def test_uncommitted_file_is_removed_on_close(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.write(b"half")
    file.close()
    file.close()
    assert names(tmp_path) == []


def test_restart_discards_written_content(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.write(b"another, longer one")
    file.restart()
    file.write(b"a cat")
    file.commit()
    file.close()
    assert (tmp_path / "cat.mp4").read_bytes() == b"a cat"


def test_committed_file_has_default_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.commit()
    file.close()
    assert stat.S_IMODE((tmp_path / "cat.mp4").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_files_with_same_hidden_name_stay_separate(tmp_path: Path) -> None:
    one, other = part(tmp_path / "one"), part(tmp_path / "other")
    one.open()
    other.open()
    one.write(b"1")
    other.write(b"2")
    for file in (one, other):
        file.commit()
        file.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"1", "other": b"2"}


def test_existing_file_is_kept_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"cat\.mp4 already exists: .* overwrite=True") as caught:
        part(tmp_path / "cat.mp4").open()
    assert caught.value.code == "file_exists"
    assert names(tmp_path) == ["cat.mp4"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_created_before_commit_needs_overwrite(tmp_path: Path, overwrite: bool) -> None:
    target = tmp_path / "cat.mp4"
    file = part(target, overwrite=overwrite)
    file.open()
    file.write(b"new")
    target.write_bytes(b"mine")
    if overwrite:
        file.commit()
    else:
        with pytest.raises(DownloadError, match="already exists"):
            file.commit()
    file.close()
    assert names(tmp_path) == ["cat.mp4"]
    assert target.read_bytes() == (b"new" if overwrite else b"mine")


def test_fifo_created_before_commit_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "cat.mp4"
    file = part(target, overwrite=True)
    file.open()
    os.mkfifo(target)
    with pytest.raises(DownloadError, match="not a regular file"):
        file.commit()
    file.close()
    assert stat.S_ISFIFO(target.stat().st_mode)


def test_commit_without_hard_links_never_replaces_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    first, second = part(tmp_path / "cat.mp4"), part(tmp_path / "cat.mp4")
    for file in (first, second):
        file.open()
    first.write(b"first")
    first.commit()
    with pytest.raises(DownloadError, match="already exists"):
        second.commit()
    for file in (first, second):
        file.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"cat.mp4": b"first"}


def test_existing_fifo_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DownloadError, match="not a regular file"):
        part(tmp_path / "pipe", overwrite=True).open()
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing/cat.mp4", r"No such file or directory\. Create its directory first"),
        ("file/cat.mp4", "a parent of the path is not a directory"),
        ("x" * 300, r"File name too long\. Choose a shorter name"),
    ],
)
def test_error_of_invalid_path_suggests_remedy(tmp_path: Path, path: str, expected: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    file = part(tmp_path / path)
    with pytest.raises(DownloadError, match=f"(?i)Cannot write {tmp_path}.*{expected}") as caught:
        file.open()
    file.close()
    assert caught.value.code == "cannot_write"
    assert isinstance(caught.value.__cause__, OSError)
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="requires /dev/full")
def test_full_disk_is_reported_with_remedy(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    real = file._opened().file
    with Path("/dev/full").open("wb", buffering=0) as full:
        file._opened().file = full
        with pytest.raises(DownloadError, match=r"No space left on device\. Free space on that disk"):
            file.write(b"x" * 4096)
    file._opened().file = real
    file.close()
    assert names(tmp_path) == []


def test_failed_removal_of_hidden_file_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    file = part(tmp_path / "cat.mp4")
    file.open()
    monkeypatch.setattr(Path, "unlink", refuse)
    file.close()
    assert ".part: could not remove the partial download" in caplog.text
