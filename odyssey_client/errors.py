"""Errors that this package raises.

- OdysseyError                      base class; code, status, detail, request_id, retryable
  - OdysseyConfigError              (also ValueError) an argument or setting is invalid; nothing was sent
  - OdysseyAuthError                401, 403 or 422 for an API key; 401 for a token
  - OdysseyConnectionError          the connection could not be established, or was lost
    - ServiceUnreachableError       no HTTP response: refused, reset, unknown host, timeout
    - QueueTimeoutError             (also TimeoutError) no streamer became free in time
    - ConnectTimeoutError           (also TimeoutError) a step of connecting took longer than its limit
    - SignalingError                the signaling socket did not open, was lost or got an invalid message
    - PeerError                     the WebRTC peer connection failed or closed
    - StreamerNotAvailableError     signaling: the streamer does not respond
    - StreamerDisconnectedError     signaling: the streamer left the session
    - BroadcastNotFoundError        the broadcast does not exist, or has ended
    - ConnectionLimitReachedError   signaling: the connection reached its maximum duration
    - SessionLostError              the session no longer exists, and its stream has ended
    - ConnectionClosedError         the connection ended while a call was using it
  - OdysseyStreamError              the streamer rejected a call or ended the stream; reason, message
    - OperationTimeoutError         (also TimeoutError) a start, interaction or end was not answered in time
    - InvalidStateError             the call is not possible in the current state; nothing was sent
  - OdysseyUsageError               429: a limit of the account; action, action_url, details
    - MonthlyLimitReachedError
    - ConcurrentLimitReachedError
    - StreamDurationExceededError
    - AccountSuspendedError
    - RateLimitError
  - OdysseyApiError                 any other HTTP error status
    - UnexpectedResponseError       a success status with an unexpected body
  - OdysseySimulationError          a simulation job did not complete, or a call about it was rejected
    - SimulationFailedError         the job failed, or some of its streams did
    - SimulationCancelledError      the job was cancelled
    - SimulationTimeoutError        (also TimeoutError) the job did not end within the timeout
  - DownloadError                   a file could not be downloaded completely or could not be written
    - DownloadTimeoutError          (also TimeoutError) the download took longer than its limit
  - ScriptError                     (also ValueError) a simulation script is invalid; faults
  - ImageError                      (also ValueError) an image cannot be used

The table in `service_errors.py` maps the errors of the service to these classes. Messages that the vendor documents
(protocol.md section 9) are used word for word; ``detail`` contains what the service sent. Each error redacts its
message, attributes and notes (redaction.py): they contain no API key and no token, even if the service echoes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, override

from odyssey_client.models import JSON, SimulationJobDetail
from odyssey_client.redaction import LONGEST_SECRET, received, redacted, redacted_json

_LONGEST_REASON = 1000

_MOST_LINES = 50
"""Maximum number of faults or streams that the message of an error lists; its attributes contain more of them."""


class PicklableError(Exception):
    """An error that `pickle` and `copy` restore from its attributes and notes, without calling the constructor.

    The constructors of the subclasses take different arguments, most of them by keyword.
    """

    def __reduce__(self) -> tuple[object, ...]:
        state = dict(vars(self))
        if "__notes__" in state:
            state["__notes__"] = list(state["__notes__"])  # a note added to a copy must not appear on the original
        return _restored, (type(self), self.args), state


def _restored(kind: type[PicklableError], args: tuple[object, ...]) -> PicklableError:
    """Return an error without attributes; `pickle` and `copy` set them afterward."""
    error = kind.__new__(kind)
    error.args = args
    return error


class OdysseyError(PicklableError):
    """Base of all errors of this package.

    Attributes:
        message: A description of the error.
        code: An identifier of the error: a stable snake_case word, or the code that the service sent.
        status: The HTTP status, if a response caused the error.
        detail: What the service sent about the error, unchanged except that secrets are masked.
        request_id: The ``X-Request-Id`` of the call, for reports to the operator of the service.
        retryable: Whether the same call may succeed later without changes.
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
        message = redacted(message)
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else redacted(code)
        self.status = status
        self.detail = redacted_json(detail)
        self.request_id = None if request_id is None else redacted(request_id)
        self.retryable = self.default_retryable if retryable is None else retryable

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @override
    def add_note(self, note: str, /) -> None:
        super().add_note(redacted(note))


class OdysseyConfigError(OdysseyError, ValueError):
    """An argument or setting is missing or invalid; nothing was sent."""

    default_code = "invalid_config"


class OdysseyAuthError(OdysseyError):
    """The service rejected the API key (401, 403, 422) or an access token issued for it (401)."""

    default_code = "unauthorized"


class OdysseyApiError(OdysseyError):
    """An HTTP response with an error status for which there is no other class.

    Attributes:
        retry_after_seconds: Seconds that the service asks to wait before the next call (``Retry-After``), or None.
    """

    default_code = "api_error"
    retry_after_seconds: float | None = None


