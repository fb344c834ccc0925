"""What is remembered of simulation jobs: each one's place, times and streams. Times are seconds since the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.settings import Priority
from odyssey_mock.simulations.job_machine import JobMachine, JobState


class StreamStatus(StrEnum):
    """How far the stream of one script is."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class JobStream:
    """The stream of one script of a job."""

    stream_id: str
    script_index: int
    """Which of the job's scripts, from 0."""
    status: StreamStatus = StreamStatus.WAITING
    error_message: str | None = None
    """Why it failed, where it did."""
    record: StreamRecord | None = None
    """The stream as the mock remembers it; None while it waits for its turn."""


@dataclass(slots=True, eq=False)
class JobRecord:
    """One job as the mock remembers it."""

    id: str
    account_id: str
    priority: Priority
    created_at: float
    estimated_wait_minutes: float | None
    """What was before it when it came; None where there are no workers."""
    machine: JobMachine = field(default_factory=JobMachine, repr=False)
    dispatched_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    """When it ended, in whatever way."""
    error_message: str | None = None
    assigned_region: str | None = None
    retry_count: int = 0
    streams: Sequence[JobStream] = ()
    """One for each script, in order, from the beginning of processing on."""
    history: Sequence[tuple[JobState, float]] = field(default=(), repr=False)
    """Every state it was in and when it came there, from `pending` on."""

    @property
    def status(self) -> JobState:
        """Where it stands."""
        return self.machine.state

    def snapshot(self) -> dict[str, JSON]:
        """What `GET /_mock/state` shows of it."""
        return {
            "job_id": self.id,
            "account": self.account_id,
            "status": self.status.value,
            "priority": self.priority,
            "created_at": self.created_at,
            "dispatched_at": self.dispatched_at,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "error_message": self.error_message,
            "assigned_region": self.assigned_region,
            "retry_count": self.retry_count,
            "streams": [
                {"stream_id": each.stream_id, "script_index": each.script_index, "status": each.status.value}
                for each in self.streams
            ],
        }
