"""The state machine of one client connection (protocol.md sections 1, 3 and 4).

Rules:

1. What may happen stands in `TRANSITIONS` and nowhere else. An event that it does not list for a state is a defect of
   the shell and raises `IllegalEventError`. Whatever the network, the service or the user can cause is listed for every
   state it can come in.
2. The keys of a row are classes of events. Some events mean different things at different times: `_guarded` has the
   rules that put one of `Guarded` in their place.
3. The effects of a row are classes as well. `_effect` makes each, after the state has changed, from that state and from
   what the machine remembers.
4. The machine does nothing itself: no sockets, no tasks, no clock. `connection.py` carries its effects out, in order.

A connection that was up and is lost goes round from `LOST` or `CONNECTED` through `WAITING`, `RENEWING` (its session)
and `RECONNECTING` back to `CONNECTED`, as often as there are tries; each try has a socket and a peer of its own.

One machine is one connection: connecting again takes a new one.
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
"""Seconds that a connection has to last, once it has come back, for its tries to be counted anew: a service that drops
every connection is not to be asked for ever."""


class ConnectionState(StrEnum):
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
    WAITING = "waiting"
    """The connection was up and is lost; the wait before the next try to have it back."""
    RENEWING = "renewing"
    """A try to reconnect has begun: a new token for the session is asked for."""
    REOPENING = "reopening"
    """The session is gone; another one is asked for."""
    REQUEUEING = "requeueing"
    """The same, and no streamer is free (503); the request is repeated."""
    RECONNECTING = "reconnecting"
    """The signaling socket and the peer connection are being opened anew; neither video nor channel is there."""
    REGAINED_VIDEO = "regained_video"
    """The video track is there again; `clientToStreamer` is not open yet."""
    REGAINED_CHANNEL = "regained_channel"
    """`clientToStreamer` is open again; the video track is not there yet."""
    DISCONNECTED = "disconnected"
    """Over, without an error."""
    FAILED = "failed"
    """Over, with a fatal error."""


# What happens: goes in.


@dataclass(frozen=True, slots=True)
class Connect:
    """The user connects, without credentials."""


@dataclass(frozen=True, slots=True)
class ConnectWithCredentials:
    """The user connects to the session of ``credentials``."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class NoStreamerFree:
    """The service has no streamer free (503); the request is repeated."""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """There are credentials: of a new session, or new ones of the session there was."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class SessionRefused:
    """A REST call failed, and trying again does not help."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class VideoAdded:
    """The video track is there."""


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """`clientToStreamer` is open."""


@dataclass(frozen=True, slots=True)
class SignalingClosed:
    """The socket closed with ``code`` (RFC 6455 section 7.4), or did not open: then ``code`` is None."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ErrorReported:
    """Signaling brought an ``error`` message that ends the connection."""

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
    """The wait of `AwaitReason` is over, and signaling has not said why the peer was lost."""


@dataclass(frozen=True, slots=True)
class Held:
    """A connection that came back has lasted as long as `WatchHold` said."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The connection was not up in time."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The user ends it."""


@dataclass(frozen=True, slots=True)
class Broke:
    """One of the connection's own tasks raised what it must not: a defect of this package."""

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
    """Before the connection was up, the socket could not be opened or broke, and a retry is left."""


class SignalingGivenUp:
    """The same, and no retry is left."""


class SessionGone:
    """The service does not know the session any more, and another one may be taken."""


class ConnectionLost:
    """A connection that was up is lost, or a try to have it back has failed; and a try is left."""


class GivenUp:
    """The same, and no try is left."""


type Guarded = SignalingLost | SignalingGivenUp | SessionGone | ConnectionLost | GivenUp
"""What the machine makes of an event by the rules of `_guarded`; a shell sends none of them."""

type Happening = type[ConnectionEvent | Guarded]
"""A key of the table."""


# What the shell is to do: comes out.


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Tell the user where the connection stands, as `STATUSES` has it for the new state."""

    status: ConnectionStatus
    message: str | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Make the REST calls that lead to credentials."""


@dataclass(frozen=True, slots=True)
class RenewSession:
    """Get a new token for the session of ``credentials``."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class LoseSession:
    """The session is gone: settle the calls that wait, tell of the stream that it has ended."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send `TimedOut` after ``seconds``, unless it is stopped before, or the connection over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Stop the timer, if it runs."""


@dataclass(frozen=True, slots=True)
class OpenSignaling:
    """Open the socket and answer its offer."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """Give up what is under way: the REST calls, the watches, the socket and the peer connection.

    The socket is closed so that the service keeps the session. Whatever any of them still says is passed over.
    """


@dataclass(frozen=True, slots=True)
class ScheduleRetry:
    """Send `RetryDue` after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitReason:
    """Send `ReasonOverdue` after a moment."""


@dataclass(frozen=True, slots=True)
class WatchVideo:
    """Send `PeerLost` once no frame has come for too long."""


