"""Every error this package raises.

::

    OdysseyError                            anything below; code, status, detail, request_id, retryable
    ├── OdysseyConfigError                  (also ValueError) a wrong argument or setting; nothing was sent
    ├── OdysseyAuthError                    401, 403 and 422 of an API key; 401 of a token
    ├── OdysseyConnectionError              no connection, or none any longer
    │   ├── ServiceUnreachableError         no HTTP answer: refused, reset, no such host, too slow
    │   ├── QueueTimeoutError               (also TimeoutError) no streamer became free in time
    │   ├── ConnectTimeoutError             (also TimeoutError) one step of connecting took longer than its limit
    │   ├── SignalingError                  the signaling socket refused, broke or said something impossible
    │   ├── PeerError                       the WebRTC peer connection failed or closed
    │   ├── StreamerNotAvailableError       signaling: the streamer does not answer
    │   ├── StreamerDisconnectedError       signaling: the streamer is gone
    │   ├── BroadcastNotFoundError          no such broadcast, or none any longer
    │   ├── ConnectionLimitReachedError     signaling: the connection has lasted as long as it may
    │   ├── SessionLostError                the session is gone, and its stream with it
    │   └── ConnectionClosedError           the connection ended while a call was waiting on it
    ├── OdysseyStreamError                  the streamer refused or ended something; reason, message
    │   ├── OperationTimeoutError           (also TimeoutError) a start, interaction or end was not answered in time
    │   └── InvalidStateError               the call does not fit the present state; nothing was sent
    ├── OdysseyUsageError                   429: a limit of the account; action, action_url, details
    │   ├── MonthlyLimitReachedError
    │   ├── ConcurrentLimitReachedError
    │   ├── StreamDurationExceededError
    │   ├── AccountSuspendedError
    │   └── RateLimitError
    ├── OdysseyApiError                     any other HTTP error status
    │   └── UnexpectedResponseError         a success status with a body that is not what it must be
    ├── OdysseySimulationError              a call about a simulation job was refused
    │   ├── SimulationFailedError           the job failed, or some of its streams did
    │   ├── SimulationCancelledError        the job was cancelled
    │   └── SimulationTimeoutError          (also TimeoutError) the job had not ended in the time it was waited for
    ├── DownloadError                       a file could not be fetched whole, or not be written
    ├── ScriptError                         (also ValueError) a simulation script is wrong; all its faults
    └── ImageError                          (also ValueError) an image cannot be used

What the service says, and which of these it becomes, is the table in `service_errors.py`. Messages that the vendor
documents (protocol.md section 9) are kept word for word; what the service added is in ``detail``. No message, ``repr``
or ``detail`` holds an API key or a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from odyssey_client.models import JSON, SimulationJobDetail

_LONGEST_REASON = 1000


class PicklableError(Exception):
    """An error that `pickle` and `copy` restore from what it has, notes included; they do not call its class.

    The constructors of errors differ, and most of what they take is by keyword.
    """

    def __reduce__(self) -> tuple[object, ...]:
        state = dict(vars(self))
        if "__notes__" in state:
            state["__notes__"] = list(state["__notes__"])  # a note on a copy is none on the original
        return _restored, (type(self), self.args), state


def _restored(kind: type[PicklableError], args: tuple[object, ...]) -> PicklableError:
    """Make an error that has no attributes yet."""
    error = kind.__new__(kind)
    error.args = args
    return error


class OdysseyError(PicklableError):
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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class OdysseyConfigError(OdysseyError, ValueError):
    """An argument or setting is missing or wrong; nothing was sent."""

    default_code = "invalid_config"


class OdysseyAuthError(OdysseyError):
    """The service does not accept the API key (401, 403, 422) or a token made from it (401)."""

    default_code = "unauthorized"


class OdysseyApiError(OdysseyError):
    """The service answered with an error status that none of the other classes stands for.

    Attributes:
        retry_after_seconds: How long the service asks to wait before the next call (``Retry-After``), if it does.
    """

    default_code = "api_error"
    retry_after_seconds: float | None = None


class UnexpectedResponseError(OdysseyApiError):
    """A success status with a body that is not what the protocol says.

    Attributes:
        path: Where in the answer, such as ``capabilities.image_to_video``; empty for the answer as a whole.
        expected: What had to be there.
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
        self.path = path
        self.expected = expected
        self.got = got


