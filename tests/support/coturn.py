"""Runs coturn, a TURN server, on the machine of a mock, with the options of the documentation."""

import asyncio
import shlex
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from odyssey_mock.settings import IceServer
from tests.support.namespaces import program
from tests.support.pages import blocks

PORT = 3478
USERNAME, PASSWORD = "anna", "open-sesame"
"""Those of the command in `docs/how-to/run-a-server.md`."""
START_LIMIT = 30.0
"""Timeout in seconds until coturn listens, which takes a tenth of a second."""


def missing() -> str | None:
    """Return a description of the missing program; None if it is installed."""
    return None if program("turnserver") else "coturn is not installed"


def server_at(address: str, *, port: int = PORT) -> IceServer:
    """Return the server that `running` runs on `address`, with its TCP port, for the setting `ice_servers`."""
    return {"urls": f"turn:{address}:{port}?transport=tcp", "username": USERNAME, "credential": PASSWORD}


@asynccontextmanager
async def running(
    address: str, *, port: int = PORT, relay: str | None = None, certified: Path | None = None
) -> AsyncIterator[Process]:
    """Run coturn, and yield its process. It listens on TCP and UDP, and relays from the address `relay`, or the same.

    `certified`: a folder with `certificate.pem` and `key.pem`, to listen for TLS instead of TCP.
    """
    options = [*_documented(address, relay or address), "--listening-port", str(port)]
    if certified is not None:
        options.remove("--no-tls")
        options += ["--no-tcp", "--no-udp", "--tls-listening-port", str(port)]
        options += ["--cert", str(certified / "certificate.pem"), "--pkey", str(certified / "key.pem")]
    with TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            str(program("turnserver")),
            *options,
            *("-n", "--verbose", "--log-file", "stdout", "--no-cli", "--allow-loopback-peers"),
            *("--pidfile", str(Path(folder, "pid")), "--userdb", str(Path(folder, "users"))),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        reading: asyncio.Task[bytes] | None = None
        try:
            async with asyncio.timeout(START_LIMIT):
                await _listening(process.stdout, {b"TCP", b"UDP"} if certified is None else {b"TLS"})
            # Read on: coturn would wait if the pipe was full.
            reading = asyncio.create_task(process.stdout.read())
            yield process
        finally:
            with suppress(ProcessLookupError):  # it has already ended
                process.kill()
            await process.wait()
            if reading is not None:
                reading.cancel()
                await asyncio.wait([reading])


def _documented(address: str, relay: str) -> list[str]:
    """Return the options of the command in `docs/how-to/run-a-server.md`, with these addresses."""
    (command,) = [block.code for block in blocks("sh") if block.code.startswith("turnserver ")]
    _, *options = shlex.split(command)
    addresses = {"--listening-ip": address, "--relay-ip": relay}
    return [addresses.get(option, word) for option, word in pairwise(["", *options])]


async def _listening(log: asyncio.StreamReader, transports: set[bytes]) -> None:
    """Read the log of coturn until it listens on all of these transports."""
    while transports:
        line = await log.readline()
        assert line, "expected coturn to listen, got the end of its log"
        transports = {each for each in transports if each + b" listener opened" not in line}
