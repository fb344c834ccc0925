"""The state of one client connection: what happens goes in, what is to be done comes out.

Two rules:

1. What may happen stands in the table (`machine_table.py`). An event that it does not list for a state is a defect of
   the shell and raises `IllegalEventError`.
2. The machine says what is to be done, it does nothing: no sockets, no tasks, no clock. `runner.py` carries its effects
   out, in the order given.

One machine is one connection: connecting again takes a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from odyssey_client.connection.machine_table import INITIAL, OVER, TRANSITIONS, UP, Action, Event, State, Transition
from odyssey_client.connection.steps import (
    AwaitReason,
    Broke,
    CallConnected,
    CallDisconnected,
    ChannelOpened,
    Connect,
    Disconnect,
    DropAttempt,
    Effect,
    ErrorReported,
    Input,
    NoStreamerFree,
    OpenSession,
    OpenSignaling,
    PeerLost,
    ReasonOverdue,
    Release,
    Report,
    RetryDue,
    ScheduleRetry,
    SessionOpened,
    SessionRefused,
    SetStatus,
    SignalingClosed,
    StartTimer,
    TimedOut,
    VideoAdded,
)
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectTimeoutError,
    OdysseyConnectionError,
    OdysseyError,
    SignalingError,
    connection_error,
    excerpt,
)
from odyssey_client.models import ClientCredentials, ConnectionStatus

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""WebSocket close codes that end a connection without an error (protocol.md section 3)."""


class IllegalEventError(RuntimeError):
    """An event that the table does not list for the state the machine is in: a defect of the caller."""

    def __init__(self, state: StrEnum, event: StrEnum, expected: Mapping[Event, Transition]) -> None:
        super().__init__(f"a connection that is {state} expects one of {', '.join(sorted(expected))}; {event} came")
        self.state = state
        self.event = event


