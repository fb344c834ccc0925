"""Tests of the detection of calls that block an event loop."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odyssey_client.version import client_version
from odyssey_mock.core.file_lock import text_of
from odyssey_mock.sync.server_thread import ServerThread
from tests.support.blocking_calls import IS_INSTALLED, PACKAGES, BlockingCalls

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="blockbuster is not installed")

READ = ["io.open", "io.BufferedReader.read"]
"""The calls that `text_of` makes."""

CODE = """
async def coroutine(path):
    return plain(path)

def plain(path):
    with open(path) as file:
        return file.read()
"""


@pytest.fixture
def package() -> dict[str, Callable[[Path], Any]]:
    """Provide functions of a module that seems to be part of the client."""
    functions: dict[str, Callable[[Path], Any]] = {}
    exec(compile(CODE, PACKAGES[0] + "made_up.py", "exec"), functions)
    return functions


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("text")
    return path


def functions(calls: BlockingCalls) -> list[str]:
    return [call.function for call in calls.take()]


async def in_callback[*P](function: Callable[[*P], object], *arguments: *P) -> None:
    """Let the event loop call a function."""
    asyncio.get_running_loop().call_soon(function, *arguments)
    await asyncio.sleep(0)  # noqa: TID251


async def test_calls_of_callbacks_are_noted_once(blocking_calls: BlockingCalls, file: Path) -> None:
    for _ in range(3):
        await in_callback(text_of, file)
    (first, *_) = calls = blocking_calls.take()
    assert [call.function for call in calls] == READ
    assert any("odyssey_mock/core/file_lock.py" in frame for frame in first.stack)


async def test_calls_of_libraries_are_noted(blocking_calls: BlockingCalls) -> None:
    await in_callback(time.sleep, 0)  # noqa: TID251
    assert functions(blocking_calls) == ["time.sleep"]


async def test_calls_of_coroutines_are_noted(
    blocking_calls: BlockingCalls, package: dict[str, Callable[[Path], Any]], file: Path
) -> None:
    assert await package["coroutine"](file) == "text"
    assert functions(blocking_calls) == ["builtins.open", "io.TextIOWrapper.read"]


def test_calls_in_loops_of_other_threads_are_noted(blocking_calls: BlockingCalls, file: Path) -> None:
    ServerThread.shared().loop.call_soon_threadsafe(text_of, file)
    ServerThread.shared().call(lambda: None)  # the callbacks before have run
    assert functions(blocking_calls) == READ


async def test_functions_called_by_tests_may_block(
    blocking_calls: BlockingCalls, package: dict[str, Callable[[Path], Any]], file: Path
) -> None:
    package["plain"](file)
    file.read_text()  # noqa: ASYNC240
    await asyncio.to_thread(text_of, file)
    assert functions(blocking_calls) == []


async def test_tests_of_small_projects_may_block(blocking_calls: BlockingCalls, tmp_path: Path, file: Path) -> None:
    project: dict[str, Callable[[Path], Any]] = {}
    exec(compile(CODE, str(tmp_path / "test_project.py"), "exec"), project)
    assert await asyncio.create_task(project["coroutine"](file)) == "text"
    assert functions(blocking_calls) == []


async def test_excused_calls_are_ignored(blocking_calls: BlockingCalls) -> None:
    client_version.cache_clear()
    await in_callback(client_version)
    assert functions(blocking_calls) == []


@pytest.mark.parametrize(("host", "calls"), [("127.0.0.1", []), ("::1", []), ("localhost", ["socket.getaddrinfo"])])
async def test_only_names_of_hosts_are_resolved(blocking_calls: BlockingCalls, host: str, calls: list[str]) -> None:
    await in_callback(socket.getaddrinfo, host, 80)
    assert functions(blocking_calls) == calls
