"""The life of one client connection as a table (protocol.md sections 1, 3 and 4).

Two rules:

1. What may happen to a connection lives in `TRANSITIONS` and nowhere else. An event that is not listed for a state
   is a defect of the shell and raises `IllegalEventError`; whatever the network, the service or the user can cause
   is listed for every state it can come in.
2. The machine says what is to be done, it does nothing: no sockets, no tasks, no clock. `connection/runner.py`
   carries its effects out, in the order given.

One machine is one connection: connecting again takes a new one. Automatic reconnection, once there is any, is a row
that leads from `CONNECTED` to `RETRYING`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from odyssey_client.connection.steps import (
    AwaitReason,
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
    OdysseyError,
    SignalingError,
    connection_error,
    excerpt,
)
from odyssey_client.models import ClientCredentials, ConnectionStatus

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""WebSocket close codes that end a connection without an error (protocol.md section 3)."""


class State(StrEnum):
    """Where a connection stands."""

    IDLE = "idle"
    """Made, not begun."""
    AUTHENTICATING = "authenticating"
    """The REST calls are under way."""
    QUEUEING = "queueing"
    """No streamer is free (503); the request is repeated."""
    CONNECTING = "connecting"
    """The signaling socket and the peer connection are being opened; neither video nor channel is there."""
    HAVE_VIDEO = "have_video"
    """The video track is there; `clientToStreamer` is not open yet."""
    HAVE_CHANNEL = "have_channel"
    """`clientToStreamer` is open; the video track is not there yet."""
    RETRYING = "retrying"
    """Signaling was lost before the connection was up; the wait before the next try."""
    CONNECTED = "connected"
    """Video and `clientToStreamer` are both there."""
    LOST = "lost"
    """The peer connection is gone; signaling has a moment to say why."""
    DISCONNECTED = "disconnected"
    """Over, without an error."""
    FAILED = "failed"
    """Over, with a fatal error."""


class Event(StrEnum):
    """What can happen to a connection; the columns of the table."""

    CONNECT = "connect"
    CONNECT_WITH_CREDENTIALS = "connect_with_credentials"
    NO_STREAMER_FREE = "no_streamer_free"
    SESSION_OPENED = "session_opened"
    SESSION_REFUSED = "session_refused"
    """A REST call failed, and trying again does not help."""
    VIDEO_ADDED = "video_added"
    CHANNEL_OPENED = "channel_opened"
    SIGNALING_CLOSED = "signaling_closed"
    """The socket was closed with a code of `CLEAN_CLOSE_CODES`."""
    SIGNALING_LOST = "signaling_lost"
    """The socket could not be opened or broke, and a try is left."""
    SIGNALING_GIVEN_UP = "signaling_given_up"
    """The same, and no try is left."""
    RETRY_DUE = "retry_due"
    ERROR_REPORTED = "error_reported"
    """Signaling brought an ``error`` message."""
    PEER_LOST = "peer_lost"
    """ICE or DTLS failed, the other side closed the peer connection, or the video ended."""
    REASON_OVERDUE = "reason_overdue"
    """Signaling did not say why the peer connection was lost."""
    TIMED_OUT = "timed_out"
    """The connection was not up in time."""
    DISCONNECT = "disconnect"
    """The user ends it."""


class Action(StrEnum):
    """What is to be done; each becomes one effect."""

    TELL_AUTHENTICATING = "tell_authenticating"
    TELL_QUEUEING = "tell_queueing"
    TELL_CONNECTING = "tell_connecting"
    TELL_RETRYING = "tell_retrying"
    TELL_CONNECTED = "tell_connected"
    TELL_DISCONNECTED = "tell_disconnected"
    TELL_FAILED = "tell_failed"
    OPEN_SESSION = "open_session"
    OPEN_SIGNALING = "open_signaling"
    START_TIMER = "start_timer"
    DROP_ATTEMPT = "drop_attempt"
    SCHEDULE_RETRY = "schedule_retry"
    AWAIT_REASON = "await_reason"
    CALL_CONNECTED = "call_connected"
    CALL_DISCONNECTED = "call_disconnected"
    REPORT_FATAL = "report_fatal"
    RELEASE = "release"


type Transition = tuple[State, tuple[Action, ...]]

