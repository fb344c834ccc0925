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

from odyssey_client.config import Reconnect
from odyssey_client.connection import connection_events
from odyssey_client.connection.connection_table import (
    INITIAL,
    OVER,
    REGAINING,
    TRANSITIONS,
    UP,
    Action,
    Event,
    State,
    Transition,
)
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    OdysseyConnectionError,
    OdysseyError,
    SessionLostError,
    SignalingError,
    excerpt,
)
from odyssey_client.models import ConnectionStatus
from odyssey_client.service_errors import connection_error

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""WebSocket close codes that end a connection without an error (protocol.md section 3)."""

HOLD_S = 10.0
"""Seconds that a connection has to last, once it has come back, for its tries to be counted anew: a service that drops
every connection is not to be asked for ever."""


class IllegalEventError(RuntimeError):
    """An event that the table does not list for the state the machine is in: a defect of the caller."""

    def __init__(self, state: StrEnum, event: StrEnum, expected: Mapping[Event, Transition]) -> None:
        super().__init__(f"a connection that is {state} expects one of {', '.join(sorted(expected))}; {event} came")
        self.state = state
        self.event = event


_EVENTS: Mapping[type[object], Event] = {
    connection_events.NoStreamerFree: Event.NO_STREAMER_FREE,
    connection_events.SessionOpened: Event.SESSION_OPENED,
    connection_events.SessionRefused: Event.SESSION_REFUSED,
    connection_events.VideoAdded: Event.VIDEO_ADDED,
    connection_events.ChannelOpened: Event.CHANNEL_OPENED,
    connection_events.ErrorReported: Event.ERROR_REPORTED,
    connection_events.PeerLost: Event.PEER_LOST,
    connection_events.RetryDue: Event.RETRY_DUE,
    connection_events.ReasonOverdue: Event.CONNECTION_LOST,
    connection_events.Held: Event.HELD,
    connection_events.TimedOut: Event.TIMED_OUT,
    connection_events.Disconnect: Event.DISCONNECT,
    connection_events.Broke: Event.BROKE,
}


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """When signaling is tried again, and whether a lost connection is; times in seconds."""

    max_retries: int = 5
    initial_delay: float = 1.0
    max_delay: float = 2.0
    multiplier: float = 2.0
    connect_timeout: float = 30.0
    reconnect: Reconnect = "new_session"

    @property
    def tries(self) -> int:
        """How many there are to have a lost connection back."""
        return 0 if self.reconnect == "off" else self.max_retries

    def try_delay(self, tries: int) -> float:
        """The wait before the next try to reconnect, after ``tries`` of them: the first is made at once."""
        return self.delay(tries - 1) if tries else 0.0

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

    def __init__(self, policy: ReconnectPolicy | None = None) -> None:
        self.state = INITIAL
        self.retries = 0
        """How often signaling was tried again before the connection was up."""
        self.tries = 0
        """How often it was tried to have the connection back since it last held."""
        self._policy = policy or ReconnectPolicy()
        self._credentials: ClientCredentials | None = None
        self._error: OdysseyError = ConnectionClosedError("The connection was closed by disconnect().")
        self._given_up = ""
        """After how many tries, where it has come to that."""

    @property
    def is_up(self) -> bool:
        return self.state in UP

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def handle(self, happened: connection_events.Input) -> tuple[connection_events.Effect, ...]:
        """Move on, and say what is to be done, in order.

        Raises:
            IllegalEventError: the table does not list the event for the present state.
        """
        event = self._classify(happened)
        transition = TRANSITIONS[self.state].get(event)
        if transition is None:
            raise IllegalEventError(self.state, event, TRANSITIONS[self.state])
        self._remember(happened, event, transition)
        self.state, actions = transition
        return tuple(_EFFECTS[action](self) for action in actions)

    def _classify(self, happened: connection_events.Input) -> Event:
        match happened:
            case connection_events.Connect(credentials):
                return Event.CONNECT if credentials is None else Event.CONNECT_WITH_CREDENTIALS
            case connection_events.SignalingClosed(code) if code in CLEAN_CLOSE_CODES:
                return Event.SIGNALING_CLOSED
            case connection_events.SessionRefused(SessionLostError()) if self.state is State.RENEWING:
                return Event.SESSION_GONE if self._policy.reconnect == "new_session" else Event.SESSION_REFUSED
        if self._is_loss(happened):
            return Event.CONNECTION_LOST if self.tries < self._policy.tries else Event.GIVEN_UP
        if isinstance(happened, connection_events.SignalingClosed):
            return Event.SIGNALING_LOST if self.retries < self._policy.max_retries else Event.SIGNALING_GIVEN_UP
        return _EVENTS[type(happened)]

    def _is_loss(self, happened: connection_events.Input) -> bool:
        """Whether it costs a connection that was up, or a try to have it back, and nothing more."""
        if self.state in UP:
            return isinstance(happened, connection_events.SignalingClosed | connection_events.ReasonOverdue)
        if self.state not in REGAINING:
            return False
        match happened:
            case connection_events.SignalingClosed() | connection_events.PeerLost() | connection_events.TimedOut():
                return True
            case connection_events.ErrorReported(reason):
                return not isinstance(connection_error(reason), ConnectionLimitReachedError)
            case connection_events.SessionRefused(error):
                return error.retryable
        return False

    def _remember(self, happened: connection_events.Input, event: Event, transition: Transition) -> None:
        if (
            isinstance(happened, connection_events.Connect | connection_events.SessionOpened)
            and happened.credentials is not None
        ):
            self._credentials = happened.credentials
        if isinstance(happened, connection_events.Held) and self.state is State.CONNECTED:
            self.tries = 0
        error = self._error_of(happened)
        # The first sign of a lost peer says the most: those after it are its consequences.
        if error is not None and transition != (State.LOST, ()):
            self._error = error
        if event is Event.GIVEN_UP and self.tries:
            self._given_up = f" Given up after {_tries(self.tries)} to reconnect."
            self._error.add_note(self._given_up.strip())

    def _error_of(self, happened: connection_events.Input) -> OdysseyError | None:
        match happened:
            case connection_events.SessionRefused(error) | connection_events.PeerLost(error):
                return error
            case connection_events.ErrorReported(reason):
                return connection_error(reason)
            case connection_events.SignalingClosed(code, reason) if code in CLEAN_CLOSE_CODES:
                return ConnectionClosedError(f"The service closed the connection ({_closure(code, reason)}).")
            case connection_events.SignalingClosed(code, reason):
                tries = f" after {self.retries + 1} tries" if self.retries and self.state not in UP | REGAINING else ""
                return SignalingError(f"The signaling connection was lost{tries}: {_closure(code, reason)}.")
            case connection_events.TimedOut():
                return self._overdue()
            case connection_events.Disconnect():
                return ConnectionClosedError("The connection was closed by disconnect().")
            case connection_events.Broke(error):
                return _defect(error)
        return None

    def _overdue(self) -> ConnectTimeoutError:
        what, then = ("The connection was not up", "Call connect() again, or raise AdvancedConfig.connect_timeout_s.")
        if self.state in REGAINING:
            what, then = ("The lost connection was not up again", "The limit is AdvancedConfig.connect_timeout_s.")
        waiting_for = _MISSING.get(self.state, "an answer")
        limit = f"{self._policy.connect_timeout:g} s"
        return ConnectTimeoutError(f"{what} within {limit}: still waiting for {waiting_for}. {then}")

    def _known_credentials(self) -> ClientCredentials:
        if self._credentials is None:
            raise RuntimeError("a session is used before there are credentials")
        return self._credentials

    def _schedule_retry(self) -> connection_events.ScheduleRetry:
        delay = self._policy.delay(self.retries)
        self.retries += 1
        return connection_events.ScheduleRetry(delay)

    def _schedule_try(self) -> connection_events.ScheduleRetry:
        delay = self._policy.try_delay(self.tries)
        self.tries += 1
        return connection_events.ScheduleRetry(delay)

    def _tell_retrying(self) -> connection_events.SetStatus:
        message = f"{self._error} Retry {self.retries + 1} of {self._policy.max_retries} follows."
        return connection_events.SetStatus(ConnectionStatus.CONNECTING, message)

    def _tell_reconnecting(self) -> connection_events.SetStatus:
        delay = self._policy.try_delay(self.tries)
        when = f"follows in {delay:g} s" if delay else "follows"
        message = f"{self._error} Try {self.tries + 1} of {self._policy.tries} to reconnect {when}."
        return connection_events.SetStatus(ConnectionStatus.RECONNECTING, message)


_MISSING: Mapping[State, str] = {
    State.CONNECTING: "the offer and the peer connection",
    State.HAVE_VIDEO: "the data channel clientToStreamer",
    State.HAVE_CHANNEL: "the video track",
    State.RETRYING: "signaling to come back",
    State.RENEWING: "a new token for the session",
    State.RECONNECTING: "the offer and the peer connection",
    State.REGAINED_VIDEO: "the data channel clientToStreamer",
    State.REGAINED_CHANNEL: "the video track",
}

_EFFECTS: Mapping[Action, Callable[[ConnectionMachine], connection_events.Effect]] = {
    Action.TELL_AUTHENTICATING: lambda _: connection_events.SetStatus(ConnectionStatus.AUTHENTICATING),
    Action.TELL_QUEUEING: lambda _: connection_events.SetStatus(ConnectionStatus.AUTHENTICATING, _QUEUEING),
    Action.TELL_CONNECTING: lambda _: connection_events.SetStatus(ConnectionStatus.CONNECTING),
    Action.TELL_RETRYING: ConnectionMachine._tell_retrying,  # noqa: SLF001
    Action.TELL_CONNECTED: lambda _: connection_events.SetStatus(ConnectionStatus.CONNECTED),
    Action.TELL_RECONNECTING: ConnectionMachine._tell_reconnecting,  # noqa: SLF001
    Action.TELL_REQUEUEING: lambda _: connection_events.SetStatus(ConnectionStatus.RECONNECTING, _QUEUEING),
    Action.TELL_DISCONNECTED: lambda _: connection_events.SetStatus(ConnectionStatus.DISCONNECTED),
    Action.TELL_FAILED: lambda m: connection_events.SetStatus(ConnectionStatus.FAILED, f"{m._error}{m._given_up}"),  # noqa: SLF001
    Action.OPEN_SESSION: lambda _: connection_events.OpenSession(),
    Action.RENEW_SESSION: lambda m: connection_events.RenewSession(m._known_credentials()),  # noqa: SLF001
    Action.LOSE_SESSION: lambda m: connection_events.LoseSession(m._error),  # noqa: SLF001
    Action.OPEN_SIGNALING: lambda m: connection_events.OpenSignaling(m._known_credentials()),  # noqa: SLF001
    Action.START_TIMER: lambda m: connection_events.StartTimer(m._policy.connect_timeout),  # noqa: SLF001
    Action.STOP_TIMER: lambda _: connection_events.StopTimer(),
    Action.DROP_ATTEMPT: lambda _: connection_events.DropAttempt(),
    Action.SCHEDULE_RETRY: ConnectionMachine._schedule_retry,  # noqa: SLF001
    Action.SCHEDULE_TRY: ConnectionMachine._schedule_try,  # noqa: SLF001
    Action.AWAIT_REASON: lambda _: connection_events.AwaitReason(),
    Action.WATCH_VIDEO: lambda _: connection_events.WatchVideo(),
    Action.WATCH_HOLD: lambda _: connection_events.WatchHold(HOLD_S),
    Action.CALL_CONNECTED: lambda _: connection_events.CallConnected(),
    Action.CALL_DISCONNECTED: lambda _: connection_events.CallDisconnected(),
    Action.REPORT_LOSS: lambda m: connection_events.Report(m._error, fatal=False),  # noqa: SLF001
    Action.REPORT_FATAL: lambda m: connection_events.Report(m._error, fatal=True),  # noqa: SLF001
    Action.RELEASE: lambda m: connection_events.Release(m._error),  # noqa: SLF001
}

_QUEUEING = "Waiting for a free streamer"


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"


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
