"""Tests of what the packages and the commands import: only what they use, because imports are most of their start."""

import os
import subprocess
import sys

import pytest

LIMIT = 60.0
"""Timeout of one process in seconds."""

HEAVY = (
    *("aiortc", "av", "cryptography", "httpx", "hypothesis", "numpy", "PIL", "pillow_heif", "pydantic", "rich"),
    *("simloop", "sqlite3", "starlette", "uvicorn", "websockets", "yaml"),
)
"""Modules that take more than 5 ms to import."""

OF_SESSIONS = (
    *(
        "aioice",
        "aiortc",
        "av",
        "cryptography",
        "httpx",
        "ifaddr",
        "jwt",
        "numpy",
        "PIL",
        "pydantic",
        "sqlite3",
        "yaml",
    ),
    *("odyssey_mock.sessions.session", "odyssey_mock.rtc.peer_connection", "odyssey_mock.media.scene"),
    *("odyssey_mock.tls.certificates", "odyssey_mock.tls.server_tls"),
)
"""Modules that a mock does not need to start, nor for its first response."""

MAIN = """
import sys
from {package}.cli import main
try:
    main({arguments!r}, prog_name={program!r})
except SystemExit as exit:
    assert not exit.code, exit
"""
"""Code that runs a command."""
LISTING = "\nimport sys; print('', *(name for name in {absent!r} if name in sys.modules), file=sys.stderr)"
"""Code that prints which of the modules `absent` were imported."""

ODYSSEY, ODYSSEY_MOCK = ("odyssey", "odyssey_client"), ("odyssey-mock", "odyssey_mock")


def imported(code: str, absent: tuple[str, ...], **environment: str) -> list[str]:
    """Run code in a new process, and return which of the modules `absent` it has imported."""
    ran = subprocess.run(
        [sys.executable, "-c", code + LISTING.format(absent=absent)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env={**os.environ, **environment},
    )
    assert ran.returncode == 0, f"expected the code to run, got:\n{ran.stderr}"
    return ran.stderr.split()


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import odyssey_client", (*HEAVY, "asyncio", "odyssey_client.errors")),
        ("from odyssey_client import Odyssey, Script, connect_to_stream", (*HEAVY, "odyssey_client.sync")),
        ("from odyssey_client.sync import Odyssey, connect_to_stream", HEAVY),
        ("import odyssey_mock", (*HEAVY, "asyncio", "odyssey_mock.settings")),
        ("from odyssey_mock import MockOdyssey", OF_SESSIONS),
        ("import odyssey_mock.testing.plugin", (*HEAVY, "odyssey_client", "odyssey_mock.settings")),
    ],
)
def test_import_loads_only_what_is_used(code: str, absent: tuple[str, ...]) -> None:
    assert imported(code, absent) == []


def test_modules_are_attributes_of_the_client() -> None:
    names = "client", "config", "errors", "events", "media", "models", "platform", "rest", "scripts", "spectator"
    code = f"import odyssey_client\nfor name in {names}: assert getattr(odyssey_client, name).__name__.endswith(name)"
    assert imported(code, ()) == []


def test_first_response_needs_no_module_of_sessions() -> None:
    code = """
import asyncio
from odyssey_mock import MockOdyssey

async def main():
    async with MockOdyssey() as mock:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]))
        writer.write(b"GET /_mock/health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        assert b" 200 " in await reader.readline()
        writer.close()

asyncio.run(main())
"""
    assert imported(code, OF_SESSIONS) == []


@pytest.mark.parametrize(
    ("command", "arguments", "absent"),
    [
        (ODYSSEY, "--help", (*HEAVY, "asyncio", "odyssey_client.errors")),
        (ODYSSEY, "stream --help", (*HEAVY, "odyssey_client.client.odyssey")),
        (ODYSSEY, "watch --help", (*HEAVY, "odyssey_client.spectator.spectator_connection")),
        (ODYSSEY_MOCK, "--help", (*HEAVY, "asyncio", "odyssey_mock.settings")),
        (ODYSSEY_MOCK, "serve --help", (*HEAVY, "odyssey_mock.server")),
    ],
)
def test_help_loads_only_what_it_shows(command: tuple[str, str], arguments: str, absent: tuple[str, ...]) -> None:
    program, package = command
    code = MAIN.format(package=package, arguments=arguments.split(), program=program)
    assert imported(code, absent) == []


@pytest.mark.parametrize(
    ("command", "words", "absent"),
    [
        (ODYSSEY, "odyssey si", (*HEAVY, "asyncio", "odyssey_client.errors")),
        (ODYSSEY, "odyssey simulations list --st", (*HEAVY, "odyssey_client.client.odyssey")),
        (ODYSSEY_MOCK, "odyssey-mock s", (*HEAVY, "asyncio", "odyssey_mock.settings")),
        (ODYSSEY_MOCK, "odyssey-mock serve --pl", (*HEAVY, "odyssey_mock.server")),
    ],
)
def test_completion_loads_only_what_it_completes(command: tuple[str, str], words: str, absent: tuple[str, ...]) -> None:
    program, package = command
    code = MAIN.format(package=package, arguments=[], program=program)
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    position = str(len(words.split()) - 1)
    assert imported(code, absent, COMP_WORDS=words, COMP_CWORD=position, **{variable: "bash_complete"}) == []
