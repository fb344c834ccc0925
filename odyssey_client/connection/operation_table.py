"""Starting, steering and ending streams over one connection, as a table (protocol.md section 4).

What may happen lives in `TRANSITIONS`, which calls are refused in `REFUSALS`, and nowhere else. `operations.py` walks
the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where the streaming of a connection stands."""

    IDLE = "idle"
    """No stream; one may be started."""
    STARTING = "starting"
    """A start was sent; `stream_started` is awaited."""
    STREAMING = "streaming"
    """A stream runs; interactions may be sent."""
    ENDING = "ending"
    """An end was sent; `stream_ended` is awaited."""
    CLOSED = "closed"
    """The connection is over."""


class Event(StrEnum):
    """What can happen; the columns of the table."""

    START = "start"
    INTERACT = "interact"
    END = "end"
    STARTED = "started"
    STARTED_LATE = "started_late"
    """`stream_started` for a start that nobody waits for any more."""
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"
    BROADCAST_READY = "broadcast_ready"
    BROADCAST_UNUSABLE = "broadcast_unusable"
    """`broadcast_ready` without what spectators need; no answer to any call."""
    START_REFUSED = "start_refused"
    """A stream error while a start waits first in line."""
    END_REFUSED = "end_refused"
    """A stream error while an end waits and no interaction does."""
    STREAM_ERROR = "stream_error"
    """Any other stream error; it answers the interaction or the abandoned start first in line, if there is one."""
    START_GIVEN_UP = "start_given_up"
    INTERACT_GIVEN_UP = "interact_given_up"
    END_GIVEN_UP = "end_given_up"
    PLACE_GIVEN_UP = "place_given_up"
    """A call that gave up long ago is not answered any more."""
    SESSION_LOST = "session_lost"
    """The session is gone, and with it any stream and all that was under way; another one follows."""
    CLOSE = "close"


class Action(StrEnum):
    """What is to be done."""

    QUEUE_START = "queue_start"
    QUEUE_INTERACT = "queue_interact"
    QUEUE_END = "queue_end"
    ANNOUNCE = "announce"
    RESOLVE_START = "resolve_start"
    RESOLVE_INTERACT = "resolve_interact"
    RESOLVE_END = "resolve_end"
    REJECT_START = "reject_start"
    REJECT_OLDEST = "reject_oldest"
    REJECT_END = "reject_end"
    REJECT_INTERACTIONS = "reject_interactions"
    ABANDON = "abandon"
    DROP_PLACE = "drop_place"
    REJECT_ALL = "reject_all"
    TELL_LOSS = "tell_loss"
    """Tell the user of the stream that it was lost and has ended."""


type Transition = tuple[State, tuple[Action, ...]]


def _anywhere(state: State) -> Mapping[Event, Transition]:
    """What does not move a connection that is open, whatever its state."""
    return {
        Event.ACKNOWLEDGED: (state, (Action.ANNOUNCE, Action.RESOLVE_INTERACT)),
        Event.BROADCAST_READY: (state, (Action.ANNOUNCE,)),
        Event.BROADCAST_UNUSABLE: (state, (Action.ANNOUNCE,)),
        Event.STREAM_ERROR: (state, (Action.ANNOUNCE, Action.REJECT_OLDEST)),
        Event.INTERACT_GIVEN_UP: (state, (Action.ABANDON,)),
        Event.PLACE_GIVEN_UP: (state, (Action.DROP_PLACE,)),
        Event.STARTED_LATE: (state, (Action.ANNOUNCE,)),
        Event.ENDED: (state, (Action.ANNOUNCE,)),
        Event.SESSION_LOST: (State.IDLE, (Action.REJECT_ALL,)),
        Event.CLOSE: (State.CLOSED, (Action.REJECT_ALL,)),
    }


INITIAL = State.IDLE

# Announcements come before results: a handler has been called by the time the call it belongs to returns.
TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.IDLE: {
            **_anywhere(State.IDLE),
            Event.START: (State.STARTING, (Action.QUEUE_START,)),
            Event.STARTED_LATE: (State.STREAMING, (Action.ANNOUNCE,)),
        },
        State.STARTING: {
            **_anywhere(State.STARTING),
            Event.STARTED: (State.STREAMING, (Action.ANNOUNCE, Action.RESOLVE_START)),
            Event.START_REFUSED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_START)),
            Event.START_GIVEN_UP: (State.IDLE, (Action.ABANDON,)),
        },
        State.STREAMING: {
            **_anywhere(State.STREAMING),
            Event.INTERACT: (State.STREAMING, (Action.QUEUE_INTERACT,)),
            Event.END: (State.ENDING, (Action.QUEUE_END,)),
            Event.ENDED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_INTERACTIONS)),
            Event.SESSION_LOST: (State.IDLE, (Action.TELL_LOSS, Action.REJECT_ALL)),
        },
        State.ENDING: {
            **_anywhere(State.ENDING),
            Event.ENDED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_INTERACTIONS, Action.RESOLVE_END)),
            Event.END_REFUSED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_END)),
            Event.END_GIVEN_UP: (State.STREAMING, (Action.ABANDON,)),
            Event.SESSION_LOST: (State.IDLE, (Action.TELL_LOSS, Action.REJECT_ALL)),
        },
        State.CLOSED: {
            # Calls that were settled when the connection closed may still give up.
            Event.PLACE_GIVEN_UP: (State.CLOSED, ()),
            Event.CLOSE: (State.CLOSED, ()),
        },
    }
)

_NOT_CONNECTED = ("not_connected", "There is no connection any more. Call connect() first.")
_NO_STREAM = ("no_stream", "No stream is running. Call start_stream() first.")
_STARTING = ("stream_starting", "A stream is being started. Wait until start_stream() has returned.")
_ENDING = (
    "stream_ending",
    "The stream is being ended. Wait until end_stream() has returned, then call start_stream().",
)
_RUNNING = ("stream_running", "A stream is already running. Call end_stream() first, or interact() to change it.")

REFUSALS: Mapping[tuple[State, Event], tuple[str, str]] = MappingProxyType(
    {
        (State.IDLE, Event.INTERACT): _NO_STREAM,
        (State.IDLE, Event.END): _NO_STREAM,
        (State.STARTING, Event.START): _STARTING,
        (State.STARTING, Event.INTERACT): _STARTING,
        (State.STARTING, Event.END): _STARTING,
        (State.STREAMING, Event.START): _RUNNING,
        (State.ENDING, Event.START): _ENDING,
        (State.ENDING, Event.INTERACT): _ENDING,
        (State.ENDING, Event.END): _ENDING,
        (State.CLOSED, Event.START): _NOT_CONNECTED,
        (State.CLOSED, Event.INTERACT): _NOT_CONNECTED,
        (State.CLOSED, Event.END): _NOT_CONNECTED,
    }
)
"""The calls that are refused on the spot, by state: the ``reason`` and ``message`` of the `InvalidStateError`."""