_OPEN = (Action.TELL_CONNECTING, Action.START_TIMER, Action.OPEN_SIGNALING)
_RETRY: Transition = (State.RETRYING, (Action.TELL_RETRYING, Action.DROP_ATTEMPT, Action.SCHEDULE_RETRY))
_UP: Transition = (State.CONNECTED, (Action.TELL_CONNECTED, Action.CALL_CONNECTED))
_ENDED: Transition = (State.DISCONNECTED, (Action.TELL_DISCONNECTED, Action.RELEASE))
_FAILED: Transition = (State.FAILED, (Action.TELL_FAILED, Action.REPORT_FATAL, Action.RELEASE))
_ENDED_UP: Transition = (State.DISCONNECTED, (Action.TELL_DISCONNECTED, Action.CALL_DISCONNECTED, Action.RELEASE))
_FAILED_UP: Transition = (
    State.FAILED,
    (Action.TELL_FAILED, Action.REPORT_FATAL, Action.CALL_DISCONNECTED, Action.RELEASE),
)

_ATTEMPT: Mapping[Event, Transition] = {
    Event.SIGNALING_CLOSED: _ENDED,
    Event.SIGNALING_LOST: _RETRY,
    Event.SIGNALING_GIVEN_UP: _FAILED,
    Event.ERROR_REPORTED: _FAILED,
    Event.PEER_LOST: _FAILED,
    Event.TIMED_OUT: _FAILED,
    Event.DISCONNECT: _ENDED,
}

_OPENING: Mapping[Event, Transition] = {
    Event.SESSION_OPENED: (State.CONNECTING, _OPEN),
    Event.SESSION_REFUSED: _FAILED,
    Event.DISCONNECT: _ENDED,
}

INITIAL = State.IDLE

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.IDLE: {
            Event.CONNECT: (State.AUTHENTICATING, (Action.TELL_AUTHENTICATING, Action.OPEN_SESSION)),
            Event.CONNECT_WITH_CREDENTIALS: (State.CONNECTING, _OPEN),
        },
        State.AUTHENTICATING: {
            Event.NO_STREAMER_FREE: (State.QUEUEING, (Action.TELL_QUEUEING,)),
            **_OPENING,
        },
        State.QUEUEING: {
            Event.NO_STREAMER_FREE: (State.QUEUEING, ()),
            **_OPENING,
        },
        State.CONNECTING: {
            Event.VIDEO_ADDED: (State.HAVE_VIDEO, ()),
            Event.CHANNEL_OPENED: (State.HAVE_CHANNEL, ()),
            **_ATTEMPT,
        },
        State.HAVE_VIDEO: {Event.CHANNEL_OPENED: _UP, **_ATTEMPT},
        State.HAVE_CHANNEL: {Event.VIDEO_ADDED: _UP, **_ATTEMPT},
        State.RETRYING: {
            Event.RETRY_DUE: (State.CONNECTING, (Action.TELL_CONNECTING, Action.OPEN_SIGNALING)),
            Event.TIMED_OUT: _FAILED,
            Event.DISCONNECT: _ENDED,
        },
        State.CONNECTED: {
            Event.SIGNALING_CLOSED: _ENDED_UP,
            Event.SIGNALING_GIVEN_UP: _FAILED_UP,
            Event.ERROR_REPORTED: _FAILED_UP,
            Event.PEER_LOST: (State.LOST, (Action.AWAIT_REASON,)),
            Event.DISCONNECT: _ENDED_UP,
        },
        State.LOST: {
            Event.SIGNALING_CLOSED: _ENDED_UP,
            Event.SIGNALING_GIVEN_UP: _FAILED_UP,
            Event.ERROR_REPORTED: _FAILED_UP,
            Event.PEER_LOST: (State.LOST, ()),
            Event.REASON_OVERDUE: _FAILED_UP,
            Event.DISCONNECT: _ENDED_UP,
        },
        State.DISCONNECTED: {Event.DISCONNECT: (State.DISCONNECTED, ())},
        State.FAILED: {Event.DISCONNECT: (State.FAILED, ())},
    }
)

OVER = frozenset({State.DISCONNECTED, State.FAILED})
UP = frozenset({State.CONNECTED, State.LOST})


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


def _closure(code: int | None, reason: str) -> str:
    said = excerpt(reason)
    if code is None:
        return said or "it could not be opened"
    return f"close code {code}, {said}" if said else f"close code {code}"
