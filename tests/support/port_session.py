"""A script that runs a mock with a range of UDP ports or with a TURN server, and lets another machine connect to it.

Its arguments are the settings as JSON, and `coturn` to run a TURN server on the machine of the mock. It prints what
`visit` returns on the other machine.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack

import httpx

from odyssey_client import BroadcastInfo, Odyssey
from odyssey_mock import MockOdyssey
from tests.support import coturn
from tests.support.other_machines import waiting_on

ADDRESS = "10.98.0.1"
"""The address at which the other machine reaches the mock, or the router in front of it."""
URL = f"http://{ADDRESS}:8400"
SETTINGS, *PROGRAMS = sys.argv[1:]
LIMIT = 90.0
"""Timeout in seconds for the visit."""


async def visit(key: str) -> object:
    """Connect a session and a spectator, until each has received a frame; return the ICE servers."""
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    async with Odyssey(key, api_url=URL) as client, httpx.AsyncClient(base_url=URL, trust_env=False) as http:
        stream = await client.connect(on_broadcast_ready=ready.set_result)
        await client.start_stream("A cat", broadcast=True)
        await anext(stream.frames())
        info = await ready
        async with await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            await anext(spectator.frames())
        return (await http.get("/config")).json()["iceServers"]


async def main() -> None:
    with waiting_on("client", visit) as visited:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(LIMIT))
            if "coturn" in PROGRAMS:
                await stack.enter_async_context(coturn.running(ADDRESS))
            mock = await stack.enter_async_context(
                MockOdyssey(host="0.0.0.0", port=8400, portrait_size=(176, 320), **json.loads(SETTINGS))
            )
            found = await visited(mock.api_key)
    print(json.dumps(found))


asyncio.run(main())
