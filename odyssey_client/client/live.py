"""Calls for live connections and their interactive streams. A client has one connection at a time."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, override

from odyssey_client.client.arguments import check, check_prompt
from odyssey_client.client.base import ClientBase
from odyssey_client.config import ClientConfig
from odyssey_client.connection.messages import InteractiveStreamStart
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import ImageError, InvalidStateError, OdysseyConfigError, OdysseyError
from odyssey_client.event_loop import in_thread, require_loop, require_same_loop
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
from odyssey_client.models import JSON, ConnectionStatus, StreamerCapabilities
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.rest.sessions import Sessions
from odyssey_client.rest.telemetry import Telemetry
from odyssey_client.trace.calls import recorded
from odyssey_client.trace.waiting import queued, waits_for

if TYPE_CHECKING:
    from odyssey_client.connection.connection import Connection
    from odyssey_client.trace.recorder import Recorder


class LiveCalls(ClientBase):
    """Calls that connect and stream (protocol.md sections 3 and 4)."""

    @override
    def _set_up(
        self,
        config: ClientConfig,
        clock: Clock | None,
        entropy: Entropy | None,
        network: Network | None,
        trace: str | os.PathLike[str] | Recorder | None,
    ) -> None:
        super()._set_up(config, clock, entropy, network, trace)
        self._telemetry = Telemetry(self._transport)
        self._sessions = Sessions(self._transport, self._end_session)
        self._bus = EventBus(self._observe)
        self._connection: Connection | None = None
        self._left: list[Connection] = []
        """Earlier connections with a handler that may still run, such as a handler that called `connect` again."""
        self._last_applied_prompt: str | None = None

    # Connecting.

    @recorded
    async def connect(
        self, handlers: OdysseyEventHandlers | None = None, /, **handler_keywords: Handler | None
    ) -> MediaStream:
        """Open a session and connect to its streamer; return once the video track and the data channel are open.

        If the connection is lost later, the client restores it, with the same `MediaStream`, handlers and pending calls
        (`AdvancedConfig.reconnect`). During this time `current_status` is ``reconnecting``.

        A cancelled or interrupted call ends its session before it returns; that takes up to 3 s if the service is slow.

        Args:
            handlers: The event handlers; see `OdysseyEventHandlers`.
            handler_keywords: Event handlers by name, such as ``on_error=print``; they override ``handlers``.

        Raises:
            InvalidStateError: the client already has a connection.
            OdysseyConfigError: a handler name is unknown, a handler is not callable, or this client has no API key.
            OdysseyAuthError: the service rejected the API key.
            OdysseyUsageError: a limit of the account is reached.
            QueueTimeoutError: no streamer became free within `AdvancedConfig.queue_timeout_s`.
            ConnectTimeoutError: the connection was not up within `AdvancedConfig.connect_timeout_s`.
            OdysseyError: any other error.
        """
        self._config.require_api_key()
        return await self._connect(None, OdysseyEventHandlers.of(handlers, handler_keywords))

    @recorded
    async def connect_with_credentials(
        self,
        credentials: ClientCredentials,
        handlers: OdysseyEventHandlers | None = None,
        /,
        **handler_keywords: Handler | None,
    ) -> MediaStream:
        """Connect to the session of ``credentials``, like `connect` but without an API key.

        Raises:
            InvalidStateError: the client already has a connection.
            OdysseyConfigError: an argument is invalid.
            OdysseyError: any other error.
        """
        if not isinstance(credentials, ClientCredentials):
            raise OdysseyConfigError(
                f"credentials must be ClientCredentials, got {type(credentials).__name__}. "
                "Use ClientCredentials.from_dict() to read them from a dictionary."
            )
        return await self._connect(credentials, OdysseyEventHandlers.of(handlers, handler_keywords))

    @recorded
    async def create_client_credentials(self) -> ClientCredentials:
        """Open a session for another process, which connects to it with `connect_with_credentials`.

        Raises:
            OdysseyConfigError: this client has no API key.
            OdysseyError: the session could not be opened; the errors are those of `connect`.
        """
        async with self._begin("create_client_credentials").step():
            return await self._sessions.open(lambda times, _: waits_for(queued(times)))

    @override
    @recorded
    async def disconnect(self) -> None:
        """End the connection and all calls of this client.

        May be called at any time, from any task, and more than once.
        """
        await self._close()

    @override
    async def _close(self) -> None:
        if self._trace is not None:
            self._trace.is_due = True
        waits_for("the connection to close")
        connection = self._connection
        require_same_loop("disconnect", self._connection_loop())
        self._calls.require_only_loop("disconnect")
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
                    # A handler, for example, may have begun a connection or a call, which still needs the transport.
                    if self._connection is connection and not self._calls.are_waiting:
                        await self._transport.aclose()

    # Streaming.

    @recorded
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
            prompt: Description of the video.
            portrait: Whether the video is portrait (704x1280) or landscape (1280x704).
            image: The image to start from: a path, bytes, a ``data:`` URL, a PIL image, an array of pixels or a binary
                file. It is fitted to the size of the stream (protocol.md section 7).
            bypass_prompt_expansion: Whether to apply the prompt unchanged, which requires a privilege; if None, the
                account's default.
            broadcast: Whether spectators may watch; the handler `on_broadcast_ready` receives the URL.

        Raises:
            InvalidStateError: there is no open connection, or a stream is already running.
            ImageError: the image is invalid, or this streamer does not accept images.
            OperationTimeoutError: the streamer did not answer within `AdvancedConfig.operation_timeout_s`.
            OdysseyStreamError: the streamer rejected the start of the stream.
            OdysseyConnectionError: the connection ended during the call, or was restored with a new session
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
                    "This streamer does not accept images (capabilities.image_to_video is False). "
                    "Start the stream without an image."
                )
            waits_for("the image to be prepared")
            start = replace(start, image=await in_thread(lambda: prepare_image(image, portrait=portrait)))
        return await connection.streaming.start(start)

    @recorded
    async def interact(self, prompt: str) -> str:
        """Change the stream; return the prompt as applied, which the service may have rewritten.

        Several calls may run at the same time; each returns its own acknowledged prompt.

        Raises:
            InvalidStateError: no stream is running, or the connection is reconnecting.
            OperationTimeoutError: the streamer did not answer within `AdvancedConfig.operation_timeout_s`.
            OdysseyStreamError: the streamer rejected the prompt, or the stream ended.
            OdysseyConnectionError: the connection ended during the call, or was restored with a new session
                (`SessionLostError`).
        """
        connection = self._live("interact")
        check_prompt(prompt)
        return await connection.streaming.interact(prompt)

    @recorded
    async def end_stream(self) -> None:
        """End the stream; return once it has ended. Another stream can be started over the same connection.

        Raises:
            InvalidStateError: no stream is running, or the connection is reconnecting.
            OperationTimeoutError: the streamer did not answer within `AdvancedConfig.operation_timeout_s`.
            OdysseyStreamError: the streamer rejected the end of the stream.
            OdysseyConnectionError: the connection ended during the call, or was restored with a new session
                (`SessionLostError`).
        """
        connection = self._live("end_stream")
        await connection.streaming.end()

    # Frames, events and state.

    def frames(self, *, buffer: int = DEFAULT_BUFFER) -> FrameReader:
        """Return a reader of the connection's frames from now on, with its own buffer; see `MediaStream.frames`.

        Raises:
            InvalidStateError: there is no connection.
        """
        if self._connection is None:
            raise InvalidStateError("not_connected", "frames() needs a connection. Call connect() first.")
        return self._connection.media_stream.frames(buffer=buffer)

    def events(self) -> EventReader:
        """Return a reader of the events from now on.

        The reader ends when the current connection ends. If there is none, it ends when the next connection ends.
        """
        return self._bus.reader()

    @property
    def current_status(self) -> ConnectionStatus:
        """Status of the latest connection; `disconnected` before the first connection."""
        status = self._connection.status if self._connection is not None else None
        return status or ConnectionStatus.DISCONNECTED

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up: its video track and data channel are open.

        After the peer is lost, this stays True for up to half a second, until the status changes.
        """
        return self._connection is not None and self._connection.is_up

    @property
    def current_session_id(self) -> str | None:
        """Id of the connection's session; None before a session is opened and after the connection has ended.

        The id changes if the connection is restored with a new session.
        """
        if self._connection is None or self._connection.is_over or self._connection.credentials is None:
            return None
        return self._connection.credentials.session_id

    @property
    def media_stream(self) -> MediaStream | None:
        """Video of the latest connection, even after its end; None before the first connection."""
        return self._connection.media_stream if self._connection is not None else None

    @property
    def capabilities(self) -> StreamerCapabilities | None:
        """Capabilities of the latest connection's streamer; None before a session was opened."""
        credentials = self._connection.credentials if self._connection is not None else None
        return None if credentials is None else credentials.capabilities

    @property
    def last_applied_prompt(self) -> str | None:
        """The last prompt applied on the latest connection, perhaps rewritten by the service; None if there is none."""
        return self._last_applied_prompt

    def stats(self) -> dict[str, JSON]:
        """Return the statistics of the latest connection's peer, with the names and units of the W3C's webrtc-stats.

        The keys of the dictionary are the ids of the reports. Each report has a ``type``: for example, ``inbound-rtp``
        has ``packetsLost``, ``jitter``, ``nackCount``, ``framesDecoded`` and ``freezeCount``, and ``candidate-pair``
        has ``currentRoundTripTime``. The dictionary is empty while there is no peer. A restored connection has a new
        peer, whose values begin with 0.
        """
        return {} if self._connection is None else self._connection.stats()

    async def _connect(self, credentials: ClientCredentials | None, handlers: OdysseyEventHandlers) -> MediaStream:
        # Imported when a caller connects: aiortc and its dependencies take half a second to import.
        from odyssey_client.connection.connection import Connection  # noqa: PLC0415

        loop = require_loop("connect")
        with self._calls.lock:
            self._calls.require_only_loop("connect")
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
                trace=self._trace,
            )
            self._bus.loop = loop
        began = self._clock.monotonic()
        waits_for(connection.waiting_for)
        try:
            if previous is not None:
                await previous.close()
            connection.start(credentials)
            await connection.ready()
        except BaseException as error:
            # Connecting failed or was cancelled: close everything that was opened.
            code = error.code if isinstance(error, OdysseyError) else "cancelled"
            self._telemetry.record("connect_failed", code=code)
            if self._connection is connection:
                # If a call such as `wait_for_simulation` is waiting, close only the connection.
                await (connection.close() if self._calls.are_waiting else self._close())
            raise
        duration = round((self._clock.monotonic() - began) * 1000, 1)
        self._telemetry.record("connected", session_id=self.current_session_id, duration_ms=duration)
        return connection.media_stream

    async def _end_session(self, credentials: ClientCredentials) -> bool:
        from odyssey_client.connection.signaling import end_session  # noqa: PLC0415 - websockets is slow to import

        return await end_session(credentials, self._network, self._clock)

    @override
    def _connection_loop(self) -> asyncio.AbstractEventLoop | None:
        connection = self._connection
        return None if connection is None or connection.is_over else connection.loop

    def _observe(self, event: Event) -> None:
        match event:
            case StreamStarted(applied_prompt=prompt) | InteractAcknowledged(prompt):
                self._last_applied_prompt = prompt

    def _live(self, call: str) -> Connection:
        if self._connection is None or not self._connection.is_up:
            is_coming_back = self.current_status is ConnectionStatus.RECONNECTING
            advice = "Wait until the client is connected" if is_coming_back else "Call connect() first"
            raise InvalidStateError(
                "reconnecting" if is_coming_back else "not_connected",
                f"{call}() needs an open connection, got status {self.current_status}. {advice}.",
            )
        require_same_loop(call, self._connection.loop)
        return self._connection
