"""One connection, from the first REST call to the last goodbye: the shell that carries `machine.py` out.

One task owns everything: sockets, peer, timers and the calling of handlers live in its task groups, and are gone
when it ends. It is fed by `Connection.handle`, which asks the machine and carries out what that says::

    REST, signaling, peer, timers, user  --happenings-->  ConnectionMachine  --effects-->  status, handlers, tasks
                                  streamerToClient  -->  Streaming (operations.py)  -->  results of calls, handlers
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from odyssey_client.config import AdvancedConfig
from odyssey_client.connection import messages, steps
from odyssey_client.connection.attempt import Attempt, AttemptListener
from odyssey_client.connection.machine import ConnectionMachine, RetryPolicy
from odyssey_client.connection.machine_table import State
from odyssey_client.connection.streaming import Streaming
from odyssey_client.errors import ConnectionClosedError, OdysseyError, OdysseyStreamError, PeerError
from odyssey_client.events import (
    BroadcastReady,
    Connected,
    Disconnected,
    Dispatcher,
    ErrorOccurred,
    Event,
    EventBus,
    InteractAcknowledged,
    OdysseyEventHandlers,
    StatusChanged,
    StreamEnded,
    StreamError,
    StreamStarted,
    in_handler,
)
from odyssey_client.media import MediaStream
from odyssey_client.models import JSON, ClientCredentials, ConnectionStatus
from odyssey_client.rtc.ice_servers import Fetch
from odyssey_client.rtc.silence import SILENCE_LIMIT_S, until_silent
from odyssey_client.seams import Clock, Network

logger = logging.getLogger(__name__)

REASON_LIMIT_S = 0.5
"""Seconds that signaling has to say why the peer was lost: both are closed at once, and either may come first."""

HANDLER_LIMIT_S = 2.0
"""Seconds that handlers have to finish once the connection is over and somebody waits for its end."""


class OpenSession(Protocol):
    """The REST calls that lead to credentials."""

    def __call__(self, on_queued: Callable[[int, str], None]) -> Awaitable[ClientCredentials]:
        """``on_queued`` is called each time no streamer was free, with how often that was and what the service said."""
        ...


class _Released(Exception):  # noqa: N818 - not an error: the way out of a task group
    """The connection is over; whatever runs for it is to be cancelled."""


class Connection:
    """One connection. `start` it, wait for `ready`, `close` it; a new one is made to connect again."""

    def __init__(
        self,
        *,
        settings: AdvancedConfig,
        clock: Clock,
        network: Network,
        fetch: Fetch,
        open_session: OpenSession,
        handlers: OdysseyEventHandlers,
        events: EventBus,
    ) -> None:
        """``events`` is told every event, in order, besides the handlers, and of the end."""
        self.media_stream = MediaStream()
        self.status: ConnectionStatus | None = None
        self.credentials: ClientCredentials | None = None
        self.streaming = Streaming(clock, settings.operation_timeout_s, self._emit, self._later)
        self._settings = settings
        self._clock = clock
        self._network = network
        self._fetch = fetch
        self._open_session = open_session
        self._handlers = handlers
        self._dispatcher = Dispatcher(handlers)
        self._events = events
        self._machine = ConnectionMachine(_policy(settings))
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._released = asyncio.Event()
        self._quiet = asyncio.Event()
        self._awaited = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._attempt: Attempt | None = None
        self._attempt_task: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether video and data channel are there."""
        return self._machine.is_up

    @property
    def is_over(self) -> bool:
        """Whether it has ended or failed; what it held may still be on its way out, see `close`."""
        return self._machine.is_over

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left any more."""
        return self._machine.is_over and (self._task is None or self._task.done())

    def start(self, credentials: ClientCredentials | None = None) -> None:
        """Begin, with credentials made elsewhere if there are any; nothing happens if it was closed already."""
        if self._machine.is_over:
            return
        self._task = asyncio.create_task(self._run(credentials), name="odyssey connection")

    async def ready(self) -> None:
        """Wait until the connection is up.

        Raises:
            OdysseyError: it is over before it was up.
        """
        await asyncio.shield(self._ready)

    async def close(self) -> None:
        """End the connection and wait until nothing of it is left; at any moment, from any task, as often as one likes.

        Called from a handler it does not wait for the handlers, which would be waiting for itself.
        """
        self.handle(steps.Disconnect())
        if self._task is None or self._task.done():
            return  # never begun, or all over: perhaps with an event loop that is gone
        if in_handler():
            await self._quiet.wait()
            return
        self._awaited.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def handle(self, happened: steps.Input) -> None:
        """Let the machine decide about ``happened``, and carry out what it says."""
        if self._machine.is_over and not isinstance(happened, steps.Disconnect):
            return  # an echo of what is being torn down
        for effect in self._machine.handle(happened):
            self._carry_out(effect)

    async def send_start(self, fields: dict[str, JSON], *, by_socket: bool) -> None:
        """Send `interactive_stream_start`; by the socket if asked to, or if the channel does not take it.

        Raises:
            OdysseyConnectionError: there is no way to send it any more.
        """
        kind = "interactive_stream_start"
        if by_socket or self._attempt is None or not self._attempt.send_by_channel(kind, fields):
            if self._attempt is None:
                raise ConnectionClosedError("There is no connection any more.")
            await self._attempt.send_by_socket(kind, fields)

    async def send(self, kind: str, fields: dict[str, JSON]) -> None:
        """Send on `clientToStreamer`.

        Raises:
            OdysseyStreamError: the message is longer than the streamer takes, or the channel is closed.
        """
        if self._attempt is None or not self._attempt.send_by_channel(kind, fields):
            raise OdysseyStreamError(
                "not_sent", "The data channel did not take it: it is closed, or the prompt is longer than it takes."
            )

    # The connection's own task.

    async def _run(self, credentials: ClientCredentials | None) -> None:
        async with asyncio.TaskGroup() as deliveries:
            delivering = {deliveries.create_task(self._dispatcher.run(), name="odyssey handlers")}
            if self._handlers.on_video_frame is not None:
                frames = self._dispatcher.run_frames(self.media_stream.frames(buffer=1))
                delivering.add(deliveries.create_task(frames, name="odyssey on_video_frame"))
            try:
                await self._live(credentials)
            finally:
                self._quiet.set()
                self._dispatcher.close()
            late = deliveries.create_task(self._cancel_late(delivering), name="odyssey late handlers")
            await asyncio.wait(delivering)
            late.cancel()

    async def _live(self, credentials: ClientCredentials | None) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    if not self._machine.is_over:  # it may have been closed before this task began
                        self.handle(steps.Connect(credentials))
                    await self._released.wait()
                finally:
                    # Cancelled from outside, as when the event loop ends: it is over all the same, and what the tasks
                    # of the group still say on their way out begins nothing new.
                    self.handle(steps.Disconnect())
                raise _Released
        except* _Released:
            pass

    async def _cancel_late(self, delivering: set[asyncio.Task[None]]) -> None:
        """Give handlers a limit once somebody waits for them; until then, one may be connecting anew."""
        await self._awaited.wait()
        await self._clock.sleep(HANDLER_LIMIT_S)
        logger.warning("a handler was still running %g s after the connection was closed; cancelled", HANDLER_LIMIT_S)
        for task in delivering:
            task.cancel()

    async def _authenticate(self) -> None:
        try:
            credentials = await self._open_session(lambda *_: self.handle(steps.NoStreamerFree()))
        except OdysseyError as error:
            self.handle(steps.SessionRefused(error))
        else:
            self.handle(steps.SessionOpened(credentials))

    async def _watch_video(self) -> None:
        await until_silent(self.media_stream, self._clock)
        self.handle(steps.PeerLost(PeerError(f"The streamer was lost: no video for {SILENCE_LIMIT_S:g} s.")))

    async def _after(self, seconds: float, happened: steps.Input) -> None:
        await self._clock.sleep(seconds)
        self.handle(happened)

    # What the machine says is to be done.

    def _carry_out(self, effect: steps.Effect) -> None:
        match effect:
            case steps.SetStatus(status, message):
                self.status = status
                self._emit(StatusChanged(status, message))
            case steps.OpenSession():
                self._spawn(self._authenticate())
            case steps.StartTimer(seconds):
                self._timer = self._spawn(self._after(seconds, steps.TimedOut()))
            case steps.OpenSignaling(credentials):
                self._open_signaling(credentials)
            case steps.DropAttempt():
                self._drop_attempt()
            case steps.ScheduleRetry(seconds):
                self._spawn(self._after(seconds, steps.RetryDue()))
            case steps.AwaitReason():
                self._spawn(self._after(REASON_LIMIT_S, steps.ReasonOverdue()))
            case steps.CallConnected():
                self._connected()
            case steps.CallDisconnected():
                self._emit(Disconnected())
            case steps.Report(error, fatal):
                self._emit(ErrorOccurred(error, fatal))
            case steps.Release(error):
                self._settle(error)
                self._released.set()

    def _open_signaling(self, credentials: ClientCredentials) -> None:
        self.credentials = credentials

        def while_it_counts[T](take: Callable[[T], None]) -> Callable[[T], None]:
            def taken(what: T) -> None:
                # An attempt that was dropped, or that is saying goodbye, goes on talking for a while.
                if self._attempt is attempt and not self._machine.is_over:
                    take(what)

            return taken

        listener = AttemptListener(
            happened=while_it_counts(self.handle),
            frame=while_it_counts(self.media_stream.push),
            answer=while_it_counts(self._answered),
            error=while_it_counts(self._report),
        )
        self._attempt = attempt = Attempt(
            credentials,
            listener,
            clock=self._clock,
            network=self._network,
            fetch=self._fetch,
            keepalive_interval=self._settings.keepalive_interval_s,
        )
        self._attempt_task = self._spawn(attempt.run())

    def _drop_attempt(self) -> None:
        self._attempt = None
        if self._attempt_task is not None:
            self._attempt_task.cancel()

    def _connected(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._spawn(self._watch_video())
        self._emit(Connected(self.media_stream))
        self._ready.set_result(None)

    def _settle(self, error: OdysseyError) -> None:
        """Let nobody wait any longer; the second time nobody does."""
        self.streaming.close(error)
        self.media_stream.end(error if self._machine.state is State.FAILED else None)
        self._events.end()
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: whoever waited may have been cancelled

    def _answered(self, answer: messages.Message) -> None:
        match answer:
            case (
                StreamStarted()
                | InteractAcknowledged()
                | StreamEnded()
                | StreamError()
                | BroadcastReady()
                | messages.BroadcastUnusable()
            ):
                self.streaming.answered(answer)

    def _report(self, error: OdysseyError) -> None:
        logger.warning("%s", error)
        self._emit(ErrorOccurred(error, fatal=False))

    def _emit(self, event: Event) -> None:
        self._dispatcher.put(event)
        self._events.put(event)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        async def wait_and_call() -> None:
            await self._clock.sleep(seconds)
            call()

        if not self._machine.is_over:
            self._spawn(wait_and_call())

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        if self._group is None:
            raise RuntimeError("the connection was not started")
        return self._group.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:  # a defect: the connection ends with it, and whoever waits is told
            logger.exception("a task of the connection failed")
            self.handle(steps.Broke(error))


def _policy(settings: AdvancedConfig) -> RetryPolicy:
    return RetryPolicy(
        max_retries=settings.max_retries,
        initial_delay=settings.initial_retry_delay_ms / 1000,
        max_delay=settings.max_retry_delay_ms / 1000,
        multiplier=settings.retry_backoff_multiplier,
        connect_timeout=settings.connect_timeout_s,
    )
