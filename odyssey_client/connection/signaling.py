"""The signaling socket of one connection attempt (protocol.md section 3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI, WebSocketException

from odyssey_client.connection import messages
from odyssey_client.connection.messages import (
    ClientDisconnecting,
    Keepalive,
    OutgoingMessage,
    SignalingMessage,
)
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import SignalingError, excerpt
from odyssey_client.platform import Clock, Network
from odyssey_client.redaction import get_logger, received, remember, without_query
from odyssey_client.tls_errors import explain, lasting_tls_error

logger = get_logger(__name__)

RECONNECTING_CODE = 4000
"""Close code that makes the service keep the session (RFC 6455 section 7.4.2: for private use)."""

_YIELD_EVERY = 50
"""Number of messages after which other tasks may run. `recv` returns queued messages without a pause."""

GOODBYE_LIMIT_S = 1.0
"""Time limit for `Signaling.leave`, in seconds."""

PROTOCOL_ERROR_CODE = 1002
"""Close code for a peer that violates the protocol (RFC 6455 section 7.4.1)."""

_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class SignalingLostError(SignalingError):
    """The signaling socket could not be opened, or is closed.

    Attributes:
        close_code: The WebSocket close code (RFC 6455 section 7.4); None if the socket never opened.
        close_reason: The reason sent with the code, or why the socket did not open.
    """

    def __init__(self, close_code: int | None, close_reason: str, *, retryable: bool = True) -> None:
        close_reason = received(close_reason)
        super().__init__(f"The signaling connection was lost ({close_code}): {close_reason}", retryable=retryable)
        self.close_code = close_code
        self.close_reason = close_reason


class Signaling:
    """An open signaling socket."""

    def __init__(self, socket: ClientConnection, clock: Clock) -> None:
        """Wrap an open ``socket``."""
        self._socket = socket
        self._clock = clock
        self._keeps_session = False
        self._messages = 0
        self._invalid_messages = 0
        self.has_ended_session = False
        """Whether `leave` has sent the message that ends the session."""

    def keep_session(self) -> None:
        """Make `leave` close the socket in a way that keeps the session, so that it can be resumed."""
        self._keeps_session = True

    async def receive(self) -> SignalingMessage:
        """Wait for the next message of a known type; log and skip messages of other types.

        Raises:
            MessageError: a message of a known type does not follow the protocol; the socket stays open.
            SignalingLostError: the socket is closed, or has sent too many invalid messages.
        """
        while True:
            self._messages += 1
            if self._messages % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # noqa: TID251 - lets other tasks run; no time passes
            message = self._read(await self._next())
            if message is not None:
                return message
            logger.debug("signaling: skipped a message of unknown type")

    async def send(self, message: OutgoingMessage) -> None:
        """Send one message.

        Raises:
            SignalingLostError: the socket is closed.
        """
        try:
            await self._socket.send(messages.encode(message))
        except ConnectionClosed as closed:
            lost = _lost(closed)
        else:
            return
        raise lost  # outside of `except`, so that the exception of websockets is not its context

    async def keep_alive(self, interval: float) -> None:
        """Send a keepalive every ``interval`` seconds, until the socket is closed."""
        while True:
            await self._clock.sleep(interval)
            try:
                await self.send(Keepalive())
            except SignalingLostError:  # `receive` raises it as well
                return

    async def leave(self) -> None:
        """Close the socket in at most `GOODBYE_LIMIT_S` seconds.

        Unless `keep_session` was called, this sends `client_disconnecting` and close code 1000, which end the session.
        """
        with contextlib.suppress(SignalingLostError, TimeoutError):
            async with self._clock.timeout(GOODBYE_LIMIT_S):
                if self._keeps_session:
                    await self._socket.close(RECONNECTING_CODE, "reconnecting")
                else:
                    await self.send(ClientDisconnecting())
                    self.has_ended_session = True
                    await self._socket.close(1000)

    def _read(self, data: str | bytes) -> SignalingMessage | None:
        try:
            return messages.parse("signaling", messages.SIGNALING, data)
        except messages.MessageError:
            self._invalid_messages += 1
            if self._invalid_messages > messages.MAX_INVALID_MESSAGES:
                why = f"the service sent more than {messages.MAX_INVALID_MESSAGES} invalid messages"
                raise SignalingLostError(PROTOCOL_ERROR_CODE, why) from None
            raise

    async def _next(self) -> str | bytes:
        try:
            return await self._socket.recv()
        except ConnectionClosed as closed:
            lost = _lost(closed)
        raise lost  # outside of `except`, so that the exception of websockets is not its context


@asynccontextmanager
async def open_signaling(credentials: ClientCredentials, network: Network, clock: Clock) -> AsyncIterator[Signaling]:
    """Open the socket of a session; on exit, close it with `Signaling.leave`.

    Raises:
        SignalingLostError: the socket could not be opened.
    """
    url = f"{signaling_base(credentials)}/client/{quote(credentials.session_id, safe='')}"
    token = quote(credentials.session_token, safe="")
    remember(token)
    async with contextlib.AsyncExitStack() as stack:
        try:
            socket = await stack.enter_async_context(network.websocket(f"{url}?token={token}"))
        except (OSError, WebSocketException) as error:
            not_opened = _not_opened(url, error)
        else:
            signaling = Signaling(socket, clock)
            try:
                yield signaling
            finally:
                await signaling.leave()
            return
        raise not_opened  # outside of `except`, so that the exception of websockets is not its context


async def end_session(credentials: ClientCredentials, network: Network, clock: Clock) -> bool:
    """End a session that has no signaling socket; return whether the message that ends it was sent.

    The REST API has no call that ends a session, so this opens a socket and closes it with `Signaling.leave`. Opening
    may take `GOODBYE_LIMIT_S` seconds.
    """
    with contextlib.suppress(SignalingLostError, TimeoutError):
        async with contextlib.AsyncExitStack() as stack, clock.timeout(GOODBYE_LIMIT_S):
            signaling = await stack.enter_async_context(open_signaling(credentials, network, clock))
        return signaling.has_ended_session
    return False


def _lost(closed: ConnectionClosed) -> SignalingLostError:
    # 1006 means that no close frame was received (RFC 6455 section 7.4.1).
    frame = closed.rcvd or closed.sent
    if frame is None:
        return SignalingLostError(1006, "no close frame received")
    return SignalingLostError(frame.code, frame.reason)


def _not_opened(url: str, error: OSError | WebSocketException) -> SignalingLostError:
    url = without_query(url)
    if (tls := lasting_tls_error(error)) is not None:
        return SignalingLostError(None, f"{url} could not be reached: {explain(tls)}", retryable=False)
    if isinstance(error, InvalidURI):
        return SignalingLostError(None, f"{url} is not a WebSocket URL")
    why = excerpt(str(error))
    what = "rejected the WebSocket handshake" if isinstance(error, InvalidHandshake) else "could not be reached"
    return SignalingLostError(None, f"{url} {what}: {why}")


def config_url(credentials: ClientCredentials) -> str:
    """Return the URL that lists a session's ICE servers."""
    base = signaling_base(credentials)
    return f"{_SCHEMES[urlsplit(base).scheme]}{base[base.index(':') :]}/config"


def signaling_base(credentials: ClientCredentials) -> str:
    """Return the signaling URL with scheme ``ws`` or ``wss`` and without trailing slash, query or fragment."""
    parts = urlsplit(credentials.signaling_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme.lower(), parts.scheme.lower())
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
