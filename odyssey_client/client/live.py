"""The live calls of a client: one connection at a time, and interactive streams over it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, override

from odyssey_client.client.arguments import check, check_prompt
from odyssey_client.client.base import ClientBase, in_thread
from odyssey_client.config import ClientConfig
from odyssey_client.connection.messages import InteractiveStreamStart
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import ImageError, InvalidStateError, OdysseyConfigError, OdysseyError
from odyssey_client.events import (
    Event,
    EventBus,
    EventReader,
    Handler,
    InteractAcknowledged,
    OdysseyEventHandlers,
    StreamStarted,
)
from odyssey_client.media.frames import FrameReader
from odyssey_client.media.image import prepare_image
from odyssey_client.media.image_source import ImageSource
from odyssey_client.media.stream import DEFAULT_BUFFER, MediaStream
from odyssey_client.models import ConnectionStatus, StreamerCapabilities
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.rest.sessions import Sessions
from odyssey_client.rest.telemetry import Telemetry

if TYPE_CHECKING:
    from odyssey_client.connection.connection import Connection


class LiveCalls(ClientBase):
    """Connecting, and streaming over the connection (protocol.md sections 3 and 4)."""

    @override
    def _set_up(
        self, config: ClientConfig, clock: Clock | None, entropy: Entropy | None, network: Network | None
    ) -> None:
        super()._set_up(config, clock, entropy, network)
        self._telemetry = Telemetry(self._transport)
        self._sessions = Sessions(self._transport)
        self._bus = EventBus(self._observe)
        self._connection: Connection | None = None
        self._left: list[Connection] = []
        """Connections that are over, one of whose handlers may still run: the one that has connected anew."""
        self._last_applied_prompt: str | None = None

    # Connecting.

    async def connect(
        self, handlers: OdysseyEventHandlers | None = None, /, **handler_keywords: Handler | None
    ) -> MediaStream:
        """Get a session and a streamer, and return once its video and its data channel are there.

        A connection that is lost later comes back by itself, with the same `MediaStream`, handlers and calls that wait
        (`AdvancedConfig.reconnect`); meanwhile `current_status` is ``reconnecting``.

        Args:
            handlers: What to call when; see `OdysseyEventHandlers`.
            handler_keywords: The same by name, such as ``on_error=print``.

        Raises:
            InvalidStateError: there is a connection already.
            OdysseyConfigError: there is no such handler, or it cannot be called.
            OdysseyAuthError: the service does not accept the API key.
            OdysseyUsageError: a limit of the account stands in the way.
            QueueTimeoutError: no streamer became free in time.
            ConnectTimeoutError: the connection was not up in time.
            OdysseyError: anything else that went wrong, by class.
        """
        self._config.require_api_key()
        return await self._connect(None, OdysseyEventHandlers.of(handlers, handler_keywords))

    async def connect_with_credentials(
        self,
        credentials: ClientCredentials,
        handlers: OdysseyEventHandlers | None = None,
        /,
        **handler_keywords: Handler | None,
    ) -> MediaStream:
        """Connect to the session of ``credentials``, without an API key; otherwise as `connect`.

        Raises:
            InvalidStateError: there is a connection already.
            OdysseyConfigError: an argument cannot be used.
            OdysseyError: anything else that went wrong, by class.
        """
        if not isinstance(credentials, ClientCredentials):
            raise OdysseyConfigError(
                f"credentials must be ClientCredentials, got {type(credentials).__name__}. "
                "From a dictionary they are made with ClientCredentials.from_dict()."
            )
        return await self._connect(credentials, OdysseyEventHandlers.of(handlers, handler_keywords))

    async def create_client_credentials(self) -> ClientCredentials:
        """Get a session for another process to connect to with `connect_with_credentials`.

        Raises:
            OdysseyConfigError: this client has no API key.
            OdysseyError: as `connect` does before the streamer comes in.
        """
        async with self._begin("create_client_credentials").step():
            return await self._sessions.open(lambda *_: None)

    @override
    async def disconnect(self) -> None:
        """End the connection and all else that this client has opened: at any moment, from any task, twice is fine."""
        connection = self._connection
        try:
            for each in (connection, *self._left):
                if each is not None:
                    await each.close()
        finally:
            if self._connection is connection:
                try:
                    try:
                        await self._calls.end()
                    finally:
                        await self._telemetry.aclose()
                finally:
                    # What was begun meanwhile, by a handler or by anybody else, needs them still.
                    if self._connection is connection and not self._calls.are_waiting:
                        await self._transport.aclose()

    # Streaming.

    async def start_stream(
        self,
        prompt: str = "",
        *,
        portrait: bool = True,
        image: ImageSource | None = None,
        bypass_prompt_expansion: bool | None = None,
        broadcast: bool = False,
    ) -> str:
        """Start a stream; return its id once its first frame is ready.

        Args:
            prompt: What is to be seen.
            portrait: 704x1280; otherwise landscape, 1280x704.
            image: What to start from: a path, bytes, a ``data:`` URL, a PIL image, an array of pixels or a binary file.
                It is fitted to the size of the stream (protocol.md section 7).
            bypass_prompt_expansion: Whether to leave the prompt as it is, which takes a privilege; None for the
                account's default.
            broadcast: Whether spectators may watch; `on_broadcast_ready` says where.

        Raises:
            InvalidStateError: there is no connection, or it is coming back, or a stream is already running.
            ImageError: the image cannot be used, or this streamer takes none.
            OperationTimeoutError: the streamer did not answer in time.
            OdysseyStreamError: the streamer refused it.
            OdysseyConnectionError: the connection ended meanwhile, or came back without its session
                (`SessionLostError`).
        """
        connection = self._live("start_stream")
        check_prompt(prompt)
        check("portrait", portrait, bool)
        check("broadcast", broadcast, bool)
        if bypass_prompt_expansion is not None:
            check("bypass_prompt_expansion", bypass_prompt_expansion, bool)
        start = InteractiveStreamStart(prompt, portrait, broadcast, bypass_prompt_expansion)
        if image is not None:
            if not (self.capabilities or StreamerCapabilities()).image_to_video:
                raise ImageError(
                    "This streamer takes no images (capabilities.image_to_video is False). Start without one."
                )
            start = replace(start, image=await in_thread(lambda: prepare_image(image, portrait=portrait)))
        return await connection.streaming.start(start)

    async def interact(self, prompt: str) -> str:
        """Change the stream; return the prompt as it was applied, perhaps rewritten.

        Several may be under way at a time; each gets its own acknowledgement.

        Raises:
            InvalidStateError: no stream is running, or the connection is coming back.
            OperationTimeoutError: the streamer did not answer in time.
            OdysseyStreamError: the streamer refused it, or the stream ended.
            OdysseyConnectionError: the connection ended meanwhile, or came back without its session
                (`SessionLostError`).
        """
        connection = self._live("interact")
        check_prompt(prompt)
        return await connection.streaming.interact(prompt)

    async def end_stream(self) -> None:
        """End the stream; return when it has ended. Another can be started over the same connection.

        Raises:
            InvalidStateError: no stream is running, or the connection is coming back.
            OperationTimeoutError: the streamer did not answer in time.
            OdysseyStreamError: the streamer refused it.
            OdysseyConnectionError: the connection ended meanwhile, or came back without its session
                (`SessionLostError`).
        """
        connection = self._live("end_stream")
        await connection.streaming.end()

    # What comes in.

    def frames(self, *, buffer: int = DEFAULT_BUFFER) -> FrameReader:
        """Iterate over the frames of the connection from now on, with a buffer of one's own; see `MediaStream.frames`.

        Raises:
            InvalidStateError: there is no connection.
        """
        if self._connection is None:
            raise InvalidStateError("not_connected", "frames() needs a connection. Call connect() first.")
        return self._connection.media_stream.frames(buffer=buffer)

    def events(self) -> EventReader:
        """Iterate over what happens from now on, to the end of the connection there is, or of the next."""
        return self._bus.reader()

    @property
    def current_status(self) -> ConnectionStatus:
        """Where the connection stands; `disconnected` before the first."""
        status = self._connection.status if self._connection is not None else None
        return status or ConnectionStatus.DISCONNECTED

    @property
    def is_connected(self) -> bool:
        """Whether video and data channel are there."""
        return self._connection is not None and self._connection.is_up

    @property
    def current_session_id(self) -> str | None:
        """The session of the connection there is; another one where that came back without the first."""
        if self._connection is None or self._connection.is_over or self._connection.credentials is None:
            return None
        return self._connection.credentials.session_id

    @property
    def media_stream(self) -> MediaStream | None:
        """The video of the latest connection, also when that is over; None before the first."""
        return self._connection.media_stream if self._connection is not None else None

    @property
    def capabilities(self) -> StreamerCapabilities | None:
        """What the streamer of the latest connection can do; None before one was assigned."""
        credentials = self._connection.credentials if self._connection is not None else None
        return None if credentials is None else credentials.capabilities

    @property
    def last_applied_prompt(self) -> str | None:
        """The prompt that the streamer applied last, as it applied it; None before the first of this connection."""
        return self._last_applied_prompt

    async def _connect(self, credentials: ClientCredentials | None, handlers: OdysseyEventHandlers) -> MediaStream:
        # aiortc and what it needs take half a second to import: not before somebody connects.
        from odyssey_client.connection.connection import Connection  # noqa: PLC0415

        previous = self._connection
        if previous is not None and not previous.is_over:
            raise InvalidStateError(
                "already_connected",
                f"There is a connection already ({previous.status or 'connecting'}). Call disconnect() first.",
            )
        self._left = [each for each in (previous, *self._left) if each is not None and not each.is_gone]
        self._last_applied_prompt = None
        self._connection = connection = Connection(
            settings=self._config.advanced,
            clock=self._clock,
            network=self._network,
            fetch=self._transport.fetch,
            sessions=self._sessions,
            handlers=handlers,
            events=self._bus,
        )
        began = self._clock.monotonic()
        try:
            if previous is not None:
                await previous.close()
            connection.start(credentials)
            await connection.ready()
        except BaseException as error:
            # Cancelled or failed: nothing may be left of it either way.
            code = error.code if isinstance(error, OdysseyError) else "cancelled"
            self._telemetry.record("connect_failed", code=code)
            if self._connection is connection:
                # Simulations are no part of it: who waits for one goes on waiting.
                await (connection.close() if self._calls.are_waiting else self.disconnect())
            raise
        duration = round((self._clock.monotonic() - began) * 1000, 1)
        self._telemetry.record("connected", session_id=self.current_session_id, duration_ms=duration)
        return connection.media_stream

    def _observe(self, event: Event) -> None:
        match event:
            case StreamStarted(applied_prompt=prompt) | InteractAcknowledged(prompt):
                self._last_applied_prompt = prompt

    def _live(self, call: str) -> Connection:
        if self._connection is None or not self._connection.is_up:
            is_coming_back = self.current_status is ConnectionStatus.RECONNECTING
            advice = "Wait until it is connected again" if is_coming_back else "Call connect() first"
            raise InvalidStateError(
                "reconnecting" if is_coming_back else "not_connected",
                f"{call}() needs a connection, and this one is {self.current_status}. {advice}.",
            )
        return self._connection
