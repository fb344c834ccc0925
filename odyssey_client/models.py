"""What calls take and give: plain frozen values, no behavior beyond reading and writing themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

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
