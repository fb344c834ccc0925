"""Values that calls accept and return: frozen dataclasses and enumerations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

type JSON = bool | int | float | str | list[JSON] | dict[str, JSON] | None


class ConnectionStatus(StrEnum):
    """Status of a connection (protocol.md section 9). Each member is equal to its string value."""

    AUTHENTICATING = "authenticating"
    CONNECTING = "connecting"
    RECONNECTING = "reconnecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BroadcastInfo:
    """URLs and token with which spectators watch a broadcast (protocol.md section 5).

    Attributes:
        webrtc_url: URL for `connect_to_stream` (WHEP).
        spectator_token: Token that `connect_to_stream` needs for that URL.
        hls_url: URL of the HLS playlist, for any player; it may contain the token. None if there is no playlist.
    """

    webrtc_url: str
    spectator_token: str = field(repr=False)
    hls_url: str | None = None

    def __repr__(self) -> str:
        hls = None if self.hls_url is None else re.split(r"[?#]", self.hls_url, maxsplit=1)[0]
        return f"BroadcastInfo(webrtc_url={self.webrtc_url!r}, hls_url={hls!r})"


@dataclass(frozen=True, slots=True)
class StreamerCapabilities:
    """Features that the streamer of a session supports."""

    image_to_video: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """Recording of a live or simulated stream (protocol.md section 6).

    The URLs are presigned: for about an hour they give access to the files without credentials. Every field except
    ``stream_id`` is None if the recording does not have it, or does not have it yet.

    Attributes:
        stream_id: The id of the stream.
        video_url: URL of the full video (MP4).
        events_url: URL of the event log (JSON lines).
        thumbnail_url: URL of a thumbnail image (JPEG).
        preview_url: URL of a short, small preview video (MP4).
        frame_count: Number of frames in the full video.
        duration_seconds: Duration of the full video.
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
    """One stream in a list of recordings. Times are ISO 8601; ``ended_at`` is None while the stream is running."""

    stream_id: str
    width: int
    height: int
    started_at: str
    ended_at: str | None
    duration_seconds: float | None


@dataclass(frozen=True, slots=True)
class StreamRecordingsListResponse:
    """One page of recordings, newest first; ``total`` is the number of recordings on all pages."""

    recordings: tuple[StreamRecordingSummary, ...]
    total: int
    limit: int
    offset: int


class SimulationJobStatus(StrEnum):
    """Status of a simulation job (protocol.md section 8). Each member is equal to its string value."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether the job has not ended yet."""
        return self in {self.PENDING, self.DISPATCHED, self.PROCESSING}


@dataclass(frozen=True, slots=True)
class SimulationStream(Recording):
    """Result of one script of a job: a `Recording`, or the reason why there is none.

    Attributes:
        script_index: Index of the script in the job, from 0.
        status: Status of the stream; ``failed`` if it failed.
        error_message: Why the stream failed.
    """

    script_index: int
    status: str | None = None
    error_message: str | None = None

    @property
    def has_failed(self) -> bool:
        return self.status == "failed"


@dataclass(frozen=True, slots=True)
class SimulationJob:
    """A new job, as `simulate` returns it. ``created_at`` is ISO 8601."""

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
    """A job with all its details. ``retry_count`` is the number of times the job was started again."""

    dispatched_at: str | None
    started_at: str | None
    assigned_region: str | None
    retry_count: int
    streams: tuple[SimulationStream, ...]


@dataclass(frozen=True, slots=True)
class SimulationJobsList:
    """One page of jobs, newest first; ``total`` is the number of jobs on all pages."""

    jobs: tuple[SimulationJobInfo, ...]
    total: int
    limit: int
    offset: int
