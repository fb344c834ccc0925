"""`/simulation-jobs`: scripts that run in the background (`protocol.md` sections 2 and 8)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.backend import Backend
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.core.timestamps import iso
from odyssey_mock.http.errors import ApiError, authorized, backend_of, read_body, usage_error, validate
from odyssey_mock.simulations.job_machine import ENDED, State
from odyssey_mock.simulations.job_records import JobRecord, JobStream, StreamStatus
from odyssey_mock.simulations.jobs import NotCancellableError, QueueFullError
from odyssey_mock.simulations.request import read_request

RECORDING_FIELDS = ("video_url", "events_url", "thumbnail_url", "preview_url", "frame_count", "duration_seconds")


class ListQuery(BaseModel):
    """Which jobs are wanted; all conditions hold at once."""

    model_config = ConfigDict(extra="ignore")

    status: State | None = None
    active: bool = False
    """Only those that have not ended."""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: NonNegativeInt = 0


class SimulationJobs(HTTPEndpoint):
    """The jobs of an account."""

    async def post(self, request: Request) -> Response:
        """Queue a job, or say why not."""
        backend = backend_of(request)
        account = await authorized(request)
        wanted = read_request(await read_body(request))
        if wanted.bypass and not account.bypass_vlm_expansion:
            raise ApiError(
                403, "bypass_vlm_expansion requires the expansion bypass privilege, which this account has not"
            )
        backend.usage.check(account.id)
        try:
            job = backend.jobs.submit(account, wanted)
        except QueueFullError as full:
            raise usage_error(
                "RATE_LIMITED",
                form=backend.settings.usage_error_form,
                message=f"{full.queued} simulations are queued, and an account may have {full.limit}; "
                "try again in {retry_after_seconds:g} seconds",
                retry_after_seconds=full.retry_after_seconds,
            ) from None
        return JSONResponse({**_head(job), "estimated_wait_minutes": job.estimated_wait_minutes})

    async def get(self, request: Request) -> Response:
        """A page of the account's jobs, newest first."""
        backend = backend_of(request)
        account = await authorized(request)
        query = validate(ListQuery, dict(request.query_params), "query")
        jobs = [
            job
            for job in reversed([*backend.jobs.values()])
            if job.account_id == account.id
            and query.status in (None, job.status)
            and not (query.active and job.status in ENDED)
        ]
        page = jobs[query.offset : query.offset + query.limit]
        return JSONResponse(
            {"jobs": [_info(job) for job in page], "total": len(jobs), "limit": query.limit, "offset": query.offset}
        )


class SimulationJob(HTTPEndpoint):
    """One job of an account."""

    async def get(self, request: Request) -> Response:
        """One job with its streams."""
        backend = backend_of(request)
        job = await _owned_job(request)
        # Under the name the client used, as with the URLs of regions.
        origin = str(request.base_url).rstrip("/")
        begun = [stream for stream in job.streams if stream.status is not StreamStatus.WAITING]
        return JSONResponse(
            {
                **_head(job),
                "dispatched_at": _time(job.dispatched_at),
                "started_at": _time(job.started_at),
                "completed_at": _time(job.completed_at),
                "error_message": job.error_message,
                "assigned_region": job.assigned_region,
                "retry_count": job.retry_count,
                "streams": [_stream(backend, stream, origin) for stream in begun],
            },
            headers={"Cache-Control": "no-store"},
        )

    async def delete(self, request: Request) -> Response:
        """Cancel a job, or say why it is too late."""
        job = await _owned_job(request)
        try:
            job = backend_of(request).jobs.cancel(job.id)
        except NotCancellableError as error:
            raise ApiError(400, f"Cannot cancel a job that is {error.status}") from None
        return JSONResponse(_info(job))


async def _owned_job(request: Request) -> JobRecord:
    """Find the job that the path names.

    Raises:
        ApiError: 401, 404 there is no such job, 403 it is another account's.
    """
    account = await authorized(request)
    job = backend_of(request).jobs.get(request.path_params["job_id"])
    if job is None:
        raise ApiError(404, "Simulation job not found; GET /simulation-jobs lists those of the account")
    if job.account_id != account.id:
        raise ApiError(403, "This simulation job is another account's")
    return job


def _head(job: JobRecord) -> dict[str, JSON]:
    return {"job_id": job.id, "status": job.status, "priority": job.priority, "created_at": iso(job.created_at)}


def _info(job: JobRecord) -> dict[str, JSON]:
    return {**_head(job), "completed_at": _time(job.completed_at), "error_message": job.error_message}


def _stream(backend: Backend, stream: JobStream, origin: str) -> dict[str, JSON]:
    record = backend.streams.records.get(stream.stream_id)
    # A stream may have been forgotten before its job: then there is nothing left of it to point to.
    recording: dict[str, JSON] = (
        {"stream_id": stream.stream_id, **dict.fromkeys(RECORDING_FIELDS)}
        if record is None
        else backend.recordings.describe(record, origin)
    )
    shown: dict[str, JSON] = {**recording, "script_index": stream.script_index}
    if stream.status is StreamStatus.FAILED:
        shown |= {"status": stream.status, "error_message": stream.error_message}
    return shown


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


# A class for each path: the 405 of a wrong method names all that are right.
routes: list[BaseRoute] = [
    Route("/simulation-jobs", SimulationJobs),
    Route("/simulation-jobs/{job_id}", SimulationJob),
]
