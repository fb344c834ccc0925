"""Tests of the files of the local certificate authority."""

import datetime
import errno
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from odyssey_mock.tls.certificates import ROOT_LIFETIME
from odyssey_mock.tls.errors import CertificateError
from odyssey_mock.tls.local_authority import LEAST_LIFETIME, LocalAuthority, open_authority
from tests.support.certificate_files import NOW
from tests.support.forks import run_python

DAY = datetime.timedelta(days=1)
LAST = NOW + ROOT_LIFETIME - LEAST_LIFETIME
"""The last moment at which a root that was created at `NOW` is used."""


def opened(directory: Path, now: datetime.datetime = NOW) -> LocalAuthority:
    return open_authority(directory, owner="here", now=now)


def files(directory: Path) -> Sequence[tuple[str, int]]:
    return sorted((each.name, stat.S_IMODE(each.stat().st_mode)) for each in directory.iterdir())


def test_files_have_the_fewest_permissions(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    authority = opened(directory)
    assert files(directory) == [("authority-1.pem", 0o600), ("root.crt", 0o644)]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert authority.root_file.read_bytes() == authority.root.certificate_pem
    assert b"PRIVATE" not in authority.root_file.read_bytes()


def test_root_is_kept_between_runs(tmp_path: Path) -> None:
    first = opened(tmp_path)
    written = first.root_file.stat()
    later = opened(tmp_path, LAST)
    assert later.root.certificate == first.root.certificate
    assert first.root_file.stat() == written


@pytest.mark.parametrize("now", [LAST + DAY, NOW + 2 * ROOT_LIFETIME, NOW - 2 * DAY])
def test_root_that_is_not_valid_is_replaced(tmp_path: Path, now: datetime.datetime) -> None:
    old = opened(tmp_path)
    new = opened(tmp_path, now)
    assert new.root.certificate != old.root.certificate
    assert new.root_file.read_bytes() == new.root.certificate_pem
    assert opened(tmp_path, now).root.certificate == new.root.certificate
    assert [name for name, _ in files(tmp_path)] == ["authority-1.pem", "authority-2.pem", "root.crt"]


def test_deleted_or_changed_root_file_is_written_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.root_file.unlink()
    assert opened(tmp_path).root_file.read_bytes() == first.root.certificate_pem
    first.root_file.write_text("something else")
    assert opened(tmp_path).root_file.read_bytes() == first.root.certificate_pem


def test_threads_use_one_root(tmp_path: Path) -> None:
    start = Barrier(8)

    def open_at_once(_: int) -> bytes:
        start.wait(20)
        return opened(tmp_path).root.pem

    with ThreadPoolExecutor(8) as threads:
        roots = set(threads.map(open_at_once, range(8)))
    assert len(roots) == 1
    assert (tmp_path / "authority-1.pem").read_bytes() in roots
    assert [name for name, _ in files(tmp_path)] == ["authority-1.pem", "root.crt"]


RACE = """
import datetime, os, pathlib, sys
from odyssey_mock.tls.local_authority import open_authority
now = datetime.datetime.fromisoformat(sys.argv[2])
reading, writing = os.pipe()
children = []
for _ in range(6):
    started, result = os.pipe()
    if os.fork() == 0:
        os.read(reading, 1)
        root = open_authority(pathlib.Path(sys.argv[1]), owner="here", now=now).root
        os.write(result, str(root.certificate.serial_number).encode())
        os._exit(0)
    os.close(result)
    children.append(started)
os.write(writing, b"x" * 6)
print(*{os.read(each, 100).decode() for each in children})
"""
"""Opens an authority in six processes at once, and prints the different roots that they use."""


@pytest.mark.parametrize("is_expired", [False, True], ids=["first run", "expired root"])
def test_processes_use_one_root(tmp_path: Path, is_expired: bool) -> None:
    if is_expired:
        opened(tmp_path)
    now = LAST + DAY
    done = run_python("-W", "ignore", "-c", RACE, str(tmp_path), now.isoformat(), limit_s=60.0)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(opened(tmp_path, now).root.certificate.serial_number)]


def test_file_system_without_hard_links_is_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    first = opened(tmp_path)
    assert opened(tmp_path).root.certificate == first.root.certificate
    assert files(tmp_path) == [("authority-1.pem", 0o600), ("root.crt", 0o644)]


def test_other_root_is_kept_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = opened(tmp_path / "other")

    def refuse(self: Path, target: Path) -> None:
        self.write_bytes(other.root.pem)  # another process creates the file after this one has found none
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    directory = tmp_path / "here"
    assert opened(directory).root.certificate == other.root.certificate
    assert [name for name, _ in files(directory)] == ["authority-1.pem", "root.crt"]
    assert (directory / "authority-1.pem").read_bytes() == other.root.pem


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", b"\0" * 100])
def test_damaged_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "authority-1.pem").write_bytes(content)
    with pytest.raises(CertificateError) as caught:
        opened(tmp_path)
    assert str(caught.value).startswith(
        f"expected {tmp_path / 'authority-1.pem'} to contain a private key and its certificate, got a damaged file ("
    )
    assert "; delete it, and let clients trust the new root.crt" in str(caught.value)


def test_unusable_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError) as caught:
        opened(tmp_path / "file" / "directory")
    assert str(caught.value) == (
        f"{tmp_path / 'file' / 'directory'} cannot be used for the local certificate authority: [Errno 20] Not a "
        f"directory: '{tmp_path / 'file' / 'directory'}'; choose a directory that this user can write with tls_dir "
        "(--tls-dir DIR)"
    )
