"""Saved records of simulation jobs and their requests, for a mock that is started again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from odyssey_mock.core.state_store import AnyText, RecordKind
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.settings import Priority
from odyssey_mock.simulations.job_machine import JobMachine, JobState
from odyssey_mock.simulations.job_records import JobRecord, JobStream, StreamStatus
from odyssey_mock.simulations.request import JobRequest


@dataclass(frozen=True, slots=True)
class SavedJobStream:
    """The stream of one script of a saved job."""

    stream_id: str
    script_index: int
    status: StreamStatus
    error_message: AnyText | None


@dataclass(frozen=True, slots=True)
class SavedJob:
    """The saved record of a job. Its key is the job's id."""

    account_id: str
    priority: Priority
    created_at: float
    estimated_wait_minutes: float | None
    status: JobState
    dispatched_at: float | None
    started_at: float | None
    completed_at: float | None
    error_message: AnyText | None
    assigned_region: str | None
    retry_count: int
    streams: Sequence[SavedJobStream]
    history: Sequence[tuple[JobState, float]]
    place: tuple[int, int] | None
    """The sort key in the queue; None if the job has ended."""


JOBS = RecordKind("job", SavedJob)
REQUESTS = RecordKind("job request", JobRequest)
"""The requests of jobs that have not ended, by the id of the job. A request never changes."""


def saved_job(record: JobRecord, place: tuple[int, int] | None) -> SavedJob:
    """Return the saved record of a job."""
    return SavedJob(
        account_id=record.account_id,
        priority=record.priority,
        created_at=record.created_at,
        estimated_wait_minutes=record.estimated_wait_minutes,
        status=record.status,
        dispatched_at=record.dispatched_at,
        started_at=record.started_at,
        completed_at=record.completed_at,
        error_message=record.error_message,
        assigned_region=record.assigned_region,
        retry_count=record.retry_count,
        streams=[
            SavedJobStream(each.stream_id, each.script_index, each.status, each.error_message)
            for each in record.streams
        ],
        history=record.history,
        place=place,
    )


def restored_job(job_id: str, saved: SavedJob, streams: Mapping[str, StreamRecord]) -> JobRecord:
    """Return the record of a saved job; `streams` has the records of streams by id."""
    machine = JobMachine()
    machine.state = saved.status
    return JobRecord(
        id=job_id,
        account_id=saved.account_id,
        priority=saved.priority,
        created_at=saved.created_at,
        estimated_wait_minutes=saved.estimated_wait_minutes,
        machine=machine,
        dispatched_at=saved.dispatched_at,
        started_at=saved.started_at,
        completed_at=saved.completed_at,
        error_message=saved.error_message,
        assigned_region=saved.assigned_region,
        retry_count=saved.retry_count,
        streams=tuple(
            JobStream(each.stream_id, each.script_index, each.status, each.error_message, streams.get(each.stream_id))
            for each in saved.streams
        ),
        history=tuple(saved.history),
    )
