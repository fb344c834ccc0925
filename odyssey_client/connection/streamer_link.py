"""The link to the streamer: consecutive connection attempts, whose frames all go to one `MediaStream`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import assert_never

from av import VideoFrame

from odyssey_client.config import AdvancedConfig
from odyssey_client.connection import connection_machine, messages
from odyssey_client.connection.messages import (
    Answer,
    ChannelMessage,
    IceCandidate,
    InteractiveStreamStart,
    MessageError,
    Offer,
    ServiceError,
    SignalingMessage,
    StreamerMessage,
)
from odyssey_client.connection.signaling import Signaling, SignalingLostError, config_url, open_signaling
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import ConnectionClosedError, OdysseyError, OdysseyStreamError, PeerError
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import JSON
from odyssey_client.platform import ClientPeer, Clock, IceServer, Network, PeerListener
from odyssey_client.redaction import get_logger
from odyssey_client.rtc.client_peer import STREAMER_TO_CLIENT
from odyssey_client.rtc.ice_servers import Fetch, fetch_ice_servers
from odyssey_client.rtc.watchdog import VideoWatchdog

logger = get_logger(__name__)

type Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]


@dataclass(frozen=True, slots=True)
class StreamerLinkListener:
    """Callbacks of a `StreamerLink`. They run on the event loop, and are not called for a dropped attempt."""

    happened: Callable[[connection_machine.ConnectionEvent], None]
    """Called with an event for the connection's state machine."""
    answered: Callable[[StreamerMessage], None]
    """Called with a message on `streamerToClient`."""
    failed: Callable[[OdysseyError], None]
    """Called with an error that does not end the connection."""


class StreamerLink:
    """Runs the connection attempts of one connection, one at a time.

    ``spawn`` starts a task that ends with the connection.
    """

    def __init__(
        self,
        stream: MediaStream,
        listener: StreamerLinkListener,
        spawn: Spawn,
        *,
        settings: AdvancedConfig,
        clock: Clock,
        network: Network,
        fetch: Fetch,
    ) -> None:
        self._stream = stream
        self._listener = listener
        self._spawn = spawn
        self._settings = settings
        self._clock = clock
        self._network = network
        self._fetch = fetch
        self.credentials: ClientCredentials | None = None
        """Credentials of the latest attempt."""
        self.open_session: ClientCredentials | None = None
        """Credentials of the latest session, until the session has ended as far as the client knows."""
        self._attempt: ConnectionAttempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._watchdog = VideoWatchdog(clock, settings.peer_timeout_s)
        self._last_frame_at: float | None = None

    @property
    def waiting_for(self) -> str:
        """What the current attempt waits for."""
        return "the previous attempt to close" if self._attempt is None else self._attempt.waiting_for

    def open(self, credentials: ClientCredentials) -> None:
        """Start a connection attempt. The previous attempt, if any, must have been dropped."""
        self.credentials = self.open_session = credentials
        has_sent = False

        def on_frame(frame: VideoFrame) -> None:
            nonlocal has_sent
            now = self._clock.monotonic()
            if not has_sent and self._last_frame_at is not None:
                self._stream.splice(now - self._last_frame_at)
            has_sent, self._last_frame_at = True, now
            self._watchdog.on_frame()
            self._stream.push(frame, self._clock.time())

        def while_it_counts[T](take: Callable[[T], None]) -> Callable[[T], None]:
            def taken(what: T) -> None:
                # A dropped attempt may still call back while it closes; ignore it.
                if self._attempt is attempt:
                    take(what)

            return taken

        listener = StreamerLinkListener(
            happened=while_it_counts(self._listener.happened),
            answered=while_it_counts(self._listener.answered),
            failed=while_it_counts(self._listener.failed),
        )
        self._attempt = attempt = ConnectionAttempt(
            credentials,
            listener,
            while_it_counts(on_frame),
            clock=self._clock,
            network=self._network,
            fetch=self._fetch,
            keepalive_interval=self._settings.keepalive_interval_s,
            turn=self._turn,
        )
        self._task = self._spawn(self._run(attempt))

    def stats(self) -> dict[str, JSON]:
        """Return the statistics of the current attempt's peer; empty while there is none."""
        return {} if self._attempt is None else self._attempt.stats()

    def drop(self) -> None:
        """Abandon the current attempt, if any; its session is kept and can be resumed."""
        attempt, task, self._attempt, self._task = self._attempt, self._task, None, None
        if attempt is None or task is None:
            return
        attempt.drop()
        if task is not asyncio.current_task():  # if `attempt.run` made this call, it returns by itself
            task.cancel()

    async def watch_video(self) -> None:
        """Wait until no frame has arrived for ``AdvancedConfig.peer_timeout_s``, then report `PeerLost`."""
        await self._watchdog.too_long()
        limit = self._settings.peer_timeout_s
        self._listener.happened(
            connection_machine.PeerLost(PeerError(f"The streamer was lost: no video for {limit:g} s."))
        )

    async def send(self, message: ChannelMessage) -> None:
        """Send ``message`` on the data channel `clientToStreamer`.

        A start message is sent on the signaling socket instead if it has an image or is too long for the channel, or if
        the channel is not open.

        Raises:
            OdysseyConnectionError: the connection is closed, or the signaling socket is needed and closed.
            OdysseyStreamError: the message is not a start message, and the channel is not open or the message is too
                long.
        """
        if self._attempt is None:
            raise ConnectionClosedError("Nothing was sent: the connection is closed. Call connect() first.")
        has_image = isinstance(message, InteractiveStreamStart) and message.image is not None
        if not has_image and self._attempt.send_by_channel(message):
            return
        if not isinstance(message, InteractiveStreamStart):
            raise OdysseyStreamError(
                "not_sent",
                "Nothing was sent: the data channel is closed, or the prompt is longer than the channel accepts. "
                "Wait until the status is connected, or shorten the prompt.",
            )
        await self._attempt.send_by_socket(message)

    async def _run(self, attempt: ConnectionAttempt) -> None:
        try:
            await attempt.run()
        except Exception:
            if self._attempt is attempt:
                raise
            logger.exception("a dropped connection attempt raised an unexpected exception")
        finally:
            if attempt.has_session_ended and self.open_session is attempt.credentials:
                self.open_session = None


