"""The version of the running code. The same seed can give another scenario and result with another version."""

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
"""Seconds to wait for a git command."""

_PACKAGES = tuple(Path(package.__path__[0]) for package in (odyssey_client, odyssey_mock))


@cache
def commit() -> str:
    """Return the git commit of `odyssey_client` and `odyssey_mock`, with a `+` if they have uncommitted changes.

    If the packages are not in a git work tree, for example if they are installed, return the version of the
    distribution.
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
    """Return a shortened SHA-256 hash of the Python files of `odyssey_client` and `odyssey_mock`, as stored on disk."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for module in sorted(package.rglob("*.py")):
            content = module.read_bytes()
            digest.update(f"{package.name}/{module.relative_to(package).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def _git(*arguments: str) -> str | None:
    """Return the stripped output of a git command; None if git fails or is not installed."""
    # Variables such as GIT_DIR, which git sets for hooks, may refer to another work tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(_PACKAGES[1]), *arguments]
    try:
        ran = subprocess.run(  # noqa: S603 - no part of the command is user input
            command, capture_output=True, text=True, check=False, timeout=GIT_LIMIT, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None
