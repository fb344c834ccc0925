"""The commands `odyssey simulations`: list, show and cancel simulation jobs."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import click

from odyssey_client.cli.output import Answer, json_of, seconds
from odyssey_client.cli.paging import check_paging, footer, gather, paging_options
from odyssey_client.cli.service import Service, call_service, service_options
from odyssey_client.models import (
    SimulationJob,
    SimulationJobDetail,
    SimulationJobInfo,
    SimulationJobStatus,
    SimulationStream,
)
from odyssey_client.terminal.tables import Columns, Fields, Part

_JOBS = ("JOB", "STATUS", "PRIORITY", "CREATED", "COMPLETED", "ERROR")
_STREAMS = ("SCRIPT", "STREAM", "STATUS", "DURATION", "FRAMES", "ERROR")
_SENTENCES = ("ERROR",)
_STYLES = MappingProxyType({"completed": "green", "failed": "red", "cancelled": "yellow"})
"""Styles of the statuses of jobs and streams."""


@click.group()
def simulations() -> None:
    """List, show and cancel simulation jobs.

    Example: odyssey simulations list --active
    """


@simulations.command("list")
@click.option(
    "--status", type=click.Choice([each.value for each in SimulationJobStatus]), help="List only jobs with this status."
)
@click.option("--active", is_flag=True, help="List only jobs that have not ended.")
@paging_options
@service_options
def list_(
    status: str | None,
    active: bool,
    limit: int | None,
    offset: int | None,
    everything: bool,
    api_url: str | None,
    as_json: bool,
) -> None:
    """List simulation jobs, newest first.

    Example: odyssey simulations list --active
    """
    check_paging(limit=limit, offset=offset, everything=everything)
    which = None if status is None else SimulationJobStatus(status)

    async def work(service: Service) -> Answer:
        if everything:
            jobs = await gather(service.client.iter_simulations(status=which, active=active or None))
            return Answer({"jobs": [json_of(job) for job in jobs], "total": len(jobs)}, _jobs_parts(jobs))
        page = await service.client.list_simulations(status=which, active=active or None, limit=limit, offset=offset)
        return Answer(json_of(page), _jobs_parts(page.jobs, footer(page.jobs, page.total, page.offset, "simulations")))

    call_service(work, api_url=api_url, as_json=as_json)


@simulations.command()
@click.argument("job_id", metavar="JOB_ID")
@service_options
def show(job_id: str, api_url: str | None, as_json: bool) -> None:
    """Show the status of a simulation job and its streams.

    `odyssey simulations list` shows the ids of jobs.

    Example: odyssey simulations show JOB_ID
    """

    async def work(service: Service) -> Answer:
        job = await service.client.get_simulate_status(job_id)
        return Answer(json_of(job), job_parts(job))

    call_service(work, api_url=api_url, as_json=as_json)


@simulations.command()
@click.argument("job_id", metavar="JOB_ID")
@service_options
def cancel(job_id: str, api_url: str | None, as_json: bool) -> None:
    """Cancel a simulation job that has not ended.

    `odyssey simulations list` shows the ids of jobs.

    Example: odyssey simulations cancel JOB_ID
    """

    async def work(service: Service) -> Answer:
        job = await service.client.cancel_simulation(job_id)
        return Answer(json_of(job), (f"Simulation {job.job_id} is {job.status}.",))

    call_service(work, api_url=api_url, as_json=as_json)


def job_parts(job: SimulationJob | SimulationJobInfo) -> Sequence[Part]:
    """Return the fields of a job, and a table of its streams if it has any."""
    wait = getattr(job, "estimated_wait_minutes", None)
    names = ("created_at", "dispatched_at", "started_at", "completed_at", "assigned_region", "retry_count")
    pairs: list[tuple[str, object]] = [("job", job.job_id), ("status", job.status), ("priority", job.priority)]
    pairs.append(("estimated wait", None if wait is None else f"{wait:g} minutes"))
    pairs += [(name.removesuffix("_at").replace("_", " "), getattr(job, name, None)) for name in names]
    pairs.append(("error", getattr(job, "error_message", None)))
    streams = job.streams if isinstance(job, SimulationJobDetail) else ()
    rows = [_stream_row(stream) for stream in streams]
    table = (Columns(header=_STREAMS, rows=rows, sentences=_SENTENCES, styles=_STYLES),) if rows else ()
    return Fields(pairs, _STYLES), *table


def is_done(stream: SimulationStream) -> bool:
    """Return whether a stream has ended, successfully or not."""
    return stream.status in {"completed", "failed"} or stream.video_url is not None


def _stream_row(stream: SimulationStream) -> tuple[object, ...]:
    status = stream.status or ("completed" if is_done(stream) else None)
    duration = seconds(stream.duration_seconds)
    return stream.script_index, stream.stream_id, status, duration, stream.frame_count, stream.error_message


def _jobs_parts(jobs: Sequence[SimulationJobInfo], below: str = "") -> Sequence[Part]:
    rows = [(j.job_id, j.status, j.priority, j.created_at, j.completed_at, j.error_message) for j in jobs]
    if not rows:
        return (below or "No simulations found.",)
    return Columns(header=_JOBS, rows=rows, sentences=_SENTENCES, styles=_STYLES), below
