"""The live connection of a client, from its first REST call to its close.

This is the shell of the state machine in `connection_machine.py`: it does the I/O, and the machine makes the decisions.

One task owns the connection. Sockets, peers, timers and handler calls run in its task groups and end with it.
`Connection.handle` passes events to the machine and carries out the effects::

    sessions, link, timers, caller --events--> ConnectionMachine --effects--> status, handlers, sessions, link, timers
                          streamerToClient --> StreamCalls (stream_calls.py) --> results of calls, handlers
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Protocol, assert_never

from odyssey_client.config import AdvancedConfig
from odyssey_client.connection import connection_machine
from odyssey_client.connection.connection_machine import (
    ConnectionEffect,
    ConnectionEvent,
    ConnectionMachine,
    ConnectionState,
    ReconnectPolicy,
)
from odyssey_client.connection.messages import StreamerMessage
from odyssey_client.connection.signaling import end_session
from odyssey_client.connection.stream_calls import StreamCalls
from odyssey_client.connection.streamer_link import StreamerLink, StreamerLinkListener
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import ConnectTimeoutError, OdysseyError
from odyssey_client.event_loop import require_loop
from odyssey_client.events import (
    Connected,
    Disconnected,
    Dispatcher,
    ErrorOccurred,
    Event,
    EventBus,
    OdysseyEventHandlers,
    StatusChanged,
    StreamEnded,
    StreamStarted,
    in_handler,
)
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import JSON, ConnectionStatus
from odyssey_client.platform import Clock, Network
from odyssey_client.redaction import get_logger
from odyssey_client.rtc.ice_servers import Fetch
from odyssey_client.trace.described import why
from odyssey_client.trace.waiting import queued

if TYPE_CHECKING:
    from odyssey_client.trace.client_trace import ClientTrace

logger = get_logger(__name__)

HANDLER_LIMIT_S = 2.0
"""Seconds that `Connection.close` waits for handlers that are still running; then it cancels them."""

REASON_LIMIT_S = 0.5
"""Seconds to wait for signaling to report why the peer was lost.