@dataclass(frozen=True, slots=True)
class WatchHold:
    """Send `Held` after ``seconds``, unless the attempt is dropped before."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CallConnected:
    """Tell the user that the connection is up, for the first time."""


@dataclass(frozen=True, slots=True)
class CallDisconnected:
    """Tell the user that a connection that was up is over."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the user of ``error``; it is ``fatal`` where it ends the connection."""

    error: OdysseyError
    fatal: bool


@dataclass(frozen=True, slots=True)
class Release:
    """Say goodbye, close everything, and settle every call that still waits with ``error``."""

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
"""What `SetStatus` tells on entering a state; where it follows an error, the machine adds that to the message."""

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
"""Where a connection that was up is being made again."""


class IllegalEventError(PicklableError, RuntimeError):
    """An event that the table does not list for the state the machine is in: a defect of the caller."""

    def __init__(self, state: ConnectionState, event: Happening) -> None:
        expected = ", ".join(sorted(each.__name__ for each in TRANSITIONS[state]))
        super().__init__(f"a connection that is {state} expects one of {expected}, got {event.__name__}")
        self.state = state
        self.event = event


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

    def handle(self, event: ConnectionEvent) -> tuple[ConnectionEffect, ...]:
        """Move on, and say what is to be done, in order.

        Raises:
            IllegalEventError: the table does not list the event for the present state.
        """
        happening = self._guarded(event)
        transition = TRANSITIONS[self.state].get(happening)
        if transition is None:
            raise IllegalEventError(self.state, happening)
        self._remember(event, happening, transition)
        self.state, effects = transition
        return tuple(self._effect(each) for each in effects)

    def _guarded(self, event: ConnectionEvent) -> Happening:
        """Return the key of ``event`` in the table: its class, unless one of `Guarded` takes its place."""
        if isinstance(event, SignalingClosed) and event.code in CLEAN_CLOSE_CODES:
            return SignalingClosed
        if self.state is ConnectionState.RENEWING and _is_session_lost(event):
            return SessionGone if self._policy.reconnect == "new_session" else SessionRefused
        if self._is_loss(event):
            return ConnectionLost if self.tries < self._policy.tries else GivenUp
        if isinstance(event, SignalingClosed):
            return SignalingLost if self.retries < self._policy.max_retries else SignalingGivenUp
        return type(event)

    def _is_loss(self, event: ConnectionEvent) -> bool:
        """Whether it costs a connection that was up, or a try to have it back, and nothing more."""
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
        # The first sign of a lost peer says the most: those after it are its consequences.
        if error is not None and transition != (ConnectionState.LOST, ()):
            self._error = error
        if happening is GivenUp and self.tries:
            self._given_up = f" Given up after {_tries(self.tries)} to reconnect."
            self._error.add_note(self._given_up.strip())

    def _error_of(self, event: ConnectionEvent) -> OdysseyError | None:
        match event:
            case SessionRefused(error) | PeerLost(error):
                return error
            case ErrorReported(reason):
                return connection_error(reason)
            case SignalingClosed(code, reason) if code in CLEAN_CLOSE_CODES:
                return ConnectionClosedError(f"The service closed the connection ({_closure(code, reason)}).")
            case SignalingClosed(code, reason):
                tries = f" after {self.retries + 1} tries" if self.retries and self.state not in UP | REGAINING else ""
                return SignalingError(f"The signaling connection was lost{tries}: {_closure(code, reason)}.")
            case TimedOut():
                return self._overdue()
            case Disconnect():
                return ConnectionClosedError("The connection was closed by disconnect().")
            case Broke(error):
                return _defect(error)
        return None

    def _overdue(self) -> ConnectTimeoutError:
        what, then = ("The connection was not up", "Call connect() again, or raise AdvancedConfig.connect_timeout_s.")
        if self.state in REGAINING:
            what, then = ("The lost connection was not up again", "The limit is AdvancedConfig.connect_timeout_s.")
        waiting_for = _MISSING.get(self.state, "an answer")
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
                when = f"follows in {delay:g} s" if delay else "follows"
                message = f"{self._error} Try {self.tries + 1} of {self._policy.tries} to reconnect {when}."
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
            raise RuntimeError("a session is used before there are credentials")
        return self._credentials


_MISSING: Mapping[ConnectionState, str] = {
    ConnectionState.CONNECTING: "the offer and the peer connection",
    ConnectionState.HAVE_VIDEO: "the data channel clientToStreamer",
    ConnectionState.HAVE_CHANNEL: "the video track",
    ConnectionState.RETRYING: "signaling to come back",
    ConnectionState.RENEWING: "a new token for the session",
    ConnectionState.RECONNECTING: "the offer and the peer connection",
    ConnectionState.REGAINED_VIDEO: "the data channel clientToStreamer",
    ConnectionState.REGAINED_CHANNEL: "the video track",
}


def _is_session_lost(event: ConnectionEvent) -> bool:
    return isinstance(event, SessionRefused) and isinstance(event.error, SessionLostError)


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
