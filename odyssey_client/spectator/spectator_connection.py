"""`connect_to_stream` and what it returns, `SpectatorConnection`: the shell that carries `spectator_machine.py` out.

One task owns everything: HTTP, peer and timers live in its task group, and are gone when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, assert_never
from urllib.parse import urlsplit

from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectTimeoutError,
    OdysseyConfigError,
    OdysseyError,
    PeerError,
)
from odyssey_client.events import in_handler
from odyssey_client.media.frames import FrameReader
from odyssey_client.media.stream import DEFAULT_BUFFER, MediaStream
from odyssey_client.platform import Clock, Network
from odyssey_client.rtc.ice_servers import fetch_ice_servers
from odyssey_client.rtc.watchdog import VideoWatchdog
from odyssey_client.spectator.disconnect_callbacks import DisconnectCallback, DisconnectCallbacks
from odyssey_client.spectator.spectator_machine import (
    SpectatorEffect,
    SpectatorEvent,
    SpectatorMachine,
    SpectatorState,
)
from odyssey_client.spectator.whep import Whep, WhepAnswer
from odyssey_client.system import default_platform

if TYPE_CHECKING:  # what needs aiortc is imported when somebody connects
    from av import VideoFrame

    from odyssey_client.platform import SpectatorPeer

GOODBYE_LIMIT_S = 1.0
"""Seconds that taking leave of the service may take."""


class _Released(Exception):  # noqa: N818 - not an error: the way out of a task group
    """The connection is over; whatever runs for it is to be cancelled."""


async def connect_to_stream(
    webrtc_url: str,
    spectator_token: str,
    *,
    advanced: AdvancedConfig | None = None,
    clock: Clock | None = None,
    network: Network | None = None,
) -> SpectatorConnection:
    """Watch a broadcast; return once it is connected. No API key is needed.

    `Odyssey.connect_to_stream` is this very function: what a client was configured with has no part in it.

    ::

        async with await connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            spectator.on_disconnect(lambda: print("Broadcast ended"))
            async for frame in spectator.frames():
                ...

    Args:
        webrtc_url: Where it is, from `BroadcastInfo`.
        spectator_token: What opens it, from `BroadcastInfo`.
        advanced: Limits; ``connect_timeout_s`` is for all of the connecting, ``peer_timeout_s`` for the time
            without a frame.
        clock: The source of time; the machine's if None.
        network: The way out of the process; the machine's if None.

    Raises:
        OdysseyConfigError: an argument cannot be used; nothing was sent.
        OdysseyAuthError: the token is not that of the broadcast.
        BroadcastNotFoundError: there is no such broadcast, or it has ended.
        ConnectTimeoutError: it was not connected in time.
        PeerError: ICE or DTLS failed, or the answer cannot be used.
        ServiceUnreachableError: there was no HTTP answer.
        OdysseyApiError: any other refusal.
    """
    _check(webrtc_url, spectator_token)
    if advanced is not None and not isinstance(advanced, AdvancedConfig):
        raise OdysseyConfigError(f"advanced must be an AdvancedConfig or None, got {type(advanced).__name__}")
    settings = advanced or AdvancedConfig()
    limit = settings.connect_timeout_s
    platform = default_platform()
    clock = clock or platform.clock
    # As with keys, white space around them is no part of them: they are often read from files.
    url, token = webrtc_url.strip(), spectator_token.strip()
    connection = SpectatorConnection(
        url, token, peer_timeout=settings.peer_timeout_s, clock=clock, network=network or platform.network
    )
    connection.start()
    try:
        async with clock.timeout(limit):
            await connection.ready()
    except BaseException as error:
        # Failed or cancelled: nothing may be left of it either way.
        await connection.disconnect()
        if isinstance(error, TimeoutError):
            raise ConnectTimeoutError(
                f"The broadcast was not connected within {limit:g} s. The limit is AdvancedConfig.connect_timeout_s."
            ) from None
        raise
    return connection


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
        self._watchdog = VideoWatchdog(clock, peer_timeout)
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
        self._handle(SpectatorEvent.LEAVE)
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
                    self._handle(SpectatorEvent.REFUSED, error)
                finally:
                    # Cancelled from outside, as when the event loop ends: it is over all the same.
                    self._handle(SpectatorEvent.LEAVE)
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
                    connected=lambda: self._handle(SpectatorEvent.UP),
                    ended=self._ended,
                    frame=self._on_frame,
                    lost=lambda error: self._handle(SpectatorEvent.LOST, error),
                )
            )
            offer = await self._until_released(self._offer(peer, whep))
            answer = await self._answer(whep, offer, stack)
            await self._until_released(peer.apply(answer.sdp))
            yield peer

    async def _offer(self, peer: SpectatorPeer, whep: Whep) -> str:
        return await peer.offer(await fetch_ice_servers(whep.config_url, whep.fetch, self._clock))

    async def _answer(self, whep: Whep, offer: str, stack: contextlib.AsyncExitStack) -> WhepAnswer:
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
        await self._watchdog.too_long()
        self._handle(SpectatorEvent.LOST, PeerError(f"The broadcast was lost: no video for {self._peer_timeout:g} s."))

    def _ended(self) -> None:
        self._handle(SpectatorEvent.ENDED, PeerError("The broadcast ended before it was connected."))

    def _on_frame(self, frame: VideoFrame) -> None:
        self._watchdog.on_frame()
        self.stream.push(frame)

    # What the machine says is to be done.

    def _handle(self, event: SpectatorEvent, error: OdysseyError | None = None) -> None:
        before = self._machine.state
        effects = self._machine.handle(event)
        if effects and (self._machine.state is SpectatorState.FAILED or before is SpectatorState.CONNECTING):
            self._error = error
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: SpectatorEffect) -> None:
        match effect:
            case SpectatorEffect.RESOLVE:
                self._resolve()
            case SpectatorEffect.REJECT:
                self._reject()
            case SpectatorEffect.END_VIDEO:
                self.stream.end()
            case SpectatorEffect.FAIL_VIDEO:
                self.stream.end(self._error)
            case SpectatorEffect.RELEASE:
                self._released.set()
            case SpectatorEffect.CALL_DISCONNECT:
                self._callbacks.call(self._error)
            case _ as unreachable:
                assert_never(unreachable)

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


def _check(webrtc_url: object, spectator_token: object) -> None:
    """Raise unless both can be used. Neither is shown: there may be a secret in the wrong place."""
    for name, value in (("webrtc_url", webrtc_url), ("spectator_token", spectator_token)):
        if not isinstance(value, str) or not value.strip():
            got = "an empty string" if isinstance(value, str) else type(value).__name__
            raise OdysseyConfigError(f"{name} must be a non-empty string, got {got}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise OdysseyConfigError(f"{name} must be text that UTF-8 can hold, got half a surrogate pair") from None
    try:
        parts = urlsplit(str(webrtc_url).strip())
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise OdysseyConfigError(
            "webrtc_url must be an http or https URL, such as https://host/stream, got something else. "
            "It is the webrtc_url of BroadcastInfo."
        )
    if "@" in parts.netloc:
        raise OdysseyConfigError("webrtc_url must have no user and no password: the token is all it takes.")