The service closes the socket and the peer connection together, and either close may arrive first.
"""


class SessionSource(Protocol):
    """The REST calls that return credentials."""

    def open(self, on_queued: Callable[[int, str], None]) -> Awaitable[ClientCredentials]:
        """Request a new session and return its credentials.

        ``on_queued`` is called after each response that says that no streamer is free (503). Its arguments are the
        number of these responses so far and the service's message.
        """
        ...

    def renew(self, credentials: ClientCredentials) -> Awaitable[ClientCredentials]:
        """Return new credentials that resume the session of ``credentials``.

        Raises:
            SessionLostError: the session no longer exists.
        """
        ...


class Connection:
    """One live connection of a client: call `start`, await `ready`, and await `close` at the end.

    To connect again, create another `Connection`.
    """

    def __init__(
        self,
        *,
        settings: AdvancedConfig,
        clock: Clock,
        network: Network,
        fetch: Fetch,
        sessions: SessionSource,
        handlers: OdysseyEventHandlers,
        events: EventBus,
        trace: ClientTrace | None = None,
    ) -> None:
        """Create a connection that is not started. Its events go to ``handlers`` and ``events`` in the same order.

        ``trace`` records transitions of the state machines, and calls of the handlers.
        """
        self._trace = trace
        self._queued = 0
        """Number of responses so far that say that no streamer is free."""
        self.media_stream = MediaStream()
        self.status: ConnectionStatus | None = None
        self._clock = clock
        self._network = network
        self._handlers = handlers
        self._dispatcher = Dispatcher(handlers, trace)
        self._events = events
        self._machine = ConnectionMachine(_policy(settings))
        self._sessions = sessions
        self._tasks = ConnectionTasks(clock, lambda error: self.handle(connection_machine.Broke(error)))
        self._link = StreamerLink(
            self.media_stream,
            StreamerLinkListener(self.handle, self._answered, self._report),
            self._tasks.spawn,
            settings=settings,
            clock=clock,
            network=network,
            fetch=fetch,
        )
        self.streaming = StreamCalls(
            self._link,
            clock=clock,
            limit=settings.operation_timeout_s,
            is_up=lambda: self.is_up,
            announce=self._emit,
            later=self._tasks.later,
            trace=trace,
        )
        self.loop = require_loop("connect")
        """The event loop of the connection."""
        self._ready: asyncio.Future[None] = self.loop.create_future()
        self._released = asyncio.Event()
        self._quiet = asyncio.Event()
        self._awaited = asyncio.Event()
        self._is_abandoned = False
        """Whether the client ended the connection, by `close` or by its time limit, and not the service."""
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None

    @property
    def credentials(self) -> ClientCredentials | None:
        """Credentials of the current or last session; None before the first."""
        return self._link.credentials

    @property
    def is_up(self) -> bool:
        """Whether the connection is up: in state `CONNECTED` or `LOST`."""
        return self._machine.is_up

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended or failed. Its tasks may still be running; see `is_gone`."""
        return self._machine.is_over

    @property
    def is_gone(self) -> bool:
        """Whether the connection is over and its task has finished."""
        return self._machine.is_over and (self._task is None or self._task.done())

    def start(self, credentials: ClientCredentials | None = None) -> None:
        """Start connecting, with ``credentials`` if given. Do nothing if the connection was closed already."""
        if self._machine.is_over:
            return
        self._task = asyncio.create_task(self._run(credentials), name="odyssey connection")

    async def ready(self) -> None:
        """Wait until the connection is up.

        Raises:
            OdysseyError: the connection ended before it was up.
        """
        await asyncio.shield(self._ready)

    async def close(self) -> None:
        """End the connection and wait until all its tasks have finished.

        May be called at any time, from any task, and more than once. A call from a handler does not wait for the
        handlers, because it would wait for itself.
        """
        self.handle(connection_machine.Disconnect())
        if self._task is None or self._task.done():
            return  # never started, or already finished, perhaps in an event loop that is closed
        if in_handler():
            await self._quiet.wait()
            return
        self._awaited.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def handle(self, event: ConnectionEvent) -> None:
        """Pass ``event`` to the machine and carry out the effects."""
        if self._machine.is_over and not isinstance(event, connection_machine.Disconnect):
            return  # closing the connection causes further events
        before = self._machine.state
        effects = self._machine.handle(event)
        if self._trace is not None:
            self._record(self._trace, before, event, effects)
        for effect in effects:
            self._carry_out(effect)

    def stats(self) -> dict[str, JSON]:
        """Return the statistics of the peer; empty while there is none."""
        return self._link.stats()

    def waiting_for(self) -> str | None:
        """Return what is missing until the connection is up; None if it is up or over."""
        match self._machine.state:
            case ConnectionState.QUEUEING | ConnectionState.REQUEUEING:
                return queued(self._queued)
            case ConnectionState.CONNECTING | ConnectionState.RECONNECTING:
                return self._link.waiting_for
        return self._machine.missing

    def _record(
        self, trace: ClientTrace, before: ConnectionState, event: ConnectionEvent, effects: Sequence[ConnectionEffect]
    ) -> None:
        for effect in effects:
            if isinstance(effect, connection_machine.OpenSignaling):
                trace.session = effect.credentials.session_id
        trace.is_restoring = self._machine.is_restoring
        if effects or before is not self._machine.state:
            trace.transition("connection", before, self._machine.state, why(event))

    # The connection's own task.

    async def _run(self, credentials: ClientCredentials | None) -> None:
        async with asyncio.TaskGroup() as deliveries:
            delivering = {deliveries.create_task(self._dispatcher.run(), name="odyssey handlers")}
            if self._handlers.on_video_frame is not None:
                frames = self._dispatcher.run_frames(self.media_stream.frames(buffer=1))
                delivering.add(deliveries.create_task(frames, name="odyssey on_video_frame"))
            try:
                await self._tasks.run(self._live(credentials))
                if self._is_abandoned and self._link.open_session is not None:
                    await end_session(self._link.open_session, self._network, self._clock)
            finally:
                self._quiet.set()
                self._dispatcher.close()
            late = deliveries.create_task(self._cancel_late(delivering), name="odyssey late handlers")
            await asyncio.wait(delivering)
            late.cancel()

    async def _live(self, credentials: ClientCredentials | None) -> None:
        try:
            if not self._machine.is_over:  # it may have been closed before this task started
                self.handle(_connect(credentials))
            await self._released.wait()
        finally:
            # If this task is cancelled from outside (the event loop ends), end the machine too, so that it ignores the
            # events that the ending tasks cause.
            self.handle(connection_machine.Disconnect())

    async def _cancel_late(self, delivering: set[asyncio.Task[None]]) -> None:
        """Cancel the handlers if they are still running `HANDLER_LIMIT_S` after `close` began to wait for them.

        While no call of `close` waits, handlers have no time limit: a handler may open a new connection.
        """
        await self._awaited.wait()
        await self._clock.sleep(HANDLER_LIMIT_S)
        logger.warning(
            "a handler was still running %g s after the connection was closed; cancelling it", HANDLER_LIMIT_S
        )
        for task in delivering:
            task.cancel()

    # Effects.

    def _carry_out(self, effect: ConnectionEffect) -> None:  # noqa: PLR0912 - a case for each effect
        match effect:
            case connection_machine.SetStatus(status, message):
                self.status = status
                self._emit(StatusChanged(status, message))
            case connection_machine.CallConnected():
                self._emit(Connected(self.media_stream))
                self._ready.set_result(None)
            case connection_machine.CallDisconnected():
                self._emit(Disconnected())
            case connection_machine.Report(error, fatal):
                self._emit(ErrorOccurred(error, fatal))
            case connection_machine.OpenSession():
                self._tasks.begin(self._open_session())
            case connection_machine.RenewSession(credentials):
                self._tasks.begin(self._renew_session(credentials))
            case connection_machine.LoseSession(error):
                self._link.open_session = None
                self.streaming.lose_session(error)
            case connection_machine.OpenSignaling(credentials):
                self._link.open(credentials)
            case connection_machine.DropAttempt():
                self._link.drop()
                self._tasks.drop()
            case connection_machine.StartTimer(seconds):
                self._timer = self._tasks.spawn(self._after(seconds, connection_machine.TimedOut()))
            case connection_machine.StopTimer():
                if self._timer is not None:
                    self._timer.cancel()
            case connection_machine.ScheduleRetry(seconds):
                self._tasks.spawn(self._after(seconds, connection_machine.RetryDue()))
            case connection_machine.AwaitReason():
                self._tasks.begin(self._after(REASON_LIMIT_S, connection_machine.ReasonOverdue()))
            case connection_machine.WatchVideo():
                self._tasks.begin(self._link.watch_video())
            case connection_machine.WatchHold(seconds):
                self._tasks.begin(self._after(seconds, connection_machine.Held()))
            case connection_machine.Release(error):
                self._is_abandoned = self.status is ConnectionStatus.DISCONNECTED or isinstance(
                    error, ConnectTimeoutError
                )
                self._settle(error)
                self._released.set()
            case _ as unreachable:
                assert_never(unreachable)

    async def _open_session(self) -> None:
        await self._ask_for_session(self._sessions.open(self._is_queued))

    def _is_queued(self, times: int, _: str) -> None:
        self._queued = times
        self.handle(connection_machine.NoStreamerFree())

    async def _renew_session(self, credentials: ClientCredentials) -> None:
        await self._ask_for_session(self._sessions.renew(credentials))

    async def _ask_for_session(self, asking: Awaitable[ClientCredentials]) -> None:
        try:
            credentials = await asking
        except OdysseyError as error:
            self.handle(connection_machine.SessionRefused(error))
        else:
            self._link.open_session = credentials  # also if the connection was closed meanwhile
            self.handle(connection_machine.SessionOpened(credentials))

    async def _after(self, seconds: float, event: ConnectionEvent) -> None:
        await self._clock.sleep(seconds)
        self.handle(event)

    def _settle(self, error: OdysseyError) -> None:
        """End the streaming calls, the video and the event readers. Make `ready` raise ``error`` if it still waits.

        May be called more than once.
        """
        self.streaming.close(error)
        self.media_stream.end(error if self._machine.state is ConnectionState.FAILED else None)
        self._events.end()
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # mark as retrieved: the task that waited may have been cancelled

    # Callbacks of the link, other than events.

    def _answered(self, answer: StreamerMessage) -> None:
        if not self._machine.is_over:  # messages may still arrive while the connection closes
            self.streaming.answered(answer)

    def _report(self, error: OdysseyError) -> None:
        if self._machine.is_over:
            return
        logger.warning("%s", error)
        self._emit(ErrorOccurred(error, fatal=False))

    def _emit(self, event: Event) -> None:
        if self._trace is not None and isinstance(event, StreamStarted | StreamEnded):
            self._trace.stream = event.stream_id if isinstance(event, StreamStarted) else None
        self._dispatcher.put(event)
        self._events.put(event)


