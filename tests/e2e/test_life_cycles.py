"""Tests that repeated connections leak no memory, tasks, threads, sockets or peers."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.support.leftovers import nothing_left
from tests.support.life_cycles import life_cycle

ROOT = Path(__file__).parents[2]
LIMIT = 300.0
"""Timeout in seconds for the subprocess that opens the connections. It takes about 20 s on two idle cores."""
OBJECTS = 2.0
"""Maximum number of Python objects that one connection may leak on average. A leaked WebRTC peer has 1,600."""
BYTES = 150_000
"""Maximum number of bytes by which the process may grow per connection. A leaked WebRTC peer has 520,000."""


@pytest.mark.timeout(LIMIT + 30)  # the subprocess has its own timeout
def test_repeated_connections_leak_nothing() -> None:
    script = [sys.executable, "-m", "tests.support.life_cycles"]
    finished = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT)

    assert finished.returncode == 0, (
        f"expected exit code 0 of life_cycles, got {finished.returncode} with this error output:\n{finished.stderr}"
    )
    kept = json.loads(finished.stdout)
    assert kept["objects_per_cycle"] < OBJECTS
    assert kept["bytes_per_cycle"] < BYTES
    assert "never retrieved" not in finished.stderr


async def test_cancelled_connect_leaks_nothing() -> None:
    async with MockOdyssey() as mock:
        await life_cycle(mock)
    async with nothing_left(), MockOdyssey() as mock:
        for delay in [number * 0.006 for number in range(25)]:
            client = Odyssey(mock.api_key, api_url=mock.url)
            connecting = asyncio.create_task(client.connect())
            await asyncio.wait([connecting], timeout=delay)
            connecting.cancel()
            await asyncio.wait([connecting])
            await client.disconnect()
