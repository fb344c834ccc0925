"""The state machine of one client connection (protocol.md sections 1, 3 and 4).

Rules:

1. `TRANSITIONS` lists every event that a state accepts. Any other event is a bug in `connection.py` and raises
   `IllegalEventError`. Every event that the network, the service or the caller can cause is listed for each state in
   which it can occur.
2. The keys of a row are event classes. If the transition also depends on the machine's attributes, `_guarded` replaces
   the class by one of `Guarded`.
3. The effects of a row are classes as well. `_effect` creates each one after the state has changed, from the new state
   and from the machine's attributes.
4. The machine has no sockets, tasks or clock. `connection.py` carries out its effects, in order.

When a connection that was up is lost, its state goes from `LOST` or `CONNECTED` through `WAITING`, `RENEWING` and
`RECONNECTING` back to `CONNECTED`. While attempts remain, a failed attempt leads back to `WAITING`. Each attempt has
its own socket and peer.

A machine describes one connection; each new connection needs a new machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from odyssey_client.config import Reconnect
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    OdysseyConfigError,
    OdysseyConnectionError,
    OdysseyError,
    PicklableError,
    SessionLostError,
    SignalingError,
    excerpt,
)
from odyssey_client.models import ConnectionStatus
from odyssey_client.service_errors import connection_error

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""WebSocket close codes that end a connection without an error (protocol.md section 3)."""

HOLD_S = 10.0
"""Seconds that a restored connection must last before attempts to reconnect are counted from 0 again.

Without this minimum, a client would reconnect endlessly to a service that drops every connection.
"""


class ConnectionState(StrEnum):
    """State of a connection."""

    IDLE = "idle"
    """Created, not started."""
    AUTHENTICATING = "authenticating"
    """The REST calls are in progress."""
    QUEUEING = "queueing"
    """No streamer is free (503); the request is repeated."""
    CONNECTING = "connecting"
    """The signaling socket and the peer connection are opening; there is no video track or open channel yet."""
    HAVE_VIDEO = "have_video"
    """The video track was added; `clientToStreamer` is not open yet."""
    HAVE_CHANNEL = "have_channel"
    """`clientToStreamer` is open; the video track was not added yet."""
    RETRYING = "retrying"
    """Signaling was lost before the connection was up; waiting before the next attempt."""
    CONNECTED = "connected"
    """The video track was added and `clientToStreamer` is open."""
    LOST = "lost"
    """The peer connection is lost; waiting briefly for signaling to report the reason."""
    WAITING = "waiting"
    """A connection that was up is lost; waiting before the next attempt to reconnect."""
    RENEWING = "renewing"
    """An attempt to reconnect has started: a new token for the session is requested."""
    REOPENING = "reopening"
    """The session no longer exists; a new one is requested."""
    REQUEUEING = "requeueing"
    """Like `REOPENING`, but no streamer is free (503); the request is repeated."""
    RECONNECTING = "reconnecting"
    """The signaling socket and the peer connection are opening again; there is no video track or open channel yet."""
    REGAINED_VIDEO = "regained_video"
    """The video track was added again; `clientToStreamer` is not open yet."""
    REGAINED_CHANNEL = "regained_channel"
    """`clientToStreamer` is open again; the video track was not added yet."""
    DISCONNECTED = "disconnected"
    """Over, without an error."""
    FAILED = "failed"
    """Over, with a fatal error."""


# Events, from the shell.


@dataclass(frozen=True, slots=True)
class Connect:
    """The caller connects to a new session; the machine requests its credentials."""


