"""Which code is played: what a seed means, it means for one version of the code only."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
from functools import cache
from pathlib import Path

import odyssey_client
import odyssey_mock

DISTRIBUTION = "odyssey-testkit"
GIT_LIMIT = 10.0
"""Seconds that git may take."""

_PACKAGES = tuple(Path(package.__path__[0]) for package in (odyssey_client, odyssey_mock))


@cache
def commit() -> str:
    """The commit of the work tree that the packages are in, with a `+` where they were changed since.

    Where they are in no work tree of their own, as when they are installed, the version of the distribution.
    """
    tracked = [str(package / "__init__.py") for package in _PACKAGES]
    if _git("ls-files", "--error-unmatch", *tracked) is not None and (head := _git("rev-parse", "--short", "HEAD")):
        return head + ("+" if _git("status", "--porcelain", *map(str, _PACKAGES)) else "")
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@cache
def fingerprint() -> str:
    """SHA-256 over the packages' modules, shortened: tells changes apart that no commit has yet."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for module in sorted(package.rglob("*.py")):
            content = module.read_bytes()
            digest.update(f"{package.name}/{module.relative_to(package).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def _git(*arguments: str) -> str | None:
    """What git says, without white space around; None where it fails, or there is none."""
    # Variables such as GIT_DIR, which a hook of git sets, would name another work tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(_PACKAGES[1]), *arguments]
    try:
        ran = subprocess.run(  # noqa: S603 - nothing in it is from outside
            command, capture_output=True, text=True, check=False, timeout=GIT_LIMIT, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None
