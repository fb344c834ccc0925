"""The state machine of one session (`protocol.md` sections 2 and 3).

Two rules:

1. `TRANSITIONS` lists every event that may happen in a state. Any other event is a bug in the caller and raises
   `IllegalEventError`. Every event that a client or the network can cause is listed for every state.
2. The machine only returns effects: it uses no sockets, no tasks and no clock. `SessionLifecycle` carries out the
   effects on the session, `Session` those on the connection, both in order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class SessionState(StrEnum):
    """States of a session."""

    WAITING = "waiting"
    """The session occupies a streamer; no socket is open."""
    SIGNALING = "signaling"
    """A socket is open; the mock creates and sends the offer."""
    CONNECTING = "connecting"
    """The answer was received; ICE and DTLS are in progress."""
    CONNECTED = "connected"
    """The peer is connected; video is sent."""
    HELD = "held"
    """The connection was lost, or not closed properly. The stream continues, and the client may return until the grace
    period ends."""
    RETURNING = "returning"
    """The client has opened another socket; the mock creates and sends another offer."""
    REJOINING = "rejoining"
    """The returning client's answer was received; ICE and DTLS are in progress."""
    STALE = "stale"
    """The client has closed its connection without `client_disconnecting`. The stream has ended and no client may
    return, but the session still occupies its streamer (setting `stale_session`)."""
    CLOSED = "closed"
    """The session is over; its streamer is free again."""


class SessionEvent(StrEnum):
    """Events of a session."""

    SOCKET_OPENED = "socket_opened"
    ANSWERED = "answered"
    DESCRIPTION_REFUSED = "description_refused"
    """The answer could not be applied."""
    PEER_CONNECTED = "peer_connected"
    PEER_CLOSED = "peer_closed"
    """The client closed the peer connection."""
    PEER_LOST = "peer_lost"
    """The peer connection failed."""
    CLIENT_LEFT = "client_left"
    """`client_disconnecting` was received."""
    SOCKET_CLOSED = "socket_closed"
    """The client closed the socket cleanly (1000 or 1001)."""
    PEER_ABANDONED = "peer_abandoned"
    """`PEER_CLOSED`, if `stale_session` is above 0: `client_disconnecting` may still arrive on the socket."""
    SOCKET_ABANDONED = "socket_abandoned"
    """`SOCKET_CLOSED`, if `stale_session` is above 0: the client left without `client_disconnecting`."""
    SOCKET_LOST = "socket_lost"
    """The socket broke, or was closed with another code."""
    STREAM_OVERDUE = "stream_overdue"
    """A stream has reached its maximum duration, and the client was notified."""
    CONNECTION_OVERDUE = "connection_overdue"
    """The connection has reached its maximum duration."""
    INACTIVE = "inactive"
    """The inactivity timeout has expired: no stream was running, and the client sent no stream message."""
    DANGLING = "dangling"
    """No peer connected within the limit for new sessions (`dangling_session`)."""
    UNUSED = "unused"
    """All tokens of the session expired before a client connected."""
    GRACE_OVER = "grace_over"
    """The client of a held session did not return within the grace period."""
    STALE_OVER = "stale_over"
    """A stale session has occupied its streamer for `stale_session` seconds."""
    SHUT_DOWN = "shut_down"
    """The server ends the session."""


