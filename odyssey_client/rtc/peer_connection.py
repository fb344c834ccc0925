"""An aiortc peer connection that leaves no task, thread or socket behind when it is closed.

aiortc keeps no references to its tasks, decodes in a thread that prevents the process from exiting, and its `close`
can hang. `PeerConnection` handles these three problems for every peer of this package.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import ClassVar, Self

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCDtlsTransport, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from odyssey_client.errors import PeerError
from odyssey_client.models import JSON
from odyssey_client.platform import Clock, IceServer
from odyssey_client.redaction import get_logger
from odyssey_client.rtc import incoming_rate, jitter_buffer, retransmissions
from odyssey_client.rtc.ice import dtls_transports, gather_on, ice_transports
from odyssey_client.rtc.server_candidates import TlsContext, abort
from odyssey_client.rtc.stats import Counts, statistics

logger = get_logger(__name__)

CLOSE_LIMIT_S = 2.0
"""Time limit in seconds for aiortc's `close`, which can hang. After that, tasks and sockets are ended by force."""

_open: weakref.WeakSet[PeerConnection] = weakref.WeakSet()


def _stop_decoders() -> None:
    for connection in list(_open):
        connection.stop_decoding()


# aiortc decodes in a non-daemon thread. Python joins it at exit before it runs `atexit` functions, so a client that was
# not closed would keep the process running. This hook runs before that join; `concurrent.futures` uses it too.
threading._register_atexit(_stop_decoders)  # type: ignore[attr-defined]  # noqa: SLF001


# aiortc keeps no references to its tasks. They inherit the context they are created in, so this variable identifies
# the tasks of a peer.
_owner: contextvars.ContextVar[PeerConnection | None] = contextvars.ContextVar("odyssey_peer", default=None)


