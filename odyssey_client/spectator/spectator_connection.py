"""`connect_to_stream` and the connection that it returns.

The connection is the shell of the state machine in `spectator_machine.py`: it does the I/O, and the machine makes
the decisions. One task owns a connection: HTTP calls, peer and timers run in its task group and end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, assert_never
from urllib.parse import urlsplit

from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import (
    BroadcastNotFoundError,
    ConnectionClosedError,
    ConnectTimeoutError,
    OdysseyConfigError,
    OdysseyError,
    PeerError,
)
from odyssey_client.event_loop import require_loop
from odyssey_client.events import in_handler
from odyssey_client.media.frames import FrameReader
from odyssey_client.media.stream import DEFAULT_BUFFER, MediaStream
from odyssey_client.platform import Clock, Network
from odyssey_client.redaction import without_query
from odyssey_client.rtc.ice_servers import fetch_ice_servers
from odyssey_client.rtc.watchdog import VideoWatchdog
from odyssey_client.spectator.disconnect_callbacks import DisconnectCallback, DisconnectCallbacks
from odyssey_client.spectator.spectator_machine import (
    SpectatorEffect,
    SpectatorEvent,
    SpectatorMachine,
    SpectatorState,
)
from odyssey_client.spectator.whep import Whep, WhepAnswer, end_of_candidates
from odyssey_client.system import SystemClock, default_platform
from odyssey_client.trace.calls import callers_line, record_call, recorded
from odyssey_client.trace.defaults import default_recorder

if TYPE_CHECKING:  # imports of aiortc are deferred until a connection is opened
    from av import VideoFrame

    from odyssey_client.platform import SpectatorPeer
    from odyssey_client.trace.client_trace import ClientTrace
    from odyssey_client.trace.recorder import Recorder

GOODBYE_LIMIT_S = 1.0
"""Time limit in seconds for checking the WHEP resource, and for deleting it when the connection closes."""

RESOURCE_CHECK_S = 0.5
"""Seconds between two checks of whether the WHEP resource still exists, until the first frame arrives.

