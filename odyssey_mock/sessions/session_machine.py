"""The life of one session as a table (`protocol.md` sections 2 and 3).

Two rules:

1. What may happen to a session lives in `TRANSITIONS` and nowhere else: an event that is not listed for a state is a
   defect of the caller and raises `IllegalEventError`. Everything a client or the network can cause is listed for
   every state.
2. The machine says what is to be done, it does nothing: no sockets, no tasks, no clock. `sessions/session.py` carries
   the actions out, in order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class State(StrEnum):
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


class Event(StrEnum):
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


class Action(StrEnum):
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
    DROP_LINE = "drop_line"
    """Close peer and socket; what is shown goes on without them."""
    HANG_UP = "hang_up"
    """End the stream, close the peer and the socket."""
    RELEASE = "release"
    """Give the streamer and the account's slot back."""


type Transition = tuple[State, tuple[Action, ...]]

_REFUSED = (Action.REFUSE_SOCKET,)
_OVER = (Action.HANG_UP, Action.DISARM, Action.RELEASE)
_UNREACHABLE: Transition = (State.CLOSED, (Action.REPORT_UNREACHABLE, *_OVER))
_CLOSED: Transition = (State.CLOSED, _OVER)
_CLOSED_OVERDUE: Transition = (State.CLOSED, (Action.REPORT_OVERDUE, *_OVER))
_CLOSED_DRAINED: Transition = (State.CLOSED, (Action.DRAIN, *_OVER))
_SHUT_DOWN: Transition = (State.CLOSED, (Action.REPORT_SHUT_DOWN, *_OVER))
_BACK_TO_WAITING: Transition = (State.WAITING, (Action.HANG_UP,))
_BACK_TO_HELD: Transition = (State.HELD, (Action.DROP_LINE,))
_HELD: Transition = (State.HELD, (Action.DISARM_INACTIVITY, Action.ARM_GRACE, Action.DROP_LINE))


def _first(state: State) -> Mapping[Event, Transition]:
    """What ends, or does not end, a connection that never was up."""
    return {
        Event.SOCKET_OPENED: (state, _REFUSED),
        Event.PEER_CLOSED: _UNREACHABLE,
        Event.PEER_LOST: _UNREACHABLE,
        Event.CLIENT_LEFT: _CLOSED,
        Event.SOCKET_CLOSED: _BACK_TO_WAITING,
        Event.SOCKET_LOST: _BACK_TO_WAITING,
        Event.DANGLING: _UNREACHABLE,
        Event.UNUSED: (state, ()),
        Event.SHUT_DOWN: _SHUT_DOWN,
    }


def _again(state: State) -> Mapping[Event, Transition]:
    """The same of one that was up before: until the grace is over, another socket may try."""
    return {
        Event.SOCKET_OPENED: (state, _REFUSED),
        Event.PEER_CLOSED: _BACK_TO_HELD,
        Event.PEER_LOST: _BACK_TO_HELD,
        Event.CLIENT_LEFT: _CLOSED,
        Event.SOCKET_CLOSED: _CLOSED,
        Event.SOCKET_LOST: _BACK_TO_HELD,
        Event.STREAM_OVERDUE: _CLOSED,
        Event.CONNECTION_OVERDUE: _CLOSED_OVERDUE,
        Event.GRACE_OVER: _UNREACHABLE,
        Event.DANGLING: (state, ()),
        Event.UNUSED: (state, ()),
        Event.SHUT_DOWN: _SHUT_DOWN,
    }


INITIAL = State.WAITING

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.WAITING: {
            Event.SOCKET_OPENED: (State.SIGNALING, (Action.SEND_OFFER,)),
            Event.DANGLING: _CLOSED,
            Event.UNUSED: _CLOSED,
            Event.SHUT_DOWN: _CLOSED,
        },
        State.SIGNALING: {
            **_first(State.SIGNALING),
            Event.ANSWERED: (State.CONNECTING, (Action.APPLY_ANSWER,)),
        },
        State.CONNECTING: {
            **_first(State.CONNECTING),
            Event.ANSWERED: (State.CONNECTING, (Action.REFUSE_ANSWER,)),
            Event.DESCRIPTION_REFUSED: (State.CLOSED, (Action.REPORT_BAD_ANSWER, *_OVER)),
            Event.PEER_CONNECTED: (
                State.CONNECTED,
                (
                    Action.DISARM,
                    Action.ARM_LIMIT,
                    Action.ARM_INACTIVITY,
                    Action.START_VIDEO,
                    Action.OPEN_CHANNELS,
                ),
            ),
        },
        State.CONNECTED: {
            Event.SOCKET_OPENED: (State.CONNECTED, _REFUSED),
            Event.ANSWERED: (State.CONNECTED, (Action.REFUSE_ANSWER,)),
            Event.PEER_CLOSED: _CLOSED,
            Event.PEER_LOST: _HELD,
            Event.CLIENT_LEFT: _CLOSED,
            Event.SOCKET_CLOSED: _CLOSED,
            Event.SOCKET_LOST: _HELD,
            Event.STREAM_OVERDUE: _CLOSED_DRAINED,
            Event.CONNECTION_OVERDUE: _CLOSED_OVERDUE,
            Event.INACTIVE: _CLOSED,
            # It came up in the very moment it was given up: then it is up.
            Event.DANGLING: (State.CONNECTED, ()),
            Event.GRACE_OVER: (State.CONNECTED, ()),
            Event.UNUSED: (State.CONNECTED, ()),
            Event.SHUT_DOWN: _SHUT_DOWN,
        },
        State.HELD: {
            Event.SOCKET_OPENED: (State.RETURNING, (Action.SEND_OFFER,)),
            Event.STREAM_OVERDUE: _CLOSED,
            Event.CONNECTION_OVERDUE: _CLOSED,
            Event.GRACE_OVER: _CLOSED,
            Event.DANGLING: (State.HELD, ()),
            Event.UNUSED: (State.HELD, ()),
            Event.SHUT_DOWN: _CLOSED,
        },
        State.RETURNING: {
            **_again(State.RETURNING),
            Event.ANSWERED: (State.REJOINING, (Action.APPLY_ANSWER,)),
        },
        State.REJOINING: {
            **_again(State.REJOINING),
            Event.ANSWERED: (State.REJOINING, (Action.REFUSE_ANSWER,)),
            Event.DESCRIPTION_REFUSED: (State.CLOSED, (Action.REPORT_BAD_ANSWER, *_OVER)),
            Event.PEER_CONNECTED: (
                State.CONNECTED,
                (Action.DISARM_GRACE, Action.ARM_INACTIVITY, Action.RESUME_VIDEO, Action.OPEN_CHANNELS),
            ),
        },
        State.CLOSED: {
            Event.SOCKET_OPENED: (State.CLOSED, _REFUSED),
            **dict.fromkeys((event for event in Event if event is not Event.SOCKET_OPENED), (State.CLOSED, ())),
        },
    }
)


class SessionMachine(Machine[State, Event, Action]):
    """One session's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("session", TRANSITIONS, INITIAL)
