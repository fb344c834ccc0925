"""The command `odyssey`, run in this process or in one of its own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from odyssey_client.cli import main
from tests.support.interrupts import interruptible

LIMIT = 60.0
"""How long a process may take."""

CAT = [
    {"timestamp_ms": 0, "start": {"prompt": "A cat"}},
    {"timestamp_ms": 500, "interact": {"prompt": "It looks out"}},
    {"timestamp_ms": 1000, "end": {}},
]
FAILING = [{"timestamp_ms": 0, "start": {"prompt": "A dog [error:no dogs]"}}, {"timestamp_ms": 1000, "end": {}}]

type Run = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture(autouse=True)
def _no_service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test has no mock, there is no service and no key."""
    if "odyssey_mock" not in request.fixturenames:
        monkeypatch.setenv("ODYSSEY_API_URL", "http://127.0.0.1:1")
        monkeypatch.delenv("ODYSSEY_API_KEY", raising=False)


def odyssey(*arguments: str | Path) -> Result:
    """Run the command in this thread."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="odyssey")


@pytest.fixture
def run() -> Run:
    """Run the command in a thread, while the event loop of the test serves it."""

    async def run(*arguments: str | Path) -> Result:
        return await asyncio.to_thread(odyssey, *arguments)

    return run


def document(result: Result) -> dict[str, Any]:
    """The JSON document on the standard output, which has nothing else."""
    decoded: dict[str, Any] = json.loads(result.stdout)
    return decoded


def script_file(directory: Path, script: object, name: str = "cat.json") -> Path:
    path = directory / name
    path.write_text(json.dumps(script), encoding="utf-8")
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def started(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command in a process of its own, where every warning is an error."""
    command = [sys.executable, "-W", "error", "-m", "odyssey_client.cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with interruptible():
        return subprocess.Popen(command, **(pipes | options))
