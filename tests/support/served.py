"""Runs `odyssey-mock serve` in a fork (`forks.py`)."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.forks import start_python
from tests.support.interrupts import interruptible

COMMAND = ("-W", "error", "-c", "from odyssey_mock.cli import main; main()", "serve")


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start `odyssey-mock serve` on a free port; yield the process and its ready message (URL, API key).

    The process is killed at the end.
    """
    with interruptible():
        process = start_python(*COMMAND, "--port", "0", "--json", *options, stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()
