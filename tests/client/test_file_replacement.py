"""Tests of the replacement of files: links are followed, and only regular files are replaced."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from odyssey_client.errors import DownloadError
from odyssey_client.file_replacement import file_to_replace, replace
from odyssey_client.media.recorder import check_target
from odyssey_client.rest.atomic_file import AtomicFile


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def overwritten(target: Path, content: bytes = b"new") -> None:
    file = AtomicFile(target, overwrite=True)
    try:
        file.open()
        file.write(content)
        file.commit()
    finally:
        file.close()


# Links to files.


def linked(folder: Path, *, exists: bool) -> tuple[Path, Path]:
    """Return a symbolic link, and the file to which it leads through a second symbolic link.

    The second link is in the directory of the file, and contains a relative path.
    """
    (folder / "films").mkdir()
    first, second, file = folder / "first", folder / "films" / "second", folder / "films" / "cat.mp4"
    first.symlink_to("films/second")
    second.symlink_to("../films/cat.mp4")
    if exists:
        file.write_bytes(b"old")
    return first, file


@pytest.mark.parametrize("exists", [True, False])
def test_overwriting_a_link_replaces_the_linked_file(exists: bool, tmp_path: Path) -> None:
    link, file = linked(tmp_path, exists=exists)
    overwritten(link)
    assert (link.readlink(), file.read_bytes()) == (Path("films/second"), b"new")
    assert not file.is_symlink()
    assert sorted(path.name for path in (tmp_path / "films").iterdir()) == ["cat.mp4", "second"]


def test_link_needs_overwrite(tmp_path: Path) -> None:
    for exists in (True, False):
        folder = tmp_path / str(exists)
        folder.mkdir()
        link, _ = linked(folder, exists=exists)
        with pytest.raises(DownloadError, match="already exists"):
            AtomicFile(link, overwrite=False).open()


def test_path_that_becomes_a_link_is_not_replaced(tmp_path: Path) -> None:
    target, other = tmp_path / "cat.mp4", tmp_path / "other"
    file = AtomicFile(target, overwrite=True)
    file.open()
    other.write_bytes(b"other")
    target.symlink_to(other)
    with pytest.raises(DownloadError, match="not a regular file"):
        file.commit()
    file.close()
    assert (target.readlink(), other.read_bytes()) == (other, b"other")


# What is not a regular file.


def device(folder: Path, _: ExitStack) -> Path:
    (folder / "link").symlink_to("/dev/null")
    return folder / "link"


def pipe(folder: Path, stack: ExitStack) -> Path:
    """Return a link to an open pipe through `/proc/self/fd`. The link there reads ``pipe:[123]``, which is no path."""
    for end in (ends := os.pipe()):
        stack.callback(os.close, end)
    (folder / "link").symlink_to(f"/proc/self/fd/{ends[1]}")
    return folder / "link"


def deleted(folder: Path, stack: ExitStack) -> Path:
    """Return a link to an open, deleted file through `/proc/self/fd`. The link there does not read as its path."""
    file = stack.enter_context((folder / "gone").open("wb"))
    (folder / "gone").unlink()
    (folder / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
    return folder / "link"


def fifo(folder: Path, _: ExitStack) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def linked_directory(folder: Path, _: ExitStack) -> Path:
    (folder / "link").symlink_to(folder, target_is_directory=True)
    return folder / "link"


OF_PROC = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="requires /proc/self/fd (Linux)")
KINDS = [
    device,
    pytest.param(pipe, marks=OF_PROC),
    pytest.param(deleted, marks=OF_PROC),
    fifo,
    linked_directory,
]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_only_regular_files_are_replaced(make: Callable[[Path, ExitStack], Path], tmp_path: Path) -> None:
    with ExitStack() as stack:
        path = make(tmp_path, stack)
        before = (path.lstat(), path.stat())
        with pytest.raises(DownloadError, match="exists and is not a regular file") as caught:
            overwritten(path)
        with pytest.raises(FileExistsError if make is not linked_directory else IsADirectoryError):
            check_target(path)
        assert caught.value.code == "file_exists"
        assert all(map(os.path.samestat, before, (path.lstat(), path.stat())))
        assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_device_itself_is_not_replaced() -> None:
    before = Path("/dev/null").stat()
    with pytest.raises(DownloadError, match="not a regular file"):
        overwritten(Path("/dev/null"))
    assert os.path.samestat(before, Path("/dev/null").stat())


def test_loop_of_links_is_reported(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="link") as caught:
        file_to_replace(tmp_path / "link")
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(DownloadError, match="Choose another path"):
        overwritten(tmp_path / "link")


# Permissions.


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o755, 0o666])
def test_replaced_file_keeps_its_permissions(bits: int, tmp_path: Path) -> None:
    target = tmp_path / "cat.mp4"
    target.write_bytes(b"old")
    target.chmod(bits)
    overwritten(target)
    assert (mode(target), target.read_bytes()) == (bits, b"new")


def test_partial_file_is_as_private_as_replaced_file(tmp_path: Path) -> None:
    target = tmp_path / "cat.mp4"
    target.touch(0o600)
    file = AtomicFile(target, overwrite=True)
    file.open()
    (part,) = tmp_path.glob(".odyssey-*.part")
    assert mode(part) == 0o600
    file.close()


def test_setuid_bit_is_not_kept(tmp_path: Path) -> None:
    target = tmp_path / "cat.mp4"
    target.touch()
    target.chmod(0o4755)
    overwritten(target)
    assert mode(target) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another user")
def test_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    target, part = tmp_path / "cat.mp4", tmp_path / "part"
    for path in (target, part):
        path.touch()
    os.chown(target, 1234, 1235)
    replace(part, target)
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 1235)


WITHOUT_ROOT = """
import os, sys
from pathlib import Path
from odyssey_client.errors import DownloadError
from odyssey_client.rest.atomic_file import AtomicFile

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for path in sys.argv[1:]:
    file = AtomicFile(Path(path), overwrite=True)
    try:
        file.open()
    except DownloadError as error:
        print(error.code, str(error).replace(path, "PATH"))
"""


def test_files_and_directories_without_write_permission_are_kept() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # a user other than root can read it
        folder = Path(name)
        closed, file = folder / "closed", folder / "file"
        closed.mkdir()
        for path, bits in ((closed / "in it", 0o666), (file, 0o444), (closed, 0o555), (folder, 0o777)):
            path.touch()
            path.chmod(bits)
        (folder / "link").symlink_to(file)
        paths = [closed / "in it", closed / "new", file, folder / "link"]
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_ROOT, *paths], capture_output=True, text=True, check=True, timeout=60
        )
        expected = (
            "cannot_write Cannot write PATH: Permission denied. Choose a file and a directory that you can write to."
        )
        assert done.stdout.splitlines() == [expected] * 4
        closed.chmod(0o755)
