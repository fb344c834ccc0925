"""Rules for when and in which order the client calls the event handlers of a connection."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from odyssey_client import BroadcastInfo, ConnectionStatus, MediaStream, Odyssey, OdysseyEventHandlers, VideoFrame
from odyssey_client.events import Handler
from odyssey_client.media.stamp import read_stamp
from odyssey_mock.sim.run_log import RunLog
from odyssey_mock.sim.status_transitions import STATUS_TRANSITIONS

_OVER = frozenset({ConnectionStatus.FAILED, ConnectionStatus.DISCONNECTED})
_AGAIN = re.compile(r"(Retry|attempt) (\d+) of")
"""Matches the number of the client's next attempt in the message of a status.

The message has the number after `Retry` while connecting, and after `attempt` while reconnecting.
"""

ARRIVES_WITHIN = 1.0
"""Seconds within which a message must reach its handler, once all disturbances have ended."""


class ReportViolation(Protocol):
    """A function that records a violated rule."""

    def __call__(self, rule: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message from the server on the channel `streamerToClient`, reduced to the values that a handler receives."""

    kind: str
    text: str
    line: int = field(default=0, compare=False)
    """How often the session had lost its connection to the client before the server sent this message.

    When the connection is lost, messages may be lost with it. All messages after the last such loss must arrive.
    """
    at: float = field(default=0.0, compare=False)
    """Virtual time at which the server sent this message."""


