"""A function that runs pytest in a fork of a process that has already imported pytest and the mock."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.support import fork_server


def run_pytest(
    *arguments: str, folder: Path, environment: Mapping[str, str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -m pytest` in `folder`, with `environment` as the only environment variables.

    On Linux, the process is a fork. On other systems, where forks are not safe, it is a new interpreter. The option
    `-n` requires a new interpreter: pytest-xdist gives its workers the `sys.path` of the time when it was imported.

    Raises:
        subprocess.TimeoutExpired: the run did not end within `limit_s` seconds, and was killed.
    """
    command = [sys.executable, "-m", "pytest", *arguments]
    if sys.platform != "linux" or any(argument.startswith("-n") for argument in arguments):
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=limit_s
        )
    with tempfile.TemporaryDirectory() as outputs:
        output, errors = Path(outputs) / "stdout", Path(outputs) / "stderr"
        output.touch()
        errors.touch()
        run = fork_server.Run(arguments, str(folder), environment, str(output), str(errors), limit_s)
        status = _answer(run)
        if status is None:
            raise subprocess.TimeoutExpired(command, limit_s, output.read_bytes(), errors.read_bytes())
        return subprocess.CompletedProcess(command, status, output.read_text(), errors.read_text())


def _answer(run: fork_server.Run) -> int | None:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    is_answered = False
    try:
        server.stdin.write(run.to_line())
        server.stdin.flush()
        status: int | None = json.loads(server.stdout.readline())
        is_answered = True
    finally:
        if not is_answered:
            # The wait was interrupted, or the server has ended. The next run needs a server without an open answer.
            server.kill()
            _server.cache_clear()
    return status


@cache
def _server() -> subprocess.Popen[str]:
    """Start `fork_server.py` on the first call; return its process, which ends when this process exits."""
    server = subprocess.Popen(
        [sys.executable, fork_server.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process with threads cannot be forked safely
    )
    atexit.register(server.communicate)
    return server
