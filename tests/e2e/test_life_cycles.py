"""Tests that connections which are cancelled, or repeated for a long time, leave nothing behind."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.bench.soak import growth, levels, session
from tests.support.leftovers import nothing_left

LIMIT = 300.0
"""Timeout in seconds for the subprocess. It takes about 20 s on two idle cores."""
# In a new interpreter: pages that a fork shares with its parent would be counted as growth when it writes to them.
SOAK = (sys.executable, "-c", "from odyssey_mock.cli import main; main()", "bench", "soak", "--quick")


@pytest.mark.timeout(LIMIT + 30)  # the subprocess has its own timeout
def test_short_soak_finds_no_growth(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    finished = subprocess.run(
        [*SOAK, "--json", str(report)], capture_output=True, text=True, check=False, timeout=LIMIT
    )

    assert finished.returncode == 0, f"expected exit code 0 of bench soak, got {finished.returncode}:\n{finished}"
    rows = json.loads(report.read_text())["rows"]
    assert {row["name"].rpartition(",")[0] for row in rows} == {
        "100 sessions",
        "20 clients for 1 min",
        "200 unused sessions",
        "20 connections that do not read",
    }
    assert "never retrieved" not in finished.stderr


async def test_leak_in_each_window_is_reported_as_growth() -> None:
    kept: list[object] = []

    async def work(rounds: int) -> None:
        # More than 5 per round, because some older objects may go at the same time.
        kept.extend([number] for number in range(10 * rounds))
        kept.append(asyncio.create_task(asyncio.Event().wait()))

    rows = {row.name: row for row in growth("leak", *await levels(600, work), objects=5.0)}
    for task in kept:
        if isinstance(task, asyncio.Task):
            task.cancel()

    assert rows["leak, objects"].each >= 9
    assert not rows["leak, objects"].ok
    assert (rows["leak, tasks"].grown, rows["leak, tasks"].ok) == (3, False)
    assert rows["leak, threads"].ok


async def test_cache_that_fills_once_is_no_growth() -> None:
    cache: list[list[int]] = []
    windows = iter(range(10))

    async def work(rounds: int) -> None:
        if next(windows) == 2:
            cache.extend([number] for number in range(50 * rounds))

    rows = {row.name: row for row in growth("cache", *await levels(600, work), objects=5.0)}

    assert len(cache) == 5000
    assert rows["cache, objects"].ok


async def test_cancelled_connect_leaks_nothing() -> None:
    async with MockOdyssey() as mock:
        await session(mock)
    async with nothing_left(), MockOdyssey() as mock:
        for delay in [number * 0.006 for number in range(25)]:
            client = Odyssey(mock.api_key, api_url=mock.url)
            connecting = asyncio.create_task(client.connect())
            await asyncio.wait([connecting], timeout=delay)
            connecting.cancel()
            await asyncio.wait([connecting])
            await client.disconnect()
