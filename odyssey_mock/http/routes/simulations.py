"""The routes `/simulation-jobs`, for jobs that run scripts in the background (`protocol.md` sections 2 and 8)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.core.timestamps import iso
from odyssey_mock.http.ascii_json import AsciiJSONResponse
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError, read_body, validate
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.paging import page_of
from odyssey_mock.http.public_urls import base_url
from odyssey_mock.http.request_body import body_of
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.simulations.job_machine import ENDED, JobState
from odyssey_mock.simulations.job_records import JobRecord, JobStream, StreamStatus
from odyssey_mock.simulations.jobs import Jobs
from odyssey_mock.simulations.request import InvalidRequestError, read_request

BODY_LIMIT = 64 << 20
"""Maximum bytes of a request for a job. Each script can contain an image: an image of 25 MB has 35 MB in base64."""

RECORDING_FIELDS = ("video_url", "events_url", "thumbnail_url", "preview_url", "frame_count", "duration_seconds")


class ListQuery(BaseModel):
    """Query parameters of `GET /simulation-jobs`. Only jobs that meet all given conditions are returned."""

    model_config = ConfigDict(extra="ignore")

    status: JobState | None = None
    active: bool = False
    """Whether to return only jobs that have not ended."""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: NonNegativeInt = 0


@dataclass(frozen=True, kw_only=True)
class SimulationRoutes:
    """Routes for the simulation jobs of an account."""

    gate: FaultGate
    callers: Callers
    accounts: Accounts
    usage: Usage
    jobs: Jobs
    streams: StreamStore
    recordings: Recordings
    is_foreign: Callable[[Scope], bool]
    """A function that returns whether a web page of another origin sent a request."""

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        at, who = self.gate.at, self.callers.by_access_token
        return [
            ServiceRoute(
                "/simulation-jobs",
                {
                    "POST": at("rest.simulations.create", self.create, who),
                    "GET": at("rest.simulations.list", self.list_jobs, who),
                },
                body_limit=BODY_LIMIT,
            ),
            ServiceRoute(
                "/simulation-jobs/{job_id}",
                {
                    "GET": at("rest.simulations.get", self.get, who),
                    "DELETE": at("rest.simulations.cancel", self.cancel, who),
                },
            ),
        ]

    async def create(self, request: Request) -> Response:
        """Create a simulation job, which waits in the queue for a worker."""
        account = authorized(request, self.accounts)
        read = partial(read_request, from_page=self.is_foreign(request.scope))
        wanted = await body_of(request).process(read, await read_body(request))
        if wanted.bypass and not account.bypass_vlm_expansion:
            raise ApiError(
                403, "bypass_vlm_expansion requires the expansion bypass privilege, which this account does not have"
            )
        self.usage.check(account.id)
        job = self.jobs.submit(account, wanted)
        return JSONResponse({**_head(job), "estimated_wait_minutes": job.estimated_wait_minutes})

    async def list_jobs(self, request: Request) -> Response:
        """Return one page of the account's jobs, newest first."""
        account = authorized(request, self.accounts)
        query = validate(ListQuery, dict(request.query_params), "query")
        page, total = self._page(account.id, query)
        return JSONResponse(
            {"jobs": [_info(job) for job in page], "total": total, "limit": query.limit, "offset": query.offset}
        )

    def _page(self, account_id: str, query: ListQuery) -> tuple[Sequence[JobRecord], int]:
        """Return one page of an account's jobs that meet the conditions, and the number of all of them."""
        asks_for_active = query.active or (query.status is not None and query.status not in ENDED)
        jobs: Iterable[JobRecord] = (self.jobs.newest_active_first if asks_for_active else self.jobs.newest_first)(
            account_id
        )
        total = self.jobs.count_of(account_id)
        if query.status is not None or asks_for_active:
            found = [job for job in jobs if query.status in (None, job.status)]
            jobs, total = found, len(found)
        # Without conditions, the jobs before and after the page are not looked at: there can be thousands.
        return page_of(jobs, total, offset=query.offset, limit=query.limit), total

    async def get(self, request: Request) -> Response:
        """Return one job with its streams."""
        job = self._owned_job(request)
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
                "streams": [self._stream(stream, base_url(request)) for stream in begun],
            },
            headers={"Cache-Control": "no-store"},
        )

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        job = self._owned_job(request)
        return JSONResponse(_info(self.jobs.cancel(job.id)))

    def _owned_job(self, request: Request) -> JobRecord:
        """Return the job named in the path.

        Raises:
            ApiError: 401, the token is missing; 404, the job is unknown; 403, it belongs to another account.
            InvalidTokenError: the access token is unknown or expired.
        """
        account = authorized(request, self.accounts)
        job = self.jobs.get(request.path_params["job_id"])
        if job is None:
            raise ApiError(404, "Simulation job not found; GET /simulation-jobs lists the jobs of the account")
        if job.account_id != account.id:
            raise ApiError(403, "This simulation job belongs to another account")
        return job

    def _stream(self, stream: JobStream, base: str) -> dict[str, JSON]:
        record = self.streams.records.get(stream.stream_id)
        # The record of a stream may be deleted before its job. The fields of the recording are then null.
        recording: dict[str, JSON] = (
            {"stream_id": stream.stream_id, **dict.fromkeys(RECORDING_FIELDS)}
            if record is None
            else self.recordings.describe(record, base)
        )
        shown: dict[str, JSON] = {**recording, "script_index": stream.script_index}
        if stream.status is StreamStatus.FAILED:
            shown |= {"status": stream.status, "error_message": stream.error_message}
        return shown


class ScriptCheckRoutes:
    """The route of the control API that checks a request for a job, without creating one."""

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [ServiceRoute("/scripts/validate", {"POST": self.validate}, body_limit=BODY_LIMIT)]

    async def validate(self, request: Request) -> Response:
        """List the validation errors that `POST /simulation-jobs` would have for the same body."""
        errors: JSON = []
        try:
            await body_of(request).process(read_request, await read_body(request))
        except InvalidRequestError as error:
            errors = [*error.faults]
        except ApiError as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            errors = error.detail
        return AsciiJSONResponse({"valid": not errors, "errors": errors})


def _head(job: JobRecord) -> dict[str, JSON]:
    return {"job_id": job.id, "status": job.status, "priority": job.priority, "created_at": iso(job.created_at)}


def _info(job: JobRecord) -> dict[str, JSON]:
    return {**_head(job), "completed_at": _time(job.completed_at), "error_message": job.error_message}


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
