"""The life of one session as a table (`protocol.md` sections 2 and 3).

Two rules:

1. What may happen to a session lives in `TRANSITIONS` and nowhere else: an event that is not listed for a state is a
   defect of the caller and raises `IllegalEventError`. Everything a client or the network can cause is listed for
   every state.
2. The machine says what is to be done, it does nothing: no sockets, no tasks, no clock. `SessionLifecycle` and
   `Session` carry the effects out, in order; each names those that it leaves to the other.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class SessionState(StrEnum):
    """Where a session stands."""

    WAITING = "waiting"
    """It holds a streamer; no socket is open."""
    SIGNALING = "signaling"
    """A socket is open; the offer is made and sent."""
    CONNECTING = "connecting"
    """The answer has come; ICE and DTLS are under way."""
    CONNECTED = "connected"
    """Video flows."""
    HELD = "held"
    """Its client was lost without a goodbye. The stream goes on for a while, unseen, until the client is back."""
    RETURNING = "returning"
    """The client is back: a socket is open again; another offer is made and sent."""
    REJOINING = "rejoining"
    """The answer to that has come; ICE and DTLS are under way."""
    CLOSED = "closed"
    """Over for good; the streamer is free again."""


class SessionEvent(StrEnum):
    """What can happen to a session."""

    SOCKET_OPENED = "socket_opened"
    ANSWERED = "answered"
    DESCRIPTION_REFUSED = "description_refused"
    """The answer could not be applied."""
    PEER_CONNECTED = "peer_connected"
    PEER_CLOSED = "peer_closed"
    """The client has closed the peer connection."""
    PEER_LOST = "peer_lost"
    """The peer connection failed."""
    CLIENT_LEFT = "client_left"
    """`client_disconnecting` was received."""
    SOCKET_CLOSED = "socket_closed"
    """The socket was closed as one is that is done with (1000, 1001)."""
    SOCKET_LOST = "socket_lost"
    """The socket broke, or was closed in any other way."""
    STREAM_OVERDUE = "stream_overdue"
    """A stream has lasted as long as one may, and its client was told."""
    CONNECTION_OVERDUE = "connection_overdue"
    """The connection has lasted as long as one may."""
    INACTIVE = "inactive"
    """There was neither a stream nor a message of the client for as long as that may be."""
    DANGLING = "dangling"
    """Nobody had connected to the session within the set time."""
    UNUSED = "unused"
    """The tokens made for the session have expired, and nobody has come."""
    GRACE_OVER = "grace_over"
    """A client that was lost has not come back in time."""
    SHUT_DOWN = "shut_down"
    """The server ends it."""


class SessionEffect(StrEnum):
    """What is to be done, in the order given."""

    ARM_LIMIT = "arm_limit"
    """Begin to count the time of the connection."""
    ARM_INACTIVITY = "arm_inactivity"
    """Begin to count the time without activity."""
    DISARM_INACTIVITY = "disarm_inactivity"
    ARM_GRACE = "arm_grace"
    """`GRACE_OVER` is due from now on."""
    DISARM_GRACE = "disarm_grace"
    DISARM = "disarm"
    """None of what was due is to happen any more."""
    SEND_OFFER = "send_offer"
    APPLY_ANSWER = "apply_answer"
    REFUSE_ANSWER = "refuse_answer"
    """Say that an answer was not expected; the session goes on."""
    REFUSE_SOCKET = "refuse_socket"
    """Close the socket that just opened; the session's own is left alone."""
    START_VIDEO = "start_video"
    RESUME_VIDEO = "resume_video"
    """Show what has gone on meanwhile to the client that is back."""
    OPEN_CHANNELS = "open_channels"
    REPORT_BAD_ANSWER = "report_bad_answer"
    REPORT_UNREACHABLE = "report_unreachable"
    REPORT_OVERDUE = "report_overdue"
    REPORT_SHUT_DOWN = "report_shut_down"
    DRAIN = "drain"
    """Let what was said on the data channel go out."""
    DROP_CONNECTION = "drop_connection"
    """Close peer and socket; what is shown goes on without them."""
    HANG_UP = "hang_up"
    """End the stream, close the peer and the socket."""
    RELEASE = "release"
    """Give the streamer and the account's slot back."""


