"""The state machine of a session's interactive streams (`protocol.md` section 4).

The two rules of `sessions/session_machine.py` apply: `TRANSITIONS` lists every event that may happen, and the machine
only returns effects. One machine handles all streams of a session, one after the other.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class StreamState(StrEnum):
    """States of a session's streaming."""

    IDLE = "idle"
    """The idle scene is shown; the client may start a stream."""
    STARTING = "starting"
    """A start message was accepted; its first frame is not ready yet."""
    RUNNING = "running"
    """The stream was announced; prompts change it."""
    CLOSED = "closed"
    """The session is over."""


class StreamEvent(StrEnum):
    """Events of a session's streaming."""

    START = "start"
    FIRST_FRAME = "first_frame"
    UPDATE = "update"
    END = "end"
    BROKE = "broke"
    """The stream failed, for example because the model crashed."""
    OVERDUE = "overdue"
    """The stream has reached its maximum duration."""
    GONE = "gone"
    """The session is over, or its first connection was closed before the peer connected."""


class StreamEffect(StrEnum):
    """Effects of a transition; `StreamController` carries them out in order."""

    BEGIN = "begin"
    """Show the new stream from the next frame on."""
    ANNOUNCE = "announce"
    """Send `stream_started`, and `broadcast_ready` if the client requested a broadcast."""
    APPLY = "apply"
    """Show the new prompt from the next frame on, then send `update_acknowledged`."""
    FINISH = "finish"
    """End the stream's timeline and show the idle scene again."""
    ANNOUNCE_END = "announce_end"
    """Send `stream_ended`."""
    ANNOUNCE_ERROR = "announce_error"
    """Send `interactive_stream_error` with the reason of the failure."""
    ANNOUNCE_OVERDUE = "announce_overdue"
    """Send `interactive_stream_error` with the reason `session_timeout`."""
    HANG_UP = "hang_up"
    """End the connection."""
    REJECT_ALREADY_RUNNING = "reject_already_running"
    REJECT_NO_STREAM = "reject_no_stream"
    REPLY_TO_NEEDLESS_END = "reply_to_needless_end"
    """Reply to an end message, although no stream is running, as the setting `end_without_stream` says."""


type Transition = tuple[StreamState, tuple[StreamEffect, ...]]

_REJECT_START = (StreamEffect.REJECT_ALREADY_RUNNING,)
_ENDED = (StreamState.IDLE, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_END))
_OVERDUE = (StreamState.CLOSED, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_OVERDUE, StreamEffect.HANG_UP))

INITIAL = StreamState.IDLE

TRANSITIONS: Mapping[StreamState, Mapping[StreamEvent, Transition]] = MappingProxyType(
    {
        StreamState.IDLE: {
            StreamEvent.START: (StreamState.STARTING, (StreamEffect.BEGIN,)),
            StreamEvent.UPDATE: (StreamState.IDLE, (StreamEffect.REJECT_NO_STREAM,)),
            StreamEvent.END: (StreamState.IDLE, (StreamEffect.REPLY_TO_NEEDLESS_END,)),
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
    """The state machine of one session's streams."""

    def __init__(self) -> None:
        super().__init__("stream", TRANSITIONS, INITIAL)
