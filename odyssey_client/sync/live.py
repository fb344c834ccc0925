"""Calls for live connections and their interactive streams. A client has one connection at a time."""

from __future__ import annotations

import weakref
from dataclasses import replace

from odyssey_client.credentials import ClientCredentials
from odyssey_client.events import Handler, OdysseyEventHandlers
from odyssey_client.media.image_source import ImageSource
from odyssey_client.media.stream import DEFAULT_BUFFER
from odyssey_client.media.stream import MediaStream as AsyncMediaStream
from odyssey_client.models import JSON, ConnectionStatus, StreamerCapabilities
from odyssey_client.sync.background import background
from odyssey_client.sync.base import ClientBase
from odyssey_client.sync.events import EventReader, with_sync_stream
from odyssey_client.sync.media import FrameReader, MediaStream
from odyssey_client.sync.readers import check_timeout


class LiveCalls(ClientBase):
    """Calls that connect and stream (protocol.md sections 3 and 4)."""

    # Connecting.

    def connect(
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
        prepared = self._prepared(OdysseyEventHandlers.of(handlers, handler_keywords))
        return self._to_sync(self._run("connect", lambda client: client.connect(prepared)))

    def connect_with_credentials(
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
        prepared = self._prepared(OdysseyEventHandlers.of(handlers, handler_keywords))
        return self._to_sync(
            self._run("connect_with_credentials", lambda client: client.connect_with_credentials(credentials, prepared))
        )

    def create_client_credentials(self) -> ClientCredentials:
        """Open a session for another process, which connects to it with `connect_with_credentials`.

        Raises:
            OdysseyConfigError: this client has no API key.
            OdysseyError: the session could not be opened; the errors are those of `connect`.
        """
        return self._run("create_client_credentials", lambda client: client.create_client_credentials())

    # Streaming.

    def start_stream(
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
        return self._run(
            "start_stream",
            lambda client: client.start_stream(
                prompt,
                portrait=portrait,
                image=image,
                bypass_prompt_expansion=bypass_prompt_expansion,
                broadcast=broadcast,
            ),
        )

    def interact(self, prompt: str) -> str:
        """Change the stream; return the prompt as applied, which the service may have rewritten.

        Several calls may run at the same time; each returns its own acknowledged prompt.

        Raises:
            InvalidStateError: no stream is running, or the connection is reconnecting.
            OperationTimeoutError: the streamer did not answer within `AdvancedConfig.operation_timeout_s`.
            OdysseyStreamError: the streamer rejected the prompt, or the stream ended.
            OdysseyConnectionError: the connection ended during the call, or was restored with a new session
                (`SessionLostError`).
        """
        return self._run("interact", lambda client: client.interact(prompt))

    def end_stream(self) -> None:
        """End the stream; return once it has ended. Another stream can be started over the same connection.

        Raises:
            InvalidStateError: no stream is running, or the connection is reconnecting.
            OperationTimeoutError: the streamer did not answer within `AdvancedConfig.operation_timeout_s`.
            OdysseyStreamError: the streamer rejected the end of the stream.
            OdysseyConnectionError: the connection ended during the call, or was restored with a new session
                (`SessionLostError`).
        """
        self._run("end_stream", lambda client: client.end_stream())

    # Frames, events and state.

    def frames(self, *, buffer: int = DEFAULT_BUFFER, timeout_s: float | None = None) -> FrameReader:
        """Return a reader of the connection's frames from now on, with its own buffer; see `MediaStream.frames`.

        The reader raises `OperationTimeoutError` if it waits more than ``timeout_s`` seconds for a frame.

        Raises:
            InvalidStateError: there is no connection.
        """
        check_timeout(timeout_s)
        client, loop = self._client, background("frames")
        return FrameReader(loop.call("frames", lambda: client.frames(buffer=buffer)), loop, timeout_s, self)

    def events(self, *, timeout_s: float | None = None) -> EventReader:
        """Return a reader of the events from now on.

        The reader ends when the current connection ends. If there is none, it ends when the next connection ends.

        The reader raises `OperationTimeoutError` if it waits more than ``timeout_s`` seconds for an event.
        """
        check_timeout(timeout_s)
        client, loop = self._client, background("events")
        return EventReader(loop.call("events", client.events), loop, timeout_s, self, self._to_sync)

    @property
    def current_status(self) -> ConnectionStatus:
        """Status of the latest connection; `disconnected` before the first connection."""
        return self._client.current_status

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up: its video track and data channel are open.

        After the peer is lost, this stays True for up to half a second, until the status changes.
        """
        return self._client.is_connected

    @property
    def current_session_id(self) -> str | None:
        """Id of the connection's session; None before a session is opened and after the connection has ended.

        The id changes if the connection is restored with a new session.
        """
        return self._client.current_session_id

    @property
    def media_stream(self) -> MediaStream | None:
        """Video of the latest connection, even after its end; None before the first connection."""
        stream = self._client.media_stream
        return None if stream is None else self._to_sync(stream)

    @property
    def capabilities(self) -> StreamerCapabilities | None:
        """Capabilities of the latest connection's streamer; None before a session was opened."""
        return self._client.capabilities

    @property
    def last_applied_prompt(self) -> str | None:
        """The last prompt applied on the latest connection, perhaps rewritten by the service; None if there is none."""
        return self._client.last_applied_prompt

    def stats(self) -> dict[str, JSON]:
        """Return the statistics of the latest connection's peer, with the names and units of the W3C's webrtc-stats.

        The keys of the dictionary are the ids of the reports. Each report has a ``type``: for example, ``inbound-rtp``
        has ``packetsLost``, ``jitter``, ``nackCount``, ``framesDecoded`` and ``freezeCount``, and ``candidate-pair``
        has ``currentRoundTripTime``. The dictionary is empty while there is no peer. A restored connection has a new
        peer, whose values begin with 0.
        """
        return background("stats").call("stats", self._client.stats)

    def _prepared(self, handlers: OdysseyEventHandlers) -> OdysseyEventHandlers:
        """Return a copy of ``handlers`` in which `on_connected` receives a sync `MediaStream`."""
        if handlers.on_connected is None:
            return handlers
        # A weak reference: the async client keeps the handlers, and they must not keep this client connected.
        client = weakref.WeakMethod(self._to_sync)

        def to_sync(stream: AsyncMediaStream) -> MediaStream:
            convert = client()
            return MediaStream(stream, background("connect"), None) if convert is None else convert(stream)

        return replace(handlers, on_connected=with_sync_stream(handlers.on_connected, to_sync))
