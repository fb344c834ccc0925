"""The way to the streamer: one attempt after the other, and the video that runs through them all."""

from __future__ import annotations

import asyncio
import logging
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
from odyssey_client.platform import ClientPeer, Clock, IceServer, Network, PeerListener
from odyssey_client.rtc.client_peer import STREAMER_TO_CLIENT
from odyssey_client.rtc.ice_servers import Fetch, fetch_ice_servers
from odyssey_client.rtc.watchdog import VideoWatchdog

logger = logging.getLogger(__name__)

type Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]


@dataclass(frozen=True, slots=True)
class StreamerLinkListener:
    """Whom a link tells; all are called on the event loop, and none for an attempt that was dropped."""

    happened: Callable[[connection_machine.ConnectionEvent], None]
    """Something that the connection's machine decides about."""
    answered: Callable[[StreamerMessage], None]
    """A message on `streamerToClient`."""
    failed: Callable[[OdysseyError], None]
    """Something went wrong, and the connection goes on."""


class StreamerLink:
    """The attempts of one connection, one at a time; ``spawn`` runs its tasks, and ends them with the connection."""

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
        """Those of the latest attempt."""
        self._attempt: ConnectionAttempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._watchdog = VideoWatchdog(clock, settings.peer_timeout_s)
        self._last_frame_at: float | None = None

    def open(self, credentials: ClientCredentials) -> None:
        """Make an attempt. The one before was dropped, or there was none."""
        self.credentials = credentials
        has_sent = False

        def on_frame(frame: VideoFrame) -> None:
            nonlocal has_sent
            now = self._clock.monotonic()
            if not has_sent and self._last_frame_at is not None:
                self._stream.splice(now - self._last_frame_at)
            has_sent, self._last_frame_at = True, now
            self._watchdog.on_frame()
            self._stream.push(frame)

        def while_it_counts[T](take: Callable[[T], None]) -> Callable[[T], None]:
            def taken(what: T) -> None:
                # An attempt that was dropped, or that is saying goodbye, goes on talking for a while.
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

    def drop(self) -> None:
        """Give the attempt up, if there is one, in such a way that its session can be taken up again."""
        attempt, task, self._attempt, self._task = self._attempt, self._task, None, None
        if attempt is None or task is None:
            return
        attempt.drop()
        if task is not asyncio.current_task():  # then it finds its own way out, and in order
            task.cancel()

    async def watch_video(self) -> None:
        """Return once no frame has come for ``AdvancedConfig.peer_timeout_s``, and say so."""
        await self._watchdog.too_long()
        limit = self._settings.peer_timeout_s
        self._listener.happened(
            connection_machine.PeerLost(PeerError(f"The streamer was lost: no video for {limit:g} s."))
        )

    async def send(self, message: ChannelMessage) -> None:
        """Send on `clientToStreamer`; a start by the socket if it has an image, or if the channel does not take it.

        Raises:
            OdysseyConnectionError: there is no connection any more, or no way to send a start.
            OdysseyStreamError: the message is longer than the streamer takes, or the channel is closed.
        """
        if self._attempt is None:
            raise ConnectionClosedError("There is no connection any more.")
        has_image = isinstance(message, InteractiveStreamStart) and message.image is not None
        if not has_image and self._attempt.send_by_channel(message):
            return
        if not isinstance(message, InteractiveStreamStart):
            raise OdysseyStreamError(
                "not_sent", "The data channel did not take it: it is closed, or the prompt is longer than it takes."
            )
        await self._attempt.send_by_socket(message)

    async def _run(self, attempt: ConnectionAttempt) -> None:
        try:
            await attempt.run()
        except Exception:
            if self._attempt is attempt:
                raise
            logger.exception("an attempt that was given up did not end as it should")


class ConnectionAttempt:
    """Opens socket and peer in `run`, and holds them until it is cancelled, dropped, or the socket is lost."""

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
        """``turn`` is held while the socket is open: a session has one at a time."""
        self._credentials = credentials
        self._listener = listener
        self._frame = frame
        self._clock = clock
        self._network = network
        self._fetch = fetch
        self._keepalive_interval = keepalive_interval
        self._turn = turn
        self._peer: ClientPeer | None = None
        self._signaling: Signaling | None = None
        self._has_answered = False
        self._is_dropped = False

    def drop(self) -> None:
        """Leave the session to another attempt. To be followed by cancelling `run`, unless that is who calls."""
        self._is_dropped = True
        if self._signaling is not None:
            self._signaling.keep_session()

    async def run(self) -> None:
        """Live, until cancelled or lost; nothing is left then."""
        children: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            ice_servers = group.create_task(fetch_ice_servers(config_url(self._credentials), self._fetch, self._clock))
            try:
                # The socket is left before the peer: it says goodbye while that is still there.
                async with (
                    self._network.peer(self._clock, self._peer_listener()) as peer,
                    self._turn,
                    open_signaling(self._credentials, self._network, self._clock) as signaling,
                ):
                    self._peer, self._signaling = peer, signaling
                    children.append(group.create_task(peer.pump()))
                    children.append(group.create_task(signaling.keep_alive(self._keepalive_interval)))
                    await self._converse(peer, signaling, ice_servers)
            except SignalingLostError as lost:
                self._listener.happened(connection_machine.SignalingClosed(lost.close_code, lost.close_reason))
            finally:
                self._peer = self._signaling = None
                ice_servers.cancel()
                for child in children:
                    child.cancel()

    def send_by_channel(self, message: ChannelMessage) -> bool:
        """Send on `clientToStreamer`; False when it is not open or does not take so long a message."""
        return self._peer is not None and self._peer.send(messages.encode(message))

    async def send_by_socket(self, message: ChannelMessage) -> None:
        """Send on the signaling socket.

        Raises:
            OdysseyConnectionError: it is closed.
        """
        if self._signaling is None:
            raise ConnectionClosedError("There is no signaling connection any more.")
        await self._signaling.send(message)

    async def _converse(
        self, peer: ClientPeer, signaling: Signaling, ice_servers: asyncio.Task[list[IceServer]]
    ) -> None:
        while not self._is_dropped:
            try:
                message = await signaling.receive()
                await self._heard(message, peer, signaling, ice_servers)
            except SignalingLostError as lost:
                # Told here and not in `run`: closing the peer first would take its time.
                self._listener.happened(connection_machine.SignalingClosed(lost.close_code, lost.close_reason))
                return
            except MessageError as error:
                if error.kind == "offer" and not self._has_answered:
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
            case Offer(sdp):
                try:
                    answer = await peer.answer(sdp, await ice_servers)
                except PeerError as error:
                    self._listener.happened(connection_machine.PeerLost(error))
                else:
                    await signaling.send(Answer(answer))
                    self._has_answered = True
            case IceCandidate(candidate, mid, mline_index):
                await peer.add_candidate(candidate, mid, mline_index)
            case ServiceError(reason):
                self._listener.happened(connection_machine.ErrorReported(reason))
            case _ as unreachable:
                assert_never(unreachable)

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
            message = messages.parse(STREAMER_TO_CLIENT, messages.STREAMER_TO_CLIENT, data)
        except MessageError as error:
            self._listener.failed(error)
            return
        if message is None:
            logger.debug("%s: passed over a message of a type this client does not know", STREAMER_TO_CLIENT)
        else:
            self._listener.answered(message)
