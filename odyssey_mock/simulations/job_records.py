"""Records of simulation jobs: state, times and streams. Times are seconds since the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.settings import Priority
from odyssey_mock.simulations.job_machine import JobMachine, JobState


class StreamStatus(StrEnum):
    """States of the stream of one script."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class JobStream:
    """The stream of one script of a job."""

    stream_id: str
    script_index: int
    """The index of the script in the job, from 0."""
    status: StreamStatus = StreamStatus.WAITING
    error_message: str | None = None
    """Why the stream failed; None if the stream has not failed."""
    record: StreamRecord | None = None
    """The record of the stream; None until the stream starts.

    When the job has ended and the mock has forgotten the stream, it is None again, so that it takes no memory.
    """


@dataclass(slots=True, eq=False)
class JobRecord:
    """The record of one job."""

    id: str
    account_id: str
    priority: Priority
    created_at: float
    estimated_wait_minutes: float | None
    """Wait in minutes, as estimated when the job was submitted; None if the mock has no workers."""
    machine: JobMachine = field(default_factory=JobMachine, repr=False)
    dispatched_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    """When the job completed, failed or was cancelled."""
    error_message: str | None = None
    assigned_region: str | None = None
    retry_count: int = 0
    streams: Sequence[JobStream] = ()
    """One stream for each script, in order; empty before processing starts."""
    history: Sequence[tuple[JobState, float]] = field(default=(), repr=False)
    """Every state of the job and when it was entered, starting with `pending`."""

    @property
    def status(self) -> JobState:
        """The state of the job's machine."""
        return self.machine.state

    def snapshot(self) -> dict[str, JSON]:
        """Return the job as `GET /_mock/state` shows it."""
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
