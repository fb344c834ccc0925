"""A script that connects a client and a spectator to a mock, and prints the ICE addresses of client and mock.

test_ice_addresses.py runs it in a network namespace. Its arguments are the mock's host, and `loopback_only` to offer
only loopback addresses.
"""

import asyncio
import json
import sys

from odyssey_client import Odyssey, SystemNetwork
from odyssey_mock import MockOdyssey, system_network
from tests.support.broadcasting import host_broadcast

HOST = sys.argv[1]
LOOPBACK_ONLY = "loopback_only" in sys.argv[2:]


async def main() -> None:
    async with (
        asyncio.timeout(60),
        MockOdyssey(host=HOST, loopback_only=LOOPBACK_ONLY, portrait_size=(176, 320)) as mock,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        _, info = await host_broadcast(client)
        assert client.media_stream is not None
        await anext(client.media_stream.frames())
        async with await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            await anext(spectator.frames())
    mock_addresses = system_network.SystemNetwork().ice_addresses(LOOPBACK_ONLY)
    print(json.dumps({"client": SystemNetwork().ice_addresses(), "mock": mock_addresses}))


asyncio.run(main())
