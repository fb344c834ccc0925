"""The WebRTC peer of one attempt: it answers the offer, takes video and data channels (protocol.md section 4)."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiortc import (
    InvalidStateError,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from odyssey_client.connection.ice import (
    can_be_asked,
    gather_on,
    ice_transports,
    is_local_name,
    read_candidate,
    without_local_names,
)
from odyssey_client.connection.signaling import IceServer
from odyssey_client.errors import PeerError
from odyssey_client.seams import Clock

logger = logging.getLogger(__name__)

CLIENT_TO_STREAMER = "clientToStreamer"
STREAMER_TO_CLIENT = "streamerToClient"

CLOSE_LIMIT_S = 2.0
"""Seconds that closing may take before the peer's tasks and sockets are ended by force: aiortc's `close` can hang."""

_open: weakref.WeakSet[Peer] = weakref.WeakSet()


def _stop_decoders() -> None:
    for peer in list(_open):
        peer.stop_decoding()


# aiortc decodes in a thread that Python waits for before it ends, and before it calls what `atexit` knows: a client
# that nobody closed would keep the process for ever. This hook runs before that wait; `concurrent.futures` lives by it.
threading._register_atexit(_stop_decoders)  # type: ignore[attr-defined]  # noqa: SLF001


# aiortc starts tasks and gives them to nobody. They inherit the context they are started in, and so can be told by it.
_owner: contextvars.ContextVar[Peer | None] = contextvars.ContextVar("odyssey_peer", default=None)


@dataclass(frozen=True, slots=True)
class PeerListener:
    """Whom a peer tells; all are called on the event loop and must neither block nor raise."""

    video_added: Callable[[], None]
    channel_opened: Callable[[], None]
    frame: Callable[[VideoFrame], None]
    message: Callable[[str | bytes], None]
    """A message on `streamerToClient`."""
    lost: Callable[[PeerError], None]
    """The peer connection is gone; may be called more than once."""


class Peer:
    """An async context manager around one `RTCPeerConnection`. On leaving, no task, thread or socket of it is left."""

    def __init__(self, addresses: list[str] | None, clock: Clock, listener: PeerListener) -> None:
        self._addresses = addresses
        self._clock = clock
        self._listener = listener
        self._track: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self._outgoing: RTCDataChannel | None = None
        self._closing = False
        self._work: set[asyncio.Task[object]] = set()
        self._context = contextvars.copy_context()
        self._context.run(_owner.set, self)
        # A list in any case: without one aiortc asks Google's STUN server, which without internet takes 5 s.
        self._configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = self._context.run(RTCPeerConnection, self._configuration)
        _open.add(self)
        self._connection.on("track", self._track_added)
        self._connection.on("datachannel", self._channel_added)
        self._connection.on("connectionstatechange", self._state_changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        """Apply the SDP ``offer``; return the answer, complete with every candidate.

        Raises:
            PeerError: the offer cannot be answered.
        """
        # aiortc reads its configuration when the offer makes it open transports, so servers may be named up to here.
        servers = [
            RTCIceServer(urls, server.username, server.credential)
            for server in ice_servers
            if (urls := [url for url in server.urls if can_be_asked(url)])
        ]
        self._configuration.iceServers = servers
        try:
            return await self._within(self._answer(offer))
        except Exception as error:
            # aiortc raises whatever its parser stumbles over (KeyError, AttributeError, AssertionError...).
            raise PeerError(f"The service's offer cannot be answered: {type(error).__name__}: {error}") from error

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:
        """Take a trickled candidate; an empty ``line`` marks the end of them.

        Raises:
            PeerError: it is none.
        """
        if is_local_name(line):
            return
        try:
            candidate = read_candidate(line, mid, mline_index) if line else None
        except ValueError as error:
            raise PeerError(f"A candidate of the service cannot be used: {error}") from None
        await self._within(self._connection.addIceCandidate(candidate))

    async def pump(self) -> None:
        """Hand every frame to the listener, from the track's beginning to its end.

        A track nobody reads keeps every frame, so this has to run as long as the peer lives.
        """
        track = await self._track
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self._lost("the video track ended")
                return
            if isinstance(frame, VideoFrame):
                self._listener.frame(frame)

    def send(self, text: str) -> bool:
        """Send on `clientToStreamer`; False when it is not open, or ``text`` is longer than the service takes there."""
        if self._outgoing is None:
            return False
        try:
            self._context.run(self._outgoing.send, text)
        except (InvalidStateError, ValueError):
            return False
        return True

    async def close(self) -> None:
        """Close the connection and whatever it has left behind; twice is fine."""
        self._closing = True
        self._track.cancel()
        orphans = self._orphans()
        try:
            async with self._clock.timeout(CLOSE_LIMIT_S):
                # Whoever began the work has heard, or no longer wants to hear, how it went.
                await asyncio.gather(*self._work, return_exceptions=True)
                await self._within(self._connection.close())
        except TimeoutError:
            logger.warning("the peer connection did not close within %g s; ending it by force", CLOSE_LIMIT_S)
        finally:
            _open.discard(self)
            await self._sweep()
        for task in orphans:
            if task.done() and not task.cancelled():
                # aiortc's handshake fails when it is closed half-way, and asyncio would complain that nobody was told.
                task.exception()

    def stop_decoding(self) -> None:
        """End the decoder's thread, and nothing else: for a process that ends with this peer still open."""
        for receiver in self._connection.getReceivers():
            receiver._handle_disconnect()  # noqa: SLF001 - its public `stop` needs an event loop

    async def _answer(self, offer: str) -> str:
        connection = self._connection
        await connection.setRemoteDescription(RTCSessionDescription(without_local_names(offer), "offer"))
        if self._video is None or connection.sctp is None:
            raise ValueError("expected a video track and data channels in it")
        for transceiver in connection.getTransceivers():
            # What is not read is not taken: audio, and any video but the first.
            if transceiver.receiver.track is not self._video:
                transceiver.direction = "inactive"
        gather_on(connection, self._addresses)
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    async def _within[T](self, work: Coroutine[object, object, T]) -> T:
        """Run ``work`` to its end, even if the caller is cancelled, and its tasks marked as this peer's.

        Cut short, aioice would forget the sockets that it has just opened. `close` waits for what goes on.
        """
        task = asyncio.create_task(work, context=self._context)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await asyncio.shield(task)

    async def _sweep(self) -> None:
        for receiver in self._connection.getReceivers():
            # `close` racing the DTLS handshake leaves a decoder behind: a thread that keeps the process from ending.
            await receiver.stop()
        for transport in ice_transports(self._connection):
            for protocol in transport.iceGatherer._connection._protocols:  # noqa: SLF001 - no public way to its sockets
                protocol.transport.abort()
        async with self._clock.timeout(CLOSE_LIMIT_S):
            # Some start others as they end: aioice asks for consent for ever when it connects just as it is closed.
            while orphans := self._orphans():
                for task in orphans:
                    task.cancel()
                await asyncio.wait(orphans)

    def _orphans(self) -> list[asyncio.Task[object]]:
        """The tasks that aiortc has started for this peer and given to nobody."""
        current = asyncio.current_task()
        return [task for task in asyncio.all_tasks() if task is not current and task.get_context().get(_owner) is self]

    @property
    def _video(self) -> MediaStreamTrack | None:
        return self._track.result() if self._track.done() and not self._track.cancelled() else None

    def _track_added(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and not self._track.done():
            self._track.set_result(track)
            self._listener.video_added()

    def _channel_added(self, channel: RTCDataChannel) -> None:
        # aiortc hands messages on only to those who listen already, so this is the moment.
        channel.on("close", lambda: self._lost(f"the data channel {channel.label} closed"))
        if channel.label == STREAMER_TO_CLIENT:
            channel.on("message", self._listener.message)
        elif channel.label == CLIENT_TO_STREAMER and self._outgoing is None:
            self._outgoing = channel
            self._listener.channel_opened()

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state in {"failed", "closed"}:
            self._lost(f"its state is {state}")

    def _lost(self, why: str) -> None:
        if not self._closing:
            self._listener.lost(PeerError(f"The peer connection to the streamer was lost: {why}."))
