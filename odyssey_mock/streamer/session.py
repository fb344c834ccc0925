"""The life of one session as a table (`protocol.md` sections 2 and 3).

Two rules:

1. What may happen to a session lives in `TRANSITIONS` and nowhere else: an event that is not listed for a state is a
   defect of the caller and raises `IllegalEventError`. Everything a client or the network can cause is listed for
   every state.
2. The machine says what is to be done, it does nothing: no sockets, no tasks, no clock. `streamer/live.py` carries
   the actions out, in order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.machine import Machine


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
    CLOSED = "closed"
    """Over for good; the streamer is free again."""


class Event(StrEnum):
    """What can happen to a session."""

    SOCKET_OPENED = "socket_opened"
    ANSWERED = "answered"
    DESCRIPTION_REFUSED = "description_refused"
    """The answer could not be applied."""
    PEER_CONNECTED = "peer_connected"
    PEER_LOST = "peer_lost"
    CLIENT_LEFT = "client_left"
    """`client_disconnecting` was received."""
    SOCKET_LOST = "socket_lost"
    STREAM_OVERDUE = "stream_overdue"
    """A stream has lasted as long as one may, and its client was told."""
    DANGLING = "dangling"
    """Nobody had connected to the session within the set time."""
    SHUT_DOWN = "shut_down"
    """The server ends it."""


class Action(StrEnum):
    """What is to be done, in the order given."""

    DISARM_DANGLING = "disarm_dangling"
    """`DANGLING` is not to happen any more; it is due from the session's beginning on."""
    SEND_OFFER = "send_offer"
    APPLY_ANSWER = "apply_answer"
    REFUSE_ANSWER = "refuse_answer"
    """Say that an answer was not expected; the session goes on."""
    REFUSE_SOCKET = "refuse_socket"
    """Close the socket that just opened; the session's own is left alone."""
    START_VIDEO = "start_video"
    OPEN_CHANNELS = "open_channels"
    REPORT_BAD_ANSWER = "report_bad_answer"
    REPORT_UNREACHABLE = "report_unreachable"
    REPORT_SHUT_DOWN = "report_shut_down"
    DRAIN = "drain"
    """Let what was said on the data channel go out."""
    HANG_UP = "hang_up"
    """End the stream, close the peer and the socket."""
    RELEASE = "release"
    """Give the streamer and the account's slot back."""


type Transition = tuple[State, tuple[Action, ...]]

_REFUSED = (Action.REFUSE_SOCKET,)
_OVER = (Action.HANG_UP, Action.DISARM_DANGLING, Action.RELEASE)
_GIVEN_UP = (Action.REPORT_UNREACHABLE, Action.HANG_UP, Action.RELEASE)
_LOST_UP = (Action.HANG_UP, Action.RELEASE)

INITIAL = State.WAITING

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.WAITING: {
            Event.SOCKET_OPENED: (State.SIGNALING, (Action.SEND_OFFER,)),
            Event.DANGLING: (State.CLOSED, (Action.RELEASE,)),
            Event.SHUT_DOWN: (State.CLOSED, (Action.DISARM_DANGLING, Action.RELEASE)),
        },
        State.SIGNALING: {
            Event.SOCKET_OPENED: (State.SIGNALING, _REFUSED),
            Event.ANSWERED: (State.CONNECTING, (Action.APPLY_ANSWER,)),
            Event.PEER_LOST: (State.CLOSED, (Action.REPORT_UNREACHABLE, *_OVER)),
            Event.CLIENT_LEFT: (State.CLOSED, _OVER),
            Event.SOCKET_LOST: (State.WAITING, (Action.HANG_UP,)),
            Event.DANGLING: (State.CLOSED, _GIVEN_UP),
            Event.SHUT_DOWN: (State.CLOSED, (Action.REPORT_SHUT_DOWN, *_OVER)),
        },
        State.CONNECTING: {
            Event.SOCKET_OPENED: (State.CONNECTING, _REFUSED),
            Event.ANSWERED: (State.CONNECTING, (Action.REFUSE_ANSWER,)),
            Event.DESCRIPTION_REFUSED: (State.CLOSED, (Action.REPORT_BAD_ANSWER, *_OVER)),
            Event.PEER_CONNECTED: (State.CONNECTED, (Action.DISARM_DANGLING, Action.START_VIDEO, Action.OPEN_CHANNELS)),
            Event.PEER_LOST: (State.CLOSED, (Action.REPORT_UNREACHABLE, *_OVER)),
            Event.CLIENT_LEFT: (State.CLOSED, _OVER),
            Event.SOCKET_LOST: (State.WAITING, (Action.HANG_UP,)),
            Event.DANGLING: (State.CLOSED, _GIVEN_UP),
            Event.SHUT_DOWN: (State.CLOSED, (Action.REPORT_SHUT_DOWN, *_OVER)),
        },
        State.CONNECTED: {
            Event.SOCKET_OPENED: (State.CONNECTED, _REFUSED),
            Event.ANSWERED: (State.CONNECTED, (Action.REFUSE_ANSWER,)),
            Event.PEER_LOST: (State.CLOSED, _LOST_UP),
            Event.CLIENT_LEFT: (State.CLOSED, _LOST_UP),
            Event.SOCKET_LOST: (State.CLOSED, _LOST_UP),
            Event.STREAM_OVERDUE: (State.CLOSED, (Action.DRAIN, *_LOST_UP)),
            # It came up in the very moment it was given up: then it is up.
            Event.DANGLING: (State.CONNECTED, ()),
            Event.SHUT_DOWN: (State.CLOSED, (Action.REPORT_SHUT_DOWN, *_LOST_UP)),
        },
        State.CLOSED: {
            Event.SOCKET_OPENED: (State.CLOSED, _REFUSED),
            **dict.fromkeys(
                (
                    Event.ANSWERED,
                    Event.DESCRIPTION_REFUSED,
                    Event.PEER_CONNECTED,
                    Event.PEER_LOST,
                    Event.CLIENT_LEFT,
                    Event.SOCKET_LOST,
                    Event.STREAM_OVERDUE,
                    Event.DANGLING,
                    Event.SHUT_DOWN,
                ),
                (State.CLOSED, ()),
            ),
        },
    }
)


class SessionMachine(Machine[State, Event, Action]):
    """One session's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("session", TRANSITIONS, INITIAL)
