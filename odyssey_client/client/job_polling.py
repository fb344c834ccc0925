"""Polling of a simulation job until it ends (protocol.md section 8)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

from odyssey_client.client.in_flight import Call
from odyssey_client.errors import (
    ConnectionClosedError,
    OdysseyError,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationTimeoutError,
)
from odyssey_client.models import SimulationJobDetail, SimulationJobStatus
from odyssey_client.rest.retries import asked_wait
from odyssey_client.rest.simulations import get_job
from odyssey_client.rest.transport import Transport
from odyssey_client.trace.waiting import waits_for

LAST_LOOK_S = 1.0
"""Minimum time limit of one poll, in seconds. The last poll may therefore end after the timeout."""

type OnUpdate = Callable[[SimulationJobDetail], object]
"""Function that is called with the job when it has changed, and awaited if it is async."""


class JobPolling:
    """Polls one job until it ends or the timeout expires."""

    def __init__(
        self,
        transport: Transport,
        call: Call,
        job_id: str,
        *,
        interval: float,
        timeout: float | None,
        on_update: OnUpdate | None,
    ) -> None:
        self._transport = transport
        self._clock = transport.clock
        self._call = call
        self._job_id = job_id
        self._interval = interval
        self._timeout = timeout
        self._on_update = on_update
        self._deadline = None if timeout is None else self._clock.monotonic() + timeout
        self._seen: SimulationJobDetail | None = None

    async def run(self) -> SimulationJobDetail:
        """Poll until the job is completed; return it. After a transient error, polling continues.

        Raises:
            SimulationFailedError: the job failed.
            SimulationCancelledError: the job was cancelled.
            SimulationTimeoutError: the timeout expired before the job ended.
            OdysseyError: a poll failed with an error that is not transient.
        """
        while True:
            is_last = self._left() == 0
            pause, trouble = self._interval, None
            try:
                job = await self._look()
            except OdysseyError as error:
                if not error.retryable or isinstance(error, ConnectionClosedError):
                    raise
                trouble = error
                pause = max(pause, self._asked_wait(error))
            except TimeoutError as error:
                raise self._timed_out("The service did not answer the last poll in time.") from error
            else:
                await self._note(job)
                if not job.status.is_active:
                    return _good_end(job)
            if is_last:
                raise self._timed_out(None if trouble is None else f"The last poll failed: {trouble}") from trouble
            waits_for(f"the end of job {self._job_id}")
            async with self._call.step():
                left = self._left()
                await self._clock.sleep(pause if left is None else min(pause, left))

    def _left(self) -> float | None:
        """Return the seconds until the timeout; None without a timeout."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock.monotonic())

    def _asked_wait(self, error: OdysseyError) -> float:
        """Return the number of seconds that the service asks to wait.

        Without a timeout, nothing else limits it, so it is at most ``AdvancedConfig.max_retry_after_s``.
        """
        wait = asked_wait(error) or 0.0
        return wait if self._timeout is not None else min(wait, self._transport.retries.max_retry_after)

    async def _look(self) -> SimulationJobDetail:
        left = self._left()
        limit = None if left is None else max(left, LAST_LOOK_S)
        async with self._call.step(), self._clock.timeout(limit):
            return await get_job(self._transport, self._job_id)

    async def _note(self, job: SimulationJobDetail) -> None:
        before, self._seen = self._seen, job
        if self._on_update is None or (before is not None and _but_for_signatures(before) == _but_for_signatures(job)):
            return
        if inspect.isawaitable(answer := self._on_update(job)):
            await answer

    def _timed_out(self, why: str | None) -> SimulationTimeoutError:
        error = SimulationTimeoutError(self._job_id, self._timeout or 0.0, self._seen)
        if why is not None:
            error.add_note(why)
        return error


def _good_end(job: SimulationJobDetail) -> SimulationJobDetail:
    match job.status:
        case SimulationJobStatus.FAILED:
            raise SimulationFailedError(job)
        case SimulationJobStatus.CANCELLED:
            raise SimulationCancelledError(job)
    return job


def _but_for_signatures(job: SimulationJobDetail) -> SimulationJobDetail:
    """Return the job without the signatures in its URLs, for comparisons: signatures differ in every response."""
    streams = tuple(
        replace(
            stream,
            video_url=_unsigned(stream.video_url),
            events_url=_unsigned(stream.events_url),
            thumbnail_url=_unsigned(stream.thumbnail_url),
            preview_url=_unsigned(stream.preview_url),
        )
        for stream in job.streams
    )
    return replace(job, streams=streams)


def _unsigned(url: str | None) -> str | None:
    return None if url is None else url.partition("?")[0]