@dataclass(frozen=True, slots=True)
class ConnectWithCredentials:
    """The caller connects to the session of ``credentials``."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class NoStreamerFree:
    """The service replied that no streamer is free (503). The request for a session will be repeated."""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The service returned credentials for a new session, or new credentials for the current one."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class SessionRefused:
    """The REST calls for a new session, or for new credentials of the current session, failed.

    If these calls are retried, all retries failed too.
    """

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class VideoAdded:
    """The video track was added to the peer connection."""


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """The data channel `clientToStreamer` opened."""


@dataclass(frozen=True, slots=True)
class SignalingClosed:
    """The signaling socket closed with ``code`` (RFC 6455 section 7.4), or could not be opened (``code`` is None).

    ``is_final`` is True if every retry would fail too, for example because the server's certificate is not trusted.
    """

    code: int | None
    reason: str = ""
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class ErrorReported:
    """An ``error`` message that ends the connection arrived on the signaling socket."""

    reason: str


@dataclass(frozen=True, slots=True)
class PeerLost:
    """ICE or DTLS failed, the other side closed the peer connection or a channel, or the video ended or stopped."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The wait of `ScheduleRetry` is over."""


@dataclass(frozen=True, slots=True)
class ReasonOverdue:
    """The wait of `AwaitReason` is over, and signaling did not report why the peer was lost."""


@dataclass(frozen=True, slots=True)
class Held:
    """A restored connection has lasted for the time given in `WatchHold`."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The connection was not up before the timer of `StartTimer` expired."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The caller ends the connection."""


@dataclass(frozen=True, slots=True)
class Broke:
    """One of the connection's own tasks raised an exception: of the configuration, or because of a bug."""

    error: Exception


type ConnectionEvent = (
    Connect
    | ConnectWithCredentials
    | NoStreamerFree
    | SessionOpened
    | SessionRefused
    | VideoAdded
    | ChannelOpened
    | SignalingClosed
    | ErrorReported
    | PeerLost
    | RetryDue
    | ReasonOverdue
    | Held
    | TimedOut
    | Disconnect
    | Broke
)


class SignalingLost:
    """Before the connection was up, the signaling socket could not be opened or was lost. It will be opened again."""


class SignalingGivenUp:
    """Like `SignalingLost`, but the maximum number of retries is reached, or every retry would fail."""


class SessionGone:
    """The session no longer exists, and ``AdvancedConfig.reconnect`` allows a new one."""


class ConnectionLost:
    """A connection that was up is lost, or an attempt to reconnect has failed. Another attempt will follow."""


class GivenUp:
    """Like `ConnectionLost`, but the maximum number of attempts is reached, or every attempt would fail."""


type Guarded = SignalingLost | SignalingGivenUp | SessionGone | ConnectionLost | GivenUp
"""Keys of `TRANSITIONS` that `_guarded` selects in place of an event's class. `connection.py` never sends them."""

type Happening = type[ConnectionEvent | Guarded]
"""A key of a row in `TRANSITIONS`."""


# Effects, for the shell.


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Report the status of the connection to the caller, as `STATUSES` defines it for the new state."""

    status: ConnectionStatus
    message: str | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Request a new session and its credentials with REST calls."""


@dataclass(frozen=True, slots=True)
class RenewSession:
    """Request a new token for the session of ``credentials``."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class LoseSession:
    """Make the waiting calls fail and report that the stream has ended, because the session no longer exists."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Pass `TimedOut` to the machine after ``seconds``, unless the timer is stopped or the connection ends first."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Stop the timer if it is running."""


@dataclass(frozen=True, slots=True)
class OpenSignaling:
    """Open the signaling socket and answer the SDP offer that arrives on it."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """Abandon the current attempt: its REST calls, `WatchVideo` and `WatchHold`, its socket and its peer connection.

    The close code of the socket makes the service keep the session. Later events of the attempt are ignored.
    """


@dataclass(frozen=True, slots=True)
class ScheduleRetry:
    """Pass `RetryDue` to the machine after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitReason:
    """Pass `ReasonOverdue` to the machine after a short wait, unless the attempt is dropped first."""


@dataclass(frozen=True, slots=True)
class WatchVideo:
    """Pass `PeerLost` to the machine when no frame has arrived for ``AdvancedConfig.peer_timeout_s``."""