class SessionEffect(StrEnum):
    """Effects of a transition; `SessionLifecycle` and `Session` carry them out in order."""

    ARM_LIMIT = "arm_limit"
    """Start the deadline of `CONNECTION_OVERDUE`."""
    ARM_INACTIVITY = "arm_inactivity"
    """Start the deadline of `INACTIVE`."""
    DISARM_INACTIVITY = "disarm_inactivity"
    ARM_GRACE = "arm_grace"
    """Start the deadline of `GRACE_OVER`."""
    DISARM_GRACE = "disarm_grace"
    ARM_STALE = "arm_stale"
    """Start the deadline of `STALE_OVER`."""
    DISARM = "disarm"
    """Remove all deadlines."""
    SEND_OFFER = "send_offer"
    APPLY_ANSWER = "apply_answer"
    REFUSE_ANSWER = "refuse_answer"
    """Send the client an error message: the offer was already answered. The session continues."""
    REFUSE_SOCKET = "refuse_socket"
    """Close the socket that was just opened. If the session has another socket, that one stays open."""
    START_VIDEO = "start_video"
    RESUME_VIDEO = "resume_video"
    """Send the video, which was not interrupted, to the client that has returned."""
    OPEN_CHANNELS = "open_channels"
    REPORT_BAD_ANSWER = "report_bad_answer"
    REPORT_UNREACHABLE = "report_unreachable"
    REPORT_OVERDUE = "report_overdue"
    REPORT_SHUT_DOWN = "report_shut_down"
    DRAIN = "drain"
    """Wait until the messages on the data channel are sent."""
    DROP_CONNECTION = "drop_connection"
    """Close the peer and the socket; the stream and its video continue."""
    END_STREAM = "end_stream"
    """End the stream and its video; the socket stays open."""
    HANG_UP = "hang_up"
    """End the stream; close the peer and the socket."""
    RELEASE = "release"
    """Free the streamer; the session no longer counts toward the account's limit of concurrent sessions."""


type Transition = tuple[SessionState, tuple[SessionEffect, ...]]

_REFUSED = (SessionEffect.REFUSE_SOCKET,)
_OVER = (SessionEffect.HANG_UP, SessionEffect.DISARM, SessionEffect.RELEASE)
_UNREACHABLE: Transition = (SessionState.CLOSED, (SessionEffect.REPORT_UNREACHABLE, *_OVER))
_CLOSED: Transition = (SessionState.CLOSED, _OVER)
_CLOSED_OVERDUE: Transition = (SessionState.CLOSED, (SessionEffect.REPORT_OVERDUE, *_OVER))
_CLOSED_DRAINED: Transition = (SessionState.CLOSED, (SessionEffect.DRAIN, *_OVER))
_SHUT_DOWN: Transition = (SessionState.CLOSED, (SessionEffect.REPORT_SHUT_DOWN, *_OVER))
_BACK_TO_WAITING: Transition = (SessionState.WAITING, (SessionEffect.HANG_UP,))
_BACK_TO_HELD: Transition = (SessionState.HELD, (SessionEffect.DROP_CONNECTION,))
_HELD: Transition = (
    SessionState.HELD,
    (SessionEffect.DISARM_INACTIVITY, SessionEffect.ARM_GRACE, SessionEffect.DROP_CONNECTION),
)
_STALE: Transition = (
    SessionState.STALE,
    (SessionEffect.HANG_UP, SessionEffect.DISARM, SessionEffect.ARM_STALE),
)
_STALE_WITH_SOCKET: Transition = (
    SessionState.STALE,
    (SessionEffect.END_STREAM, SessionEffect.DISARM, SessionEffect.ARM_STALE),
)
_STILL_STALE: Transition = (SessionState.STALE, ())
_STALE_WITHOUT_SOCKET: Transition = (SessionState.STALE, (SessionEffect.HANG_UP,))


def _first(state: SessionState) -> Mapping[SessionEvent, Transition]:
    """Return the transitions that `SIGNALING` and `CONNECTING` have in common; `state` is one of these two states."""
    return {
        SessionEvent.SOCKET_OPENED: (state, _REFUSED),
        SessionEvent.PEER_CLOSED: _UNREACHABLE,
        SessionEvent.PEER_ABANDONED: _UNREACHABLE,
        SessionEvent.PEER_LOST: _UNREACHABLE,
        SessionEvent.CLIENT_LEFT: _CLOSED,
        SessionEvent.SOCKET_CLOSED: _BACK_TO_WAITING,
        SessionEvent.SOCKET_ABANDONED: _BACK_TO_WAITING,
        SessionEvent.SOCKET_LOST: _BACK_TO_WAITING,
        SessionEvent.DANGLING: _UNREACHABLE,
        SessionEvent.UNUSED: (state, ()),
        SessionEvent.SHUT_DOWN: _SHUT_DOWN,
    }


