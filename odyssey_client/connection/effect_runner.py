"""What runs for a connection: REST calls, attempts, timers and watches, each a task that ends with it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine

from odyssey_client.config import AdvancedConfig
from odyssey_client.connection import connection_events
from odyssey_client.connection.session_source import SessionSource, outcome
from odyssey_client.connection.streamer_link import LinkListener, StreamerLink
from odyssey_client.credentials import ClientCredentials
from odyssey_client.media.stream import MediaStream
from odyssey_client.platform import Clock, Network
from odyssey_client.rtc.ice_servers import Fetch

logger = logging.getLogger(__name__)

REASON_LIMIT_S = 0.5
"""Seconds that signaling has to say why the peer was lost: both are closed at once, and either may come first."""


class _Over(Exception):  # noqa: N818 - not an error: the way out of a task group
    """The connection is over; whatever runs for it is to be cancelled."""


class EffectRunner:
    """Carries out those effects of the machine that take a while, and tells it what came of them.

    Attributes:
        line: The way to the streamer.
    """

    def __init__(
        self,
        stream: MediaStream,
        sessions: SessionSource,
        listener: LinkListener,
        *,
        settings: AdvancedConfig,
        clock: Clock,
        network: Network,
        fetch: Fetch,
    ) -> None:
        self.line = StreamerLink(
            stream, listener, self._spawn, settings=settings, clock=clock, network=network, fetch=fetch
        )
        self._sessions = sessions
        self._happened = listener.happened
        self._clock = clock
        self._group: asyncio.TaskGroup | None = None
        # What happens may be told by one of aiortc's tasks, whose context marks the tasks begun there as the peer's, to
        # be cancelled with it: so every task has the context of whoever connects.
        self._context = contextvars.copy_context()
        self._is_over = False
        self._timer: asyncio.Task[None] | None = None
        self._under_way: list[asyncio.Task[None]] = []
        """What an attempt that is dropped takes with it: REST calls and watches."""

    async def run(self, life: Awaitable[None]) -> None:
        """Wait for ``life``; then end everything."""
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
        """Call ``call`` after a time, unless all is over by then."""

        async def wait_and_call() -> None:
            await self._clock.sleep(seconds)
            call()

        if not self._is_over:
            self._spawn(wait_and_call())

    def carry_out(self, effect: connection_events.Work) -> None:
        """Begin or end something."""
        match effect:
            case connection_events.OpenSession():
                self._begin(self._open_session())
            case connection_events.RenewSession(credentials):
                self._begin(self._renew_session(credentials))
            case connection_events.OpenSignaling(credentials):
                self.line.open(credentials)
            case connection_events.DropAttempt():
                self._drop_attempt()
            case connection_events.StartTimer(seconds):
                self._timer = self._spawn(self._after(seconds, connection_events.TimedOut()))
            case connection_events.StopTimer():
                self._stop_timer()
            case connection_events.ScheduleRetry(seconds):
                self._spawn(self._after(seconds, connection_events.RetryDue()))
            case connection_events.AwaitReason():
                self._begin(self._after(REASON_LIMIT_S, connection_events.ReasonOverdue()))
            case connection_events.WatchVideo():
                self._begin(self.line.watch_video())
            case connection_events.WatchHold(seconds):
                self._begin(self._after(seconds, connection_events.Held()))

    async def _open_session(self) -> None:
        self._happened(
            await outcome(self._sessions.open(lambda *_: self._happened(connection_events.NoStreamerFree())))
        )

    async def _renew_session(self, credentials: ClientCredentials) -> None:
        self._happened(await outcome(self._sessions.renew(credentials)))

    async def _after(self, seconds: float, happened: connection_events.Input) -> None:
        await self._clock.sleep(seconds)
        self._happened(happened)

    def _drop_attempt(self) -> None:
        self.line.drop()
        for task in self._under_way:
            task.cancel()
        self._under_way.clear()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        self._under_way.append(self._spawn(work))

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        if self._group is None:
            raise RuntimeError("the connection was not started")
        task = self._group.create_task(self._guarded(work), context=self._context.copy())
        # Cancelled before it has begun, a task leaves its work untouched, and Python would complain of that.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:  # a defect: the connection ends with it, and whoever waits is told
            logger.exception("a task of the connection failed")
            self._happened(connection_events.Broke(error))
