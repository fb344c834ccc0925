"""Helpers that run the command `odyssey` in this process or in a subprocess."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from odyssey_client.cli import main
from tests.support.forks import start_python
from tests.support.interrupts import interruptible

LIMIT = 60.0
"""Timeout in seconds for a subprocess."""

CAT = [
    {"timestamp_ms": 0, "start": {"prompt": "A cat"}},
    {"timestamp_ms": 500, "interact": {"prompt": "It looks out"}},
    {"timestamp_ms": 1000, "end": {}},
]
FAILING = [{"timestamp_ms": 0, "start": {"prompt": "A dog [error:no dogs]"}}, {"timestamp_ms": 1000, "end": {}}]

type Run = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture(autouse=True)
def _no_service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tests without the fixture `odyssey_mock`, unset the API key, and set a URL that refuses connections."""
    if "odyssey_mock" not in request.fixturenames:
        monkeypatch.setenv("ODYSSEY_API_URL", "http://127.0.0.1:1")
        monkeypatch.delenv("ODYSSEY_API_KEY", raising=False)


def odyssey(*arguments: str | Path) -> Result:
    """Run the command `odyssey` in this thread; return click's result."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="odyssey")


@pytest.fixture
def run() -> Run:
    """Return a function that runs the command `odyssey` in a worker thread, so that it does not block the mock."""

    async def run(*arguments: str | Path) -> Result:
        return await asyncio.to_thread(odyssey, *arguments)

    return run


def document(result: Result) -> dict[str, Any]:
    """Decode the standard output of a command, which must be one JSON document."""
    decoded: dict[str, Any] = json.loads(result.stdout)
    return decoded


def script_file(directory: Path, script: object, name: str = "cat.json") -> Path:
    path = directory / name
    path.write_text(json.dumps(script), encoding="utf-8")
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def started(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command `odyssey` in a subprocess in which warnings are errors; return the process."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with interruptible():
        return start_python("-W", "error", "-m", "odyssey_client.cli", *map(str, arguments), **(pipes | options))
