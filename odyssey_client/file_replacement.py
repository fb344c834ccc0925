"""Functions that move a complete new file to its path. They replace an existing file, or raise an error if one exists.

Symbolic links are followed: the file to which a link points is replaced, and the link stays. Anything that is not a
regular file, such as a directory, a device or a pipe, is never replaced. All functions block.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""Errors of `link` on file systems without hard links: FAT, some network shares and containers."""

_PERMISSIONS = 0o777
"""Mode bits to keep. As at every change of a file's content, the bits setuid and setgid are not kept."""


def file_to_replace(path: Path) -> Path:
    """Return the path of the file to create or replace for ``path``, with all symbolic links resolved.

    Raises:
        IsADirectoryError: ``path`` is a directory, or a link to one.
        FileExistsError: ``path`` exists and is not a regular file, for example a device, or a link to one.
        PermissionError: the file may not be written.
        OSError: ``path`` cannot be read, for example because its links form a loop.
    """
    real = Path(os.path.realpath(path))
    try:
        found = path.stat()
    except FileNotFoundError:  # no file, or a link to a missing file
        return real
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # The text of a link in /proc is not always a path: the file may be a pipe, or may be deleted.
    if not stat.S_ISREG(found.st_mode) or not real.exists() or not os.path.samestat(found, real.stat()):
        raise FileExistsError(errno.EEXIST, "Not a regular file", str(path))
    if not os.access(real, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return real


def protect(part: Path, target: Path) -> None:
    """Give the new file ``part`` the permissions of ``target``, if that exists; its owner can always write ``part``."""
    with contextlib.suppress(FileNotFoundError):  # there is nothing to replace
        part.chmod(stat.S_IMODE(target.stat().st_mode) & _PERMISSIONS | stat.S_IRUSR | stat.S_IWUSR)


def replace(part: Path, target: Path) -> None:
    """Move the complete file ``part`` to ``target``, a path that `file_to_replace` returned.

    If ``target`` exists, ``part`` gets its permissions and, if the process has the right, its owner and group.

    Raises:
        OSError: the file cannot be moved, or ``target`` has become a link or something else that is not a file.
    """
    if file_to_replace(target) != target:
        raise FileExistsError(errno.EEXIST, "Not a regular file", str(target))
    with contextlib.suppress(FileNotFoundError):  # there is nothing to replace
        found = target.stat()
        for owner, group in ((found.st_uid, -1), (-1, found.st_gid)):
            with contextlib.suppress(PermissionError):  # only root may give a file to another user
                os.chown(part, owner, group)
        part.chmod(stat.S_IMODE(found.st_mode) & _PERMISSIONS)
    part.replace(target)


def take_free_name(part: Path, target: Path) -> None:
    """Give the complete file ``part`` the name ``target``, unless something exists there.

    A hard link does this atomically, and ``part`` stays a name of the file. On file systems without hard links, a check
    and a rename are used.

    Raises:
        FileExistsError: ``target`` exists.
        OSError: the file cannot get this name.
    """
    try:
        target.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        check_free(target)
        part.rename(target)


def check_free(target: Path) -> None:
    """Check that nothing exists at ``target``, not even a link to a missing file.

    Raises:
        FileExistsError: ``target`` exists.
        OSError: ``target`` cannot be read.
    """
    try:
        target.lstat()
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
