"""The calls for simulations: scripts that run in the background and leave recordings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from odyssey_client.client.arguments import check, check_id, check_limit, check_seconds, check_status, page_query
from odyssey_client.client.base import ClientBase, in_thread
from odyssey_client.client.job_polling import JobPolling, OnUpdate
from odyssey_client.errors import OdysseyConfigError
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


class SimulationCalls(ClientBase):
    """Making, watching and cancelling simulation jobs (protocol.md section 8). None of it needs a connection."""

    async def simulate(
        self,
        *,
        script: ScriptSource | None = None,
        scripts: Sequence[ScriptSource] | None = None,
        script_url: str | None = None,
        portrait: bool = True,
        bypass_prompt_expansion: bool | None = None,
    ) -> SimulationJob:
        """Queue a job that runs one script or several; return at once.

        It is sent once and not again, so that there are never two jobs: after an error that leaves open whether there
        is one, `list_simulations` tells.

        Args:
            script: One script: a `Script`, or a list of entries as in the vendor's documentation.
            scripts: Several, each of which becomes a stream of the job.
            script_url: Where the service finds a script in JSON.
            portrait: 704x1280; otherwise landscape, 1280x704. Images are fitted to it.
            bypass_prompt_expansion: Whether to leave prompts as they are, which takes a privilege; None for the
                account's default.

        Raises:
            OdysseyConfigError: an argument is of the wrong type, or this client has no API key.
            ScriptError: a script is wrong, with all that is wrong in any; or not exactly one of the three was given.
            OdysseySimulationError: the account may not bypass prompt expansion (``bypass_not_allowed``).
            RateLimitError: too many jobs of the account are queued.
            OdysseyError: anything else that went wrong, by class.
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

    async def get_simulate_status(self, job_id: str) -> SimulationJobDetail:
        """Return all that is known of a job, with its streams and their recordings.

        Raises:
            OdysseyConfigError: the id cannot be one, or this client has no API key.
            OdysseySimulationError: there is no such job (``job_not_found``), or it is another account's
                (``job_not_yours``).
            OdysseyError: anything else that went wrong, by class.
        """
        check_id("job_id", job_id)
        async with self._begin("get_simulate_status").step():
            return await rest.get_job(self._transport, job_id)

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
            status: Only jobs in this status.
            active: True for only those that have not ended.
            limit: How many at most, from 1 to 100; the service's default is 20.
            offset: How many to leave out, from the newest on.

        Raises:
            OdysseyConfigError: an argument cannot be used, or this client has no API key.
            OdysseyError: anything else that went wrong, by class.
        """
        query = {**_filters(status, active), **page_query(limit, offset)}
        async with self._begin("list_simulations").step():
            return await rest.list_jobs(self._transport, query)

    def iter_simulations(
        self, *, status: SimulationJobStatus | str | None = None, active: bool | None = None, page_size: int = 100
    ) -> AsyncGenerator[SimulationJobInfo, None]:
        """Go through the account's jobs, newest first, page by page, each job once.

        Jobs that are added meanwhile are left out, and hide none of the others.

        Args:
            status: Only jobs in this status.
            active: True for only those that have not ended.
            page_size: How many to ask for at a time, from 1 to 100; pages overlap, so 2 at least are asked for.

        Raises:
            OdysseyConfigError: an argument cannot be used, or this client has no API key.
            OdysseyError: anything else that went wrong, by class; from the iterator.
        """
        filters = _filters(status, active)
        check_limit("page_size", page_size)
        call = self._begin("iter_simulations")

        async def fetch(limit: int, offset: int) -> Page[SimulationJobInfo]:
            async with call.step():
                page = await rest.list_jobs(self._transport, {**filters, "limit": limit, "offset": offset})
            return Page(page.jobs, page.limit, page.offset)

        return walk(fetch, lambda job: job.job_id, page_size)

    async def cancel_simulation(self, job_id: str) -> SimulationJobInfo:
        """Cancel a job that has not ended; return it, cancelled.

        Raises:
            OdysseyConfigError: the id cannot be one, or this client has no API key.
            OdysseySimulationError: it is too late (``not_cancellable``), there is no such job (``job_not_found``), or
                it is another account's (``job_not_yours``).
            OdysseyError: anything else that went wrong, by class.
        """
        check_id("job_id", job_id)
        async with self._begin("cancel_simulation").step():
            return await rest.cancel_job(self._transport, job_id)

    async def wait_for_simulation(
        self,
        job_id: str,
        *,
        poll_interval: float = 5.0,
        timeout: float | None = 600.0,
        on_update: OnUpdate | None = None,
    ) -> SimulationJobDetail:
        """Return a job when it is completed: look at it now, then every ``poll_interval`` seconds.

        A look that fails in a way that may pass is no end of the waiting.

        Args:
            job_id: The job.
            poll_interval: Seconds between two looks.
            timeout: Seconds to wait at most; None for no limit. The last look is when they are over, and may take a
                second more.
            on_update: A function, sync or async, that is called with the job as first seen and whenever something in
                it has changed, also when it has ended. What it raises ends the waiting.

        Raises:
            OdysseyConfigError: an argument cannot be used, or this client has no API key.
            SimulationFailedError: the job failed; it has the job and why each stream failed.
            SimulationCancelledError: the job was cancelled.
            SimulationTimeoutError: the job had not ended in that time. It goes on.
            OdysseySimulationError: there is no such job (``job_not_found``), or it is another account's
                (``job_not_yours``).
            OdysseyError: anything else that went wrong and will not pass, by class.
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
