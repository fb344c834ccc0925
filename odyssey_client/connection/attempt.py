"""One attempt at a live connection: a signaling socket, the peer it brings about, and what is said on both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from av import VideoFrame

from odyssey_client.connection import connection_events, messages
from odyssey_client.connection.messages import IceCandidate, MessageError, Offer, ServiceError
from odyssey_client.connection.signaling import Signaling, SignalingLostError, config_url, open_signaling
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import ConnectionClosedError, OdysseyError, PeerError
from odyssey_client.models import JSON
from odyssey_client.platform import ClientPeer, Clock, IceServer, Network, PeerListener
from odyssey_client.rtc.client_peer import STREAMER_TO_CLIENT
from odyssey_client.rtc.ice_servers import Fetch, fetch_ice_servers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptListener:
    """Whom an attempt tells; all are called on the event loop."""

    happened: Callable[[connection_events.Input], None]
    """Something that the connection's machine decides about."""
    frame: Callable[[VideoFrame], None]
    answer: Callable[[messages.Message], None]
    """A message on `streamerToClient`."""
    error: Callable[[OdysseyError], None]
    """Something went wrong, and the connection goes on."""


class ConnectionAttempt:
    """Opens socket and peer in `run`, and holds them until it is cancelled, dropped, or the socket is lost."""

    def __init__(
        self,
        credentials: ClientCredentials,
        listener: AttemptListener,
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
                self._listener.happened(connection_events.SignalingClosed(lost.close_code, lost.close_reason))
            finally:
                self._peer = self._signaling = None
                ice_servers.cancel()
                for child in children:
                    child.cancel()

    def send_by_channel(self, kind: str, fields: Mapping[str, JSON]) -> bool:
        """Send on `clientToStreamer`; False when it is not open or does not take so long a message."""
        return self._peer is not None and self._peer.send(messages.encode(kind, fields))

    async def send_by_socket(self, kind: str, fields: Mapping[str, JSON]) -> None:
        """Send on the signaling socket.

        Raises:
            OdysseyConnectionError: it is closed.
        """
        if self._signaling is None:
            raise ConnectionClosedError("There is no signaling connection any more.")
        await self._signaling.send(kind, fields)

    async def _converse(
        self, peer: ClientPeer, signaling: Signaling, ice_servers: asyncio.Task[list[IceServer]]
    ) -> None:
        while not self._is_dropped:
            try:
                message = await signaling.receive()
                await self._heard(message, peer, signaling, ice_servers)
            except SignalingLostError as lost:
                # Told here and not in `run`: closing the peer first would take its time.
                self._listener.happened(connection_events.SignalingClosed(lost.close_code, lost.close_reason))
                return
            except MessageError as error:
                if error.kind == "offer" and not self._has_answered:
                    self._listener.happened(connection_events.PeerLost(error))
                else:
                    self._listener.error(error)
            except PeerError as error:
                self._listener.error(error)

    async def _heard(
        self,
        message: messages.Message,
        peer: ClientPeer,
        signaling: Signaling,
        ice_servers: asyncio.Task[list[IceServer]],
    ) -> None:
        match message:
            case Offer(sdp):
                try:
                    answer = await peer.answer(sdp, await ice_servers)
                except PeerError as error:
                    self._listener.happened(connection_events.PeerLost(error))
                else:
                    await signaling.send("answer", {"sdp": answer})
                    self._has_answered = True
            case IceCandidate(candidate, mid, mline_index):
                await peer.add_candidate(candidate, mid, mline_index)
            case ServiceError(reason):
                self._listener.happened(connection_events.ErrorReported(reason))

    def _peer_listener(self) -> PeerListener:
        happened = self._listener.happened
        return PeerListener(
            video_added=lambda: happened(connection_events.VideoAdded()),
            channel_opened=lambda: happened(connection_events.ChannelOpened()),
            frame=self._listener.frame,
            message=self._channel_message,
            lost=lambda error: happened(connection_events.PeerLost(error)),
        )

    def _channel_message(self, data: str | bytes) -> None:
        try:
            message = messages.parse(STREAMER_TO_CLIENT, messages.STREAMER_TO_CLIENT, data)
        except MessageError as error:
            self._listener.error(error)
            return
        if message is None:
            logger.debug("%s: passed over a message of a type this client does not know", STREAMER_TO_CLIENT)
        else:
            self._listener.answer(message)