@dataclass(frozen=True, slots=True)
class WatchHold:
    """Pass `Held` to the machine if the restored connection lasts for ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CallConnected:
    """Report to the caller that the connection is up for the first time."""


@dataclass(frozen=True, slots=True)
class CallDisconnected:
    """Report to the caller that a connection that was up has ended."""


@dataclass(frozen=True, slots=True)
class Report:
    """Report ``error`` to the caller; ``fatal`` is True if the error ends the connection."""

    error: OdysseyError
    fatal: bool


@dataclass(frozen=True, slots=True)
class Release:
    """Make every waiting call fail because of ``error``, and end the session; close the socket and the peer."""

    error: OdysseyError


type ConnectionEffect = (
    SetStatus
    | OpenSession
    | RenewSession
    | LoseSession
    | StartTimer
    | StopTimer
    | OpenSignaling
    | DropAttempt
    | ScheduleRetry
    | AwaitReason
    | WatchVideo
    | WatchHold
    | CallConnected
    | CallDisconnected
    | Report
    | Release
)


# The table.

type Transition = tuple[ConnectionState, tuple[type[ConnectionEffect], ...]]

_OPEN = (SetStatus, StartTimer, OpenSignaling)
_RETRY: Transition = (ConnectionState.RETRYING, (SetStatus, DropAttempt, ScheduleRetry))
_UP: Transition = (
    ConnectionState.CONNECTED,
    (StopTimer, WatchVideo, SetStatus, CallConnected),
)
_UP_AGAIN: Transition = (
    ConnectionState.CONNECTED,
    (StopTimer, WatchVideo, WatchHold, SetStatus),
)
_RECONNECT: Transition = (
    ConnectionState.WAITING,
    (StopTimer, DropAttempt, SetStatus, Report, ScheduleRetry),
)
_ENDED: Transition = (ConnectionState.DISCONNECTED, (SetStatus, Release))
_FAILED: Transition = (ConnectionState.FAILED, (SetStatus, Report, Release))
_ENDED_UP: Transition = (ConnectionState.DISCONNECTED, (SetStatus, CallDisconnected, Release))
_FAILED_UP: Transition = (
    ConnectionState.FAILED,
    (SetStatus, Report, CallDisconnected, Release),
)

_ATTEMPT: Mapping[Happening, Transition] = {
    SignalingClosed: _ENDED,
    SignalingLost: _RETRY,
    SignalingGivenUp: _FAILED,
    ErrorReported: _FAILED,
    PeerLost: _FAILED,
    TimedOut: _FAILED,
    Disconnect: _ENDED,
    Broke: _FAILED,
}

_OPENING: Mapping[Happening, Transition] = {
    SessionOpened: (ConnectionState.CONNECTING, _OPEN),
    SessionRefused: _FAILED,
    Disconnect: _ENDED,
    Broke: _FAILED,
}

_WAS_UP: Mapping[Happening, Transition] = {
    ConnectionLost: _RECONNECT,
    GivenUp: _FAILED_UP,
    Disconnect: _ENDED_UP,
    Broke: _FAILED_UP,
}

_WITH_A_SOCKET: Mapping[Happening, Transition] = {
    **_WAS_UP,
    SignalingClosed: _ENDED_UP,
    ErrorReported: _FAILED_UP,
}

_REOPENING: Mapping[Happening, Transition] = {
    **_WAS_UP,
    SessionOpened: (ConnectionState.RECONNECTING, (StartTimer, OpenSignaling)),
    SessionRefused: _FAILED_UP,
}

INITIAL = ConnectionState.IDLE

TRANSITIONS: Mapping[ConnectionState, Mapping[Happening, Transition]] = MappingProxyType(
    {
        ConnectionState.IDLE: {
            Connect: (ConnectionState.AUTHENTICATING, (SetStatus, OpenSession)),
            ConnectWithCredentials: (ConnectionState.CONNECTING, _OPEN),
            Disconnect: _ENDED,
        },
        ConnectionState.AUTHENTICATING: {
            NoStreamerFree: (ConnectionState.QUEUEING, (SetStatus,)),
            **_OPENING,
        },
        ConnectionState.QUEUEING: {
            NoStreamerFree: (ConnectionState.QUEUEING, ()),
            **_OPENING,
        },
        ConnectionState.CONNECTING: {
            VideoAdded: (ConnectionState.HAVE_VIDEO, ()),
            ChannelOpened: (ConnectionState.HAVE_CHANNEL, ()),
            **_ATTEMPT,
        },
        ConnectionState.HAVE_VIDEO: {ChannelOpened: _UP, **_ATTEMPT},
        ConnectionState.HAVE_CHANNEL: {VideoAdded: _UP, **_ATTEMPT},
        ConnectionState.RETRYING: {
            RetryDue: (ConnectionState.CONNECTING, (SetStatus, OpenSignaling)),
            TimedOut: _FAILED,
            Disconnect: _ENDED,
            Broke: _FAILED,
        },
        ConnectionState.CONNECTED: {
            PeerLost: (ConnectionState.LOST, (AwaitReason,)),
            Held: (ConnectionState.CONNECTED, ()),
            **_WITH_A_SOCKET,
        },
        ConnectionState.LOST: {
            PeerLost: (ConnectionState.LOST, ()),
            Held: (ConnectionState.LOST, ()),
            **_WITH_A_SOCKET,
        },
        ConnectionState.WAITING: {
            RetryDue: (ConnectionState.RENEWING, (StartTimer, RenewSession)),
            Disconnect: _ENDED_UP,
            Broke: _FAILED_UP,
        },
        ConnectionState.RENEWING: {
            SessionOpened: (ConnectionState.RECONNECTING, (OpenSignaling,)),
            SessionGone: (ConnectionState.REOPENING, (StopTimer, LoseSession, OpenSession)),
            SessionRefused: _FAILED_UP,
            **_WAS_UP,
        },
        ConnectionState.REOPENING: {
            NoStreamerFree: (ConnectionState.REQUEUEING, (SetStatus,)),
            **_REOPENING,
        },
        ConnectionState.REQUEUEING: {
            NoStreamerFree: (ConnectionState.REQUEUEING, ()),
            **_REOPENING,
        },
        ConnectionState.RECONNECTING: {
            VideoAdded: (ConnectionState.REGAINED_VIDEO, ()),
            ChannelOpened: (ConnectionState.REGAINED_CHANNEL, ()),
            **_WITH_A_SOCKET,
        },
        ConnectionState.REGAINED_VIDEO: {ChannelOpened: _UP_AGAIN, **_WITH_A_SOCKET},
        ConnectionState.REGAINED_CHANNEL: {VideoAdded: _UP_AGAIN, **_WITH_A_SOCKET},
        ConnectionState.DISCONNECTED: {Disconnect: (ConnectionState.DISCONNECTED, ())},
        ConnectionState.FAILED: {Disconnect: (ConnectionState.FAILED, ())},
    }
)

_QUEUEING = "Waiting for a free streamer"

STATUSES: Mapping[ConnectionState, tuple[ConnectionStatus, str | None]] = MappingProxyType(
    {
        ConnectionState.AUTHENTICATING: (ConnectionStatus.AUTHENTICATING, None),
        ConnectionState.QUEUEING: (ConnectionStatus.AUTHENTICATING, _QUEUEING),
        ConnectionState.CONNECTING: (ConnectionStatus.CONNECTING, None),
        ConnectionState.RETRYING: (ConnectionStatus.CONNECTING, None),
        ConnectionState.CONNECTED: (ConnectionStatus.CONNECTED, None),
        ConnectionState.WAITING: (ConnectionStatus.RECONNECTING, None),
        ConnectionState.REQUEUEING: (ConnectionStatus.RECONNECTING, _QUEUEING),
        ConnectionState.DISCONNECTED: (ConnectionStatus.DISCONNECTED, None),
        ConnectionState.FAILED: (ConnectionStatus.FAILED, None),
    }
)
"""Status and message that `SetStatus` reports when a state is entered.

