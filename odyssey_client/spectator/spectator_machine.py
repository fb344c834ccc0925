"""The state machine of one spectator's connection (protocol.md section 5).

Rules:

1. What may happen stands in `TRANSITIONS` and nowhere else; anything else is a defect of the shell.
2. The machine does nothing itself: `spectator_connection.py` carries its effects out, in order.
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


class SpectatorEvent(StrEnum):
    """What happens; the keys of a row."""

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


class SpectatorEffect(StrEnum):
    """What the shell is to do, in the order given."""

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


type Transition = tuple[SpectatorState, tuple[SpectatorEffect, ...]]

_NOT_MADE = (SpectatorState.FAILED, (SpectatorEffect.FAIL_VIDEO, SpectatorEffect.REJECT, SpectatorEffect.RELEASE))
_LEFT = (SpectatorState.CLOSED, (SpectatorEffect.END_VIDEO, SpectatorEffect.REJECT, SpectatorEffect.RELEASE))
_GONE = (SpectatorState.FAILED, (SpectatorEffect.FAIL_VIDEO, SpectatorEffect.RELEASE, SpectatorEffect.CALL_DISCONNECT))
_OVER = (SpectatorState.CLOSED, (SpectatorEffect.END_VIDEO, SpectatorEffect.RELEASE, SpectatorEffect.CALL_DISCONNECT))

INITIAL = SpectatorState.CONNECTING

TRANSITIONS: Mapping[SpectatorState, Mapping[SpectatorEvent, Transition]] = MappingProxyType(
    {
        SpectatorState.CONNECTING: {
            SpectatorEvent.UP: (SpectatorState.CONNECTED, (SpectatorEffect.RESOLVE,)),
            SpectatorEvent.REFUSED: _NOT_MADE,
            SpectatorEvent.LOST: _NOT_MADE,
            SpectatorEvent.ENDED: _NOT_MADE,
            SpectatorEvent.LEAVE: _LEFT,
        },
        SpectatorState.CONNECTED: {
            SpectatorEvent.REFUSED: _GONE,
            SpectatorEvent.LOST: _GONE,
            SpectatorEvent.ENDED: _OVER,
            SpectatorEvent.LEAVE: _OVER,
        },
        # What is being torn down still says so.
        SpectatorState.CLOSED: dict.fromkeys(SpectatorEvent, (SpectatorState.CLOSED, ())),
        SpectatorState.FAILED: dict.fromkeys(SpectatorEvent, (SpectatorState.FAILED, ())),
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

    def handle(self, event: SpectatorEvent) -> tuple[SpectatorEffect, ...]:
        """Take an event; return what is to be done.

        Raises:
            RuntimeError: the table does not list it for the present state.
        """
        row = TRANSITIONS[self.state]
        if event not in row:
            raise RuntimeError(f"a spectator's connection that is {self.state} expects {', '.join(row)}, got {event}")
        self.state, effects = row[event]
        return effects
