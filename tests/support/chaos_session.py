"""Runs the client programs of the chaos runs in a subprocess."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 100.0


async def run_session(program: Path) -> tuple[int, Sequence[str]]:
    """Run a Python program as a subprocess; return its exit status and its lines on stdout and stderr.

    The program is killed after `LIMIT_S` seconds.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    return await process.wait(), output.decode().splitlines()