type Transition = tuple[SessionState, tuple[SessionEffect, ...]]

_REFUSED = (SessionEffect.REFUSE_SOCKET,)
_OVER = (SessionEffect.HANG_UP, SessionEffect.DISARM, SessionEffect.RELEASE)
_UNREACHABLE: Transition = (SessionState.CLOSED, (SessionEffect.REPORT_UNREACHABLE, *_OVER))
_CLOSED: Transition = (SessionState.CLOSED, _OVER)
_CLOSED_OVERDUE: Transition = (SessionState.CLOSED, (SessionEffect.REPORT_OVERDUE, *_OVER))
_CLOSED_DRAINED: Transition = (SessionState.CLOSED, (SessionEffect.DRAIN, *_OVER))
_SHUT_DOWN: Transition = (SessionState.CLOSED, (SessionEffect.REPORT_SHUT_DOWN, *_OVER))
_BACK_TO_WAITING: Transition = (SessionState.WAITING, (SessionEffect.HANG_UP,))
_BACK_TO_HELD: Transition = (SessionState.HELD, (SessionEffect.DROP_CONNECTION,))
_HELD: Transition = (
    SessionState.HELD,
    (SessionEffect.DISARM_INACTIVITY, SessionEffect.ARM_GRACE, SessionEffect.DROP_CONNECTION),
)


def _first(state: SessionState) -> Mapping[SessionEvent, Transition]:
    """What ends, or does not end, a connection that never was up."""
    return {
        SessionEvent.SOCKET_OPENED: (state, _REFUSED),
        SessionEvent.PEER_CLOSED: _UNREACHABLE,
        SessionEvent.PEER_LOST: _UNREACHABLE,
        SessionEvent.CLIENT_LEFT: _CLOSED,
        SessionEvent.SOCKET_CLOSED: _BACK_TO_WAITING,
        SessionEvent.SOCKET_LOST: _BACK_TO_WAITING,
        SessionEvent.DANGLING: _UNREACHABLE,
        SessionEvent.UNUSED: (state, ()),
        SessionEvent.SHUT_DOWN: _SHUT_DOWN,
    }


def _again(state: SessionState) -> Mapping[SessionEvent, Transition]:
    """The same of one that was up before: until the grace is over, another socket may try."""
    return {
        SessionEvent.SOCKET_OPENED: (state, _REFUSED),
        SessionEvent.PEER_CLOSED: _BACK_TO_HELD,
        SessionEvent.PEER_LOST: _BACK_TO_HELD,
        SessionEvent.CLIENT_LEFT: _CLOSED,
        SessionEvent.SOCKET_CLOSED: _CLOSED,
        SessionEvent.SOCKET_LOST: _BACK_TO_HELD,
        SessionEvent.STREAM_OVERDUE: _CLOSED,
        SessionEvent.CONNECTION_OVERDUE: _CLOSED_OVERDUE,
        SessionEvent.GRACE_OVER: _UNREACHABLE,
        SessionEvent.DANGLING: (state, ()),
        SessionEvent.UNUSED: (state, ()),
        SessionEvent.SHUT_DOWN: _SHUT_DOWN,
    }


INITIAL = SessionState.WAITING