_EVENTS: Mapping[type[object], Event] = {
    NoStreamerFree: Event.NO_STREAMER_FREE,
    SessionOpened: Event.SESSION_OPENED,
    SessionRefused: Event.SESSION_REFUSED,
    VideoAdded: Event.VIDEO_ADDED,
    ChannelOpened: Event.CHANNEL_OPENED,
    ErrorReported: Event.ERROR_REPORTED,
    PeerLost: Event.PEER_LOST,
    RetryDue: Event.RETRY_DUE,
    ReasonOverdue: Event.REASON_OVERDUE,
    TimedOut: Event.TIMED_OUT,
    Disconnect: Event.DISCONNECT,
    Broke: Event.BROKE,
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When signaling is tried again; times in seconds."""

    max_retries: int = 5
    initial_delay: float = 1.0
    max_delay: float = 2.0
    multiplier: float = 2.0
    connect_timeout: float = 30.0

    def delay(self, retry: int) -> float:
        """The wait before retry number ``retry``, which counts from 0."""
        delay = self.initial_delay
        for _ in range(retry):
            if delay >= self.max_delay:
                break
            delay *= self.multiplier
        return min(delay, self.max_delay)


class ConnectionMachine:
    """One connection's place in `TRANSITIONS`; it remembers the credentials, the retries, and what went wrong."""

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self.state = INITIAL
        self.retries = 0
        self._policy = policy or RetryPolicy()
        self._credentials: ClientCredentials | None = None
        self._error: OdysseyError = ConnectionClosedError("The connection was closed by disconnect().")

    @property
    def is_up(self) -> bool:
        return self.state in UP

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def handle(self, happened: Input) -> tuple[Effect, ...]:
        """Move on, and say what is to be done, in order.

        Raises:
            IllegalEventError: the table does not list the event for the present state.
        """
        event = self._classify(happened)
        transition = TRANSITIONS[self.state].get(event)
        if transition is None:
            raise IllegalEventError(self.state, event, TRANSITIONS[self.state])
        self._remember(happened, transition)
        self.state, actions = transition
        return tuple(_EFFECTS[action](self) for action in actions)

    def _classify(self, happened: Input) -> Event:
        if isinstance(happened, Connect):
            return Event.CONNECT if happened.credentials is None else Event.CONNECT_WITH_CREDENTIALS
        if isinstance(happened, SignalingClosed):
            if happened.code in CLEAN_CLOSE_CODES:
                return Event.SIGNALING_CLOSED
            retry = not self.is_up and self.retries < self._policy.max_retries
            return Event.SIGNALING_LOST if retry else Event.SIGNALING_GIVEN_UP
        return _EVENTS[type(happened)]

    def _remember(self, happened: Input, transition: Transition) -> None:
        if isinstance(happened, Connect | SessionOpened) and happened.credentials is not None:
            self._credentials = happened.credentials
        error = self._error_of(happened)
        # The first sign of a lost peer says the most: those after it are its consequences.
        if error is not None and transition != (State.LOST, ()):
            self._error = error

    def _error_of(self, happened: Input) -> OdysseyError | None:
        match happened:
            case SessionRefused(error) | PeerLost(error):
                return error
            case ErrorReported(reason):
                return connection_error(reason)
            case SignalingClosed(code, reason) if code in CLEAN_CLOSE_CODES:
                return ConnectionClosedError(f"The service closed the connection ({_closure(code, reason)}).")
            case SignalingClosed(code, reason):
                tries = f" after {self.retries + 1} tries" if self.retries else ""
                return SignalingError(f"The signaling connection was lost{tries}: {_closure(code, reason)}.")
            case TimedOut():
                waiting_for = _MISSING.get(self.state, "an answer")
                return ConnectTimeoutError(
                    f"The connection was not up within {self._policy.connect_timeout:g} s: still waiting for "
                    f"{waiting_for}. Call connect() again, or raise AdvancedConfig.connect_timeout_s."
                )
            case Disconnect():
                return ConnectionClosedError("The connection was closed by disconnect().")
            case Broke(error):
                return _defect(error)
        return None

    def _open_signaling(self) -> OpenSignaling:
        if self._credentials is None:
            raise RuntimeError("signaling is opened before there are credentials")
        return OpenSignaling(self._credentials)

    def _schedule_retry(self) -> ScheduleRetry:
        delay = self._policy.delay(self.retries)
        self.retries += 1
        return ScheduleRetry(delay)

    def _tell_retrying(self) -> SetStatus:
        message = f"{self._error} Retry {self.retries + 1} of {self._policy.max_retries} follows."
        return SetStatus(ConnectionStatus.CONNECTING, message)


_MISSING: Mapping[State, str] = {
    State.CONNECTING: "the offer and the peer connection",
    State.HAVE_VIDEO: "the data channel clientToStreamer",
    State.HAVE_CHANNEL: "the video track",
    State.RETRYING: "signaling to come back",
}

_EFFECTS: Mapping[Action, Callable[[ConnectionMachine], Effect]] = {
    Action.TELL_AUTHENTICATING: lambda _: SetStatus(ConnectionStatus.AUTHENTICATING),
    Action.TELL_QUEUEING: lambda _: SetStatus(ConnectionStatus.AUTHENTICATING, "Waiting for a free streamer"),
    Action.TELL_CONNECTING: lambda _: SetStatus(ConnectionStatus.CONNECTING),
    Action.TELL_RETRYING: ConnectionMachine._tell_retrying,  # noqa: SLF001
    Action.TELL_CONNECTED: lambda _: SetStatus(ConnectionStatus.CONNECTED),
    Action.TELL_DISCONNECTED: lambda _: SetStatus(ConnectionStatus.DISCONNECTED),
    Action.TELL_FAILED: lambda m: SetStatus(ConnectionStatus.FAILED, str(m._error)),  # noqa: SLF001
    Action.OPEN_SESSION: lambda _: OpenSession(),
    Action.OPEN_SIGNALING: ConnectionMachine._open_signaling,  # noqa: SLF001
    Action.START_TIMER: lambda m: StartTimer(m._policy.connect_timeout),  # noqa: SLF001
    Action.DROP_ATTEMPT: lambda _: DropAttempt(),
    Action.SCHEDULE_RETRY: ConnectionMachine._schedule_retry,  # noqa: SLF001
    Action.AWAIT_REASON: lambda _: AwaitReason(),
    Action.CALL_CONNECTED: lambda _: CallConnected(),
    Action.CALL_DISCONNECTED: lambda _: CallDisconnected(),
    Action.REPORT_FATAL: lambda m: Report(m._error, fatal=True),  # noqa: SLF001
    Action.RELEASE: lambda m: Release(m._error),  # noqa: SLF001
}


def _defect(error: Exception) -> OdysseyConnectionError:
    """Name the innermost cause: the groups around it only say which tasks it went through."""
    cause = error
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    said = f"{type(cause).__name__}: {excerpt(str(cause))}"
    made = OdysseyConnectionError(
        f"The connection ended through a defect of this client ({said}). Please report it with the log's traceback; "
        "connect() can be called again.",
        code="internal_error",
    )
    made.__cause__ = error
    return made


def _closure(code: int | None, reason: str) -> str:
    said = excerpt(reason)
    if code is None:
        return said or "it could not be opened"
    return f"close code {code}, {said}" if said else f"close code {code}"
