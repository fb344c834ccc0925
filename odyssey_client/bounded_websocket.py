"""A WebSocket connection with limits on the bytes that one step parses, and on pongs that the service never reads."""

from __future__ import annotations

import asyncio
from typing import override

from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

READ_BYTES = 16 * 2**10
"""Maximum number of bytes that are read at once.

asyncio reads up to 256 KiB at once, and websockets parses them in one step. They may contain 131,072 empty frames,
which take about a second.
"""

MAX_UNREAD_BYTES = 256 * 2**10
"""Maximum number of bytes that the service may send without reading, during the handshake, and after a close.

The client answers each ping with a pong, in a buffer without a limit. While the client uploads an image, and while the
connection opens or closes, the service sends at most a few short messages.
"""


class BoundedConnection(ClientConnection):
    """A client connection that reads in small steps, and is aborted if the service neither reads nor stops sending."""

    _unread = 0
    """Number of bytes received outside of the open state, and since the service stopped to read what was sent."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # With TLS, the size is an attribute of the protocol that decrypts. Loops other than asyncio's have no such
        # attribute, and need none: uvloop reads at most 64 KiB at once.
        reader = getattr(transport, "_ssl_protocol", transport)
        if hasattr(reader, "max_size"):
            reader.max_size = READ_BYTES

    @override
    def data_received(self, data: bytes) -> None:
        if self.paused or self.protocol.state is not State.OPEN:
            self._unread += len(data)
            if self._unread > MAX_UNREAD_BYTES:
                self.logger.warning(
                    "the service sent more than %d bytes that the client did not ask for; aborting the connection",
                    MAX_UNREAD_BYTES,
                )
                self.transport.abort()
                return
        super().data_received(data)

    @override
    def pause_writing(self) -> None:
        self._unread = 0
        super().pause_writing()