class UnexpectedResponseError(OdysseyApiError):
    """An HTTP response with a success status and a body that violates the protocol.

    Attributes:
        path: The path of the invalid field, such as ``capabilities.image_to_video``; empty for the whole body.
        expected: What the protocol requires at ``path``.
        got: What was received instead.
    """

    default_code = "unexpected_response"

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        expected: str = "",
        got: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.path = redacted(path)
        self.expected = redacted(expected)
        self.got = redacted(got)


class ImageError(OdysseyError, ValueError):
    """An image cannot be sent because of its type, size or content (protocol.md section 7)."""

    default_code = "invalid_image"


class OdysseyConnectionError(OdysseyError):
    """The connection to the service or the streamer could not be established, or was lost."""

    default_code = "connection_failed"
    default_retryable = True


class ServiceUnreachableError(OdysseyConnectionError):
    """The service sent no HTTP response: connection refused or reset, unknown host, TLS failure, or timeout."""

    default_code = "service_unreachable"


class QueueTimeoutError(OdysseyConnectionError, TimeoutError):
    """No streamer became free within ``AdvancedConfig.queue_timeout_s``."""

    default_code = "queue_timeout"


class ConnectTimeoutError(OdysseyConnectionError, TimeoutError):
    """A step of connecting took longer than its limit."""

    default_code = "connect_timeout"


class SignalingError(OdysseyConnectionError):
    """The signaling socket could not be opened, was lost, or received a message that violates the protocol."""

    default_code = "signaling_failed"


class PeerError(OdysseyConnectionError):
    """The WebRTC peer connection failed or closed."""

    default_code = "peer_failed"


class StreamerNotAvailableError(OdysseyConnectionError):
    """The streamer assigned to the session does not respond."""

    default_code = "streamer_not_available"


class StreamerDisconnectedError(OdysseyConnectionError):
    """The streamer left during the session."""

    default_code = "streamer_disconnected"


class BroadcastNotFoundError(OdysseyConnectionError):
    """The broadcast does not exist: its stream has ended, or the URL is wrong (WHEP, protocol.md section 5)."""

    default_code = "broadcast_not_found"
    default_retryable = False


class ConnectionLimitReachedError(OdysseyConnectionError):
    """The connection reached the maximum duration that the service allows (protocol.md section 7)."""

    default_code = "duration_limit_reached"


class ConnectionClosedError(OdysseyConnectionError):
    """The client or the service ended the connection while a call was using it."""

    default_code = "connection_closed"


class SessionLostError(OdysseyConnectionError):
    """The session no longer exists, and its stream has ended.

    Calls that were waiting raise this error; the service may or may not have carried them out. If
    ``AdvancedConfig.reconnect`` is ``same_session``, the error also ends the connection.
    """

    default_code = "session_lost"


class OdysseyStreamError(OdysseyError):
    """The streamer rejected a start or an interaction, or ended the stream (``interactive_stream_error``).

    Attributes:
        reason: The received ``reason``, such as ``quota_exceeded`` or ``session_timeout``. ``code`` has the same value.
        message: The received ``message``.
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
        self.reason = self.code

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class OperationTimeoutError(OdysseyStreamError, TimeoutError):
    """A start, interaction or end was not answered within ``AdvancedConfig.operation_timeout_s``.

    The readers of `odyssey_client.sync` raise it too, when their ``timeout_s`` is reached.
    """


class InvalidStateError(OdysseyStreamError):
    """The call is not possible in the current state, for example without a stream; nothing was sent."""


class OdysseyUsageError(OdysseyError):
    """The call would exceed a limit of the account (HTTP 429, protocol.md section 2).

    Attributes:
        action: What the service suggests to do, as text for the user.
        action_url: URL of a page for that action.
        details: Values of the limit, as the service sent them; subclasses have properties for the known ones.
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
        self.action = None if action is None else redacted(action)
        self.action_url = None if action_url is None else redacted(action_url)
        shown = redacted_json(dict(details or {}))
        self.details: dict[str, JSON] = shown if isinstance(shown, dict) else {}

    def _number(self, name: str) -> float | None:
        value = self.details.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def _text(self, name: str) -> str | None:
        value = self.details.get(name)
        return value if isinstance(value, str) else None


class MonthlyLimitReachedError(OdysseyUsageError):
    """The account has used up its hours for this month."""

    default_code = "MONTHLY_LIMIT_REACHED"

    @property
    def used_hours(self) -> float | None:
        return self._number("used_hours")

    @property
    def limit_hours(self) -> float | None:
        return self._number("limit_hours")

    @property
    def reset_date(self) -> str | None:
        """The ISO date on which the hours are counted from 0 again."""
        return self._text("reset_date")


class ConcurrentLimitReachedError(OdysseyUsageError):
    """The account has reached its maximum number of open sessions."""

    default_code = "CONCURRENT_LIMIT_REACHED"
    default_retryable = True

    @property
    def active_count(self) -> float | None:
        return self._number("active_count")

    @property
    def limit(self) -> float | None:
        return self._number("limit")