class CallbackRules:
    """The event handlers of one connection. Each handler checks its rules whenever the client calls it."""

    def __init__(
        self,
        host: str,
        client: Odyssey,
        run_log: RunLog,
        report_violation: ReportViolation,
        said: Callable[[str], Sequence[SentMessage]],
        *,
        now: Callable[[], float],
        first_wait: float,
        may_repeat: bool,
        pause: float,
    ) -> None:
        """Create the handlers.

        Args:
            host: host of the client, as named in the log.
            client: the client that connects.
            run_log: records each call of a handler.
            report_violation: called with each violated rule.
            said: function that returns the messages that the server has sent to a session so far.
            now: function that returns the virtual time.
            first_wait: minimum seconds before the client retries a connection.
            may_repeat: whether a fault of the scenario can repeat frames.
            pause: seconds that each handler takes to return.
        """
        self._host = host
        self._client = client
        self._run_log = run_log
        self._report_violation = report_violation
        self._said = said
        self._now = now
        self._first_wait = first_wait
        self._may_repeat = may_repeat
        self._pause = pause
        self._heard: dict[str, int] = {}
        """By session: how many of its messages the server had sent, up to the last message that a handler received."""
        self._last: ConnectionStatus | None = None
        self._fatal: list[str] = []
        self._frames: dict[int, int] = {}
        self._is_over = False
        self._ups = 0
        self._downs = 0
        self._no_try_before = 0.0
        self._acknowledgements: list[tuple[float, str]] = []
        self._stream: MediaStream | None = None
        """The stream that `on_connected` received."""
        self._returned: MediaStream | None = None
        """The stream that `connect` returned."""
        self.ended_at: float | None = None
        """Virtual time of the status `failed` or `disconnected`; None before that status."""
        self.broadcasts: list[BroadcastInfo] = []
        self.statuses: list[ConnectionStatus] = []

    def handlers(self) -> OdysseyEventHandlers:
        """Return the handlers to pass to `connect`."""
        quick: Mapping[str, Callable[..., None]] = {
            "on_connected": self._connected,
            "on_disconnected": self._disconnected,
            "on_stream_started": self._started,
            "on_stream_ended": lambda: self._told("on_stream_ended"),
            "on_interact_acknowledged": self._acknowledged,
            "on_stream_error": lambda reason, _: self._told(f"on_stream_error({reason!r})"),
            "on_error": self._error,
            "on_status_change": self._status,
            "on_broadcast_ready": self._broadcast,
        }
        handlers: Mapping[str, Handler] = {name: self._slowed(each) for name, each in quick.items()}
        return OdysseyEventHandlers(on_video_frame=self._frame, **handlers)

    def _slowed(self, handler: Callable[..., None]) -> Handler:
        if not self._pause:
            return handler

        @functools.wraps(handler)
        async def slow(*arguments: object) -> None:
            handler(*arguments)
            await asyncio.sleep(self._pause)

        return slow

    def over(self) -> None:
        """Record that `disconnect` has returned. Every later call of a handler violates a rule."""
        self._is_over = True

    def check(self) -> None:
        """Check that the last status is final, and that each handler was called as often as this status requires.

        Call this once the connection has ended and all handlers have returned.
        """
        if self.statuses and self._last not in _OVER:
            self._report_violation(
                "statuses_are_legal", f"expected failed or disconnected as the last status, got {self._last}"
            )
        if self._downs != self._ups:
            self._report_violation(
                "handlers_fit_the_status",
                f"expected as many calls of on_disconnected as of on_connected ({self._ups}), got {self._downs}",
            )
        failed = self._last is ConnectionStatus.FAILED
        if len(self._fatal) != int(failed):
            self._report_violation(
                "fatal_once",
                f"expected {int(failed)} fatal errors, because the last status is {self._last}, got {self._fatal}",
            )

    def caught_up(self, session: str, line: int) -> None:
        """Check that handlers have received all messages of `session` since its connection was last lost.

        A message that was sent less than `ARRIVES_WITHIN` seconds ago may still be on its way.

        `line`: how often the session has lost its connection to the client.
        """
        if self._pause:
            return
        sent_before = self._now() - ARRIVES_WITHIN
        unheard = self._said(session)[self._heard.get(session, 0) :]
        missing = [each for each in unheard if each.line == line and each.at < sent_before]
        if missing:
            self._report_violation("nothing_said_is_lost", f"expected handler calls for {missing}, got none")

    def has_acknowledged(self, prompt: str, since: float) -> bool:
        """Return whether a handler received the acknowledgement of `prompt` at the virtual time `since` or later.

        The acknowledged text must begin with `prompt`, and may be longer.
        """
        return any(at >= since and applied.startswith(prompt) for at, applied in self._acknowledgements)

    def _told(self, what: str) -> None:
        self._run_log.add(self._host, what)
        if self._is_over:
            self._report_violation(
                "silence_after_disconnect", f"expected no handler call after disconnect() returned, got {what}"
            )

    def _connected(self, stream: MediaStream) -> None:
        self._told("on_connected")
        self._ups += 1
        if self._last is not ConnectionStatus.CONNECTED or self._ups > 1:
            self._report_violation(
                "handlers_fit_the_status",
                f"expected one on_connected call, with status connected, got call {self._ups} with status {self._last}",
            )
        self._stream = stream
        # When the connection has ended, which a handler may learn late, the client may already have another one.
        if stream is not self._client.media_stream and not stream.ended:
            self._report_violation(
                "one_media_stream", "expected on_connected to receive client.media_stream, got another stream"
            )
        self._compare_streams()

    def connected(self, stream: MediaStream) -> None:
        """Check that `stream`, which `connect` has returned, is the stream that `on_connected` receives."""
        self._returned = stream
        self._compare_streams()

    def _compare_streams(self) -> None:
        if self._stream is not None and self._returned is not None and self._stream is not self._returned:
            self._report_violation(
                "one_media_stream", "expected on_connected to receive the stream of connect(), got another stream"
            )

    def _disconnected(self) -> None:
        self._told("on_disconnected")
        self._downs += 1
        if self._last not in _OVER:
            self._report_violation(
                "handlers_fit_the_status",
                f"expected on_disconnected after the connection ended, got status {self._last}",
            )

    def _status(self, status: ConnectionStatus, message: str | None) -> None:
        self._told(f"status {status}" + (f": {message}" if message else ""))
        if status not in STATUS_TRANSITIONS[self._last]:
            self._report_violation(
                "statuses_are_legal",
                f"expected one of {sorted(STATUS_TRANSITIONS[self._last])} after {self._last}, got {status}",
            )
        self._check_wait(status, message or "")
        if status in _OVER:
            self.ended_at = self._now()
        self._last = status
        self.statuses.append(status)

    def _check_wait(self, status: ConnectionStatus, message: str) -> None:
        """Check that the client waited before it tried to connect again. The first reconnection may start at once."""
        if self._pause:
            return  # slow handlers delay the next call, so the wait cannot be measured
        if status not in _OVER and self._now() < self._no_try_before - 1e-6:
            self._report_violation(
                "tries_back_off",
                f"expected the client to wait at least {self._first_wait:g} s before it retries, got {status} after "
                f"{self._now() - self._no_try_before + self._first_wait:.3f} s",
            )
        again = _AGAIN.search(message)
        waits = again is not None and (again[1] == "Retry" or int(again[2]) > 1)
        self._no_try_before = self._now() + self._first_wait if waits else 0.0

    def _error(self, error: Exception, fatal: bool) -> None:
        self._told(f"on_error({getattr(error, 'code', type(error).__name__)}{', fatal' if fatal else ''})")
        if not fatal:
            return
        self._fatal.append(getattr(error, "code", type(error).__name__))
        if self._last is not ConnectionStatus.FAILED:
            self._report_violation(
                "fatal_once", f"expected a fatal error only with status failed, got one with status {self._last}"
            )
        if len(self._fatal) > 1:
            self._report_violation("fatal_once", f"expected one fatal error, got {self._fatal}")

    def _started(self, stream_id: str, prompt: str) -> None:
        self._told(f"on_stream_started({prompt!r})")
        self._in_order(SentMessage("stream_started", stream_id))

    def _acknowledged(self, prompt: str) -> None:
        self._told(f"on_interact_acknowledged({prompt!r})")
        self._acknowledgements.append((self._now(), prompt))
        self._in_order(SentMessage("interact_acknowledged", prompt))

    def _broadcast(self, info: BroadcastInfo) -> None:
        self._told("on_broadcast_ready")
        self.broadcasts.append(info)

    def _in_order(self, heard: SentMessage) -> None:
        """Check that `heard`, the message that a handler has just received, is the next message from the server.

        Only messages that were lost with an earlier connection of the session may be skipped.
        """
        if self._pause:
            return  # a slow handler may run after the session has changed
        session = self._client.current_session_id or ""
        said = self._said(session)
        behind = self._heard.get(session, 0)
        if heard in said[behind:]:
            place = said.index(heard, behind)
            self._heard[session] = place + 1
            if lost := [each for each in said[behind:place] if each.line == said[place].line]:
                self._report_violation(
                    "nothing_said_is_lost", f"expected handler calls for {lost} before {heard}, got none"
                )
        else:
            self._report_violation(
                "callbacks_in_wire_order",
                f"expected a handler call with one of the server's next messages, {list(said[behind:])}, got {heard}",
            )

    def _frame(self, frame: VideoFrame) -> None:
        if self._is_over:
            self._told("on_video_frame")
        stamp = getattr(frame.to_av(), "stamp", None) or read_stamp(frame.luma)
        if stamp is None or stamp.stream_tag is None:
            return
        last = self._frames.get(stamp.stream_tag, -1)
        self._frames[stamp.stream_tag] = stamp.frame_index
        if stamp.frame_index < last or (stamp.frame_index == last and not self._may_repeat):
            self._report_violation(
                "frames_go_forward", f"expected a frame after index {last}, got index {stamp.frame_index}"
            )