TRANSITIONS: Mapping[SessionState, Mapping[SessionEvent, Transition]] = MappingProxyType(
    {
        SessionState.WAITING: {
            SessionEvent.SOCKET_OPENED: (SessionState.SIGNALING, (SessionEffect.SEND_OFFER,)),
            SessionEvent.DANGLING: _CLOSED,
            SessionEvent.UNUSED: _CLOSED,
            SessionEvent.SHUT_DOWN: _CLOSED,
        },
        SessionState.SIGNALING: {
            **_first(SessionState.SIGNALING),
            SessionEvent.ANSWERED: (SessionState.CONNECTING, (SessionEffect.APPLY_ANSWER,)),
        },
        SessionState.CONNECTING: {
            **_first(SessionState.CONNECTING),
            SessionEvent.ANSWERED: (SessionState.CONNECTING, (SessionEffect.REFUSE_ANSWER,)),
            SessionEvent.DESCRIPTION_REFUSED: (SessionState.CLOSED, (SessionEffect.REPORT_BAD_ANSWER, *_OVER)),
            SessionEvent.PEER_CONNECTED: (
                SessionState.CONNECTED,
                (
                    SessionEffect.DISARM,
                    SessionEffect.ARM_LIMIT,
                    SessionEffect.ARM_INACTIVITY,
                    SessionEffect.START_VIDEO,
                    SessionEffect.OPEN_CHANNELS,
                ),
            ),
        },
        SessionState.CONNECTED: {
            SessionEvent.SOCKET_OPENED: (SessionState.CONNECTED, _REFUSED),
            SessionEvent.ANSWERED: (SessionState.CONNECTED, (SessionEffect.REFUSE_ANSWER,)),
            SessionEvent.PEER_CLOSED: _CLOSED,
            SessionEvent.PEER_LOST: _HELD,
            SessionEvent.CLIENT_LEFT: _CLOSED,
            SessionEvent.SOCKET_CLOSED: _CLOSED,
            SessionEvent.SOCKET_LOST: _HELD,
            SessionEvent.STREAM_OVERDUE: _CLOSED_DRAINED,
            SessionEvent.CONNECTION_OVERDUE: _CLOSED_OVERDUE,
            SessionEvent.INACTIVE: _CLOSED,
            # It came up in the very moment it was given up: then it is up.
            SessionEvent.DANGLING: (SessionState.CONNECTED, ()),
            SessionEvent.GRACE_OVER: (SessionState.CONNECTED, ()),
            SessionEvent.UNUSED: (SessionState.CONNECTED, ()),
            SessionEvent.SHUT_DOWN: _SHUT_DOWN,
        },
        SessionState.HELD: {
            SessionEvent.SOCKET_OPENED: (SessionState.RETURNING, (SessionEffect.SEND_OFFER,)),
            SessionEvent.STREAM_OVERDUE: _CLOSED,
            SessionEvent.CONNECTION_OVERDUE: _CLOSED,
            SessionEvent.GRACE_OVER: _CLOSED,
            SessionEvent.DANGLING: (SessionState.HELD, ()),
            SessionEvent.UNUSED: (SessionState.HELD, ()),
            SessionEvent.SHUT_DOWN: _CLOSED,
        },
        SessionState.RETURNING: {
            **_again(SessionState.RETURNING),
            SessionEvent.ANSWERED: (SessionState.REJOINING, (SessionEffect.APPLY_ANSWER,)),
        },
        SessionState.REJOINING: {
            **_again(SessionState.REJOINING),
            SessionEvent.ANSWERED: (SessionState.REJOINING, (SessionEffect.REFUSE_ANSWER,)),
            SessionEvent.DESCRIPTION_REFUSED: (SessionState.CLOSED, (SessionEffect.REPORT_BAD_ANSWER, *_OVER)),
            SessionEvent.PEER_CONNECTED: (
                SessionState.CONNECTED,
                (
                    SessionEffect.DISARM_GRACE,
                    SessionEffect.ARM_INACTIVITY,
                    SessionEffect.RESUME_VIDEO,
                    SessionEffect.OPEN_CHANNELS,
                ),
            ),
        },
        SessionState.CLOSED: {
            SessionEvent.SOCKET_OPENED: (SessionState.CLOSED, _REFUSED),
            **dict.fromkeys(
                (event for event in SessionEvent if event is not SessionEvent.SOCKET_OPENED), (SessionState.CLOSED, ())
            ),
        },
    }
)


class SessionMachine(Machine[SessionState, SessionEvent, SessionEffect]):
    """One session's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("session", TRANSITIONS, INITIAL)
