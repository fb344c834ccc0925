"""The local certificate authority, whose files stay in a directory of the user between runs.

`authority-1.pem` contains the root certificate and its private key. When it is about to expire, `authority-2.pem` is
created, and so on. An existing file is not replaced, so processes that start at the same time use the same root. On
file systems without hard links, they may create the file at the same moment; until they are restarted, each then uses
its own root. `root.crt` is a copy of the certificate in use, without the key. Clients trust this file.
"""

import errno
import itertools
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from odyssey_mock.tls.certificates import Certified, create_root
from odyssey_mock.tls.errors import CertificateError

LEAST_LIFETIME = timedelta(days=30)
"""A root that expires earlier than this is no longer used, so that clients do not meet an expired one."""

ROOT_FILE = "root.crt"
"""Name of the file with the root certificate. Windows, Android and iOS open files with this suffix."""

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""Errors of `link` on file systems without hard links: FAT, some network shares and containers."""


@dataclass(frozen=True, slots=True)
class LocalAuthority:
    """A root certificate with its key, and the file that clients have to trust."""

    root: Certified
    root_file: Path


def open_authority(directory: Path, *, owner: str, now: datetime) -> LocalAuthority:
    """Return the local certificate authority in `directory`. Create it if there is none that is valid at `now`.

    `owner` is part of the name of a new root. This function blocks.

    Raises:
        CertificateError: the directory cannot be created, read or written, or a file in it is damaged.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = _valid_root(directory, owner, now)
        root_file = directory / ROOT_FILE
        _publish(root_file, root.certificate_pem)
    except OSError as error:
        raise CertificateError(
            f"{directory} cannot be used for the local certificate authority: {error}; choose a directory that this "
            "user can write with tls_dir (--tls-dir DIR)"
        ) from error
    return LocalAuthority(root, root_file)


def _valid_root(directory: Path, owner: str, now: datetime) -> Certified:
    for number in itertools.count(1):
        path = directory / f"authority-{number}.pem"
        if not path.exists():
            _create(path, create_root(owner, now).pem)
        root = _read(path)
        if root.certificate.not_valid_before_utc <= now <= root.certificate.not_valid_after_utc - LEAST_LIFETIME:
            return root
    raise AssertionError("unreachable: count() has no end")


def _read(path: Path) -> Certified:
    try:
        return Certified.read(path.read_bytes())
    except ValueError as error:
        raise CertificateError(
            f"expected {path} to contain a private key and its certificate, got a damaged file ({error}); delete it, "
            f"and let clients trust the new {ROOT_FILE}"
        ) from error


def _create(path: Path, content: bytes) -> None:
    """Create a file that only this user can read, at once with its content. Keep the file if it exists already."""
    part = _write_part(path, content)
    try:
        _take_free_name(part, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        part.unlink(missing_ok=True)


def _take_free_name(part: Path, path: Path) -> None:
    """Give the complete file `part` the name `path`, unless something exists there.

    A hard link does this atomically. On file systems without hard links, a check and a rename are used. The client has
    the same function for its downloads (`odyssey_client/file_replacement.py`), which this layer must not import.

    Raises:
        FileExistsError: `path` exists.
        OSError: the file cannot get this name.
    """
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)


def _publish(path: Path, content: bytes) -> None:
    """Make `path` a file with `content` that every user can read, unless it is one already."""
    with suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    part = _write_part(path, content)
    try:
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_part(path: Path, content: bytes) -> Path:
    """Write a hidden file beside `path` that only this user can read, and return its path."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return Path(name)