class ImageError(OdysseyError, ValueError):
    """An image is of a kind, size or content that cannot be sent (protocol.md section 7)."""

    default_code = "invalid_image"


class OdysseyConnectionError(OdysseyError):
    """There is no connection to the service or the streamer, or there no longer is one."""

    default_code = "connection_failed"
    default_retryable = True


class ServiceUnreachableError(OdysseyConnectionError):
    """No HTTP answer came: connection refused or reset, unknown host, TLS failure, or too slow."""

    default_code = "service_unreachable"


class QueueTimeoutError(OdysseyConnectionError, TimeoutError):
    """No streamer became free within ``AdvancedConfig.queue_timeout_s``."""

    default_code = "queue_timeout"


class ConnectTimeoutError(OdysseyConnectionError, TimeoutError):
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

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class OperationTimeoutError(OdysseyStreamError, TimeoutError):
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


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """One thing that is wrong with a script: where, what was expected, and what came."""

    path: str
    """The place, such as ``scripts[1][3].interact.prompt``."""
    expected: str
    """What is right there; for a fault that the service found, what it says about it."""
    got: str
    """What was there; empty for a fault that the service found."""

    def __str__(self) -> str:
        said = f"expected {self.expected}, got {self.got}" if self.got else self.expected
        return f"{excerpt(self.path)}: {said}"  # a path may hold a key that is whatever was sent


class ScriptError(OdysseyError, ValueError):
    """A simulation script is wrong; the message has a line for each fault (protocol.md section 8).

    Attributes:
        faults: All of them, in the order of the script.
    """

    default_code = "invalid_script"

    def __init__(
        self,
        faults: Sequence[ScriptFault],
        *,
        status: int | None = None,
        detail: JSON = None,
        request_id: str | None = None,
    ) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults]
        message = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} faults:", *lines])
        super().__init__(message, status=status, detail=detail, request_id=request_id)


class OdysseySimulationError(OdysseyError):
    """A simulation job did not come to its good end, or a call about one was refused."""

    default_code = "simulation_error"


class SimulationFailedError(OdysseySimulationError):
    """The job failed, or some of its streams did.

    Attributes:
        job: The job as it ended; ``job.streams`` has what there is of the others.
        stream_errors: Why each stream failed that did, by the index of its script.
    """

    default_code = "simulation_failed"

    def __init__(self, job: SimulationJobDetail) -> None:
        errors = {each.script_index: each.error_message or "no reason given" for each in job.streams if each.has_failed}
        lines = [f"Simulation {job.job_id} failed: {excerpt(job.error_message or 'no reason given', _LONGEST_REASON)}"]
        lines += [f"script {index}: {excerpt(why, _LONGEST_REASON)}" for index, why in errors.items()]
        super().__init__("\n  ".join(lines))
        self.job = job
        self.stream_errors = errors


class SimulationCancelledError(OdysseySimulationError):
    """The job was cancelled, by whomever.

    Attributes:
        job: The job as it ended.
    """

    default_code = "simulation_cancelled"

    def __init__(self, job: SimulationJobDetail) -> None:
        super().__init__(f"Simulation {job.job_id} was cancelled")
        self.job = job


class SimulationTimeoutError(OdysseySimulationError, TimeoutError):
    """The job had not ended in the time it was waited for. It goes on: wait again, or cancel it.

    Attributes:
        job: The job as it was last seen; None if it never was.
        job_id: Its id.
    """

    default_code = "simulation_timeout"
    default_retryable = True

    def __init__(self, job_id: str, timeout: float, job: SimulationJobDetail | None) -> None:
        seen = "it was never seen" if job is None else f"it is {job.status}"
        super().__init__(
            f"Simulation {job_id} did not end within {timeout:g} s: {seen}. It goes on: wait again, or cancel it."
        )
        self.job = job
        self.job_id = job_id


class DownloadError(OdysseyError):
    """A file could not be fetched whole, or not be written; nothing of it is left under its name."""

    default_code = "download_failed"


def excerpt(text: str, limit: int = 300) -> str:
    """Make ``text`` from outside fit for an error message: one line, printable, at most ``limit`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
