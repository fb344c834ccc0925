"""Tests of one client in several event loops, and of a process that exits without closing its client."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.forks import run_python
from tests.support.served import served

PREAMBLE = """
import asyncio, httpx, sys
from odyssey_client import Odyssey
client = Odyssey(sys.argv[2], api_url=sys.argv[1])

async def whole_life():
    async with client:
        await client.connect()
        await client.start_stream("A castle")

async def forget_to_close():
    await client.connect()
    await client.start_stream("A castle")
    global waiting
    waiting = [asyncio.create_task(client.interact("[stall] Night")), asyncio.create_task(anext(client.events()))]
    await asyncio.wait(waiting, timeout=0.01)

async def leave_reconnecting():
    fault = {"at": "signaling.connected", "do": "close", "code": 1011, "seconds": 0.1, "times": 1}
    httpx.post(sys.argv[1] + "/_mock/faults", json=fault).raise_for_status()
    lost = asyncio.Event()
    await client.connect(on_error=lost.set)
    await lost.wait()
    assert client.current_status == "reconnecting"
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[list[str]]:
    """Run a mock server in another process; yield its URL and API key."""
    with served() as (_, ready):
        yield [ready["url"], ready["api_key"]]


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.run(whole_life()); asyncio.run(whole_life())",
        "for _ in range(2): asyncio.run(client.create_client_credentials())",
        "asyncio.run(forget_to_close()); assert not client.is_connected; asyncio.run(whole_life())",
        "asyncio.run(forget_to_close()); asyncio.run(client.disconnect()); asyncio.run(whole_life())",
        "asyncio.run(leave_reconnecting()); assert client.current_status == 'disconnected'; asyncio.run(whole_life())",
    ],
    ids=["closed each time", "credentials", "not closed", "closed in another loop", "not closed while reconnecting"],
)
def test_client_works_in_consecutive_event_loops(code: str, elsewhere: list[str]) -> None:
    done = run(code, elsewhere)
    assert done.returncode == 0, f"expected exit code 0, got {done.returncode} with this error output:\n{done.stderr}"
    assert "Runtime" not in done.stderr, f"expected no RuntimeError and no RuntimeWarning, got:\n{done.stderr}"


def test_process_exits_with_unclosed_client_and_event_loop(elsewhere: list[str]) -> None:
    assert run("asyncio.new_event_loop().run_until_complete(client.connect())", elsewhere).returncode == 0


def run(code: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return run_python("-c", PREAMBLE + code, *arguments, limit_s=20)
