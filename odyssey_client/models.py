"""What calls take and give: plain frozen values, no behaviour beyond reading and writing themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConfigError

type JSON = bool | int | float | str | list[JSON] | dict[str, JSON] | None


class ConnectionStatus(StrEnum):
    """Where a connection stands (protocol.md section 9); equal to its string."""

    AUTHENTICATING = "authenticating"
    CONNECTING = "connecting"
    RECONNECTING = "reconnecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BroadcastInfo:
    """Where spectators find a broadcast stream (protocol.md section 5).

    Attributes:
        webrtc_url: For `connect_to_stream` (WHEP).
        spectator_token: What opens it.
        hls_url: A playlist for any player; it may have the token in it. None where there is none.
    """

    webrtc_url: str
    spectator_token: str = field(repr=False)
    hls_url: str | None = None

    def __repr__(self) -> str:
        hls = None if self.hls_url is None else re.split(r"[?#]", self.hls_url, maxsplit=1)[0]
        return f"BroadcastInfo(webrtc_url={self.webrtc_url!r}, hls_url={hls!r})"


@dataclass(frozen=True, slots=True)
class StreamerCapabilities:
    """What the streamer of a session can do."""

    image_to_video: bool = False


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """All that is needed to open one session, made by whoever holds the API key, for a process that does not.

    The dictionary form has the keys that the vendor's clients use, so that credentials can go between clients.

    Attributes:
        session_id: The session's id.
        signaling_url: Where the signaling socket is, ``ws(s)://...``.
        session_token: A JWT that opens that socket (protocol.md section 2).
        expires_in: How long the token is good from its making, in seconds.
        capabilities: What the streamer can do.

    Raises:
        OdysseyConfigError: a field is of the wrong type, empty, or no such URL.
    """

    session_id: str
    signaling_url: str
    session_token: str = field(repr=False)
    expires_in: int
    capabilities: StreamerCapabilities = StreamerCapabilities()

    def __post_init__(self) -> None:
        _check_text("session_id", self.session_id)
        _check_text("signaling_url", self.signaling_url)
        if not is_signaling_url(self.signaling_url):
            raise OdysseyConfigError("credentials['signaling_url'] must look like ws://host or wss://host:port/path")
        _check_text("session_token", self.session_token)
        _check_seconds(self.expires_in)
        if not isinstance(self.capabilities, StreamerCapabilities):
            raise _wrong("capabilities", "StreamerCapabilities", self.capabilities)

    def to_dict(self) -> dict[str, JSON]:
        """Make a JSON-ready dictionary. It holds the session token: send it only where the session may be opened."""
        return {
            "session_id": self.session_id,
            "signaling_url": self.signaling_url,
            "session_token": self.session_token,
            "expires_in": self.expires_in,
            "capabilities": {"image_to_video": self.capabilities.image_to_video},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Read credentials as `to_dict` or a vendor's client wrote them; keys it does not know are passed over.

        Raises:
            OdysseyConfigError: a field is missing, of the wrong type, or empty.
        """
        if not isinstance(data, Mapping):
            raise OdysseyConfigError(
                f"credentials must be a mapping as made by ClientCredentials.to_dict(), got {_kind(data)}"
            )
        capabilities = data.get("capabilities")
        if capabilities is None:
            capabilities = {}
        if not isinstance(capabilities, Mapping):
            raise _wrong("capabilities", "a mapping", capabilities)
        return cls(
            session_id=_text(data, "session_id"),
            signaling_url=_text(data, "signaling_url"),
            session_token=_text(data, "session_token"),
            expires_in=_check_seconds(data.get("expires_in")),
            capabilities=StreamerCapabilities(image_to_video=_flag(capabilities)),
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """What a stream left behind, live or simulated (protocol.md section 6).

    The URLs are presigned: whoever has one can fetch the file, for about an hour. Each field but the id is None while
    there is no such thing.

    Attributes:
        stream_id: The stream.
        video_url: The whole video (MP4).
        events_url: What happened in it (JSON lines).
        thumbnail_url: One picture (JPEG).
        preview_url: A short, small video (MP4).
        frame_count: Frames in the whole video.
        duration_seconds: Its length.
    """

    stream_id: str
    video_url: str | None
    events_url: str | None
    thumbnail_url: str | None
    preview_url: str | None
    frame_count: int | None
    duration_seconds: float | None


@dataclass(frozen=True, slots=True)
class StreamRecordingSummary:
    """One stream in a list of recordings. Times are ISO 8601; ``ended_at`` is None while the stream is on."""

    stream_id: str
    width: int
    height: int
    started_at: str
    ended_at: str | None
    duration_seconds: float | None


@dataclass(frozen=True, slots=True)
class StreamRecordingsListResponse:
    """One page of recordings, newest first; ``total`` counts those of all pages."""

    recordings: tuple[StreamRecordingSummary, ...]
    total: int
    limit: int
    offset: int


class SimulationJobStatus(StrEnum):
    """Where a simulation job stands (protocol.md section 8); equal to its string."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether the job has yet to end."""
        return self in {self.PENDING, self.DISPATCHED, self.PROCESSING}


@dataclass(frozen=True, slots=True)
class SimulationStream(Recording):
    """What one script of a job left behind: a `Recording`, or why there is none.

    Attributes:
        script_index: Which of the job's scripts, from 0.
        status: ``failed`` where it failed.
        error_message: Why it failed.
    """

    script_index: int
    status: str | None = None
    error_message: str | None = None

    @property
    def has_failed(self) -> bool:
        return self.status == "failed"


@dataclass(frozen=True, slots=True)
class SimulationJob:
    """A job as `simulate` made it. ``created_at`` is ISO 8601."""

    job_id: str
    status: SimulationJobStatus
    priority: str
    created_at: str
    estimated_wait_minutes: float | None


@dataclass(frozen=True, slots=True)
class SimulationJobInfo:
    """A job in a list. Times are ISO 8601."""

    job_id: str
    status: SimulationJobStatus
    priority: str
    created_at: str
    completed_at: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class SimulationJobDetail(SimulationJobInfo):
    """All that is known of a job. ``retry_count`` is how often it had to be begun anew."""

    dispatched_at: str | None
    started_at: str | None
    assigned_region: str | None
    retry_count: int
    streams: tuple[SimulationStream, ...]


@dataclass(frozen=True, slots=True)
class SimulationJobsList:
    """One page of jobs, newest first; ``total`` counts those of all pages."""

    jobs: tuple[SimulationJobInfo, ...]
    total: int
    limit: int
    offset: int


def is_signaling_url(url: str) -> bool:
    """Whether signaling can be opened at ``url``, as far as can be told without trying."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", url) and parts.port != 0
    except ValueError:  # no such port, or no such IPv6 address
        return False
    return named and parts.scheme in {"ws", "wss", "http", "https"}


def _text(data: Mapping[str, object], name: str) -> str:
    return _check_text(name, data.get(name))


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(name, "a non-empty string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(name, "text that UTF-8 can hold", value) from None
    return value


def _check_seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise _wrong("expires_in", "a number of seconds", value)
    return int(value)


def _flag(capabilities: Mapping[object, object]) -> bool:
    value = capabilities.get("image_to_video", False)
    if not isinstance(value, bool):
        raise _wrong("capabilities']['image_to_video", "a bool", value)
    return value


def _wrong(name: str, expected: str, value: object) -> OdysseyConfigError:
    # The value itself stays out: it may be a token in the wrong place.
    return OdysseyConfigError(f"credentials['{name}'] must be {expected}, got {_kind(value)}")


def _kind(value: object) -> str:
    return "nothing" if value is None else "an empty string" if value == "" else type(value).__name__