class StreamDurationExceededError(OdysseyUsageError):
    """A stream would exceed, or has exceeded, the duration that the account allows."""

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
    """The account sent too many requests in a short time."""

    default_code = "RATE_LIMITED"
    default_retryable = True

    @property
    def retry_after_seconds(self) -> float | None:
        """Seconds to wait before the next call."""
        return self._number("retry_after_seconds")


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """One fault in a simulation script."""

    path: str
    """The path of the faulty value, such as ``scripts[1][3].interact.prompt``."""
    expected: str
    """What is allowed at that path; for a fault that the service found, the message of the service."""
    got: str
    """What the script contains at that path; empty for a fault that the service found."""

    def __str__(self) -> str:
        said = f"expected {self.expected}, got {self.got}" if self.got else self.expected
        return f"{excerpt(self.path)}: {said}"  # a path may contain keys of the script, which can be any text


FAULT_LIMIT = 100
"""Maximum number of faults that a `ScriptError` lists, more than a person fixes at once.

A script of 1 MB can have a million faults. Further faults are only counted.
"""


class ScriptError(OdysseyError, ValueError):
    """A simulation script is invalid; the message has a line for each of the first faults (protocol.md section 8).

    Attributes:
        faults: The first faults, in the order of the script; at most `FAULT_LIMIT`.
        more_faults: The number of further faults.
    """

    default_code = "invalid_script"

    def __init__(
        self,
        faults: Sequence[ScriptFault],
        *,
        more_faults: int = 0,
        status: int | None = None,
        detail: JSON = None,
        request_id: str | None = None,
    ) -> None:
        self.faults = tuple(
            ScriptFault(redacted(fault.path), redacted(fault.expected), redacted(fault.got))
            for fault in faults[:FAULT_LIMIT]
        )
        self.more_faults = more_faults + len(faults) - len(self.faults)
        count = len(self.faults) + self.more_faults
        lines = _lines(self.faults, self.more_faults)
        message = lines[0] if count == 1 else "\n  ".join([f"{count} faults:", *lines])
        super().__init__(message, status=status, detail=detail, request_id=request_id)


class OdysseySimulationError(OdysseyError):
    """A simulation job did not complete, or the service rejected a call about it."""

    default_code = "simulation_error"


class SimulationFailedError(OdysseySimulationError):
    """The job failed, or some of its streams did.

    Attributes:
        job: The job after it ended; ``job.streams`` includes the streams that succeeded.
        stream_errors: Maps the script index of each failed stream to the reason for its failure.
    """

    default_code = "simulation_failed"

    def __init__(self, job: SimulationJobDetail) -> None:
        errors = {
            each.script_index: received(each.error_message or "no reason given")
            for each in job.streams
            if each.has_failed
        }
        lines = [f"Simulation {job.job_id} failed: {excerpt(job.error_message or 'no reason given', _LONGEST_REASON)}"]
        lines += _lines([f"script {index}: {excerpt(why, _LONGEST_REASON)}" for index, why in errors.items()])
        super().__init__("\n  ".join(lines))
        self.job = job
        self.stream_errors = errors


class SimulationCancelledError(OdysseySimulationError):
    """The job was cancelled, by this client or another.

    Attributes:
        job: The job after it ended.
    """

    default_code = "simulation_cancelled"

    def __init__(self, job: SimulationJobDetail) -> None:
        super().__init__(f"Simulation {job.job_id} was cancelled")
        self.job = job


class SimulationTimeoutError(OdysseySimulationError, TimeoutError):
    """The job did not end within the timeout. The job continues: wait again, or cancel the job.

    Attributes:
        job: The job as last received; None if no request for it succeeded.
        job_id: The id of the job.
    """

    default_code = "simulation_timeout"
    default_retryable = True

    def __init__(self, job_id: str, timeout: float, job: SimulationJobDetail | None) -> None:
        seen = "its status is unknown" if job is None else f"its last status is {job.status}"
        super().__init__(
            f"Simulation {job_id} did not end within {timeout:g} s: {seen}. It continues: wait again, or cancel it."
        )
        self.job = job
        self.job_id = job_id


class DownloadError(OdysseyError):
    """A file could not be downloaded completely or written. No incomplete file remains at the target path."""

    default_code = "download_failed"


class DownloadTimeoutError(DownloadError, TimeoutError):
    """The download took longer than ``AdvancedConfig.download_timeout_s``."""

    default_code = "download_timeout"
    default_retryable = True


def _lines(items: Sequence[object], further: int = 0) -> list[str]:
    """Return a line for each of the first items, and one with the number of the others and of `further` ones."""
    more = max(0, len(items) - _MOST_LINES) + further
    return [str(item) for item in items[:_MOST_LINES]] + ([f"and {more} more"] if more else [])


def excerpt(text: str, limit: int = 300) -> str:
    """Return received ``text`` as one printable line of at most ``limit`` characters, redacted, for a message."""
    # Redact before the text is cut: a part of a secret might not be recognized.
    text = received(text[: limit * 4 + LONGEST_SECRET])[: limit * 4]
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
