"""Runs `odyssey-mock serve` in a subprocess."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.interrupts import interruptible

COMMAND = (sys.executable, "-W", "error", "-c", "from odyssey_mock.cli import main; main()", "serve")


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start `odyssey-mock serve` on a free port; yield the process and its ready message (URL, API key).

    The process is killed at the end.
    """
    with interruptible():
        process = subprocess.Popen([*COMMAND, "--port", "0", "--json", *options], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()