class ConnectionAttempt:
    """One connection attempt: `run` opens a signaling socket and a peer connection, and closes both when it ends."""

    def __init__(
        self,
        credentials: ClientCredentials,
        listener: StreamerLinkListener,
        frame: Callable[[VideoFrame], None],
        *,
        clock: Clock,
        network: Network,
        fetch: Fetch,
        keepalive_interval: float,
        turn: asyncio.Lock,
    ) -> None:
        """Create an attempt. All attempts of a connection share the lock ``turn``.

        An attempt holds the lock while its socket is open, because a session accepts only one socket at a time.
        """
        self.credentials = credentials
        self.has_session_ended = False
        """Whether the client or the service has ended the session on the socket of this attempt."""
        self._listener = listener
        self._frame = frame
        self._clock = clock
        self._network = network
        self._fetch = fetch
        self._keepalive_interval = keepalive_interval
        self._turn = turn
        self._peer: ClientPeer | None = None
        self._signaling: Signaling | None = None
        self._answered: str | None = None
        """The SDP offer that was answered last."""
        self._is_dropped = False
        self._invalid_messages = 0
        """Number of invalid messages on `streamerToClient`."""

    @property
    def waiting_for(self) -> str:
        """What the attempt waits for until it has a peer connection."""
        if self._signaling is None:
            return "the signaling socket"
        return "the offer" if self._answered is None else "the peer connection"

    def drop(self) -> None:
        """Make `run` close the socket in a way that keeps the session.

        The caller must then cancel `run`, unless the call comes from `run` itself.
        """
        self._is_dropped = True
        if self._signaling is not None:
            self._signaling.keep_session()

    async def run(self) -> None:
        """Open the signaling socket and the peer, and process messages; close both at the end.

        The method ends when the socket closes, the attempt is dropped, or the task is cancelled.
        """
        children: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            ice_servers = group.create_task(fetch_ice_servers(config_url(self.credentials), self._fetch, self._clock))
            try:
                # The socket closes first: `client_disconnecting` is sent while the peer is still connected.
                async with (
                    self._network.peer(self._clock, self._peer_listener()) as peer,
                    self._turn,
                    open_signaling(self.credentials, self._network, self._clock) as signaling,
                ):
                    self._peer, self._signaling = peer, signaling
                    children.append(group.create_task(peer.pump()))
                    children.append(group.create_task(signaling.keep_alive(self._keepalive_interval)))
                    await self._converse(peer, signaling, ice_servers)
            except SignalingLostError as lost:
                self._lost(lost)
            finally:
                if self._signaling is not None and self._signaling.has_ended_session:
                    self.has_session_ended = True
                self._peer = self._signaling = None
                ice_servers.cancel()
                for child in children:
                    child.cancel()

    def stats(self) -> dict[str, JSON]:
        """Return the statistics of the peer; empty while there is none."""
        return {} if self._peer is None else self._peer.stats()

    def send_by_channel(self, message: ChannelMessage) -> bool:
        """Send ``message`` on `clientToStreamer`; return False if the channel is closed or the message is too long."""
        return self._peer is not None and self._peer.send(messages.encode(message))

    async def send_by_socket(self, message: ChannelMessage) -> None:
        """Send ``message`` on the signaling socket.

        Raises:
            OdysseyConnectionError: the socket is closed.
        """
        if self._signaling is None:
            raise ConnectionClosedError(
                "Nothing was sent: the signaling socket is closed. Wait until the status is connected."
            )
        await self._signaling.send(message)

    async def _converse(
        self, peer: ClientPeer, signaling: Signaling, ice_servers: asyncio.Task[list[IceServer]]
    ) -> None:
        while not self._is_dropped:
            try:
                message = await signaling.receive()
                await self._heard(message, peer, signaling, ice_servers)
            except SignalingLostError as lost:
                # Report it now: `run` reports it only after the peer has closed, which takes time.
                self._lost(lost)
                return
            except MessageError as error:
                if error.kind == "offer" and self._answered is None:
                    self._listener.happened(connection_machine.PeerLost(error))
                else:
                    self._listener.failed(error)
            except PeerError as error:
                self._listener.failed(error)

    async def _heard(
        self,
        message: SignalingMessage,
        peer: ClientPeer,
        signaling: Signaling,
        ice_servers: asyncio.Task[list[IceServer]],
    ) -> None:
        match message:
            case Offer(sdp) if sdp == self._answered:
                # The service sent the same offer twice. It accepts only one answer to an offer.
                logger.debug("ignored a repetition of the offer that was answered")
            case Offer(sdp):
                try:
                    answer = await peer.answer(sdp, await ice_servers)
                except PeerError as error:
                    self._listener.happened(connection_machine.PeerLost(error))
                else:
                    await signaling.send(Answer(answer))
                    self._answered = sdp
            case IceCandidate(candidate, mid, mline_index):
                await peer.add_candidate(candidate, mid, mline_index)
            case ServiceError(reason):
                self.has_session_ended = True
                self._listener.happened(connection_machine.ErrorReported(reason))
            case _ as unreachable:
                assert_never(unreachable)

    def _lost(self, lost: SignalingLostError) -> None:
        if lost.close_code in connection_machine.CLEAN_CLOSE_CODES:
            self.has_session_ended = True
        self._listener.happened(
            connection_machine.SignalingClosed(lost.close_code, lost.close_reason, is_final=not lost.retryable)
        )

    def _peer_listener(self) -> PeerListener:
        happened = self._listener.happened
        return PeerListener(
            video_added=lambda: happened(connection_machine.VideoAdded()),
            channel_opened=lambda: happened(connection_machine.ChannelOpened()),
            frame=self._frame,
            message=self._channel_message,
            lost=lambda error: happened(connection_machine.PeerLost(error)),
        )

    def _channel_message(self, data: str | bytes) -> None:
        try:
            message = messages.parse(
                STREAMER_TO_CLIENT, messages.STREAMER_TO_CLIENT, data, limit=messages.MAX_CHANNEL_CHARACTERS
            )
        except MessageError as error:
            self._invalid_messages += 1
            if self._invalid_messages <= messages.MAX_INVALID_MESSAGES:
                self._listener.failed(error)
            elif self._invalid_messages == messages.MAX_INVALID_MESSAGES + 1:
                why = f"the streamer sent more than {messages.MAX_INVALID_MESSAGES} invalid messages. The last: {error}"
                self._listener.happened(connection_machine.PeerLost(PeerError(f"The streamer was lost: {why}")))
            return
        if message is None:
            logger.debug("%s: skipped a message of unknown type", STREAMER_TO_CLIENT)
        else:
            self._listener.answered(message)
