"""Table of the errors that the service reports and the exceptions that the client raises for them.

protocol.md describes the errors in sections 2 to 5 and 9. In `ROWS`, a row for one call takes precedence over a row for
every call, and a row for one value over a row for `ANY`. Texts that the vendor documents are used word for word.

The texts contain placeholders. ``{call}`` is the HTTP method and path. ``{why}`` is the message of the service in
parentheses, and ``{says}`` the same message as a sentence; ``{why}`` and ``{says}`` are empty if the service sent no
message. Other placeholders are values of the call or of the response, such as ``{job_id}`` and ``{limit}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from odyssey_client.errors import (
    AccountSuspendedError,
    BroadcastNotFoundError,
    ConcurrentLimitReachedError,
    ConnectionLimitReachedError,
    MonthlyLimitReachedError,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyConnectionError,
    OdysseyError,
    OdysseySimulationError,
    OdysseyStreamError,
    OdysseyUsageError,
    QueueTimeoutError,
    RateLimitError,
    ScriptError,
    SessionLostError,
    SignalingError,
    StreamDurationExceededError,
    StreamerDisconnectedError,
    StreamerNotAvailableError,
    excerpt,
)

ANY = "*"
"""In `Row.said`: any value that has no row of its own. In `Row.call`: any call."""


class Source(StrEnum):
    """Where the service reports an error."""

    REST = "REST status"
    USAGE = "code of a 429"
    SIGNALING = "reason of an error on signaling"
    STREAM = "reason of interactive_stream_error"
    WHEP = "WHEP status"


@dataclass(frozen=True, slots=True)
class Row:
    """One error that the service reports, and the exception for it.

    Attributes:
        source: Where the service reports the error.
        said: The reported status, code or reason; `ANY` for every value without a row of its own.
        kind: The class of the exception.
        code: The ``code`` of the exception; if empty, the reported code or reason, and for a REST or WHEP status the
            default of the class.
        retryable: Whether the same call may succeed later without changes.
        text: The message of the exception; if empty, the message contains what the service sent.
        call: The call that responds with a REST status; `ANY` for every call.
        note: A note that tracebacks show below the message; left out if the service sent no message.
    """

    source: Source
    said: int | str
    kind: type[OdysseyError]
    code: str = ""
    retryable: bool = False
    text: str = ""
    call: str = ANY
    note: str = ""


_KEY, _SESSION, _TOKEN = "POST /auth/token", "POST /sessions/request", "POST /sessions/token"
_GET_JOB, _DELETE_JOB = "GET /simulation-jobs/{job_id}", "DELETE /simulation-jobs/{job_id}"

NOT_QUEUED = f"{_SESSION} (not queued)"
WITH_BYPASS = "POST /simulation-jobs (bypass_vlm_expansion)"

_NO_JOB = "There is no simulation job {job_id}. Check the id with list_simulations().{says}"
_OTHERS_JOB = "Simulation job {job_id} belongs to another account. Use the API key that created it.{says}"
_TOO_LATE = "Simulation job {job_id} can no longer be cancelled. Check its status with get_simulate_status().{says}"
_NO_BYPASS = (
    "This account may not bypass prompt expansion. Leave bypass_prompt_expansion out, or request the privilege.{says}"
)
_MALFORMED = "Invalid API key format{why}: check that the key was copied whole, without quotes"
_NO_RECORDING = "There is no recording of stream {stream_id}. Check the id with list_stream_recordings()."
_SESSION_GONE = (
    "The session no longer exists. Open a new session with connect(), or let the client do so: "
    'AdvancedConfig(reconnect="new_session").'
)
_ACCESS_REFUSED = (
    "{call}: the service rejected the access token that it issued for this API key. Check that the key is still valid."
)
_NOT_ITS_SPECTATOR = (
    "The service rejected the spectator token. Use webrtc_url and spectator_token of the same broadcast, as "
    "on_broadcast_ready received them."
)
_NO_BROADCAST = (
    "There is no such broadcast: the stream has ended, or the URL is wrong. Use the webrtc_url that "
    "on_broadcast_ready received for a running stream."
)

ROWS: tuple[Row, ...] = (
    Row(Source.REST, 401, OdysseyAuthError, "invalid_api_key", False, "Invalid API key", _KEY),
    Row(Source.REST, 403, OdysseyAuthError, "api_key_access_denied", False, "API key access denied", _KEY, "{says}"),
    Row(Source.REST, 422, OdysseyAuthError, "invalid_api_key_format", False, _MALFORMED, _KEY),
    Row(Source.REST, 503, QueueTimeoutError, "queue_timeout", True, "Timed out waiting for a streamer", _SESSION),
    Row(Source.REST, 503, QueueTimeoutError, "no_available_sessions", True, "No available sessions", NOT_QUEUED),
    Row(Source.REST, 404, SessionLostError, "session_lost", True, _SESSION_GONE, _TOKEN),
    Row(Source.REST, 404, OdysseyApiError, "recording_not_found", False, _NO_RECORDING, "GET /recordings/{stream_id}"),
    Row(Source.REST, 422, ScriptError, "invalid_script", False, "", "POST /simulation-jobs"),
    Row(Source.REST, 422, ScriptError, "invalid_script", False, "", WITH_BYPASS),
    Row(Source.REST, 403, OdysseySimulationError, "bypass_not_allowed", False, _NO_BYPASS, WITH_BYPASS),
    Row(Source.REST, 403, OdysseySimulationError, "job_not_yours", False, _OTHERS_JOB, _GET_JOB),
    Row(Source.REST, 404, OdysseySimulationError, "job_not_found", False, _NO_JOB, _GET_JOB),
    Row(Source.REST, 400, OdysseySimulationError, "not_cancellable", False, _TOO_LATE, _DELETE_JOB),
    Row(Source.REST, 403, OdysseySimulationError, "job_not_yours", False, _OTHERS_JOB, _DELETE_JOB),
    Row(Source.REST, 404, OdysseySimulationError, "job_not_found", False, _NO_JOB, _DELETE_JOB),
    Row(Source.REST, 401, OdysseyApiError, "api_error", call="GET artifact"),  # this call sends no access token
    Row(Source.REST, 401, OdysseyAuthError, "unauthorized", False, _ACCESS_REFUSED),
    Row(Source.REST, 429, OdysseyUsageError),  # replaced by the row of Source.USAGE for the code in the body
    *(Row(Source.REST, status, OdysseyApiError, "api_error", True) for status in (408, 425, 500, 502, 503, 504)),
    Row(Source.REST, ANY, OdysseyApiError, "api_error"),
    Row(Source.USAGE, "MONTHLY_LIMIT_REACHED", MonthlyLimitReachedError),
    Row(
        Source.USAGE,
        "CONCURRENT_LIMIT_REACHED",
        ConcurrentLimitReachedError,
        retryable=True,
        text="Maximum concurrent sessions ({limit}) reached",
    ),
    Row(Source.USAGE, "STREAM_DURATION_EXCEEDED", StreamDurationExceededError),
    Row(Source.USAGE, "ACCOUNT_SUSPENDED", AccountSuspendedError),
    Row(Source.USAGE, "RATE_LIMITED", RateLimitError, retryable=True),
    Row(Source.USAGE, ANY, OdysseyUsageError),
    Row(
        Source.SIGNALING,
        "streamer_not_available",
        StreamerNotAvailableError,
        retryable=True,
        text="Streamer not available",
    ),
    Row(
        Source.SIGNALING,
        "streamer_disconnected",
        StreamerDisconnectedError,
        retryable=True,
        text="Streamer disconnected",
    ),
    Row(
        Source.SIGNALING,
        "duration_limit_reached",
        ConnectionLimitReachedError,
        retryable=True,
        text="Connection duration limit reached",
    ),
    Row(Source.SIGNALING, ANY, SignalingError, "signaling_failed", True, "Signaling reported an error: {reason}"),
    Row(Source.STREAM, "quota_exceeded", OdysseyStreamError),
    # A stream can be started once another stream of the account has ended.
    Row(Source.STREAM, "concurrent_limit_exceeded", OdysseyStreamError, retryable=True),
    # A running stream leases credits. If none are left, the reason is `quota_exceeded`, so this error may be temporary.
    Row(Source.STREAM, "lease_denied", OdysseyStreamError, retryable=True),
    # The stream reached its time limit. A new stream has a new limit.
    Row(Source.STREAM, "session_timeout", OdysseyStreamError, retryable=True),
    *(
        Row(Source.STREAM, reason, OdysseyStreamError)
        for reason in (
            "stream_already_active",
            "no_active_stream",
            "bypass_not_allowed",
            "image_to_video_not_supported",
            "invalid_image",
            "invalid_message",
        )
    ),
    Row(Source.STREAM, ANY, OdysseyStreamError),  # e.g. moderation: a retry would be rejected too
    Row(Source.WHEP, 401, OdysseyAuthError, "invalid_spectator_token", False, _NOT_ITS_SPECTATOR),
    Row(Source.WHEP, 403, OdysseyAuthError, "invalid_spectator_token", False, _NOT_ITS_SPECTATOR),
    Row(Source.WHEP, 404, BroadcastNotFoundError, "broadcast_not_found", False, _NO_BROADCAST),
    Row(Source.WHEP, 429, OdysseyUsageError),
    *(Row(Source.WHEP, status, OdysseyApiError, "api_error", True) for status in (408, 425, 500, 502, 503, 504)),
    Row(Source.WHEP, ANY, OdysseyApiError, "api_error"),
)


def _indexed(rows: Iterable[Row]) -> Mapping[tuple[Source, int | str, str], Row]:
    return MappingProxyType({(row.source, row.said, row.call): row for row in rows})


_INDEX = _indexed(ROWS)


def row(source: Source, said: int | str, call: str = ANY) -> Row:
    """Return the row for the status, code or reason ``said`` that the service reported in response to ``call``."""
    keys = ((source, said, call), (source, said, ANY), (source, ANY, ANY))
    return next(_INDEX[key] for key in keys if key in _INDEX)


def connection_error(reason: str) -> OdysseyConnectionError:
    """Return the exception for a signaling ``error`` message; `SignalingError` if the ``reason`` is unknown."""
    found, said = row(Source.SIGNALING, reason), excerpt(reason)
    if not issubclass(found.kind, OdysseyConnectionError):
        raise TypeError(
            f"service_errors.py: expected an OdysseyConnectionError for signaling, got {found.kind.__name__}"
        )
    return found.kind(
        found.text.format(reason=said),
        code=found.code or reason,
        detail=said if found.said == ANY else None,
        retryable=found.retryable,
    )


def stream_error(reason: str, message: str) -> OdysseyStreamError:
    """Return the exception for an ``interactive_stream_error``."""
    return OdysseyStreamError(reason, message, retryable=row(Source.STREAM, reason).retryable)
