"""Two hundred connections in one process, and nothing is left of them."""

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
"""Seconds for the whole; it takes about 40 on two free cores."""
OBJECTS = 2.0
"""Python's objects that a cycle may keep, on average: it keeps none, and a peer that is kept has 1,600."""
BYTES = 150_000
"""Bytes that the process may grow in a cycle: a coarse net for what is not Python's. A peer has 520,000."""


@pytest.mark.timeout(LIMIT + 30)  # the process has a limit of its own
def test_200_life_cycles_leave_no_task_thread_socket_or_peer_and_no_memory() -> None:
    script = [sys.executable, "-m", "tests.support.life_cycles"]
    finished = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT)

    assert finished.returncode == 0, finished.stderr
    kept = json.loads(finished.stdout)
    assert kept["objects_per_cycle"] < OBJECTS
    assert kept["bytes_per_cycle"] < BYTES
    assert "never retrieved" not in finished.stderr


async def test_connecting_cut_short_at_any_moment_leaves_nothing_either() -> None:
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
