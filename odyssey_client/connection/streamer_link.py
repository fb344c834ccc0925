"""The way to the streamer: one attempt after the other, and the video that runs through them all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from av import VideoFrame

from odyssey_client.config import AdvancedConfig
from odyssey_client.connection import connection_events, messages
from odyssey_client.connection.attempt import AttemptListener, ConnectionAttempt
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import ConnectionClosedError, OdysseyError, OdysseyStreamError, PeerError
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import JSON
from odyssey_client.platform import Clock, Network
from odyssey_client.rtc.ice_servers import Fetch
from odyssey_client.rtc.watchdog import VideoWatchdog

logger = logging.getLogger(__name__)

type Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]


@dataclass(frozen=True, slots=True)
class LinkListener:
    """Whom a line tells; all are called on the event loop, and none for an attempt that was dropped."""

    happened: Callable[[connection_events.Input], None]
    answer: Callable[[messages.Message], None]
    """A message on `streamerToClient`."""
    error: Callable[[OdysseyError], None]
    """Something went wrong, and the connection goes on."""


class StreamerLink:
    """The attempts of one connection, one at a time; ``spawn`` runs its tasks, and ends them with the connection."""

    def __init__(
        self,
        stream: MediaStream,
        listener: LinkListener,
        spawn: Spawn,
        *,
        settings: AdvancedConfig,
        clock: Clock,
        network: Network,
        fetch: Fetch,
    ) -> None:
        self._stream = stream
        self._listener = listener
        self._spawn = spawn
        self._settings = settings
        self._clock = clock
        self._network = network
        self._fetch = fetch
        self.credentials: ClientCredentials | None = None
        """Those of the latest attempt."""
        self._attempt: ConnectionAttempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._silence = VideoWatchdog(clock, settings.peer_timeout_s)
        self._last_frame_at: float | None = None

    def open(self, credentials: ClientCredentials) -> None:
        """Make an attempt. The one before was dropped, or there was none."""
        self.credentials = credentials
        has_sent = False

        def frame_came(frame: VideoFrame) -> None:
            nonlocal has_sent
            now = self._clock.monotonic()
            if not has_sent and self._last_frame_at is not None:
                self._stream.splice(now - self._last_frame_at)
            has_sent, self._last_frame_at = True, now
            self._silence.end()
            self._stream.push(frame)

        def while_it_counts[T](take: Callable[[T], None]) -> Callable[[T], None]:
            def taken(what: T) -> None:
                # An attempt that was dropped, or that is saying goodbye, goes on talking for a while.
                if self._attempt is attempt:
                    take(what)

            return taken

        listener = AttemptListener(
            happened=while_it_counts(self._listener.happened),
            frame=while_it_counts(frame_came),
            answer=while_it_counts(self._listener.answer),
            error=while_it_counts(self._listener.error),
        )
        self._attempt = attempt = ConnectionAttempt(
            credentials,
            listener,
            clock=self._clock,
            network=self._network,
            fetch=self._fetch,
            keepalive_interval=self._settings.keepalive_interval_s,
            turn=self._turn,
        )
        self._task = self._spawn(self._run(attempt))

    def drop(self) -> None:
        """Give the attempt up, if there is one, in such a way that its session can be taken up again."""
        attempt, task, self._attempt, self._task = self._attempt, self._task, None, None
        if attempt is None or task is None:
            return
        attempt.drop()
        if task is not asyncio.current_task():  # then it finds its own way out, and in order
            task.cancel()

    async def watch_video(self) -> None:
        """Return once no frame has come for ``AdvancedConfig.peer_timeout_s``, and say so."""
        await self._silence.too_long()
        limit = self._settings.peer_timeout_s
        self._listener.happened(
            connection_events.PeerLost(PeerError(f"The streamer was lost: no video for {limit:g} s."))
        )

    def send_by_channel(self, kind: str, fields: Mapping[str, JSON]) -> None:
        """Send on `clientToStreamer`.

        Raises:
            OdysseyConnectionError: there is no connection any more.
            OdysseyStreamError: the message is longer than the streamer takes, or the channel is closed.
        """
        if not self._held().send_by_channel(kind, fields):
            raise OdysseyStreamError(
                "not_sent", "The data channel did not take it: it is closed, or the prompt is longer than it takes."
            )

    async def send_start(self, fields: Mapping[str, JSON], *, by_socket: bool) -> None:
        """Send `interactive_stream_start`; by the socket if asked to, or if the channel does not take it.

        Raises:
            OdysseyConnectionError: there is no way to send it any more.
        """
        kind, attempt = "interactive_stream_start", self._held()
        if by_socket or not attempt.send_by_channel(kind, fields):
            await attempt.send_by_socket(kind, fields)

    def _held(self) -> ConnectionAttempt:
        if self._attempt is None:
            raise ConnectionClosedError("There is no connection any more.")
        return self._attempt

    async def _run(self, attempt: ConnectionAttempt) -> None:
        try:
            await attempt.run()
        except Exception:
            if self._attempt is attempt:
                raise
            logger.exception("an attempt that was given up did not end as it should")
