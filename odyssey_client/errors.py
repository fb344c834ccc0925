"""Every error this package raises.

::

    OdysseyError                            anything below; code, status, detail, request_id, retryable
    ├── OdysseyConfigError                  (also ValueError) a wrong argument or setting; nothing was sent
    ├── OdysseyAuthError                    401, 403 and 422 of an API key; 401 of a token
    ├── OdysseyConnectionError              no connection, or none any longer
    │   ├── ServiceUnreachableError         no HTTP answer: refused, reset, no such host, too slow
    │   ├── QueueTimeoutError               no streamer became free in time
    │   ├── ConnectTimeoutError             one step of connecting took longer than its limit
    │   ├── SignalingError                  the signaling socket refused, broke or said something impossible
    │   ├── PeerError                       the WebRTC peer connection failed or closed
    │   ├── StreamerNotAvailableError       signaling: the streamer does not answer
    │   ├── StreamerDisconnectedError       signaling: the streamer is gone
    │   ├── ConnectionLimitReachedError     signaling: the connection has lasted as long as it may
    │   └── ConnectionClosedError           the connection ended while a call was waiting on it
    ├── OdysseyStreamError                  the streamer refused or ended something; reason, message
    │   ├── OperationTimeoutError           a start, interaction or end was not answered in time
    │   └── InvalidStateError               the call does not fit the present state; nothing was sent
    ├── OdysseyUsageError                   429: a limit of the account; action, action_url, details
    │   ├── MonthlyLimitReachedError
    │   ├── ConcurrentLimitReachedError
    │   ├── StreamDurationExceededError
    │   ├── AccountSuspendedError
    │   └── RateLimitError
    ├── OdysseyApiError                     any other HTTP error status
    │   └── UnexpectedResponseError         a success status with a body that is not what it must be
    ├── OdysseySimulationError              a simulation job failed
    ├── ScriptError                         (also ValueError) a simulation script is wrong
    └── ImageError                          (also ValueError) an image cannot be used

Messages that the vendor documents (protocol.md section 9) are kept word for word; what
the service added is in ``detail``. No message, ``repr`` or ``detail`` holds an API key or a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from odyssey_client.models import JSON

NO_AVAILABLE_SESSIONS = "No available sessions"
QUEUE_TIMED_OUT = "Timed out waiting for a streamer"


class OdysseyError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: What happened, for people.
        code: What happened, for programs: a stable snake_case word, or the code the service sent.
        status: The HTTP status of the answer, if one was the cause.
        detail: What the service said about it, as it said it (secrets blanked out).
        request_id: The ``X-Request-Id`` of the call, to be quoted to whoever runs the service.
        retryable: Whether the same call can be expected to work later without a change.
    """

    default_code: ClassVar[str] = "error"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        detail: JSON = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.retryable = self.default_retryable if retryable is None else retryable

    def __str__(self) -> str:
        return self.message


class OdysseyConfigError(OdysseyError, ValueError):
    """An argument or setting is missing or wrong; nothing was sent."""

    default_code = "invalid_config"


class OdysseyAuthError(OdysseyError):
    """The service does not accept the API key (401, 403, 422) or a token made from it (401)."""

    default_code = "unauthorized"


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


class ConnectionLimitReachedError(OdysseyConnectionError):
    """The connection has lasted as long as the service lets one last (protocol.md section 7)."""

    default_code = "duration_limit_reached"


class ConnectionClosedError(OdysseyConnectionError):
    """The connection ended, by whichever side, while a call was waiting on it."""

    default_code = "connection_closed"


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


class OdysseyUsageError(OdysseyError):
    """A limit of the account stands in the way (HTTP 429, protocol.md section 2).

    Attributes:
        action: What the service suggests to do about it, for people.
        action_url: Where to do it.
        details: Numbers behind the limit; the subclasses give those they know as typed properties.
    """

    default_code = "USAGE_LIMIT"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        action: str | None = None,
        action_url: str | None = None,
        details: Mapping[str, JSON] | None = None,
        status: int | None = 429,
        detail: JSON = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, detail=detail, request_id=request_id, retryable=retryable)
        self.action = action
        self.action_url = action_url
        self.details: dict[str, JSON] = dict(details or {})

    def _number(self, name: str) -> float | None:
        value = self.details.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def _text(self, name: str) -> str | None:
        value = self.details.get(name)
        return value if isinstance(value, str) else None


