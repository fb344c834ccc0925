"""A spectator's connection: the shell that carries `machine.py` out.

One task owns everything: HTTP, peer and timers live in its task group, and are gone when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from odyssey_client.errors import ConnectionClosedError, OdysseyError, PeerError
from odyssey_client.events import in_handler
from odyssey_client.media.frames import FrameReader
from odyssey_client.media.stream import DEFAULT_BUFFER, MediaStream
from odyssey_client.platform import Clock, Network
from odyssey_client.rtc.ice_servers import fetch_ice_servers
from odyssey_client.rtc.watchdog import VideoWatchdog
from odyssey_client.spectator.callbacks import DisconnectCallback, DisconnectCallbacks
from odyssey_client.spectator.machine import Action, Event, SpectatorMachine, SpectatorState
from odyssey_client.spectator.whep import Answer, Whep

if TYPE_CHECKING:  # what needs aiortc is imported when somebody connects
    from av import VideoFrame

    from odyssey_client.platform import SpectatorPeer

GOODBYE_LIMIT_S = 1.0
"""Seconds that taking leave of the service may take."""


class _Released(Exception):  # noqa: N818 - not an error: the way out of a task group
    """The connection is over; whatever runs for it is to be cancelled."""


class SpectatorConnection:
    """A broadcast that is being watched; made by `connect_to_stream`. ``async with`` disconnects in the end.

    Attributes:
        stream: The video, from its beginning to the connection's end.
    """

    def __init__(
        self, webrtc_url: str, spectator_token: str, *, peer_timeout: float, clock: Clock, network: Network
    ) -> None:
        """``peer_timeout``: how many seconds may pass without a frame, once it is connected."""
        self.stream = MediaStream()
        self._webrtc_url = webrtc_url
        self._token = spectator_token
        self._clock = clock
        self._network = network
        self._machine = SpectatorMachine()
        self._peer_timeout = peer_timeout
        self._silence = VideoWatchdog(clock, peer_timeout)
        self._error: OdysseyError | None = None
        """What ended it; None for a clean end."""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._released = asyncio.Event()
        self._quiet = asyncio.Event()
        self._callbacks = DisconnectCallbacks(clock)
        self._task: asyncio.Task[None] | None = None

    @property
    def connection_state(self) -> SpectatorState:
        """Where it stands: ``connected``, then ``closed`` (the stream ended, or `disconnect`) or ``failed``."""
        return self._machine.state

    @property
    def is_connected(self) -> bool:
        """Whether video can come."""
        return self._machine.state is SpectatorState.CONNECTED

    def frames(self, *, buffer: int = DEFAULT_BUFFER) -> FrameReader:
        """Iterate over the frames from now on, with a buffer of one's own; see `MediaStream.frames`.

        The iteration ends when the broadcast does, and raises `PeerError` if the connection failed.

        Raises:
            OdysseyConfigError: ``buffer`` is no number of frames.
        """
        return self.stream.frames(buffer=buffer)

    def on_disconnect(self, callback: DisconnectCallback) -> None:
        """Have ``callback`` called once when it is over, by whichever side; at once if it is over already.

        Any number may be given. A callback may be sync or async, and take nothing or one argument: the `OdysseyError`
        that ended the connection, None when the stream ended or `disconnect` was called. What it raises is logged.

        Raises:
            OdysseyConfigError: it cannot be called.
        """
        self._callbacks.add(callback)

    async def disconnect(self) -> None:
        """Watch no longer, and return when nothing is left; at any moment, from any task, as often as one likes.

        Called from a callback it does not wait for the callbacks, which would be waiting for itself.
        """
        self._handle(Event.LEAVE)
        if self._task is None or self._task.done():
            await self._callbacks.finish()
            return
        if in_handler():
            await self._quiet.wait()
            return
        await asyncio.wait({self._task})
        await self._callbacks.finish()
        if not self._task.cancelled():
            self._task.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.disconnect()

    def __repr__(self) -> str:
        return f"SpectatorConnection({self._machine.state}, {self.stream!r})"

    def start(self) -> None:
        """Begin to connect; `connect_to_stream` calls this."""
        self._task = asyncio.create_task(self._run(), name="odyssey spectator")

    async def ready(self) -> None:
        """Wait until it is connected; `connect_to_stream` calls this.

        Raises:
            OdysseyError: it never was.
        """
        await asyncio.shield(self._ready)

    # The connection's own task.

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    async with self._connected_peer() as peer:
                        group.create_task(peer.pump())
                        group.create_task(self._watch_video())
                        await self._released.wait()
                except OdysseyError as error:
                    self._handle(Event.REFUSED, error)
                finally:
                    # Cancelled from outside, as when the event loop ends: it is over all the same.
                    self._handle(Event.LEAVE)
                raise _Released
        except* _Released:
            pass
        finally:
            self._quiet.set()

    @asynccontextmanager
    async def _connected_peer(self) -> AsyncIterator[SpectatorPeer]:
        """The peer, its offer answered; on leaving, the service is told and nothing is left."""
        async with contextlib.AsyncExitStack() as stack:
            whep = Whep(self._webrtc_url, self._token, self._network)
            stack.push_async_callback(whep.aclose)
            peer = await stack.enter_async_context(
                self._network.spectator_peer(
                    self._clock,
                    connected=lambda: self._handle(Event.UP),
                    ended=lambda: self._handle(Event.ENDED, PeerError("The broadcast ended before it was connected.")),
                    frame=self._frame_came,
                    lost=lambda error: self._handle(Event.LOST, error),
                )
            )
            offer = await self._until_released(self._offer(peer, whep))
            answer = await self._answer(whep, offer, stack)
            await self._until_released(peer.apply(answer.sdp))
            yield peer

    async def _offer(self, peer: SpectatorPeer, whep: Whep) -> str:
        return await peer.offer(await fetch_ice_servers(whep.config_url, whep.fetch, self._clock))

    async def _answer(self, whep: Whep, offer: str, stack: contextlib.AsyncExitStack) -> Answer:
        """Have the offer answered. Given up half-way, it is waited for a little: a resource is to be deleted then."""
        asking = asyncio.create_task(whep.offer(offer))

        async def take_leave() -> None:
            with contextlib.suppress(TimeoutError, OdysseyError):
                async with self._clock.timeout(GOODBYE_LIMIT_S):
                    answer = await asking
                    if answer.resource is not None:
                        await whep.delete(answer.resource)

        stack.push_async_callback(take_leave)
        return await self._until_released(_shielded(asking))

    async def _until_released[T](self, work: Awaitable[T]) -> T:
        """Wait for ``work``, but no longer than anybody wants it.

        Raises:
            OdysseyError: nobody does any more.
        """
        doing = asyncio.ensure_future(work)
        leaving = asyncio.create_task(self._released.wait())
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise ConnectionClosedError("The spectator left before the broadcast was connected.")
            return doing.result()
        finally:
            for each in (doing, leaving):
                each.cancel()
            await asyncio.wait({doing, leaving})

    async def _watch_video(self) -> None:
        await asyncio.wait({self._ready})  # until then the limit is that of connecting
        await self._silence.too_long()
        self._handle(Event.LOST, PeerError(f"The broadcast was lost: no video for {self._peer_timeout:g} s."))

    def _frame_came(self, frame: VideoFrame) -> None:
        self._silence.end()
        self.stream.push(frame)

    # What the machine says is to be done.

    def _handle(self, event: Event, error: OdysseyError | None = None) -> None:
        before = self._machine.state
        actions = self._machine.handle(event)
        if actions and (self._machine.state is SpectatorState.FAILED or before is SpectatorState.CONNECTING):
            self._error = error
        for action in actions:
            _CARRY_OUT[action](self)

    def _resolve(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _reject(self) -> None:
        if not self._ready.done():
            error = self._error or ConnectionClosedError("The spectator left before the broadcast was connected.")
            self._ready.set_exception(error)
            self._ready.exception()  # seen: whoever waited may have been cancelled


async def _shielded[T](task: asyncio.Task[T]) -> T:
    return await asyncio.shield(task)


_CARRY_OUT: dict[Action, Callable[[SpectatorConnection], None]] = {
    Action.RESOLVE: SpectatorConnection._resolve,  # noqa: SLF001
    Action.REJECT: SpectatorConnection._reject,  # noqa: SLF001
    Action.END_VIDEO: lambda connection: connection.stream.end(),
    Action.FAIL_VIDEO: lambda connection: connection.stream.end(connection._error),  # noqa: SLF001
    Action.RELEASE: lambda connection: connection._released.set(),  # noqa: SLF001
    Action.CALL_DISCONNECT: lambda connection: connection._callbacks.call(connection._error),  # noqa: SLF001
}
