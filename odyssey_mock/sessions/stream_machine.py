"""The life of the interactive streams of one connection as a table (`protocol.md` section 4).

The same two rules as in `sessions/session_machine.py`: what may happen lives in `TRANSITIONS`; the machine only says
what is to be done. One machine serves a connection from its first stream to its last, one stream after the other.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class State(StrEnum):
    """Where a connection's streaming stands."""

    IDLE = "idle"
    """The idle scene is shown; a stream may be started."""
    STARTING = "starting"
    """A start was accepted; its first frame is not ready yet."""
    RUNNING = "running"
    """The stream was announced; prompts change it."""
    CLOSED = "closed"
    """The connection is over."""


class Event(StrEnum):
    """What can happen to a stream."""

    START = "start"
    FIRST_FRAME = "first_frame"
    UPDATE = "update"
    END = "end"
    BROKE = "broke"
    """The model has crashed, say."""
    OVERDUE = "overdue"
    """The stream has lasted as long as one may."""
    GONE = "gone"
    """The client or the connection went away."""


class Action(StrEnum):
    """What is to be done, in the order given."""

    BEGIN = "begin"
    """Show the new stream from the next frame on."""
    ANNOUNCE = "announce"
    """Send `stream_started`, and `broadcast_ready` where that was asked for."""
    APPLY = "apply"
    """Show the new prompt from the next frame on, then send `update_acknowledged`."""
    FINISH = "finish"
    """Close the stream's timeline and go back to the idle scene."""
    ANNOUNCE_END = "announce_end"
    """Send `stream_ended`."""
    ANNOUNCE_ERROR = "announce_error"
    """Send `interactive_stream_error`, with what broke the stream."""
    ANNOUNCE_OVERDUE = "announce_overdue"
    """Send `interactive_stream_error`, which says that the time is over."""
    HANG_UP = "hang_up"
    """End the connection."""
    REJECT_ALREADY_RUNNING = "reject_already_running"
    REJECT_NO_STREAM = "reject_no_stream"


type Transition = tuple[State, tuple[Action, ...]]

_REJECT_START = (Action.REJECT_ALREADY_RUNNING,)
_REJECT = (Action.REJECT_NO_STREAM,)
_ENDED = (State.IDLE, (Action.FINISH, Action.ANNOUNCE_END))
_OVERDUE = (State.CLOSED, (Action.FINISH, Action.ANNOUNCE_OVERDUE, Action.HANG_UP))

INITIAL = State.IDLE

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.IDLE: {
            Event.START: (State.STARTING, (Action.BEGIN,)),
            Event.UPDATE: (State.IDLE, _REJECT),
            Event.END: (State.IDLE, _REJECT),
            Event.GONE: (State.CLOSED, ()),
        },
        State.STARTING: {
            Event.START: (State.STARTING, _REJECT_START),
            Event.FIRST_FRAME: (State.RUNNING, (Action.ANNOUNCE,)),
            Event.UPDATE: (State.STARTING, (Action.APPLY,)),
            Event.END: _ENDED,
            Event.BROKE: (State.IDLE, (Action.FINISH, Action.ANNOUNCE_ERROR)),
            Event.OVERDUE: _OVERDUE,
            Event.GONE: (State.CLOSED, (Action.FINISH,)),
        },
        State.RUNNING: {
            Event.START: (State.RUNNING, _REJECT_START),
            Event.UPDATE: (State.RUNNING, (Action.APPLY,)),
            Event.END: _ENDED,
            Event.BROKE: (State.IDLE, (Action.FINISH, Action.ANNOUNCE_ERROR, Action.ANNOUNCE_END)),
            Event.OVERDUE: _OVERDUE,
            Event.GONE: (State.CLOSED, (Action.FINISH,)),
        },
        State.CLOSED: dict.fromkeys(
            (Event.START, Event.FIRST_FRAME, Event.UPDATE, Event.END, Event.GONE), (State.CLOSED, ())
        ),
    }
)


class StreamMachine(Machine[State, Event, Action]):
    """One connection's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("stream", TRANSITIONS, INITIAL)