If the service ends a peer connection that is not open yet on both sides, WebRTC does not tell the client.
"""

type ResourceExists = Callable[[], Awaitable[bool | None]]
"""Returns whether the WHEP resource of this spectator exists; None if that is unknown."""


class _Released(Exception):  # noqa: N818 - not an error: it leaves the task group
    """Raised to leave the task group when the connection is over, which cancels the tasks of the group."""


async def connect_to_stream(
    webrtc_url: str,
    spectator_token: str,
    *,
    advanced: AdvancedConfig | None = None,
    clock: Clock | None = None,
    network: Network | None = None,
    trace: str | os.PathLike[str] | Recorder | None = None,
) -> SpectatorConnection:
    """Connect to a broadcast as a spectator; no API key is needed.

    `Odyssey.connect_to_stream` is this same function; it does not use the configuration of the client.

    ::

        async with await connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            spectator.on_disconnect(lambda: print("Broadcast ended"))
            async for frame in spectator.frames():
                ...

    Args:
        webrtc_url: The URL of the broadcast, from `BroadcastInfo`.
        spectator_token: The token of the broadcast, from `BroadcastInfo`.
        advanced: Timeouts: ``connect_timeout_s`` for connecting as a whole, ``peer_timeout_s`` for the time without a
            frame. Other settings are not used.
        clock: The source of time; None for the system's clock.
        network: Opens all network connections; None for the system's network.
        trace: The file to which everything that happens is written at the end of the connection, such as
            ``watch.odytrace``, or a `trace.Recorder`, which writes no file. If None, nothing is recorded.

    Raises:
        OdysseyConfigError: an argument is invalid; nothing was sent.
        OdysseyAuthError: the service rejects the token.
        BroadcastNotFoundError: the broadcast does not exist or has ended.
        ConnectTimeoutError: connecting took longer than ``connect_timeout_s``.
        PeerError: ICE or DTLS failed, or the SDP answer is unusable.
        ServiceUnreachableError: there was no HTTP response.
        OdysseyApiError: the service returned any other error status.
    """
    _check(webrtc_url, spectator_token)
    if advanced is not None and not isinstance(advanced, AdvancedConfig):
        raise OdysseyConfigError(f"advanced must be an AdvancedConfig or None, got {type(advanced).__name__}")
    settings = advanced or AdvancedConfig()
    platform = default_platform()
    clock = clock or platform.clock
    network = network or platform.network
    # Values read from files often have surrounding whitespace; strip it, as for keys.
    url, token = webrtc_url.strip(), spectator_token.strip()
    record: ClientTrace | None = None
    if (target := default_recorder() if trace is None else trace) is not None:
        from odyssey_client.trace.network import recording  # noqa: PLC0415 - rarely needed

        where = without_query(url)
        record, network = recording(
            target, clock, network, f"connect_to_stream({where})", is_virtual=type(clock) is not SystemClock
        )
    connection = SpectatorConnection(
        url, token, peer_timeout=settings.peer_timeout_s, clock=clock, network=network, trace=record
    )
    if record is None:
        return await _opened(connection, settings, clock)
    arguments: dict[str, object] = {"webrtc_url": url, "advanced": advanced}
    return await record_call(
        record, "connect_to_stream", arguments, callers_line(), lambda: _opened(connection, settings, clock)
    )


async def _opened(connection: SpectatorConnection, settings: AdvancedConfig, clock: Clock) -> SpectatorConnection:
    """Start a connection; return it once it is connected."""
    limit = settings.connect_timeout_s
    connection.start()
    try:
        async with clock.timeout(limit):
            await connection.ready()
    except BaseException as error:
        # Failed or cancelled: close everything in both cases.
        await connection._close()  # noqa: SLF001 - same module
        if isinstance(error, TimeoutError):
            raise ConnectTimeoutError(
                f"The connection to the broadcast did not open within {limit:g} s. "
                "The limit is AdvancedConfig.connect_timeout_s."
            ) from None
        raise
    return connection


class SpectatorConnection:
    """A spectator's connection to a broadcast, returned by `connect_to_stream`. ``async with`` disconnects on exit.

    Attributes:
        stream: The live video of the broadcast. It ends when the connection ends.
    """

    def __init__(
        self,
        webrtc_url: str,
        spectator_token: str,
        *,
        peer_timeout: float,
        clock: Clock,
        network: Network,
        trace: ClientTrace | None = None,
    ) -> None:
        """Create a connection that is not started.

        ``peer_timeout`` is the maximum time in seconds without a frame once connected. ``trace`` records calls,
        callbacks and transitions.
        """
        self.stream = MediaStream()
        self._trace = trace
        self._webrtc_url = webrtc_url
        self._token = spectator_token
        self._clock = clock
        self._network = network
        self._machine = SpectatorMachine()
        self._peer_timeout = peer_timeout
        self._watchdog = VideoWatchdog(clock, peer_timeout)
        self._error: OdysseyError | None = None
        """The error that ended the connection; None for a clean end."""
        self._ready: asyncio.Future[None] = require_loop("connect_to_stream").create_future()
        self._released = asyncio.Event()
        self._quiet = asyncio.Event()
        self._has_video = asyncio.Event()
        self._callbacks = DisconnectCallbacks(clock, trace)
        self._task: asyncio.Task[None] | None = None

    @property
    def connection_state(self) -> SpectatorState:
        """The state: ``connected``, then ``closed`` or ``failed``.

        It is ``closed`` if the stream ended or `disconnect` was called, and ``failed`` if the connection was lost.
        """
        return self._machine.state

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and can receive video."""
        return self._machine.state is SpectatorState.CONNECTED

    def frames(self, *, buffer: int = DEFAULT_BUFFER) -> FrameReader:
        """Iterate over the frames from now on, with a separate buffer; see `MediaStream.frames`.

        The iteration ends when the broadcast ends, and raises `PeerError` if the connection fails.

        Raises:
            OdysseyConfigError: ``buffer`` is not a valid number of frames.
        """
        return self.stream.frames(buffer=buffer)

    def on_disconnect(self, callback: DisconnectCallback) -> None:
        """Call ``callback`` once when either side ends the connection; at once if the connection is already over.

        Any number of callbacks may be added. A callback is sync or async and takes no argument or one: the
        `OdysseyError` that ended the connection, or None if the stream ended or `disconnect` was called. Exceptions
        that a callback raises are logged.

        Raises:
            OdysseyConfigError: ``callback`` is not callable.
        """
        self._callbacks.add(callback)

    @recorded
    async def disconnect(self) -> None:
        """End the connection and wait until all its tasks have finished.

        May be called at any time, from any task, and more than once. A call from a callback does not wait for the
        callbacks, because it would wait for itself.
        """
        await self._close()

    async def _leave(self) -> None:
        """Do what `disconnect` does, without recording a call; used by the sync client."""
        try:
            await self._close()
        finally:
            if self._trace is not None:
                await self._trace.save_rest()

    async def _close(self) -> None:
        if self._trace is not None:
            self._trace.is_due = True
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
        """Start connecting; called by `connect_to_stream`."""
        self._task = asyncio.create_task(self._run(), name="odyssey spectator")

    async def ready(self) -> None:
        """Wait until connected; called by `connect_to_stream`.

        Raises:
            OdysseyError: the connection ended before it was open.
        """
        await asyncio.shield(self._ready)

    # The connection's own task.

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    async with self._connected_peer() as (peer, resource_exists):
                        group.create_task(peer.pump())
                        group.create_task(self._watch_resource(resource_exists))
                        group.create_task(self._watch_video())
                        await self._released.wait()
                except OdysseyError as error:
                    self._handle(SpectatorEvent.REFUSED, error)
                finally:
                    # If this task is cancelled from outside (the event loop ends), end the machine too.
                    self._handle(SpectatorEvent.LEAVE)
                raise _Released
        except* _Released:
            pass
        finally:
            self._quiet.set()

    @asynccontextmanager
    async def _connected_peer(self) -> AsyncIterator[tuple[SpectatorPeer, ResourceExists]]:
        """Yield a peer with an applied answer, and a function that checks its WHEP resource.

        On exit, delete the resource, and close peer and HTTP client.
        """
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
            fragment = end_of_candidates(offer)

            async def resource_exists() -> bool | None:
                if answer.resource is None or fragment is None:
                    return None
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout(GOODBYE_LIMIT_S):
                        return await whep.exists(answer.resource, fragment)
                return None

            yield peer, resource_exists

    async def _offer(self, peer: SpectatorPeer, whep: Whep) -> str:
        return await peer.offer(await fetch_ice_servers(whep.config_url, whep.fetch, self._clock))

    async def _answer(self, whep: Whep, offer: str, stack: contextlib.AsyncExitStack) -> WhepAnswer:
        """Send the offer and return the answer.

        The exit of ``stack`` deletes the resource that the service creates. If this call is cancelled, the exit first
        waits briefly for the response, which contains the URL of the resource.
        """
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
        """Return the result of ``work``; cancel it if the connection ends first.

        Raises:
            ConnectionClosedError: the connection ended first.
        """
        doing = asyncio.ensure_future(work)
        leaving = asyncio.create_task(self._released.wait())
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise ConnectionClosedError(
                    "The spectator disconnected before the connection to the broadcast was open."
                )
            return doing.result()
        finally:
            for each in (doing, leaving):
                each.cancel()
            await asyncio.wait({doing, leaving})

    async def _watch_video(self) -> None:
        await asyncio.wait({self._ready})  # while connecting, only its own timeout applies
        await self._watchdog.too_long()
        self._handle(SpectatorEvent.LOST, PeerError(f"The broadcast was lost: no video for {self._peer_timeout:g} s."))

    async def _watch_resource(self, exists: ResourceExists) -> None:
        """Check repeatedly, until the first frame arrives, whether the service has removed this spectator."""
        while not self._has_video.is_set():
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(RESOURCE_CHECK_S):
                    await self._has_video.wait()
            if self._has_video.is_set() or await exists() is not False:
                continue
            if self.is_connected:
                self._ended()
            else:
                error = BroadcastNotFoundError(
                    "The service removed this spectator before its peer connection was open: the broadcast has ended, "
                    "or connecting took too long."
                )
                self._handle(SpectatorEvent.REFUSED, error)
            return

    def _ended(self) -> None:
        self._handle(SpectatorEvent.ENDED, PeerError("The broadcast ended before it was connected."))

    def _on_frame(self, frame: VideoFrame) -> None:
        self._has_video.set()
        self._watchdog.on_frame()
        self.stream.push(frame, self._clock.time())

    # Effects.

    def _handle(self, event: SpectatorEvent, error: OdysseyError | None = None) -> None:
        before = self._machine.state
        effects = self._machine.handle(event)
        if self._trace is not None and (effects or before is not self._machine.state):
            self._trace.transition("spectator", before, self._machine.state, f"{event}: {error}" if error else event)
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
            error = self._error or ConnectionClosedError(
                "The spectator disconnected before the connection to the broadcast was open."
            )
            self._ready.set_exception(error)
            self._ready.exception()  # mark as retrieved: the task that waited may have been cancelled


async def _shielded[T](task: asyncio.Task[T]) -> T:
    return await asyncio.shield(task)


def _check(webrtc_url: object, spectator_token: object) -> None:
    """Raise `OdysseyConfigError` unless both arguments are valid. The message omits the values: they may be secret."""
    for name, value in (("webrtc_url", webrtc_url), ("spectator_token", spectator_token)):
        if not isinstance(value, str) or not value.strip():
            got = "an empty string" if isinstance(value, str) else type(value).__name__
            raise OdysseyConfigError(f"{name} must be a non-empty string, got {got}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise OdysseyConfigError(f"{name} must be text that UTF-8 can encode, got a lone surrogate") from None
    try:
        parts = urlsplit(str(webrtc_url).strip())
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise OdysseyConfigError(
            "webrtc_url must be an http or https URL, such as https://host/stream, got another value. "
            "It is the webrtc_url of BroadcastInfo."
        )
    if "@" in parts.netloc:
        raise OdysseyConfigError(
            "webrtc_url must not contain a user or password. Pass only the token, as spectator_token."
        )
