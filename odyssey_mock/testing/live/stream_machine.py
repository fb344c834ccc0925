"""The state machine that recognizes, from the messages of one client, when a live stream begins and ends.

`TRANSITIONS` lists the events that change something. All others are ignored, because the machine only watches a client
and a service, which may do anything.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class WatchedStream(StrEnum):
    """State of the stream of one client. It counts in `STARTING` and `RUNNING`."""

    NONE = "none"
    STARTING = "starting"
    """The client has asked for a stream. The service may generate it already."""
    RUNNING = "running"
    CUT = "cut"
    """The connection was lost, or is closed. The service may keep the stream until the client connects again."""


class StreamSign(StrEnum):
    """What was seen of a stream."""

    ASKED = "asked"
    """The client sent `interactive_stream_start`."""
    STARTED = "started"
    ENDED = "ended"
    REFUSED = "refused"
    """The service sent `interactive_stream_error`, which also reports refused interactions."""
    DISCONNECTED = "disconnected"
    CONNECTED = "connected"
    """The client is connected again, to the same session."""
    CONNECTED_ANEW = "connected_anew"
    """The client is connected to another session."""


COUNTED = frozenset({WatchedStream.STARTING, WatchedStream.RUNNING})

TRANSITIONS: Mapping[WatchedStream, Mapping[StreamSign, WatchedStream]] = MappingProxyType(
    {
        WatchedStream.NONE: {
            StreamSign.ASKED: WatchedStream.STARTING,
            StreamSign.STARTED: WatchedStream.RUNNING,
        },
        WatchedStream.STARTING: {
            StreamSign.STARTED: WatchedStream.RUNNING,
            StreamSign.ENDED: WatchedStream.NONE,
            StreamSign.REFUSED: WatchedStream.NONE,
            StreamSign.DISCONNECTED: WatchedStream.CUT,
        },
        WatchedStream.RUNNING: {
            StreamSign.ENDED: WatchedStream.NONE,
            StreamSign.DISCONNECTED: WatchedStream.CUT,
        },
        WatchedStream.CUT: {
            StreamSign.ENDED: WatchedStream.NONE,
            StreamSign.CONNECTED: WatchedStream.RUNNING,
            StreamSign.CONNECTED_ANEW: WatchedStream.NONE,
        },
    }
)


def next_state(state: WatchedStream, sign: StreamSign) -> WatchedStream:
    """Return the state after ``sign``."""
    return TRANSITIONS[state].get(sign, state)
