"""Tests that the worker processes of benchmarks and scripts do not outlive their main process."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.forks import start_python
from tests.support.interrupts import interruptible

LIMIT = 30.0


@pytest.mark.parametrize(
    ("module", "work", "run"),
    [
        ("odyssey_mock.bench.explore", "_loopback", "asyncio.run(module.run(quick=True))"),
        ("odyssey_mock.bench.soak", "crowd", "asyncio.run(module.run(quick=True))"),
        ("stamp_exactness", "missed", "module.main(1)"),
    ],
)
def test_workers_end_with_their_main_process(module: str, work: str, run: str) -> None:
    code = (
        "import asyncio, sys; sys.path.append('scripts')\n"
        f"import {module} as module\n"
        "from tests.support.bench.hanging_work import hang\n"
        f"if __name__ == '__main__': module.{work} = hang; {run}"
    )
    root = Path(__file__).parents[3]
    with interruptible():
        process = start_python("-c", code, stdout=subprocess.PIPE, start_new_session=True, cwd=root)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.terminate()  # only the main process, and Python then runs no `finally` block
            assert process.wait(LIMIT) == -signal.SIGTERM
            try:
                process.communicate(timeout=LIMIT)  # the workers share its output, which ends with the last of them
            except subprocess.TimeoutExpired:
                pytest.fail(f"expected the workers to end within {LIMIT:g} s after the main process, got some that run")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
