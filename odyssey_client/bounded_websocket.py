"""The connection of the signaling socket, with three restrictions that the websockets library has no options for.

- `BoundedConnection` limits the bytes that one step parses, and pongs that the service never reads.
- `ConnectWithinOrigin` does not follow redirects to another origin.
- `WebSocketLogger` writes no secrets.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from typing import Any, override
from urllib.parse import urljoin

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI
from websockets.protocol import State
from websockets.uri import parse_uri

from odyssey_client.redaction import MASK, get_logger, received, redacted

_log = get_logger("odyssey_client.websocket")

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


class ConnectWithinOrigin(connect):
    """websockets' `connect` without redirects to another scheme, host or port.

    The URL of a signaling socket contains the session token. websockets follows up to 10 redirects of a handshake, to
    any host.
    """

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        if isinstance(exc, InvalidStatus) and 300 <= exc.response.status_code < 400:
            try:
                old, new = self.ws_uri, parse_uri(urljoin(self.uri, exc.response.headers.get("Location", "")))
            except (InvalidURI, ValueError):
                return exc
            if (old.secure, old.host, old.port) != (new.secure, new.host, new.port):
                return exc
        return super().process_redirect(exc)


class WebSocketLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one WebSocket connection, which the websockets library receives.

    The library logs whole URLs and header fields, the beginning and end of each message, and tracebacks. This logger
    writes sizes of messages and names of header fields instead. An exception becomes part of the message, redacted.
    """

    def __init__(self) -> None:
        super().__init__(_log)

    @override
    def log(self, level: int, msg: object, *args: object, **keywords: Any) -> None:
        error = sys.exc_info()[1] if keywords.get("exc_info") else None
        if isinstance(error, ConnectionClosed):
            # A ping failed because the connection was lost. The connection itself reports that to the caller.
            level = logging.DEBUG
        if not self.isEnabledFor(level):
            return
        shown = [_shown(arg, number) for number, arg in enumerate(args)]
        text = str(msg) % tuple(shown) if shown else str(msg)
        if error is not None:
            text = f"{text}: {type(error).__name__}: {received(str(error))}"
        self.logger.log(level, "%s", text, stacklevel=2)


def _shown(value: object, number: int) -> object:
    """Return an argument of a log message of the websockets library without secrets."""
    if isinstance(value, int):
        return value
    if (opcode := getattr(value, "opcode", None)) is not None:  # a frame
        return f"{getattr(opcode, 'name', opcode)} [{len(getattr(value, 'data', b''))} bytes]"
    # The second argument is the value of a header field, or the reason phrase of a response.
    return MASK if number else redacted(re.split(r"[?#]", str(value), maxsplit=1)[0])