class MonthlyLimitReachedError(OdysseyUsageError):
    """The hours of this month are used up."""

    default_code = "MONTHLY_LIMIT_REACHED"

    @property
    def used_hours(self) -> float | None:
        return self._number("used_hours")

    @property
    def limit_hours(self) -> float | None:
        return self._number("limit_hours")

    @property
    def reset_date(self) -> str | None:
        """The ISO date on which the count starts anew."""
        return self._text("reset_date")


class ConcurrentLimitReachedError(OdysseyUsageError):
    """As many sessions are open as the account may have: ``Maximum concurrent sessions (N) reached``."""

    default_code = "CONCURRENT_LIMIT_REACHED"
    default_retryable = True

    @property
    def active_count(self) -> float | None:
        return self._number("active_count")

    @property
    def limit(self) -> float | None:
        return self._number("limit")


class StreamDurationExceededError(OdysseyUsageError):
    """A stream would last, or has lasted, longer than the account allows."""

    default_code = "STREAM_DURATION_EXCEEDED"

    @property
    def max_duration_seconds(self) -> float | None:
        return self._number("max_duration_seconds")


class AccountSuspendedError(OdysseyUsageError):
    """The account is suspended."""

    default_code = "ACCOUNT_SUSPENDED"

    @property
    def reason(self) -> str | None:
        return self._text("reason")


class RateLimitError(OdysseyUsageError):
    """Too many requests in too short a time."""

    default_code = "RATE_LIMITED"
    default_retryable = True

    @property
    def retry_after_seconds(self) -> float | None:
        """How long to wait before the next call, in seconds."""
        return self._number("retry_after_seconds")


class OdysseyApiError(OdysseyError):
    """The service answered with an error status that none of the other classes stands for."""

    default_code = "api_error"


class UnexpectedResponseError(OdysseyApiError):
    """A success status with a body that is not what the protocol says.

    Attributes:
        path: Where in the answer, such as ``capabilities.image_to_video``; empty for the answer as a whole.
        expected: What had to be there.
        came: What was there.
    """

    default_code = "unexpected_response"

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        expected: str = "",
        came: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.path = path
        self.expected = expected
        self.came = came


class OdysseySimulationError(OdysseyError):
    """A simulation job failed, or a call about one was refused."""

    default_code = "simulation_failed"


class ScriptError(OdysseyError, ValueError):
    """A simulation script is wrong; the message names the entry (protocol.md section 8)."""

    default_code = "invalid_script"


class ImageError(OdysseyError, ValueError):
    """An image is of a kind, size or content that cannot be sent (protocol.md section 7)."""

    default_code = "invalid_image"


# The reason of a signaling `error` message (protocol.md section 3): its class and the seed's words for it.
CONNECTION_REASONS: Mapping[str, tuple[type[OdysseyConnectionError], str]] = MappingProxyType(
    {
        "streamer_not_available": (StreamerNotAvailableError, "Streamer not available"),
        "streamer_disconnected": (StreamerDisconnectedError, "Streamer disconnected"),
        "duration_limit_reached": (ConnectionLimitReachedError, "Connection duration limit reached"),
    }
)

USAGE_ERRORS: Mapping[str, type[OdysseyUsageError]] = MappingProxyType(
    {
        kind.default_code: kind
        for kind in (
            MonthlyLimitReachedError,
            ConcurrentLimitReachedError,
            StreamDurationExceededError,
            AccountSuspendedError,
            RateLimitError,
        )
    }
)


def connection_error(reason: str) -> OdysseyConnectionError:
    """Make the error for the ``reason`` of a signaling ``error`` message; `SignalingError` for an unknown one."""
    known = CONNECTION_REASONS.get(reason)
    if known is None:
        return SignalingError(f"Signaling reported an error: {excerpt(reason)}", detail=excerpt(reason))
    kind, message = known
    return kind(message)


def excerpt(text: str, limit: int = 300) -> str:
    """Make ``text`` from outside fit for an error message: one line, printable, at most ``limit`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
