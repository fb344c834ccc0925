"""What a trace says about its run: versions, commit, command; and the redaction of both packages."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import cast

import odyssey_client
import odyssey_mock
from odyssey_client.models import JSON
from odyssey_client.redaction import MASK, names_secret, redacted_json
from odyssey_mock.core import strict_json
from odyssey_mock.core.redaction import Secrets, masked_json

_LIBRARIES = ("aiortc", "av", "httpx", "websockets", "pytest")
_COMMIT_VARIABLES = ("GITHUB_SHA", "CI_COMMIT_SHA")
"""Variables in which CI systems name the commit."""
_GIT_LIMIT = 2.0
"""Maximum seconds to wait for git."""


def versions() -> Mapping[str, str]:
    """Return the versions of the packages, of important libraries, of Python and of the platform."""
    found = {"odyssey_client": odyssey_client.__version__, "odyssey_mock": odyssey_mock.__version__}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "python": platform.python_version(), "platform": platform.platform()}


def commit(directory: Path) -> str | None:
    """Return the commit of the project in `directory`; None if it is no git repository, or git is not installed."""
    for name in _COMMIT_VARIABLES:
        if value := os.environ.get(name):
            return value
    try:
        found = subprocess.run(
            ("git", "rev-parse", "HEAD"),  # noqa: S607 - git is found as in a shell
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=_GIT_LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def command() -> str:
    """Return the command line of this process, without the values of options whose names are those of secrets."""
    program, *arguments = sys.argv or [sys.executable]  # empty in a process that embeds Python
    path = Path(program)
    # `python -m pytest` has the path of pytest/__main__.py.
    name = ["python", "-m", path.parent.name] if path.name == "__main__.py" else [path.name]
    return shlex.join([*name, *_without_secrets(arguments)])


def _without_secrets(arguments: Iterable[str]) -> Iterator[str]:
    """Mask `VALUE` in `--api-key VALUE` and `--api-key=VALUE`."""
    is_secret = False
    for argument in arguments:
        option, mark, _ = argument.partition("=")
        if is_secret and not argument.startswith("-"):
            yield MASK
            is_secret = False
            continue
        named = option.startswith("--") and names_secret(option.removeprefix("--"))
        yield f"{option}={MASK}" if named and mark else argument
        is_secret = named and not mark


def redaction(mocks: Iterable[Secrets]) -> Callable[[JSON], JSON]:
    """Return a function that masks the secrets of the clients of this process, and those of some mocks."""
    secrets = tuple(mocks)

    def redact(value: JSON) -> JSON:
        masked: strict_json.JSON = redacted_json(value)
        for each in secrets:
            masked = masked_json(masked, each)
        return cast("JSON", masked)

    return redact
