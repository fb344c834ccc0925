"""A file that has its name only when it is whole."""

import errno
import os
import stat
from pathlib import Path

import pytest

from odyssey_client.errors import DownloadError
from odyssey_client.rest.atomic_file import AtomicFile


def part(target: Path, *, overwrite: bool = False) -> AtomicFile:
    return AtomicFile(target, overwrite=overwrite, unique="abc")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_it_is_hidden_until_it_is_whole(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.write(b"half")
    assert names(tmp_path) == [".odyssey-abc.part"]
    file.write(b" a cat")
    file.commit()
    file.close()
    assert names(tmp_path) == ["cat.mp4"]
    assert (tmp_path / "cat.mp4").read_bytes() == b"half a cat"


def test_what_is_not_committed_is_removed(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.write(b"half")
    file.close()
    file.close()
    assert names(tmp_path) == []


def test_a_new_beginning_forgets_what_was_written(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.write(b"another, longer one")
    file.restart()
    file.write(b"a cat")
    file.commit()
    file.close()
    assert (tmp_path / "cat.mp4").read_bytes() == b"a cat"


def test_it_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    file = part(tmp_path / "cat.mp4")
    file.open()
    file.commit()
    file.close()
    assert stat.S_IMODE((tmp_path / "cat.mp4").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_two_with_one_hidden_name_do_not_meet(tmp_path: Path) -> None:
    one, other = part(tmp_path / "one"), part(tmp_path / "other")
    one.open()
    other.open()
    one.write(b"1")
    other.write(b"2")
    for file in (one, other):
        file.commit()
        file.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"1", "other": b"2"}


def test_a_file_that_is_there_is_left_alone_and_nothing_begun(tmp_path: Path) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"cat\.mp4 is there already: .* overwrite=True") as caught:
        part(tmp_path / "cat.mp4").open()
    assert caught.value.code == "file_exists"
    assert names(tmp_path) == ["cat.mp4"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_comes_meanwhile_is_replaced_only_if_that_was_asked_for(tmp_path: Path, overwrite: bool) -> None:
    target = tmp_path / "cat.mp4"
    file = part(target, overwrite=overwrite)
    file.open()
    file.write(b"new")
    target.write_bytes(b"mine")
    if overwrite:
        file.commit()
    else:
        with pytest.raises(DownloadError, match="is there already"):
            file.commit()
    file.close()
    assert names(tmp_path) == ["cat.mp4"]
    assert target.read_bytes() == (b"new" if overwrite else b"mine")


def test_what_is_no_regular_file_and_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "cat.mp4"
    file = part(target, overwrite=True)
    file.open()
    os.mkfifo(target)
    with pytest.raises(DownloadError, match="no regular file"):
        file.commit()
    file.close()
    assert stat.S_ISFIFO(target.stat().st_mode)


def test_without_hard_links_it_is_renamed_and_still_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    first, second = part(tmp_path / "cat.mp4"), part(tmp_path / "cat.mp4")
    for file in (first, second):
        file.open()
    first.write(b"first")
    first.commit()
    with pytest.raises(DownloadError, match="is there already"):
        second.commit()
    for file in (first, second):
        file.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"cat.mp4": b"first"}


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DownloadError, match="no regular file"):
        part(tmp_path / "pipe", overwrite=True).open()
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing/cat.mp4", r"No such file or directory\. Make its directory first"),
        ("file/cat.mp4", "one of the directories in the path is a file"),
        ("x" * 300, r"File name too long\. Choose a shorter name"),
    ],
)
def test_a_path_that_cannot_be_is_told_with_what_to_do(tmp_path: Path, path: str, expected: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    file = part(tmp_path / path)
    with pytest.raises(DownloadError, match=f"(?i)Cannot write {tmp_path}.*{expected}") as caught:
        file.open()
    file.close()
    assert caught.value.code == "cannot_write"
    assert isinstance(caught.value.__cause__, OSError)
    assert names(tmp_path) == ["file"]


def test_a_directory_that_cannot_be_written_in_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # root may write anywhere

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DownloadError, match=r"Permission denied\. Choose a directory that you may write in\."):
        part(tmp_path / "cat.mp4").open()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    file = part(tmp_path / "cat.mp4")
    file.open()
    with Path("/dev/full").open("wb", buffering=0) as full:
        os.dup2(full.fileno(), file._opened().fileno())
    with pytest.raises(DownloadError, match=r"No space left on device\. Make room on that disk"):
        file.write(b"x" * 4096)
    file.close()
    assert names(tmp_path) == []


def test_a_hidden_file_that_cannot_be_removed_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    file = part(tmp_path / "cat.mp4")
    file.open()
    monkeypatch.setattr(Path, "unlink", refuse)
    file.close()
    assert "abc.part is left over of a download and could not be removed" in caplog.text