class ConnectionTasks:
    """The tasks of one connection.

    Tasks of a connection attempt end with the attempt; all other tasks end with the connection.
    """

    def __init__(self, clock: Clock, broke: Callable[[Exception], None]) -> None:
        """Create the object without tasks. ``broke`` is called with the exception of a task that fails."""
        self._clock = clock
        self._broke = broke
        self._group: asyncio.TaskGroup | None = None
        # Events may arrive in a task of aiortc. Its context marks tasks created there as the peer's, and closing the
        # peer cancels them. So every task runs in the context of the code that created the connection.
        self._context = contextvars.copy_context()
        self._is_over = False
        self._begun: list[asyncio.Task[None]] = []
        """Tasks that are cancelled when the attempt is dropped: REST calls, and tasks that watch the connection."""

    async def run(self, life: Awaitable[None]) -> None:
        """Await ``life``, which ends when the connection is over; then cancel all tasks of the connection."""
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    await life
                finally:
                    self._is_over = True
                raise _Over
        except* _Over:
            pass

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call ``call`` after ``seconds``, unless the connection is over by then."""

        async def wait_and_call() -> None:
            await self._clock.sleep(seconds)
            call()

        if not self._is_over:
            self.spawn(wait_and_call())

    def begin(self, work: Coroutine[object, object, None]) -> None:
        """Start a task that belongs to the current attempt; `drop` cancels the task."""
        self._begun.append(self.spawn(work))

    def drop(self) -> None:
        """Cancel the tasks of the current attempt."""
        for task in self._begun:
            task.cancel()
        self._begun.clear()

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Start a task that ends with the connection."""
        if self._group is None:
            raise RuntimeError("expected a started connection, got one that was not started: call start() first")
        task = self._group.create_task(self._guarded(work), context=self._context.copy())
        # A task that is cancelled before it starts never awaits its coroutine; Python would warn about that.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:  # it ends the connection, and waiting calls raise it
            if connection_machine.configuration_error(error) is None:
                logger.exception("a task of the connection failed")  # a bug
            self._broke(error)


class _Over(Exception):  # noqa: N818 - not an error: it leaves the task group
    """Raised to leave the task group when the connection is over, which cancels the tasks of the group."""


def _connect(credentials: ClientCredentials | None) -> ConnectionEvent:
    if credentials is None:
        return connection_machine.Connect()
    return connection_machine.ConnectWithCredentials(credentials)


def _policy(settings: AdvancedConfig) -> ReconnectPolicy:
    return ReconnectPolicy(
        max_retries=settings.max_retries,
        initial_delay=settings.initial_retry_delay_ms / 1000,
        max_delay=settings.max_retry_delay_ms / 1000,
        multiplier=settings.retry_backoff_multiplier,
        connect_timeout=settings.connect_timeout_s,
        reconnect=settings.reconnect,
    )
