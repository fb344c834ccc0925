"""One connection, from the first REST call to the last goodbye: the shell that carries `machine.py` out.

One task owns everything: sockets, peers, timers and the calling of handlers live in its task groups, and are gone
when it ends. It is fed by `Connection.handle`, which asks the machine and carries out what that says::

    sessions, line, timers, user  --happenings-->  ConnectionMachine  --effects-->  status, handlers, Work (work.py)
                                streamerToClient  -->  Streaming (operations.py)  -->  results of calls, handlers
"""

from __future__ import annotations

import asyncio
import logging

from odyssey_client.config import AdvancedConfig
from odyssey_client.connection import connection_events, messages
from odyssey_client.connection.connection_machine import ConnectionMachine, ReconnectPolicy
from odyssey_client.connection.connection_table import State
from odyssey_client.connection.effect_runner import EffectRunner
from odyssey_client.connection.session_source import SessionSource
from odyssey_client.connection.stream_calls import StreamCalls
from odyssey_client.connection.streamer_link import LinkListener
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import InvalidStateError, OdysseyError
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
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import JSON, ConnectionStatus
from odyssey_client.platform import Clock, Network
from odyssey_client.rtc.ice_servers import Fetch

logger = logging.getLogger(__name__)

HANDLER_LIMIT_S = 2.0
"""Seconds that handlers have to finish once the connection is over and somebody waits for its end."""


class Connection:
    """One connection. `start` it, wait for `ready`, `close` it; a new one is made to connect again."""

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
    ) -> None:
        """``events`` is told every event, in order, besides the handlers, and of the end."""
        self.media_stream = MediaStream()
        self.status: ConnectionStatus | None = None
        self._clock = clock
        self._handlers = handlers
        self._dispatcher = Dispatcher(handlers)
        self._events = events
        self._machine = ConnectionMachine(_policy(settings))
        self._work = EffectRunner(
            self.media_stream,
            sessions,
            LinkListener(self.handle, self._answered, self._report),
            settings=settings,
            clock=clock,
            network=network,
            fetch=fetch,
        )
        self.streaming = StreamCalls(clock, settings.operation_timeout_s, self._emit, self._work.later)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._released = asyncio.Event()
        self._quiet = asyncio.Event()
        self._awaited = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def credentials(self) -> ClientCredentials | None:
        """Those of the session there is, or was."""
        return self._work.line.credentials

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
        self.handle(connection_events.Disconnect())
        if self._task is None or self._task.done():
            return  # never begun, or all over: perhaps with an event loop that is gone
        if in_handler():
            await self._quiet.wait()
            return
        self._awaited.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def handle(self, happened: connection_events.Input) -> None:
        """Let the machine decide about ``happened``, and carry out what it says."""
        if self._machine.is_over and not isinstance(happened, connection_events.Disconnect):
            return  # an echo of what is being torn down
        for effect in self._machine.handle(happened):
            self._carry_out(effect)

    async def send_start(self, fields: dict[str, JSON], *, by_socket: bool) -> None:
        """Send `interactive_stream_start`; by the socket if asked to, or if the channel does not take it.

        Raises:
            InvalidStateError: the connection is being made again.
            OdysseyConnectionError: there is no way to send it any more.
        """
        if not self.is_up:  # it was when the call began: an image takes a while to prepare
            raise InvalidStateError(
                "reconnecting",
                "The connection is being made again, so nothing was sent. Wait for the status connected.",
            )
        await self._work.line.send_start(fields, by_socket=by_socket)

    async def send(self, kind: str, fields: dict[str, JSON]) -> None:
        """Send on `clientToStreamer`.

        Raises:
            OdysseyConnectionError: there is no connection any more.
            OdysseyStreamError: the message is longer than the streamer takes, or the channel is closed.
        """
        self._work.line.send_by_channel(kind, fields)

    # The connection's own task.

    async def _run(self, credentials: ClientCredentials | None) -> None:
        async with asyncio.TaskGroup() as deliveries:
            delivering = {deliveries.create_task(self._dispatcher.run(), name="odyssey handlers")}
            if self._handlers.on_video_frame is not None:
                frames = self._dispatcher.run_frames(self.media_stream.frames(buffer=1))
                delivering.add(deliveries.create_task(frames, name="odyssey on_video_frame"))
            try:
                await self._work.run(self._live(credentials))
            finally:
                self._quiet.set()
                self._dispatcher.close()
            late = deliveries.create_task(self._cancel_late(delivering), name="odyssey late handlers")
            await asyncio.wait(delivering)
            late.cancel()

    async def _live(self, credentials: ClientCredentials | None) -> None:
        try:
            if not self._machine.is_over:  # it may have been closed before this task began
                self.handle(connection_events.Connect(credentials))
            await self._released.wait()
        finally:
            # Cancelled from outside, as when the event loop ends: it is over all the same, and what the tasks
            # of the work still say on their way out begins nothing new.
            self.handle(connection_events.Disconnect())

    async def _cancel_late(self, delivering: set[asyncio.Task[None]]) -> None:
        """Give handlers a limit once somebody waits for them; until then, one may be connecting anew."""
        await self._awaited.wait()
        await self._clock.sleep(HANDLER_LIMIT_S)
        logger.warning("a handler was still running %g s after the connection was closed; cancelled", HANDLER_LIMIT_S)
        for task in delivering:
            task.cancel()

    # What the machine says is to be done.

    def _carry_out(self, effect: connection_events.Effect) -> None:
        match effect:
            case connection_events.SetStatus(status, message):
                self.status = status
                self._emit(StatusChanged(status, message))
            case connection_events.LoseSession(error):
                self.streaming.lose_session(error)
            case connection_events.CallConnected():
                self._emit(Connected(self.media_stream))
                self._ready.set_result(None)
            case connection_events.CallDisconnected():
                self._emit(Disconnected())
            case connection_events.Report(error, fatal):
                self._emit(ErrorOccurred(error, fatal))
            case connection_events.Release(error):
                self._settle(error)
                self._released.set()
            case _:
                self._work.carry_out(effect)

    def _settle(self, error: OdysseyError) -> None:
        """Let nobody wait any longer; the second time nobody does."""
        self.streaming.close(error)
        self.media_stream.end(error if self._machine.state is State.FAILED else None)
        self._events.end()
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: whoever waited may have been cancelled

    def _answered(self, answer: messages.Message) -> None:
        if self._machine.is_over:
            return  # said while the goodbye is under way
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
        if self._machine.is_over:
            return
        logger.warning("%s", error)
        self._emit(ErrorOccurred(error, fatal=False))

    def _emit(self, event: Event) -> None:
        self._dispatcher.put(event)
        self._events.put(event)


def _policy(settings: AdvancedConfig) -> ReconnectPolicy:
    return ReconnectPolicy(
        max_retries=settings.max_retries,
        initial_delay=settings.initial_retry_delay_ms / 1000,
        max_delay=settings.max_retry_delay_ms / 1000,
        multiplier=settings.retry_backoff_multiplier,
        connect_timeout=settings.connect_timeout_s,
        reconnect=settings.reconnect,
    )
