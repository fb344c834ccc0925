"""Calls for simulations: scripts that run in the background and produce recordings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from odyssey_client.client.arguments import check, check_id, check_limit, check_seconds, check_status, page_query
from odyssey_client.client.base import ClientBase
from odyssey_client.client.job_polling import JobPolling, OnUpdate
from odyssey_client.errors import OdysseyConfigError
from odyssey_client.event_loop import in_thread
from odyssey_client.models import (
    SimulationJob,
    SimulationJobDetail,
    SimulationJobInfo,
    SimulationJobsList,
    SimulationJobStatus,
)
from odyssey_client.rest import simulations as rest
from odyssey_client.rest.paging import Page, walk
from odyssey_client.scripts.request import script_fields
from odyssey_client.scripts.script import ScriptSource
from odyssey_client.trace.calls import recorded


class SimulationCalls(ClientBase):
    """Calls that create, poll and cancel simulation jobs (protocol.md section 8). They need no live connection."""

    @recorded
    async def simulate(
        self,
        *,
        script: ScriptSource | None = None,
        scripts: Sequence[ScriptSource] | None = None,
        script_url: str | None = None,
        portrait: bool = True,
        bypass_prompt_expansion: bool | None = None,
    ) -> SimulationJob:
        """Queue a job that runs one or more scripts; return without waiting for the job.

        The request is sent once, so that one call never creates two jobs. It is repeated only after a 401, which
        creates no job. If an error leaves open whether the job was created, check with `list_simulations`.

        Args:
            script: One script: a `Script`, or a list of entries as in the vendor's documentation.
            scripts: Several scripts; each becomes a stream of the job.
            script_url: URL from which the service fetches one script as JSON.
            portrait: Whether the video is portrait (704x1280) or landscape (1280x704). Images are fitted to this size.
            bypass_prompt_expansion: Whether to apply prompts unchanged, which requires a privilege; if None, the
                account's default.

        Raises:
            OdysseyConfigError: an argument has the wrong type, or this client has no API key.
            ScriptError: a script is invalid (the error lists the faults of all scripts), or not exactly one of
                ``script``, ``scripts`` and ``script_url`` was given.
            OdysseySimulationError: the account may not bypass prompt expansion (``bypass_not_allowed``).
            RateLimitError: too many jobs of the account are queued.
            OdysseyError: any other error.
        """
        check("portrait", portrait, bool)
        if bypass_prompt_expansion is not None:
            check("bypass_prompt_expansion", bypass_prompt_expansion, bool)
        call = self._begin("simulate")
        async with call.step():
            body = await in_thread(
                lambda: script_fields(script=script, scripts=scripts, script_url=script_url, portrait=portrait)
            )
            body |= {"portrait": portrait, "output_video": True}
            if bypass_prompt_expansion is not None:
                body["bypass_vlm_expansion"] = bypass_prompt_expansion
            return await rest.create_job(self._transport, body)

    @recorded
    async def get_simulate_status(self, job_id: str) -> SimulationJobDetail:
        """Return the details of a job, with its streams and their recordings.

        Raises:
            OdysseyConfigError: the id is invalid, or this client has no API key.
            OdysseySimulationError: there is no such job (``job_not_found``), or it is another account's
                (``job_not_yours``).
            OdysseyError: any other error.
        """
        check_id("job_id", job_id)
        async with self._begin("get_simulate_status").step():
            return await rest.get_job(self._transport, job_id)

    @recorded
    async def list_simulations(
        self,
        *,
        status: SimulationJobStatus | str | None = None,
        active: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> SimulationJobsList:
        """Return one page of the account's jobs, newest first.

        Args:
            status: If given, only jobs with this status.
            active: If True, only jobs that have not ended.
            limit: Number of items at most, from 1 to 100; the service's default is 20.
            offset: Number of items to skip, starting with the newest.

        Raises:
            OdysseyConfigError: an argument is invalid, or this client has no API key.
            OdysseyError: any other error.
        """
        query = {**_filters(status, active), **page_query(limit, offset)}
        async with self._begin("list_simulations").step():
            return await rest.list_jobs(self._transport, query)

    def iter_simulations(
        self, *, status: SimulationJobStatus | str | None = None, active: bool | None = None, page_size: int = 100
    ) -> AsyncGenerator[SimulationJobInfo, None]:
        """Iterate over the account's jobs, newest first. Pages are requested as needed; each job is yielded once.

        Jobs that are added during the iteration are left out and do not cause others to be skipped.

        Args:
            status: If given, only jobs with this status.
            active: If True, only jobs that have not ended.
            page_size: Items per request, from 1 to 100; 1 counts as 2, because consecutive pages overlap by one item.

        Raises:
            OdysseyConfigError: an argument is invalid, or this client has no API key.
            OdysseyError: any other error; raised by the iterator.
        """
        filters = _filters(status, active)
        check_limit("page_size", page_size)
        call = self._begin("iter_simulations")

        async def fetch(limit: int, offset: int) -> Page[SimulationJobInfo]:
            async with call.step():
                page = await rest.list_jobs(self._transport, {**filters, "limit": limit, "offset": offset})
            return Page(page.jobs, page.limit, page.offset)

        return walk(fetch, lambda job: job.job_id, page_size)

    @recorded
    async def cancel_simulation(self, job_id: str) -> SimulationJobInfo:
        """Cancel a job that has not ended; return the cancelled job.

        Raises:
            OdysseyConfigError: the id is invalid, or this client has no API key.
            OdysseySimulationError: the job can no longer be cancelled (``not_cancellable``), there is no such job
                (``job_not_found``), or it is another account's (``job_not_yours``).
            OdysseyError: any other error.
        """
        check_id("job_id", job_id)
        async with self._begin("cancel_simulation").step():
            return await rest.cancel_job(self._transport, job_id)

    @recorded
    async def wait_for_simulation(
        self,
        job_id: str,
        *,
        poll_interval: float = 5.0,
        timeout: float | None = 600.0,
        on_update: OnUpdate | None = None,
    ) -> SimulationJobDetail:
        """Wait until a job is completed; return it. The job is polled at once, then every ``poll_interval`` seconds.

        Transient polling errors are retried.

        Args:
            job_id: Id of the job.
            poll_interval: Seconds between two polls.
            timeout: Seconds to wait at most; None for no limit. The last poll starts when the timeout expires and may
                take one more second.
            on_update: A sync or async function that is called with the job after the first poll, and after each poll
                that found a change, including the end of the job. An exception that it raises ends the waiting.

        Raises:
            OdysseyConfigError: an argument is invalid, or this client has no API key.
            SimulationFailedError: the job failed; the error contains the job and the error of each failed stream.
            SimulationCancelledError: the job was cancelled.
            SimulationTimeoutError: the job did not end within ``timeout``. The job continues.
            OdysseySimulationError: there is no such job (``job_not_found``), or it is another account's
                (``job_not_yours``).
            OdysseyError: any other error that is not transient.
        """
        check_id("job_id", job_id)
        check_seconds("poll_interval", poll_interval)
        if timeout is not None:
            check_seconds("timeout", timeout)
        if on_update is not None and not callable(on_update):
            raise OdysseyConfigError(f"on_update must be a function or None, got {type(on_update).__name__}")
        return await JobPolling(
            self._transport,
            self._begin("wait_for_simulation"),
            job_id,
            interval=poll_interval,
            timeout=timeout,
            on_update=on_update,
        ).run()


def _filters(status: SimulationJobStatus | str | None, active: bool | None) -> dict[str, str | int | bool]:
    filters: dict[str, str | int | bool] = {}
    if status is not None:
        filters["status"] = check_status(status).value
    if active is not None:
        check("active", active, bool)
        filters["active"] = active
    return filters