def _again(state: SessionState) -> Mapping[SessionEvent, Transition]:
    """Return the transitions that `RETURNING` and `REJOINING` have in common; `state` is one of these two states.

    In both states, a client that fails to return may retry until the grace period ends.
    """
    return {
        SessionEvent.SOCKET_OPENED: (state, _REFUSED),
        SessionEvent.PEER_CLOSED: _BACK_TO_HELD,
        SessionEvent.PEER_ABANDONED: _BACK_TO_HELD,
        SessionEvent.PEER_LOST: _BACK_TO_HELD,
        SessionEvent.CLIENT_LEFT: _CLOSED,
        SessionEvent.SOCKET_CLOSED: _CLOSED,
        SessionEvent.SOCKET_ABANDONED: _STALE,
        SessionEvent.SOCKET_LOST: _BACK_TO_HELD,
        SessionEvent.STREAM_OVERDUE: _CLOSED,
        SessionEvent.CONNECTION_OVERDUE: _CLOSED_OVERDUE,
        SessionEvent.GRACE_OVER: _UNREACHABLE,
        SessionEvent.DANGLING: (state, ()),
        SessionEvent.UNUSED: (state, ()),
        SessionEvent.SHUT_DOWN: _SHUT_DOWN,
    }


INITIAL = SessionState.WAITING

