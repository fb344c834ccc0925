"""Hosts a broadcast with `odyssey_client`."""

import asyncio

from odyssey_client import BroadcastInfo, Odyssey


async def host_broadcast(client: Odyssey) -> tuple[str, BroadcastInfo]:
    """Connect the client and start a broadcast; when spectators can connect, return its stream id, and URLs and token.

    The caller limits the time.
    """
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    await client.connect(on_broadcast_ready=ready.set_result)
    stream_id = await client.start_stream("A cat", broadcast=True)
    return stream_id, await ready
