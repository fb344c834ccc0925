"""What the service says, and the error it becomes: the one table of both (protocol.md sections 2 to 5 and 9).

`ROWS` is to be read from above: the row of a call comes before that of any call, and the row of a word before `ANY`.
Texts are the vendor's where it has some. In braces stand names that the caller gives; also ``{call}``, ``{why}`` (what
the service said, in brackets) and ``{says}`` (the same as a sentence), which are empty where it said nothing.
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
"""In a row: whatever no other row stands for."""


class Source(StrEnum):
    """Where on the wire an error is said."""

    REST = "REST status"
    USAGE = "code of a 429"
    SIGNALING = "reason of an error on signaling"
    STREAM = "reason of interactive_stream_error"
    WHEP = "WHEP status"


@dataclass(frozen=True, slots=True)
class Row:
    """One error of the wire.

    Attributes:
        source: Where it is said.
        said: The status, code or reason; `ANY` for all others.
        kind: The class of the error.
        code: Its ``code``; empty for the one that was said, or that of the class.
        retryable: Whether the same call can be expected to work later without a change.
        text: Its message; empty where it is made of what the service said.
        call: The call that a REST status belongs to; `ANY` for any.
        note: What is added below the message in a traceback, if the service said why.
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

_NO_JOB = "There is no simulation job {job_id}. Check the id: list_simulations() tells what jobs there are.{says}"
_OTHERS_JOB = "Simulation job {job_id} is another account's. Use the API key that it was made with.{says}"
_TOO_LATE = "Simulation job {job_id} cannot be cancelled. get_simulate_status() tells where it stands.{says}"
_NO_BYPASS = (
    "This account may not bypass prompt expansion. Leave bypass_prompt_expansion out, or ask for the privilege.{says}"
)
_MALFORMED = "Invalid API key format{why}: check that the key was copied whole, without quotes"
_NO_RECORDING = (
    "There is no recording of a stream {stream_id}. Check the id: list_stream_recordings() tells which streams there "
    "are."
)
_SESSION_GONE = (
    "The session is gone: the service does not know it any more. connect() gets another one, and so does a client with "
    'AdvancedConfig(reconnect="new_session") by itself.'
)
_ACCESS_REFUSED = "{call}: the service does not accept the access token that it gave for this API key"
_NOT_ITS_SPECTATOR = (
    "The service does not accept the spectator token. Use webrtc_url and spectator_token of one broadcast, as "
    "on_broadcast_ready gave them."
)
_NO_BROADCAST = (
    "There is no such broadcast: the stream has ended, or the URL is another one's. Use the webrtc_url that "
    "on_broadcast_ready gave for a stream that is on."
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
    Row(Source.REST, 401, OdysseyApiError, "api_error", call="GET artifact"),  # no access token goes there
    Row(Source.REST, 401, OdysseyAuthError, "unauthorized", False, _ACCESS_REFUSED),
    Row(Source.REST, 429, OdysseyUsageError),  # the code in it tells more: see the next
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
    # Another stream of the account ends some time.
    Row(Source.STREAM, "concurrent_limit_exceeded", OdysseyStreamError, retryable=True),
    # The credits of a stream are leased as it goes; that there are none left is `quota_exceeded`, so this may pass.
    Row(Source.STREAM, "lease_denied", OdysseyStreamError, retryable=True),
    # The stream had all its time; the next one has its own.
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
    Row(Source.STREAM, ANY, OdysseyStreamError),  # of moderation, say: the same again would be refused again
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
    """Find what ``said`` means, said in answer to ``call``."""
    keys = ((source, said, call), (source, said, ANY), (source, ANY, ANY))
    return next(_INDEX[key] for key in keys if key in _INDEX)


def connection_error(reason: str) -> OdysseyConnectionError:
    """Make the error for the ``reason`` of a signaling ``error`` message; `SignalingError` for an unknown one."""
    found, said = row(Source.SIGNALING, reason), excerpt(reason)
    if not issubclass(found.kind, OdysseyConnectionError):
        raise TypeError(f"the table has a {found.kind.__name__} for signaling")
    return found.kind(
        found.text.format(reason=said),
        code=found.code or reason,
        detail=said if found.said == ANY else None,
        retryable=found.retryable,
    )


def stream_error(reason: str, message: str) -> OdysseyStreamError:
    """Make the error for an ``interactive_stream_error``."""
    return OdysseyStreamError(reason, message, retryable=row(Source.STREAM, reason).retryable)
