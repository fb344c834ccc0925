"""`bench fixture`: the time that the fixture `odyssey_mock` adds to a test, and the time of a whole live test.

One pytest run alternates between four tests. Two tests each send one request: one to `httpserver` of
pytest-httpserver, the other to `odyssey_mock`. The third test runs a live session with `odyssey_client`, and the
fourth connects two bare aiortc peers. The time of a test is the sum of its setup, call and teardown.
"""

import asyncio
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from odyssey_mock.bench.rows import MissingBaselineError, Row

REACH = 1.0
LIVE_REACH = 5.5
"""A live test of 170 ms where the bare peers take 31 ms."""
ROUNDS = 100
QUICK_ROUNDS = 20
LIMIT = 600.0
"""Timeout of the pytest run in seconds, far above its usual duration."""
REQUIRED = ("pytest", "pytest_asyncio", "pytest_httpserver")

PLUGIN = """
import json

durations = {}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.callspec.params["number"])


def pytest_runtest_logreport(report):
    durations.setdefault(report.nodeid, []).append(report.duration)


def pytest_sessionfinish():
    times = {}
    for nodeid, phases in durations.items():
        name = nodeid.partition("::")[2].partition("[")[0]
        times.setdefault(name, []).append(sum(phases) * 1000)
    with open("times.json", "w") as file:
        json.dump(times, file)
"""

TESTS = """
import httpx
import pytest

from odyssey_mock.bench.connect import bare_peers

pytestmark = pytest.mark.parametrize("number", range({rounds}))


client = httpx.Client(trust_env=False)


def test_httpserver(number, httpserver):
    httpserver.expect_request("/regions").respond_with_json({{"detail": "Not authenticated"}}, status=401)
    assert client.get(httpserver.url_for("/regions")).status_code == 401


def test_mock(number, odyssey_mock):
    assert client.get(f"{{odyssey_mock.url}}/regions").status_code == 401


@pytest.mark.asyncio
async def test_live(number, odyssey_client):
    await odyssey_client.connect()
    await odyssey_client.start_stream(f"A cat on {{number}} windowsills")
    await odyssey_client.interact("Pet the cat")
    await odyssey_client.end_stream()


@pytest.mark.asyncio
async def test_bare_peers(number):
    await bare_peers()
"""


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the times of tests with the fixture `odyssey_mock` with those of tests with `httpserver` and bare peers.

    Raises:
        MissingBaselineError: pytest, pytest-asyncio or pytest-httpserver is not installed.
    """
    if missing := [name for name in REQUIRED if importlib.util.find_spec(name) is None]:
        packages = " ".join(name.replace("_", "-") for name in missing)
        raise MissingBaselineError(f"bench fixture requires {packages}: pip install {packages}")
    times = await _times(QUICK_ROUNDS if quick else ROUNDS)
    typical = {name: _typical(each) for name, each in times.items()}
    return [
        Row("fixture", typical["test_mock"], typical["test_httpserver"], "ms", REACH),
        Row("live test", typical["test_live"], typical["test_bare_peers"], "ms", LIVE_REACH),
    ]


async def _times(rounds: int) -> Mapping[str, Sequence[float]]:
    """Run the tests in a new process; return the times in milliseconds by the name of the test."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "conftest.py").write_text(PLUGIN, encoding="utf-8")
        (folder / "test_times.py").write_text(TESTS.format(rounds=rounds), encoding="utf-8")
        options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pytest",
            *options,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(LIMIT):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise RuntimeError(f"expected the tests of the benchmark to pass, got:\n{output.decode()}")
        times: Mapping[str, Sequence[float]] = json.loads((folder / "times.json").read_text(encoding="utf-8"))
        return times


def _typical(times: Sequence[float]) -> float:
    """Return the lower quartile of the measured times, because other load on the machine can only add time."""
    return statistics.quantiles(times, n=4)[0]