class PeerConnection:
    """An async context manager around one `RTCPeerConnection` that receives a video track."""

    name: ClassVar[str] = "peer connection"
    """Name used in error messages."""

    def __init__(
        self,
        addresses: list[str] | None,
        clock: Clock,
        *,
        frame: Callable[[VideoFrame], None],
        lost: Callable[[PeerError], None],
        tls: TlsContext,
    ) -> None:
        """Create a peer connection.

        ``frame`` and ``lost`` run on the event loop and must not block or raise; ``lost`` may run more than once.
        ``tls`` returns the TLS context for TURN servers.
        """
        self._addresses = addresses
        self._clock = clock
        self._tls = tls
        self._frame = frame
        self._tell_lost = lost
        self._track: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self._closing = False
        self._counts = Counts()
        self._changed: Callable[[str, str], None] | None = None
        self._watched: set[RTCDtlsTransport] = set()
        self._work: set[asyncio.Task[object]] = set()
        self._context = contextvars.copy_context()
        self._context.run(_owner.set, self)
        # An empty list, not None: otherwise aiortc asks Google's STUN server, which takes 5 s without internet access.
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = self._context.run(RTCPeerConnection, configuration)
        _open.add(self)
        self._connection.on("track", self._track_added)
        self._connection.on(
            "connectionstatechange", lambda: self._report("connection", self._connection.connectionState)
        )
        self._connection.on("connectionstatechange", self._state_changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def pump(self) -> None:
        """Pass every frame of the track to the callback ``frame``, until the track ends.

        Run this method for the whole connection, because a track that is not read buffers every frame.
        """
        track = await self._track
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self._lost("the video track ended")
                return
            if isinstance(frame, VideoFrame):
                self._counts.decoded(frame, self._clock.monotonic())
                self._frame(frame)

    def stats(self) -> dict[str, JSON]:
        """Return the statistics as JSON: dictionaries of the W3C's webrtc-stats, by their ids."""
        return statistics(self._connection, self._counts, round(self._clock.time() * 1000, 3))

    def watch(self, changed: Callable[[str, str], None]) -> None:
        """Call ``changed(transport, state)`` at each change of a state from now on; see `odyssey_client.platform.Peer`.

        A second call replaces the function.
        """
        if self._changed is None:
            peer = self._connection
            peer.on("iceconnectionstatechange", lambda: self._report("ice", peer.iceConnectionState))
            peer.on("icegatheringstatechange", lambda: self._report("gathering", peer.iceGatheringState))
            peer.on("signalingstatechange", self._signaling_changed)
        self._changed = changed

    async def close(self) -> None:
        """Close the connection and end its remaining tasks, threads and sockets; may be called more than once."""
        self._closing = True
        self._track.cancel()
        orphans = self._orphans()
        try:
            async with self._clock.timeout(CLOSE_LIMIT_S):
                # Ignore errors: the caller of `_within` has received them or was cancelled.
                await asyncio.gather(*self._work, return_exceptions=True)
                await self._within(self._connection.close())
        except TimeoutError:
            logger.warning("the peer connection did not close within %g s; ending it by force", CLOSE_LIMIT_S)
        finally:
            _open.discard(self)
            await self._sweep()
        for task in orphans:
            if task.done() and not task.cancelled():
                # aiortc's handshake raises if it is closed half-way; asyncio would log an exception that is not
                # retrieved.
                task.exception()

    def stop_decoding(self) -> None:
        """End only the decoder's thread, for a process that exits while this connection is open."""
        for receiver in self._connection.getReceivers():
            receiver._handle_disconnect()  # noqa: SLF001 - its public `stop` needs an event loop

    def _gather(self, servers: Iterable[IceServer]) -> None:
        """Make the local description contain candidates on the addresses of this peer, and from ICE servers.

        Call this method after the transports are created, and before the local description is set.
        """
        gather_on(self._connection, self._addresses, list(servers), self._tls, self._counts.round_trip)

    async def _within[T](self, work: Coroutine[object, object, T]) -> T:
        """Run ``work`` in this connection's context and return its result.

        If the caller is cancelled, ``work`` still runs to its end, and `close` waits for it. Cancelling ``work`` would
        make aioice lose track of the sockets that it has just opened.
        """
        task = asyncio.create_task(work, context=self._context)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await asyncio.shield(task)

    async def _sweep(self) -> None:
        for receiver in self._connection.getReceivers():
            # `close` during the DTLS handshake may leave a decoder thread, which prevents the process from exiting.
            await receiver.stop()
        for transport in ice_transports(self._connection):
            for protocol in transport.iceGatherer._connection._protocols:  # noqa: SLF001 - no public way to its sockets
                abort(protocol)
        async with self._clock.timeout(CLOSE_LIMIT_S):
            # Some tasks start others at their end: aioice starts endless consent checks if it connects during `close`.
            while orphans := self._orphans():
                for task in orphans:
                    task.cancel()
                await asyncio.wait(orphans)

    def _orphans(self) -> list[asyncio.Task[object]]:
        """Return the unfinished tasks that aiortc started for this connection."""
        current = asyncio.current_task()
        found = [task for task in asyncio.all_tasks() if task is not current and task.get_context().get(_owner) is self]
        return sorted(found, key=asyncio.Task.get_name)  # `all_tasks` is a set: its order differs in every process

    @property
    def _video(self) -> MediaStreamTrack | None:
        return self._track.result() if self._track.done() and not self._track.cancelled() else None

    def _track_added(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and not self._track.done():
            self._track.set_result(track)
            for receiver in self._connection.getReceivers():
                if receiver.track is track:
                    self._counts.buffer = jitter_buffer.install(receiver, self._clock.monotonic)
                    retransmissions.install(receiver)
                    incoming_rate.install(receiver)
                    self._counts.count_requests(receiver)
            self._report("video", "added")

    def _signaling_changed(self) -> None:
        self._report("signaling", self._connection.signalingState)
        # The first description has created the transports.
        for transport in dtls_transports(self._connection) - self._watched:
            self._watched.add(transport)
            transport.on("statechange", lambda dtls=transport: self._report("dtls", dtls.state))

    def _report(self, transport: str, state: str) -> None:
        if self._changed is not None:
            self._changed(transport, state)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state in {"failed", "closed"}:
            self._lost(f"its state is {state}")

    def _lost(self, why: str) -> None:
        if not self._closing:
            self._tell_lost(PeerError(f"The {self.name} was lost: {why}."))
