"""A script that runs a mock, and nginx in front of it, and lets a client on another machine visit both.

test_addresses.py runs it in the network namespace of the mock, with a veth pair. It creates another namespace for the
client, and prints what the script remote_visit.py prints there. Its arguments are the path of nginx and a
configuration file for it.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from odyssey_mock import MockOdyssey

NGINX, CONFIGURATION = sys.argv[1:]
FOLDER = Path(CONFIGURATION).parent
VISIT = Path(__file__).parent / "remote_visit.py"
LIMIT = 100.0
"""Timeout in seconds for the visits."""

_CLIENT = """
echo created
read -r go
set -e
ip link set lo up
ip addr add 10.98.0.2/24 dev far
ip link set far up
exec "$@"
"""


@contextlib.asynccontextmanager
async def nginx() -> AsyncIterator[None]:
    """Run nginx. The command returns once nginx listens, and leaves it running in the background."""
    starting = await asyncio.create_subprocess_exec(NGINX, "-p", FOLDER, "-c", CONFIGURATION)
    assert await starting.wait() == 0
    pid = int((FOLDER / "nginx.pid").read_text())
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)


async def visits(mock: MockOdyssey) -> bytes:
    """Run remote_visit.py in another network namespace, connected by the veth pair; return its output."""
    command = [sys.executable, str(VISIT), mock.api_key, "http://10.98.0.1:8400", "https://10.98.0.1/mock"]
    environment = {**os.environ, "SSL_CERT_FILE": str(FOLDER / "certificate.pem")}
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(
        "unshare", "--net", "sh", "-c", _CLIENT, "sh", *command, stdin=pipe, stdout=pipe, env=environment
    )
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        assert await client.stdout.readline() == b"created\n"
        moving = await asyncio.create_subprocess_exec("ip", "link", "set", "far", "netns", str(client.pid))
        assert await moving.wait() == 0
        shown, _ = await client.communicate(b"go\n")
        assert client.returncode == 0, f"expected {VISIT.name} to exit with 0, got {client.returncode}"
    finally:
        if client.returncode is None:
            client.kill()
    return shown


async def main() -> None:
    async with (
        asyncio.timeout(LIMIT),
        MockOdyssey(host="0.0.0.0", port=8400, portrait_size=(176, 320), hls_segment_duration=0.2) as mock,
        nginx(),
    ):
        print((await visits(mock)).decode(), end="")


asyncio.run(main())
