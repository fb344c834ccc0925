"""A script that runs a mock in one of the networks of table.py, and lets clients on another machine connect to it.

Its arguments are the key of the network, how often each client connects, and keys of `table.CLIENTS`. It prints what
`visits` of client_machine.py returns.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from odyssey_mock import MockOdyssey
from odyssey_mock.settings import MockOverrides
from tests.support import coturn, nginx
from tests.support.certificate_files import ServerFiles, server_files
from tests.support.networks.client_machine import Visits, visits
from tests.support.networks.table import NETWORKS, UNDOCUMENTED_NETWORKS, Connections, Network
from tests.support.other_machines import waiting_on

NAME, ROUNDS, *CLIENTS = sys.argv[1:]
ADDRESS = "10.98.0.1"
LIMIT = 110.0
"""Timeout in seconds for all clients."""


@asynccontextmanager
async def serving(network: Network, files: ServerFiles) -> AsyncIterator[MockOdyssey]:
    """Run the mock for the network, and the programs beside it."""
    settings: MockOverrides = {"host": "0.0.0.0", "port": 8400, "hls_segment_duration": 0.2, **network.settings}
    if network.has_tls:
        settings |= {"tls_cert": str(files.certificate), "tls_key": str(files.key)}
    async with AsyncExitStack() as running:
        mock = await running.enter_async_context(MockOdyssey(**settings))
        if "nginx" in network.programs:
            await running.enter_async_context(nginx.running(files.root.parent, files.certificate, files.key))
        if "coturn" in network.programs:
            await running.enter_async_context(coturn.running(ADDRESS))
        yield mock


async def main(visit: Callable[[Visits], Awaitable[Mapping[str, Connections]]]) -> None:
    network = {**NETWORKS, **UNDOCUMENTED_NETWORKS}[NAME]
    with TemporaryDirectory() as folder:
        files = server_files(Path(folder), ADDRESS, "127.0.0.1")
        async with asyncio.timeout(LIMIT), serving(network, files) as mock:
            found = await visit(Visits(mock.api_key, network.url, files, CLIENTS, int(ROUNDS)))
    print(json.dumps(found))


with waiting_on("client", visits) as visit:
    asyncio.run(main(visit))
