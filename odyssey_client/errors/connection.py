"""Errors of live calls: no connection, or a streamer that refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odyssey_client.errors.base import OdysseyError

if TYPE_CHECKING:
    from odyssey_client.models import JSON


class OdysseyConnectionError(OdysseyError):
    """There is no connection to the service or the streamer, or there no longer is one."""

    default_code = "connection_failed"
    default_retryable = True


class ServiceUnreachableError(OdysseyConnectionError):
    """No HTTP answer came: connection refused or reset, unknown host, TLS failure, or too slow."""

    default_code = "service_unreachable"


class QueueTimeoutError(OdysseyConnectionError):
    """No streamer became free within ``AdvancedConfig.queue_timeout_s``."""

    default_code = "queue_timeout"


class ConnectTimeoutError(OdysseyConnectionError):
    """One step of connecting took longer than its limit."""

    default_code = "connect_timeout"


class SignalingError(OdysseyConnectionError):
    """The signaling socket was refused, broke, or brought something the protocol does not allow."""

    default_code = "signaling_failed"


class PeerError(OdysseyConnectionError):
    """The WebRTC peer connection failed or closed."""

    default_code = "peer_failed"


class StreamerNotAvailableError(OdysseyConnectionError):
    """The streamer assigned to the session does not answer."""

    default_code = "streamer_not_available"


class StreamerDisconnectedError(OdysseyConnectionError):
    """The streamer left during the session."""

    default_code = "streamer_disconnected"


class BroadcastNotFoundError(OdysseyConnectionError):
    """There is no such broadcast: the stream has ended, or never was one (WHEP, protocol.md section 5)."""

    default_code = "broadcast_not_found"
    default_retryable = False


class ConnectionLimitReachedError(OdysseyConnectionError):
    """The connection has lasted as long as the service lets one last (protocol.md section 7)."""

    default_code = "duration_limit_reached"


class ConnectionClosedError(OdysseyConnectionError):
    """The connection ended, by whichever side, while a call was waiting on it."""

    default_code = "connection_closed"


class SessionLostError(OdysseyConnectionError):
    """The session is gone, and its stream with it.

    Raised by a call that was waiting: whether it was carried out is not known. Also what ends a connection that may
    only be taken up in the same session (``AdvancedConfig.reconnect``).
    """

    default_code = "session_lost"


class OdysseyStreamError(OdysseyError):
    """The streamer refused a start or an interaction, or ended the stream (``interactive_stream_error``).

    Attributes:
        reason: The word from the wire, such as ``quota_exceeded`` or ``session_timeout``; also ``code``.
        message: The text that came with it.
    """

    default_code = "stream_error"

    def __init__(
        self,
        reason: str,
        message: str = "",
        *,
        detail: JSON = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, code=reason, detail=detail, retryable=retryable)
        self.reason = reason
        self.args = (reason, message)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class OperationTimeoutError(OdysseyStreamError):
    """A start, interaction or end was not answered within ``AdvancedConfig.operation_timeout_s``."""


class InvalidStateError(OdysseyStreamError):
    """The call does not fit the present state (not connected, no stream, one already running); nothing was sent."""
