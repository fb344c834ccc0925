"""Times of whole Python processes, for the benchmarks `start-up` and `import`."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

HOST = "127.0.0.1"
LIMIT = 60.0
"""Timeout of one process in seconds, far above its usual duration."""
POLL = 0.002
"""Seconds between two attempts to connect to a server that does not listen yet."""


@contextmanager
def compiled_modules() -> Iterator[Mapping[str, str]]:
    """Provide the environment of processes that find all modules compiled, as those of an installed package.

    The first process of each kind compiles the modules. Do not count its time.
    """
    with tempfile.TemporaryDirectory() as directory:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield {**inherited, "PYTHONPYCACHEPREFIX": directory}


async def time_of_run(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the time in milliseconds of a process `python ARGUMENTS`, from its start to its end.

    Raises:
        RuntimeError: the process failed.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with _process(arguments, environment) as process, asyncio.timeout(LIMIT):
        _, errors = await process.communicate()
        ended = loop.time()
    if process.returncode != 0:
        raise RuntimeError(f"expected exit code 0 of {arguments}, got {process.returncode}:\n{errors.decode()}")
    return (ended - began) * 1000


async def time_of_first_response(
    arguments: Sequence[str], environment: Mapping[str, str], *, port: int, path: str
) -> float:
    """Return the time in milliseconds from the start of a server, `python ARGUMENTS`, to its first response.

    The process is killed afterwards.

    Raises:
        RuntimeError: the process ended, or the status of the response is not 200.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with _process(arguments, environment) as process, asyncio.timeout(LIMIT):
        reader, writer = await _connected(process, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
            status = await reader.readline()
            responded = loop.time()
        finally:
            writer.close()
    if status.split()[1:2] != [b"200"]:
        raise RuntimeError(f"expected a response with status 200 to GET {path}, got {status!r}")
    return (responded - began) * 1000


def free_port() -> int:
    """Return a port on which no server listens."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def _process(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Python during the block, and kill it at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _connected(
    process: asyncio.subprocess.Process, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the server in a process as soon as it listens."""
    ended = asyncio.ensure_future(process.wait())
    try:
        while True:
            try:
                return await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                await asyncio.wait({ended}, timeout=POLL)
            if ended.done():
                assert process.stderr is not None
                errors = await process.stderr.read()
                raise RuntimeError(f"expected a server, got exit code {ended.result()}:\n{errors.decode()}")
    finally:
        ended.cancel()
