"""Tests that connections which are cancelled, or repeated for a long time, leave nothing behind."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.bench.soak import Level, session
from tests.support.leftovers import nothing_left

LIMIT = 300.0
"""Timeout in seconds for the subprocess. It takes about 25 s on two idle cores."""
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


async def test_kept_objects_and_tasks_are_reported_as_growth() -> None:
    before = Level.now()
    # More than 10 per round, because some older objects may go at the same time.
    kept = [[number] for number in range(1500)]
    task = asyncio.create_task(asyncio.Event().wait())
    grown = {row.name: row for row in Level.now().grown("leak", before, 100, objects=5.0)}
    task.cancel()

    assert kept
    assert grown["leak, objects"].each >= 10
    assert not grown["leak, objects"].ok
    assert (grown["leak, tasks"].grown, grown["leak, tasks"].ok) == (1, False)
    assert grown["leak, threads"].ok


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
