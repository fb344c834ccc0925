"""`bench fixture` and `bench live-test`: the times of tests with the fixtures of the pytest plugin.

`fixture` compares the fixture `odyssey_mock` with `httpserver` of pytest-httpserver: two tests each send one request.
`live-test` compares a live session of `odyssey_client` with two bare aiortc peers that connect.

One pytest run alternates between both tests, in blocks of `BLOCK` of the same kind. The time of a test is the sum of
its setup, call and teardown. The first round is not counted, because it also imports modules and starts servers.
"""

import asyncio
import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from odyssey_mock.bench.rows import MissingBaselineError, Row

TARGET = 1.0
LIVE_TARGET = 4.8
"""150 ms for a live test where the bare peers take 31 ms."""
LIVE_CPU_TARGET = 4.0
"""60 ms of CPU time for a live test where the bare peers take 15 ms."""
ROUNDS = 300
QUICK_ROUNDS = 100
LIVE_ROUNDS = 60
QUICK_LIVE_ROUNDS = 10
BLOCK = 10
"""The number of tests of one kind that follow one another, as in the files of a suite.

If the kind changed with every test, each test would find the processor's caches full of the code of the other kind.
"""
LIMIT = 600.0
"""Timeout of the pytest run in seconds, far above its usual duration."""
REQUIRED = ("pytest", "pytest_asyncio", "pytest_httpserver")

PLUGIN = f"""
import json
import time

import pytest

times = {{}}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.callspec.params["number"] // {BLOCK})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    began = time.process_time()
    result = yield
    times[item.originalname]["cpu"].append((time.process_time() - began) * 1000)
    return result


def pytest_runtest_logreport(report):
    name = report.nodeid.partition("::")[2].partition("[")[0]
    of_test = times.setdefault(name, {{"wall": [], "cpu": []}})
    if report.when == "setup":
        of_test["wall"].append(0.0)
    of_test["wall"][-1] += report.duration * 1000


def pytest_sessionfinish():
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


type Times = Mapping[str, Sequence[float]]
"""Milliseconds of each round: `wall`, and `cpu` for the CPU time of the process."""


async def run(*, quick: bool = False) -> list[Row]:
    """Compare a test with the fixture `odyssey_mock` with a test with `httpserver`.

    Raises:
        MissingBaselineError: pytest, pytest-asyncio or pytest-httpserver is not installed.
    """
    ours, baseline = await _times("test_mock", "test_httpserver", QUICK_ROUNDS if quick else ROUNDS)
    return [
        Row("fixture", ours["wall"], baseline["wall"], "ms", TARGET),
        Row("fixture, CPU", ours["cpu"], baseline["cpu"], "ms of CPU", TARGET),
    ]


async def run_live_test(*, quick: bool = False) -> list[Row]:
    """Compare a test with a live session with a test that connects two bare peers.

    Raises:
        MissingBaselineError: pytest, pytest-asyncio or pytest-httpserver is not installed.
    """
    ours, baseline = await _times("test_live", "test_bare_peers", QUICK_LIVE_ROUNDS if quick else LIVE_ROUNDS)
    return [
        Row("live-test", ours["wall"], baseline["wall"], "ms", LIVE_TARGET),
        Row("live-test, CPU", ours["cpu"], baseline["cpu"], "ms of CPU", LIVE_CPU_TARGET),
    ]


async def _times(ours: str, baseline: str, rounds: int) -> tuple[Times, Times]:
    """Run two of the tests in a new process, in turns; return the times of each, without the first round."""
    if missing := [name for name in REQUIRED if importlib.util.find_spec(name) is None]:
        packages = " ".join(name.replace("_", "-") for name in missing)
        raise MissingBaselineError(f"bench fixture and bench live-test require {packages}: pip install {packages}")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "conftest.py").write_text(PLUGIN, encoding="utf-8")
        (folder / "test_times.py").write_text(TESTS.format(rounds=rounds + 1), encoding="utf-8")
        options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")
        selected = [f"test_times.py::{name}" for name in (baseline, ours)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pytest",
            *options,
            *selected,
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
        times: Mapping[str, Times] = json.loads((folder / "times.json").read_text(encoding="utf-8"))

    def counted(name: str) -> Times:
        return {kind: of_rounds[1:] for kind, of_rounds in times[name].items()}

    return counted(ours), counted(baseline)
