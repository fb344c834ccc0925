"""REST calls for simulation jobs (protocol.md sections 2 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from odyssey_client.errors import OdysseyError, OdysseySimulationError, ServiceUnreachableError, UnexpectedResponseError
from odyssey_client.models import (
    JSON,
    SimulationJob,
    SimulationJobDetail,
    SimulationJobInfo,
    SimulationJobsList,
    SimulationJobStatus,
    SimulationStream,
)
from odyssey_client.redaction import received
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.recordings import read_recording
from odyssey_client.rest.retries import retrying
from odyssey_client.rest.transport import Transport
from odyssey_client.service_errors import WITH_BYPASS

_JOBS = "/simulation-jobs"
_JOB = f"{_JOBS}/{{job_id}}"

type Query = Mapping[str, str | int | bool]


async def create_job(transport: Transport, body: Mapping[str, JSON]) -> SimulationJob:
    """Create a job. The request for a token is retried, but the request for the job is not.

    After a 401, the request for the job is sent once more with a new token, because the service created no job.

    Raises:
        ScriptError: the service rejected the scripts (422).
        OdysseySimulationError: the account lacks the privilege to bypass prompt expansion (403).
        OdysseyUsageError: a limit of the account is reached, such as its number of queued jobs (429).
        OdysseyError: the call failed for another reason.
    """
    await retrying(transport.authenticate, transport.retries, transport.clock)
    route = WITH_BYPASS if body.get("bypass_vlm_expansion") else f"POST {_JOBS}"
    try:
        answer = await transport.request("POST", _JOBS, json=dict(body), route=route)
        return _read_created(Fields(answer, f"POST {_JOBS}"))
    except OdysseyError as error:
        if isinstance(error, ServiceUnreachableError | UnexpectedResponseError) or (error.status or 0) >= 500:
            error.add_note(
                "The service may have created the job: check with list_simulations(). The call was sent once."
            )
        raise


async def get_job(transport: Transport, job_id: str) -> SimulationJobDetail:
    """Request the details of a job. Transient errors are retried.

    Raises:
        OdysseySimulationError: the job does not exist (404), or belongs to another account (403).
        OdysseyError: the call failed for another reason.
    """
    answer = await retrying(
        lambda: transport.request("GET", _path(job_id), route=f"GET {_JOB}", names={"job_id": job_id}),
        transport.retries,
        transport.clock,
    )
    return _read_detail(Fields(answer, f"GET {_JOB}"))


async def list_jobs(transport: Transport, query: Query) -> SimulationJobsList:
    """Request one page of jobs. Transient errors are retried.

    Raises:
        OdysseyError: the call failed.
    """
    answer = await retrying(lambda: transport.request("GET", _JOBS, params=query), transport.retries, transport.clock)
    fields = Fields(answer, f"GET {_JOBS}")
    return SimulationJobsList(
        jobs=tuple(_read_info(job) for job in fields.objects("jobs")),
        total=fields.count("total"),
        limit=fields.count("limit"),
        offset=fields.count("offset"),
    )


async def cancel_job(transport: Transport, job_id: str) -> SimulationJobInfo:
    """Cancel a job. Transient errors are retried.

    Raises:
        OdysseySimulationError: the job does not exist (404), belongs to another account (403), or can no longer be
            cancelled (400).
        OdysseyError: the call failed for another reason.
    """
    tries = 0

    async def attempt() -> JSON:
        nonlocal tries
        tries += 1
        return await transport.request("DELETE", _path(job_id), route=f"DELETE {_JOB}", names={"job_id": job_id})

    try:
        answer = await retrying(attempt, transport.retries, transport.clock)
    except OdysseySimulationError as error:
        if error.code != "not_cancellable" or tries == 1:
            raise
        # An earlier attempt whose response was lost may have cancelled the job; this attempt then gets a 400.
        job = await get_job(transport, job_id)
        if job.status is not SimulationJobStatus.CANCELLED:
            raise
        return SimulationJobInfo(
            job.job_id, job.status, job.priority, job.created_at, job.completed_at, job.error_message
        )
    return _read_info(Fields(answer, f"DELETE {_JOB}"))


def _path(job_id: str) -> str:
    return f"{_JOBS}/{quote(job_id, safe='')}"


def _read_created(fields: Fields) -> SimulationJob:
    return SimulationJob(
        job_id=fields.text("job_id"),
        status=fields.choice("status", SimulationJobStatus),
        priority=fields.any_text("priority"),
        created_at=fields.text("created_at"),
        estimated_wait_minutes=fields.optional(fields.number, "estimated_wait_minutes"),
    )


def _read_info(fields: Fields) -> SimulationJobInfo:
    return SimulationJobInfo(
        job_id=fields.text("job_id"),
        status=fields.choice("status", SimulationJobStatus),
        priority=fields.any_text("priority"),
        created_at=fields.text("created_at"),
        completed_at=fields.optional(fields.text, "completed_at"),
        error_message=_error_message(fields),
    )


def _read_detail(fields: Fields) -> SimulationJobDetail:
    info = _read_info(fields)
    return SimulationJobDetail(
        job_id=info.job_id,
        status=info.status,
        priority=info.priority,
        created_at=info.created_at,
        completed_at=info.completed_at,
        error_message=info.error_message,
        dispatched_at=fields.optional(fields.text, "dispatched_at"),
        started_at=fields.optional(fields.text, "started_at"),
        assigned_region=fields.optional(fields.any_text, "assigned_region"),
        retry_count=fields.count("retry_count"),
        streams=tuple(_read_stream(stream) for stream in fields.objects("streams")),
    )


def _error_message(fields: Fields) -> str | None:
    message = fields.optional(fields.any_text, "error_message")
    return None if message is None else received(message)


def _read_stream(fields: Fields) -> SimulationStream:
    recording = read_recording(fields)
    return SimulationStream(
        stream_id=recording.stream_id,
        video_url=recording.video_url,
        events_url=recording.events_url,
        thumbnail_url=recording.thumbnail_url,
        preview_url=recording.preview_url,
        frame_count=recording.frame_count,
        duration_seconds=recording.duration_seconds,
        script_index=fields.count("script_index"),
        status=fields.optional(fields.text, "status"),
        error_message=_error_message(fields),
    )