TRANSITIONS: Mapping[SessionState, Mapping[SessionEvent, Transition]] = MappingProxyType(
    {
        SessionState.WAITING: {
            SessionEvent.SOCKET_OPENED: (SessionState.SIGNALING, (SessionEffect.SEND_OFFER,)),
            SessionEvent.DANGLING: _CLOSED,
            SessionEvent.UNUSED: _CLOSED,
            SessionEvent.SHUT_DOWN: _CLOSED,
        },
        SessionState.SIGNALING: {
            **_first(SessionState.SIGNALING),
            SessionEvent.ANSWERED: (SessionState.CONNECTING, (SessionEffect.APPLY_ANSWER,)),
        },
        SessionState.CONNECTING: {
            **_first(SessionState.CONNECTING),
            SessionEvent.ANSWERED: (SessionState.CONNECTING, (SessionEffect.REFUSE_ANSWER,)),
            SessionEvent.DESCRIPTION_REFUSED: (SessionState.CLOSED, (SessionEffect.REPORT_BAD_ANSWER, *_OVER)),
            SessionEvent.PEER_CONNECTED: (
                SessionState.CONNECTED,
                (
                    SessionEffect.DISARM,
                    SessionEffect.ARM_LIMIT,
                    SessionEffect.ARM_INACTIVITY,
                    SessionEffect.START_VIDEO,
                    SessionEffect.OPEN_CHANNELS,
                ),
            ),
        },
        SessionState.CONNECTED: {
            SessionEvent.SOCKET_OPENED: (SessionState.CONNECTED, _REFUSED),
            SessionEvent.ANSWERED: (SessionState.CONNECTED, (SessionEffect.REFUSE_ANSWER,)),
            SessionEvent.PEER_CLOSED: _CLOSED,
            SessionEvent.PEER_ABANDONED: _STALE_WITH_SOCKET,
            SessionEvent.PEER_LOST: _HELD,
            SessionEvent.CLIENT_LEFT: _CLOSED,
            SessionEvent.SOCKET_CLOSED: _CLOSED,
            SessionEvent.SOCKET_ABANDONED: _STALE,
            SessionEvent.SOCKET_LOST: _HELD,
            SessionEvent.STREAM_OVERDUE: _CLOSED_DRAINED,
            SessionEvent.CONNECTION_OVERDUE: _CLOSED_OVERDUE,
            SessionEvent.INACTIVE: _CLOSED,
            # These deadlines are only for sessions without a peer, and have no effect here.
            SessionEvent.DANGLING: (SessionState.CONNECTED, ()),
            SessionEvent.GRACE_OVER: (SessionState.CONNECTED, ()),
            SessionEvent.UNUSED: (SessionState.CONNECTED, ()),
            SessionEvent.SHUT_DOWN: _SHUT_DOWN,
        },
        SessionState.HELD: {
            SessionEvent.SOCKET_OPENED: (SessionState.RETURNING, (SessionEffect.SEND_OFFER,)),
            SessionEvent.STREAM_OVERDUE: _CLOSED,
            SessionEvent.CONNECTION_OVERDUE: _CLOSED,
            SessionEvent.GRACE_OVER: _CLOSED,
            SessionEvent.DANGLING: (SessionState.HELD, ()),
            SessionEvent.UNUSED: (SessionState.HELD, ()),
            SessionEvent.SHUT_DOWN: _CLOSED,
        },
        SessionState.RETURNING: {
            **_again(SessionState.RETURNING),
            SessionEvent.ANSWERED: (SessionState.REJOINING, (SessionEffect.APPLY_ANSWER,)),
        },
        SessionState.REJOINING: {
            **_again(SessionState.REJOINING),
            SessionEvent.ANSWERED: (SessionState.REJOINING, (SessionEffect.REFUSE_ANSWER,)),
            SessionEvent.DESCRIPTION_REFUSED: (SessionState.CLOSED, (SessionEffect.REPORT_BAD_ANSWER, *_OVER)),
            SessionEvent.PEER_CONNECTED: (
                SessionState.CONNECTED,
                (
                    SessionEffect.DISARM_GRACE,
                    SessionEffect.ARM_INACTIVITY,
                    SessionEffect.RESUME_VIDEO,
                    SessionEffect.OPEN_CHANNELS,
                ),
            ),
        },
        SessionState.STALE: {
            SessionEvent.SOCKET_OPENED: (SessionState.STALE, _REFUSED),
            # If the peer was closed first, the socket is still open.
            SessionEvent.ANSWERED: _STILL_STALE,
            SessionEvent.PEER_CLOSED: _STILL_STALE,
            SessionEvent.PEER_ABANDONED: _STILL_STALE,
            SessionEvent.PEER_LOST: _STILL_STALE,
            SessionEvent.CLIENT_LEFT: _CLOSED,
            SessionEvent.SOCKET_CLOSED: _STALE_WITHOUT_SOCKET,
            SessionEvent.SOCKET_ABANDONED: _STALE_WITHOUT_SOCKET,
            SessionEvent.SOCKET_LOST: _STALE_WITHOUT_SOCKET,
            SessionEvent.STALE_OVER: _CLOSED,
            # These deadlines expired while the client was closing its connection.
            SessionEvent.STREAM_OVERDUE: _STILL_STALE,
            SessionEvent.CONNECTION_OVERDUE: _STILL_STALE,
            SessionEvent.INACTIVE: _STILL_STALE,
            SessionEvent.GRACE_OVER: _STILL_STALE,
            SessionEvent.DANGLING: _STILL_STALE,
            SessionEvent.UNUSED: _STILL_STALE,
            SessionEvent.SHUT_DOWN: _CLOSED,
        },
        SessionState.CLOSED: {
            SessionEvent.SOCKET_OPENED: (SessionState.CLOSED, _REFUSED),
            **dict.fromkeys(
                (event for event in SessionEvent if event is not SessionEvent.SOCKET_OPENED), (SessionState.CLOSED, ())
            ),
        },
    }
)


class SessionMachine(Machine[SessionState, SessionEvent, SessionEffect]):
    """The state machine of one session."""

    def __init__(self) -> None:
        super().__init__("session", TRANSITIONS, INITIAL)
