"""The life of one client connection as a table (protocol.md sections 1, 3 and 4).

What may happen to a connection lives in `TRANSITIONS` and nowhere else. Whatever the network, the service or the user
can cause is listed for every state it can come in. `machine.py` walks the table.

A connection that was up and is lost goes round from `LOST` or `CONNECTED` through `WAITING`, `RENEWING` (its session)
and `RECONNECTING` back to `CONNECTED`, as often as there are tries; each try has a socket and a peer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


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


class Event(StrEnum):
    """What can happen to a connection; the columns of the table."""

    CONNECT = "connect"
    CONNECT_WITH_CREDENTIALS = "connect_with_credentials"
    NO_STREAMER_FREE = "no_streamer_free"
    SESSION_OPENED = "session_opened"
    """There are credentials: of a new session, or new ones of the session there was."""
    SESSION_REFUSED = "session_refused"
    """A REST call failed, and trying again does not help."""
    SESSION_GONE = "session_gone"
    """The service does not know the session any more, and another one may be taken."""
    VIDEO_ADDED = "video_added"
    CHANNEL_OPENED = "channel_opened"
    SIGNALING_CLOSED = "signaling_closed"
    """The socket was closed with a code of `CLEAN_CLOSE_CODES`."""
    SIGNALING_LOST = "signaling_lost"
    """Before the connection was up, the socket could not be opened or broke, and a try is left."""
    SIGNALING_GIVEN_UP = "signaling_given_up"
    """The same, and no try is left."""
    RETRY_DUE = "retry_due"
    ERROR_REPORTED = "error_reported"
    """Signaling brought an ``error`` message that ends the connection."""
    PEER_LOST = "peer_lost"
    """ICE or DTLS failed, the other side closed the peer connection or a channel, or the video ended or stopped."""
    CONNECTION_LOST = "connection_lost"
    """A connection that was up is lost, or a try to have it back has failed; and a try is left."""
    GIVEN_UP = "given_up"
    """The same, and no try is left."""
    HELD = "held"
    """The connection that came back has lasted: its tries are counted anew."""
    TIMED_OUT = "timed_out"
    """The connection was not up in time."""
    DISCONNECT = "disconnect"
    """The user ends it."""
    BROKE = "broke"
    """A task of the connection failed in a way that nobody foresaw: a defect of this package."""


class Action(StrEnum):
    """What is to be done; each becomes one effect."""

    TELL_AUTHENTICATING = "tell_authenticating"
    TELL_QUEUEING = "tell_queueing"
    TELL_CONNECTING = "tell_connecting"
    TELL_RETRYING = "tell_retrying"
    TELL_CONNECTED = "tell_connected"
    TELL_RECONNECTING = "tell_reconnecting"
    TELL_REQUEUEING = "tell_requeueing"
    TELL_DISCONNECTED = "tell_disconnected"
    TELL_FAILED = "tell_failed"
    OPEN_SESSION = "open_session"
    RENEW_SESSION = "renew_session"
    LOSE_SESSION = "lose_session"
    OPEN_SIGNALING = "open_signaling"
    START_TIMER = "start_timer"
    STOP_TIMER = "stop_timer"
    DROP_ATTEMPT = "drop_attempt"
    SCHEDULE_RETRY = "schedule_retry"
    SCHEDULE_TRY = "schedule_try"
    AWAIT_REASON = "await_reason"
    WATCH_VIDEO = "watch_video"
    WATCH_HOLD = "watch_hold"
    CALL_CONNECTED = "call_connected"
    CALL_DISCONNECTED = "call_disconnected"
    REPORT_LOSS = "report_loss"
    REPORT_FATAL = "report_fatal"
    RELEASE = "release"


type Transition = tuple[State, tuple[Action, ...]]

_OPEN = (Action.TELL_CONNECTING, Action.START_TIMER, Action.OPEN_SIGNALING)
_RETRY: Transition = (State.RETRYING, (Action.TELL_RETRYING, Action.DROP_ATTEMPT, Action.SCHEDULE_RETRY))
_UP: Transition = (
    State.CONNECTED,
    (Action.STOP_TIMER, Action.WATCH_VIDEO, Action.TELL_CONNECTED, Action.CALL_CONNECTED),
)
_UP_AGAIN: Transition = (
    State.CONNECTED,
    (Action.STOP_TIMER, Action.WATCH_VIDEO, Action.WATCH_HOLD, Action.TELL_CONNECTED),
)
_RECONNECT: Transition = (
    State.WAITING,
    (Action.STOP_TIMER, Action.DROP_ATTEMPT, Action.TELL_RECONNECTING, Action.REPORT_LOSS, Action.SCHEDULE_TRY),
)
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
    Event.BROKE: _FAILED,
}

_OPENING: Mapping[Event, Transition] = {
    Event.SESSION_OPENED: (State.CONNECTING, _OPEN),
    Event.SESSION_REFUSED: _FAILED,
    Event.DISCONNECT: _ENDED,
    Event.BROKE: _FAILED,
}

_WAS_UP: Mapping[Event, Transition] = {
    Event.CONNECTION_LOST: _RECONNECT,
    Event.GIVEN_UP: _FAILED_UP,
    Event.DISCONNECT: _ENDED_UP,
    Event.BROKE: _FAILED_UP,
}

_WITH_A_SOCKET: Mapping[Event, Transition] = {
    **_WAS_UP,
    Event.SIGNALING_CLOSED: _ENDED_UP,
    Event.ERROR_REPORTED: _FAILED_UP,
}

_REOPENING: Mapping[Event, Transition] = {
    **_WAS_UP,
    Event.SESSION_OPENED: (State.RECONNECTING, (Action.START_TIMER, Action.OPEN_SIGNALING)),
    Event.SESSION_REFUSED: _FAILED_UP,
}

INITIAL = State.IDLE

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.IDLE: {
            Event.CONNECT: (State.AUTHENTICATING, (Action.TELL_AUTHENTICATING, Action.OPEN_SESSION)),
            Event.CONNECT_WITH_CREDENTIALS: (State.CONNECTING, _OPEN),
            Event.DISCONNECT: _ENDED,
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
            Event.BROKE: _FAILED,
        },
        State.CONNECTED: {
            Event.PEER_LOST: (State.LOST, (Action.AWAIT_REASON,)),
            Event.HELD: (State.CONNECTED, ()),
            **_WITH_A_SOCKET,
        },
        State.LOST: {
            Event.PEER_LOST: (State.LOST, ()),
            Event.HELD: (State.LOST, ()),
            **_WITH_A_SOCKET,
        },
        State.WAITING: {
            Event.RETRY_DUE: (State.RENEWING, (Action.START_TIMER, Action.RENEW_SESSION)),
            Event.DISCONNECT: _ENDED_UP,
            Event.BROKE: _FAILED_UP,
        },
        State.RENEWING: {
            Event.SESSION_OPENED: (State.RECONNECTING, (Action.OPEN_SIGNALING,)),
            Event.SESSION_GONE: (State.REOPENING, (Action.STOP_TIMER, Action.LOSE_SESSION, Action.OPEN_SESSION)),
            Event.SESSION_REFUSED: _FAILED_UP,
            **_WAS_UP,
        },
        State.REOPENING: {
            Event.NO_STREAMER_FREE: (State.REQUEUEING, (Action.TELL_REQUEUEING,)),
            **_REOPENING,
        },
        State.REQUEUEING: {
            Event.NO_STREAMER_FREE: (State.REQUEUEING, ()),
            **_REOPENING,
        },
        State.RECONNECTING: {
            Event.VIDEO_ADDED: (State.REGAINED_VIDEO, ()),
            Event.CHANNEL_OPENED: (State.REGAINED_CHANNEL, ()),
            **_WITH_A_SOCKET,
        },
        State.REGAINED_VIDEO: {Event.CHANNEL_OPENED: _UP_AGAIN, **_WITH_A_SOCKET},
        State.REGAINED_CHANNEL: {Event.VIDEO_ADDED: _UP_AGAIN, **_WITH_A_SOCKET},
        State.DISCONNECTED: {Event.DISCONNECT: (State.DISCONNECTED, ())},
        State.FAILED: {Event.DISCONNECT: (State.FAILED, ())},
    }
)

OVER = frozenset({State.DISCONNECTED, State.FAILED})
UP = frozenset({State.CONNECTED, State.LOST})
REGAINING = frozenset(
    {
        State.WAITING,
        State.RENEWING,
        State.REOPENING,
        State.REQUEUEING,
        State.RECONNECTING,
        State.REGAINED_VIDEO,
        State.REGAINED_CHANNEL,
    }
)
"""Where a connection that was up is being made again."""
