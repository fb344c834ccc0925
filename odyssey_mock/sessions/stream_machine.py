"""The life of the interactive streams of one connection as a table (`protocol.md` section 4).

The same two rules as in `sessions/session_machine.py`: what may happen lives in `TRANSITIONS`; the machine only says
what is to be done. One machine serves a connection from its first stream to its last, one stream after the other.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class StreamState(StrEnum):
    """Where a connection's streaming stands."""

    IDLE = "idle"
    """The idle scene is shown; a stream may be started."""
    STARTING = "starting"
    """A start was accepted; its first frame is not ready yet."""
    RUNNING = "running"
    """The stream was announced; prompts change it."""
    CLOSED = "closed"
    """The connection is over."""


class StreamEvent(StrEnum):
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


class StreamEffect(StrEnum):
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


type Transition = tuple[StreamState, tuple[StreamEffect, ...]]

_REJECT_START = (StreamEffect.REJECT_ALREADY_RUNNING,)
_REJECT = (StreamEffect.REJECT_NO_STREAM,)
_ENDED = (StreamState.IDLE, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_END))
_OVERDUE = (StreamState.CLOSED, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_OVERDUE, StreamEffect.HANG_UP))

INITIAL = StreamState.IDLE

TRANSITIONS: Mapping[StreamState, Mapping[StreamEvent, Transition]] = MappingProxyType(
    {
        StreamState.IDLE: {
            StreamEvent.START: (StreamState.STARTING, (StreamEffect.BEGIN,)),
            StreamEvent.UPDATE: (StreamState.IDLE, _REJECT),
            StreamEvent.END: (StreamState.IDLE, _REJECT),
            StreamEvent.GONE: (StreamState.CLOSED, ()),
        },
        StreamState.STARTING: {
            StreamEvent.START: (StreamState.STARTING, _REJECT_START),
            StreamEvent.FIRST_FRAME: (StreamState.RUNNING, (StreamEffect.ANNOUNCE,)),
            StreamEvent.UPDATE: (StreamState.STARTING, (StreamEffect.APPLY,)),
            StreamEvent.END: _ENDED,
            StreamEvent.BROKE: (StreamState.IDLE, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_ERROR)),
            StreamEvent.OVERDUE: _OVERDUE,
            StreamEvent.GONE: (StreamState.CLOSED, (StreamEffect.FINISH,)),
        },
        StreamState.RUNNING: {
            StreamEvent.START: (StreamState.RUNNING, _REJECT_START),
            StreamEvent.UPDATE: (StreamState.RUNNING, (StreamEffect.APPLY,)),
            StreamEvent.END: _ENDED,
            StreamEvent.BROKE: (
                StreamState.IDLE,
                (StreamEffect.FINISH, StreamEffect.ANNOUNCE_ERROR, StreamEffect.ANNOUNCE_END),
            ),
            StreamEvent.OVERDUE: _OVERDUE,
            StreamEvent.GONE: (StreamState.CLOSED, (StreamEffect.FINISH,)),
        },
        StreamState.CLOSED: dict.fromkeys(
            (StreamEvent.START, StreamEvent.FIRST_FRAME, StreamEvent.UPDATE, StreamEvent.END, StreamEvent.GONE),
            (StreamState.CLOSED, ()),
        ),
    }
)


class StreamMachine(Machine[StreamState, StreamEvent, StreamEffect]):
    """One connection's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("stream", TRANSITIONS, INITIAL)
