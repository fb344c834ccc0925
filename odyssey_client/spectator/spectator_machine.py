"""The state machine of one spectator's connection (protocol.md section 5).

Rules:

1. `TRANSITIONS` lists the events that each state accepts; any other event is a bug in
   `spectator_connection.py`.
2. The machine only returns effects; `spectator_connection.py` carries them out, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class SpectatorState(StrEnum):
    """State of a spectator's connection: a subset of the values of WebRTC's ``RTCPeerConnectionState``."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    """Over: the stream has ended, or the spectator left."""
    FAILED = "failed"
    """Over: the connection could not be opened, or was lost."""


class SpectatorEvent(StrEnum):
    """Events that `spectator_connection.py` reports: the keys of the rows in `TRANSITIONS`."""

    UP = "up"
    """The peer is connected."""
    REFUSED = "refused"
    """Connecting failed: the service rejected it, or a call to the service or the peer raised an error."""
    LOST = "lost"
    """The peer connection failed, or the video stopped."""
    ENDED = "ended"
    """The service closed the peer connection."""
    LEAVE = "leave"
    """The caller disconnects."""


class SpectatorEffect(StrEnum):
    """Effects that `spectator_connection.py` carries out, in order."""

    RESOLVE = "resolve"
    """Make `SpectatorConnection.ready` return."""
    REJECT = "reject"
    """Make `SpectatorConnection.ready` raise the error that ended the connection."""
    END_VIDEO = "end_video"
    FAIL_VIDEO = "fail_video"
    """End the video, and make its readers raise the error that ended the connection."""
    RELEASE = "release"
    """Close the peer and the HTTP connections."""
    CALL_DISCONNECT = "call_disconnect"
    """Call the disconnect callbacks. This effect is the last, because callbacks run code of the caller."""


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
        # Closing a connection causes further events; ignore them.
        SpectatorState.CLOSED: dict.fromkeys(SpectatorEvent, (SpectatorState.CLOSED, ())),
        SpectatorState.FAILED: dict.fromkeys(SpectatorEvent, (SpectatorState.FAILED, ())),
    }
)


class SpectatorMachine:
    """The state of one spectator's connection."""

    def __init__(self) -> None:
        self.state = INITIAL

    @property
    def is_over(self) -> bool:
        """Whether the connection is closed or failed."""
        return self.state in {SpectatorState.CLOSED, SpectatorState.FAILED}

    def handle(self, event: SpectatorEvent) -> tuple[SpectatorEffect, ...]:
        """Make the transition for ``event`` and return its effects, in order.

        Raises:
            RuntimeError: `TRANSITIONS` does not list the event for the current state.
        """
        row = TRANSITIONS[self.state]
        if event not in row:
            raise RuntimeError(
                f"expected one of {', '.join(row)} for a spectator's connection in state {self.state}, got {event}"
            )
        self.state, effects = row[event]
        return effects
