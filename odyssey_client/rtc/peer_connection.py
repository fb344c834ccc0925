"""One aiortc peer connection of which no task, thread or socket is left once it is closed.

aiortc starts tasks and gives them to nobody, decodes in a thread that keeps the process from ending, and its `close`
can hang: what is common to every end of ours is cured here.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import ClassVar, Self

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from odyssey_client.errors import PeerError
from odyssey_client.platform import Clock, IceServer
from odyssey_client.rtc.ice import can_be_asked, ice_transports

logger = logging.getLogger(__name__)

CLOSE_LIMIT_S = 2.0
"""Seconds that closing may take before the peer's tasks and sockets are ended by force: aiortc's `close` can hang."""

_open: weakref.WeakSet[PeerConnection] = weakref.WeakSet()


def _stop_decoders() -> None:
    for connection in list(_open):
        connection.stop_decoding()


# aiortc decodes in a thread that Python waits for before it ends, and before it calls what `atexit` knows: a client
# that nobody closed would keep the process for ever. This hook runs before that wait; `concurrent.futures` lives by it.
threading._register_atexit(_stop_decoders)  # type: ignore[attr-defined]  # noqa: SLF001


# aiortc starts tasks and gives them to nobody. They inherit the context they are started in, and so can be told by it.
_owner: contextvars.ContextVar[PeerConnection | None] = contextvars.ContextVar("odyssey_peer", default=None)


class PeerConnection:
    """An async context manager around one `RTCPeerConnection` that receives a video track."""

    name: ClassVar[str] = "peer connection"
    """What errors call it."""

    def __init__(
        self,
        addresses: list[str] | None,
        clock: Clock,
        *,
        frame: Callable[[VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> None:
        """The callbacks run on the event loop and must neither block nor raise; ``lost`` may come more than once."""
        self._addresses = addresses
        self._clock = clock
        self._frame = frame
        self._tell_lost = lost
        self._track: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self._closing = False
        self._work: set[asyncio.Task[object]] = set()
        self._context = contextvars.copy_context()
        self._context.run(_owner.set, self)
        # A list in any case: without one aiortc asks Google's STUN server, which without internet takes 5 s.
        self._configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = self._context.run(RTCPeerConnection, self._configuration)
        _open.add(self)
        self._connection.on("track", self._track_added)
        self._connection.on("connectionstatechange", self._state_changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def pump(self) -> None:
        """Hand every frame on, from the track's beginning to its end.

        A track nobody reads keeps every frame, so this has to run as long as the connection lives.
        """
        track = await self._track
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self._lost("the video track ended")
                return
            if isinstance(frame, VideoFrame):
                self._frame(frame)

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
        """End the decoder's thread, and nothing else: for a process that ends with this connection still open."""
        for receiver in self._connection.getReceivers():
            receiver._handle_disconnect()  # noqa: SLF001 - its public `stop` needs an event loop

    def _use(self, servers: Iterable[IceServer]) -> None:
        """Ask these servers. aiortc reads its configuration when it opens transports, so not after that."""
        self._configuration.iceServers = [
            RTCIceServer(urls, server.username, server.credential)
            for server in servers
            if (urls := [url for url in server.urls if can_be_asked(url)])
        ]

    async def _within[T](self, work: Coroutine[object, object, T]) -> T:
        """Run ``work`` to its end, even if the caller is cancelled, and its tasks marked as this connection's.

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
        """The tasks that aiortc has started for this connection and given to nobody."""
        current = asyncio.current_task()
        found = [task for task in asyncio.all_tasks() if task is not current and task.get_context().get(_owner) is self]
        return sorted(found, key=asyncio.Task.get_name)  # a set has an order of its own in every process

    @property
    def _video(self) -> MediaStreamTrack | None:
        return self._track.result() if self._track.done() and not self._track.cancelled() else None

    def _track_added(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and not self._track.done():
            self._track.set_result(track)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state in {"failed", "closed"}:
            self._lost(f"its state is {state}")

    def _lost(self, why: str) -> None:
        if not self._closing:
            self._tell_lost(PeerError(f"The {self.name} was lost: {why}."))
