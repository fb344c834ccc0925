"""One spectator's connection, as a table.

What may happen lives in `TRANSITIONS` and nowhere else; anything else is a defect of the shell. Nothing in here waits,
opens or sends anything: `connection.py` carries out what the machine says.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class SpectatorState(StrEnum):
    """Where a spectator's connection stands: those words of WebRTC's ``RTCPeerConnectionState`` that can be told."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    """Over: the stream has ended, or the spectator left."""
    FAILED = "failed"
    """Over: it could not be made, or was lost."""


class Event(StrEnum):
    """What can happen; the columns of the table."""

    UP = "up"
    """The peer is connected."""
    REFUSED = "refused"
    """There is no connection to be had: the service said no, or no answer came in time."""
    LOST = "lost"
    """The peer connection failed, or the video stopped."""
    ENDED = "ended"
    """The service closed the peer connection."""
    LEAVE = "leave"
    """The user wants no more of it."""


class Action(StrEnum):
    """What is to be done, in the order given."""

    RESOLVE = "resolve"
    """Whoever waits for the connection has it."""
    REJECT = "reject"
    """Whoever waits for it hears why there is none."""
    END_VIDEO = "end_video"
    FAIL_VIDEO = "fail_video"
    """End the video with the error."""
    RELEASE = "release"
    """Let everything go that was opened."""
    CALL_DISCONNECT = "call_disconnect"
    """Last, as it runs what is not ours."""


type Transition = tuple[SpectatorState, tuple[Action, ...]]

_NOT_MADE = (SpectatorState.FAILED, (Action.FAIL_VIDEO, Action.REJECT, Action.RELEASE))
_GONE = (SpectatorState.FAILED, (Action.FAIL_VIDEO, Action.RELEASE, Action.CALL_DISCONNECT))
_OVER = (SpectatorState.CLOSED, (Action.END_VIDEO, Action.RELEASE, Action.CALL_DISCONNECT))

INITIAL = SpectatorState.CONNECTING

TRANSITIONS: Mapping[SpectatorState, Mapping[Event, Transition]] = MappingProxyType(
    {
        SpectatorState.CONNECTING: {
            Event.UP: (SpectatorState.CONNECTED, (Action.RESOLVE,)),
            Event.REFUSED: _NOT_MADE,
            Event.LOST: _NOT_MADE,
            Event.ENDED: _NOT_MADE,
            Event.LEAVE: (SpectatorState.CLOSED, (Action.END_VIDEO, Action.REJECT, Action.RELEASE)),
        },
        SpectatorState.CONNECTED: {
            Event.REFUSED: _GONE,
            Event.LOST: _GONE,
            Event.ENDED: _OVER,
            Event.LEAVE: _OVER,
        },
        # What is being torn down still says so.
        SpectatorState.CLOSED: dict.fromkeys(Event, (SpectatorState.CLOSED, ())),
        SpectatorState.FAILED: dict.fromkeys(Event, (SpectatorState.FAILED, ())),
    }
)


class SpectatorMachine:
    """One connection's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        self.state = INITIAL

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return self.state in {SpectatorState.CLOSED, SpectatorState.FAILED}

    def handle(self, event: Event) -> tuple[Action, ...]:
        """Take an event; return what is to be done.

        Raises:
            RuntimeError: the table does not list it for the present state.
        """
        row = TRANSITIONS[self.state]
        if event not in row:
            raise RuntimeError(f"a spectator's connection that is {self.state} expects {', '.join(row)}; {event} came")
        self.state, actions = row[event]
        return actions