If an error caused the transition, the machine builds the message instead.
"""

OVER = frozenset({ConnectionState.DISCONNECTED, ConnectionState.FAILED})
UP = frozenset({ConnectionState.CONNECTED, ConnectionState.LOST})
REGAINING = frozenset(
    {
        ConnectionState.WAITING,
        ConnectionState.RENEWING,
        ConnectionState.REOPENING,
        ConnectionState.REQUEUEING,
        ConnectionState.RECONNECTING,
        ConnectionState.REGAINED_VIDEO,
        ConnectionState.REGAINED_CHANNEL,
    }
)
"""States in which a connection that was up is being restored."""


class IllegalEventError(PicklableError, RuntimeError):
    """`TRANSITIONS` does not list the event for the current state: a bug in `connection.py`."""

    def __init__(self, state: ConnectionState, event: Happening) -> None:
        expected = ", ".join(sorted(each.__name__ for each in TRANSITIONS[state]))
        super().__init__(f"a connection that is {state} expects one of {expected}, got {event.__name__}")
        self.state = state
        self.event = event


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """Settings for retries of signaling and for attempts to reconnect. Times are in seconds."""

    max_retries: int = 5
    initial_delay: float = 1.0
    max_delay: float = 2.0
    multiplier: float = 2.0
    connect_timeout: float = 30.0
    reconnect: Reconnect = "new_session"

    @property
    def tries(self) -> int:
        """Maximum number of attempts to restore a lost connection; 0 if reconnecting is off."""
        return 0 if self.reconnect == "off" else self.max_retries

    def try_delay(self, tries: int) -> float:
        """Return the seconds to wait before the next attempt to reconnect; 0 before the first.

        ``tries`` is the number of previous attempts.
        """
        return self.delay(tries - 1) if tries else 0.0

    def delay(self, retry: int) -> float:
        """Return the seconds to wait before retry number ``retry``, counted from 0."""
        delay = self.initial_delay
        for _ in range(retry):
            if delay >= self.max_delay:
                break
            delay *= self.multiplier
        return min(delay, self.max_delay)


class ConnectionMachine:
    """The state of one connection, with its credentials, retry counts and last error."""

    def __init__(self, policy: ReconnectPolicy | None = None) -> None:
        self.state = INITIAL
        self.retries = 0
        """Number of retries of signaling so far. Signaling is retried only before the connection is up."""
        self.tries = 0
        """Number of attempts to reconnect so far. Set to 0 once a restored connection has lasted for `HOLD_S`."""
        self._policy = policy or ReconnectPolicy()
        self._credentials: ClientCredentials | None = None
        self._error: OdysseyError = ConnectionClosedError("The connection was closed by disconnect().")
        self._given_up = ""
        """Text about the failed attempts to reconnect, for the error message; empty while attempts are left."""

    @property
    def is_up(self) -> bool:
        return self.state in UP

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_restoring(self) -> bool:
        """Whether a connection that was up is being restored."""
        return self.state in REGAINING

    @property
    def missing(self) -> str | None:
        """What a connection that is being opened or restored waits for; None if it is up or over."""
        return None if self.is_up or self.is_over else _MISSING.get(self.state, "a session")

    def handle(self, event: ConnectionEvent) -> tuple[ConnectionEffect, ...]:
        """Make the transition for ``event`` and return its effects, in order.

        Raises:
            IllegalEventError: `TRANSITIONS` does not list the event for the current state.
        """
        happening = self._guarded(event)
        transition = TRANSITIONS[self.state].get(happening)
        if transition is None:
            raise IllegalEventError(self.state, happening)
        self._remember(event, happening, transition)
        self.state, effects = transition
        return tuple(self._effect(each) for each in effects)

    def _guarded(self, event: ConnectionEvent) -> Happening:
        """Return the key of ``event`` in `TRANSITIONS`.

        The key is the event's class or, in its place, a class from the union `Guarded`. The state and the attributes of
        the machine decide which.
        """
        if isinstance(event, SignalingClosed) and event.code in CLEAN_CLOSE_CODES:
            return SignalingClosed
        if self.state is ConnectionState.RENEWING and _is_session_lost(event):
            return SessionGone if self._policy.reconnect == "new_session" else SessionRefused
        is_final = isinstance(event, SignalingClosed) and event.is_final
        if self._is_loss(event):
            return ConnectionLost if self.tries < self._policy.tries and not is_final else GivenUp
        if isinstance(event, SignalingClosed):
            return SignalingLost if self.retries < self._policy.max_retries and not is_final else SignalingGivenUp
        return type(event)

    def _is_loss(self, event: ConnectionEvent) -> bool:
        """Return whether ``event`` ends an open connection or an attempt to restore one, so that a retry may follow."""
        if self.state in UP:
            return isinstance(event, SignalingClosed | ReasonOverdue)
        if self.state not in REGAINING:
            return False
        match event:
            case SignalingClosed() | PeerLost() | TimedOut():
                return True
            case ErrorReported(reason):
                return not isinstance(connection_error(reason), ConnectionLimitReachedError)
            case SessionRefused(error):
                return error.retryable
        return False

    def _remember(self, event: ConnectionEvent, happening: Happening, transition: Transition) -> None:
        if isinstance(event, ConnectWithCredentials | SessionOpened):
            self._credentials = event.credentials
        if isinstance(event, Held) and self.state is ConnectionState.CONNECTED:
            self.tries = 0
        error = self._error_of(event)
        # The first event after the loss of the peer has the cause; later events are consequences.
        if error is not None and transition != (ConnectionState.LOST, ()):
            self._error = error
        if happening is GivenUp and self.tries:
            self._given_up = f" Gave up after {_tries(self.tries)} to reconnect."
            self._error.add_note(self._given_up.strip())

    def _error_of(self, event: ConnectionEvent) -> OdysseyError | None:
        match event:
            case SessionRefused(error) | PeerLost(error):
                return error
            case ErrorReported(reason):
                return connection_error(reason)
            case SignalingClosed(code, reason, _) if code in CLEAN_CLOSE_CODES:
                return ConnectionClosedError(f"The service closed the connection ({_closure(code, reason)}).")
            case SignalingClosed(code, reason, is_final):
                tries = (
                    f" after {self.retries + 1} attempts" if self.retries and self.state not in UP | REGAINING else ""
                )
                return SignalingError(
                    f"The signaling connection was lost{tries}: {_closure(code, reason)}.", retryable=not is_final
                )
            case TimedOut():
                return self._overdue()
            case Disconnect():
                return ConnectionClosedError("The connection was closed by disconnect().")
            case Broke(error):
                return configuration_error(error) or _defect(error)
        return None

    def _overdue(self) -> ConnectTimeoutError:
        what, then = ("The connection was not up", "Call connect() again, or raise AdvancedConfig.connect_timeout_s.")
        if self.state in REGAINING:
            what, then = ("The lost connection was not restored", "The limit is AdvancedConfig.connect_timeout_s.")
        waiting_for = _MISSING.get(self.state, "a response")
        limit = f"{self._policy.connect_timeout:g} s"
        return ConnectTimeoutError(f"{what} within {limit}: still waiting for {waiting_for}. {then}")

    def _effect(self, kind: type[ConnectionEffect]) -> ConnectionEffect:
        make: Mapping[type[ConnectionEffect], Callable[[], ConnectionEffect]] = {
            SetStatus: self._set_status,
            OpenSession: OpenSession,
            RenewSession: lambda: RenewSession(self._known_credentials()),
            LoseSession: lambda: LoseSession(self._error),
            StartTimer: lambda: StartTimer(self._policy.connect_timeout),
            StopTimer: StopTimer,
            OpenSignaling: lambda: OpenSignaling(self._known_credentials()),
            DropAttempt: DropAttempt,
            ScheduleRetry: self._schedule_retry,
            AwaitReason: AwaitReason,
            WatchVideo: WatchVideo,
            WatchHold: lambda: WatchHold(HOLD_S),
            CallConnected: CallConnected,
            CallDisconnected: CallDisconnected,
            Report: lambda: Report(self._error, fatal=self.state is ConnectionState.FAILED),
            Release: lambda: Release(self._error),
        }
        return make[kind]()

    def _set_status(self) -> SetStatus:
        status, message = STATUSES[self.state]
        match self.state:
            case ConnectionState.RETRYING:
                message = f"{self._error} Retry {self.retries + 1} of {self._policy.max_retries} follows."
            case ConnectionState.WAITING:
                delay = self._policy.try_delay(self.tries)
                when = f"in {delay:g} s" if delay else "now"
                message = f"{self._error} Reconnecting {when} (attempt {self.tries + 1} of {self._policy.tries})."
            case ConnectionState.FAILED:
                message = f"{self._error}{self._given_up}"
        return SetStatus(status, message)

    def _schedule_retry(self) -> ScheduleRetry:
        if self.state is ConnectionState.RETRYING:
            self.retries += 1
            return ScheduleRetry(self._policy.delay(self.retries - 1))
        self.tries += 1
        return ScheduleRetry(self._policy.try_delay(self.tries - 1))

    def _known_credentials(self) -> ClientCredentials:
        if self._credentials is None:
            raise RuntimeError("expected the credentials of a session for an effect, got None")
        return self._credentials


_MISSING: Mapping[ConnectionState, str] = {
    ConnectionState.CONNECTING: "the offer and the peer connection",
    ConnectionState.HAVE_VIDEO: "the data channel clientToStreamer",
    ConnectionState.HAVE_CHANNEL: "the video track",
    ConnectionState.RETRYING: "signaling to reconnect",
    ConnectionState.RENEWING: "a new token for the session",
    ConnectionState.RECONNECTING: "the offer and the peer connection",
    ConnectionState.REGAINED_VIDEO: "the data channel clientToStreamer",
    ConnectionState.REGAINED_CHANNEL: "the video track",
}


def _is_session_lost(event: ConnectionEvent) -> bool:
    return isinstance(event, SessionRefused) and isinstance(event.error, SessionLostError)


def _tries(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"


def configuration_error(error: Exception) -> OdysseyConfigError | None:
    """Return the error of the configuration that an exception is, or that a group has first; None if there is none.

    An example is a file with root certificates that the network needs, and that does not exist.
    """
    cause = _first(error)
    return cause if isinstance(cause, OdysseyConfigError) else None


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _defect(error: Exception) -> OdysseyConnectionError:
    """Return the error that reports ``error``, an unexpected exception, as a bug in this client.

    For an exception group, the message states the first exception inside it.
    """
    cause = _first(error)
    said = f"{type(cause).__name__}: {excerpt(str(cause))}"
    made = OdysseyConnectionError(
        f"The connection ended because of a bug in this client ({said}). Please report it with the traceback from the "
        "log; connect() can be called again.",
        code="internal_error",
    )
    made.__cause__ = error
    return made


def _closure(code: int | None, reason: str) -> str:
    said = excerpt(reason)
    if code is None:
        return said or "it could not be opened"
    return f"close code {code}, {said}" if said else f"close code {code}"
