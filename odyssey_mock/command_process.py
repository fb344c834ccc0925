"""Processes of commands that run against a mock: their environment, how they start, and how they end."""

import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.server import MockOdyssey

END_LIMIT = 5.0
"""Seconds that a stopped command has to end its child processes, before it is killed."""


class CannotStartError(PicklableError):
    """A command cannot be started.

    Attributes:
        is_missing: whether no program has the name of the command.
    """

    def __init__(self, command: Sequence[str], error: OSError) -> None:
        program = command[0]
        self.is_missing = isinstance(error, FileNotFoundError) and shutil.which(program) is None
        why = error.strerror or str(error)
        if self.is_missing:
            why = "expected the name of a program on PATH, or the path of a program, got neither"
            if " " in program:
                why += f". Pass each word as an argument of its own, or run: sh -c {shlex.quote(program)}"
        super().__init__(f"cannot run {program!r}: {why}")


def environment_of(mock: MockOdyssey) -> Mapping[str, str]:
    """Return the environment of this process, with the variables that connect a client to `mock`.

    With a local certificate authority, they also let `odyssey_client` and Node.js trust its root. A value that the user
    has set for Node.js stays, because it may contain other roots.
    """
    found = {**os.environ, "ODYSSEY_API_URL": mock.url, "ODYSSEY_API_KEY": mock.api_key}
    if mock.root_certificate is not None:
        found["ODYSSEY_CA_FILE"] = str(mock.root_certificate)
        found.setdefault("NODE_EXTRA_CA_CERTS", str(mock.root_certificate))
    return found


async def start_command(
    command: Sequence[str], environment: Mapping[str, str], *, output: IO[bytes] | None = None
) -> asyncio.subprocess.Process:
    """Start a command.

    Args:
        command: the program and its arguments.
        environment: all environment variables of the command.
        output: the file that gets the output and the errors of the command. The command then has no input, and runs in
            a process group of its own. If None, the command has the input, the output and the process group of this
            process, so it can use the terminal.

    Raises:
        CannotStartError: the command does not exist, or cannot be executed.
    """
    try:
        if output is None:
            return await asyncio.create_subprocess_exec(*command, env=environment)
        return await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    except OSError as error:
        raise await asyncio.to_thread(CannotStartError, command, error) from error  # it looks for the program


async def end_group(process: asyncio.subprocess.Process) -> None:
    """End a process if it still runs, and kill all processes that remain in its process group."""
    try:
        if process.returncode is None:
            _signal_group(process, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(END_LIMIT):
                    await process.wait()
    finally:
        # The group may outlive its first process.
        _signal_group(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    await process.wait()


async def end_process(process: asyncio.subprocess.Process) -> None:
    """End a process if it still runs. Its process group is that of this process, so the group gets no signal."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_LIMIT):
                await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def _signal_group(process: asyncio.subprocess.Process, signum: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signum)
