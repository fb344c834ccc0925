"""Functions that run Python commands in forks of a process that has already imported pytest and the packages.

The processes behave as new interpreters do, except that modules are imported already. Tests of what a module imports,
and tests with options or variables that Python reads when it starts, need a new interpreter.
"""

import atexit
import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, override

from tests.support import fork_server

_HAS_FORKS = sys.platform == "linux"
"""Whether commands run in forks. On other systems, where forks are not safe, they run in new interpreters."""

_SET_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of Linux: orphaned descendants become children of the process that sets it."""


def start_python(*arguments: str, **options: Any) -> subprocess.Popen[str]:  # Any: the options of `subprocess.Popen`
    """Start `python` with arguments of the form `[-W ACTION] -c CODE ...` or `[-W ACTION] -m MODULE ...`.

    The options are those of `subprocess.Popen`, in text mode, except `fork_server.UNSUPPORTED`.
    """
    process = ForkedPython if _HAS_FORKS else subprocess.Popen[str]
    return process([sys.executable, *arguments], text=True, **options)


def run_python(*arguments: str, limit_s: float, **options: Any) -> subprocess.CompletedProcess[str]:  # Any: as above
    """Run `python` as `start_python` does; return its exit status, standard output and standard error.

    Raises:
        subprocess.TimeoutExpired: the process did not end within `limit_s` seconds, and was killed.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start_python(*arguments, **(pipes | options)) as process:
        try:
            output, errors = process.communicate(timeout=limit_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run_pytest(
    *arguments: str, folder: Path, environment: Mapping[str, str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -m pytest` in `folder`, with `environment` as the only environment variables.

    Raises:
        subprocess.TimeoutExpired: the run did not end within `limit_s` seconds, and was killed.
    """
    # Files: a process that the tests leave behind would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": errors}
        with start_python("-m", "pytest", *arguments, cwd=folder, env=environment, **streams) as process:
            try:
                process.wait(limit_s)
            except BaseException:
                process.kill()
                raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(process.args, process.returncode, output.read(), errors.read())


class ForkedPython(fork_server.Fork):
    """A Python process that is a fork of the process of `fork_server.py`, and a child of this process."""

    @override
    def start(self, command: fork_server.Command, files: Sequence[int]) -> int:
        return _fork(command, files)


_LOCK = threading.Lock()


def _fork(command: fork_server.Command, files: Sequence[int]) -> int:
    """Return the id of a new process that runs `command` with these files as its standard streams."""
    with _LOCK:
        requests = _server()
        is_answered = False
        try:
            with _orphans_become_children():
                command.send(requests, files)
                process = int(requests.makefile().readline())
            is_answered = True
        finally:
            if not is_answered:
                # The wait was interrupted, or the server has ended. The next command needs a server without a request.
                requests.close()
                _server.cache_clear()
        return process


@contextmanager
def _orphans_become_children() -> Iterator[None]:
    """Let processes that are orphaned during the block become children of this process."""
    _prctl(_SET_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_SET_SUBREAPER, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


@cache
def _server() -> socket.socket:
    """Start `fork_server.py` on the first call; return the socket for requests. The server ends when it is closed."""
    requests, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, fork_server.__file__],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process with threads cannot be forked safely
        )

    @atexit.register
    def end() -> None:
        requests.close()
        server.wait()

    return requests
