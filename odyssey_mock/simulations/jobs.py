"""All simulation jobs of a mock: the queue, the workers, and what is remembered (`protocol.md` section 8)."""

import asyncio
import bisect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, override

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.settings import PRIORITIES
from odyssey_mock.simulations.estimates import expected_work, wait_seconds
from odyssey_mock.simulations.job_machine import ENDED, Action, Event, State
from odyssey_mock.simulations.job_records import JobRecord, StreamStatus
from odyssey_mock.simulations.job_run import JobRun, note_stream
from odyssey_mock.simulations.request import JobRequest

if TYPE_CHECKING:
    from odyssey_mock.accounts.accounts import Account
    from odyssey_mock.backend import Backend

LONGEST_RETRY_AFTER = 86_400
"""Seconds told to whoever finds the queue full and no worker to empty it, or none for days."""

_OVER = (StreamStatus.COMPLETED, StreamStatus.FAILED)
_ALL_RUN = (Event.STREAMS_DONE, Event.STREAMS_FAILED)


class QueueFullError(Exception):
    """The account has as many pending jobs as it may."""

    def __init__(self, queued: int, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"expected fewer than {limit} pending jobs of the account, it has {queued}; "
            f"submit again in {retry_after_seconds} s"
        )
        self.queued = queued
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds
        """Seconds until the first of them is likely to leave the queue, 1 or more."""


class NotCancellableError(Exception):
    """It is too late to cancel the job."""

    def __init__(self, status: State, expected: str) -> None:
        super().__init__(f"expected a job that {expected}, came one that is {status}; it cannot be cancelled any more")
        self.status = status


@dataclass(slots=True, eq=False)
class _Active:
    """A job that has not ended."""

    record: JobRecord
    request: JobRequest
    place: tuple[int, int]
    """In the queue: by priority, then by number."""
    attempt: JobRun | None = None
    """What its worker does for it; None while it waits for one."""


class Jobs(Mapping[str, JobRecord]):
    """The simulation jobs of one server, and the workers that carry them out.

    A mapping by id, oldest first: of the jobs that have not ended, and the latest `jobs_limit` of those that have.

    A worker that is free takes the first job of the queue: of the highest priority, then of the longest standing. It
    is that job's from then on, though the job stays `pending` for `simulation_dispatch_delay` more: a job of higher
    priority that comes in between does not overtake it.
    """

    def __init__(self, backend: "Backend") -> None:
        self._backend = backend
        self._records: dict[str, JobRecord] = {}
        self._active: dict[str, _Active] = {}
        self._queue: list[_Active] = []
        """Pending jobs without a worker, the next one first."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._submitted = 0
        self._dispatched = 0
        self._closed = False

    @override
    def __getitem__(self, job_id: str) -> JobRecord:
        return self._records[job_id]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    @override
    def __len__(self) -> int:
        return len(self._records)

    def submit(self, account: "Account", request: JobRequest) -> JobRecord:
        """Put a new job into the queue.

        Raises:
            QueueFullError: the account has `queued_simulations` pending ones.
        """
        now = self._backend.clock.time()
        pending = [
            each
            for each in self._active.values()
            if each.record.account_id == account.id and each.record.status is State.PENDING
        ]
        limit = self._backend.accounts.limits_of(account.id).queued_simulations
        if limit is not None and len(pending) >= limit:
            raise QueueFullError(len(pending), limit, self._retry_after(pending))
        place = (-PRIORITIES.index(account.simulation_priority), self._submitted)
        self._submitted += 1
        wait = self._wait(place)
        record = JobRecord(
            id=self._backend.entropy.uuid(),
            account_id=account.id,
            priority=account.simulation_priority,
            created_at=now,
            estimated_wait_minutes=None if wait is None else round(wait / 60, 1),
            history=((State.PENDING, now),),
        )
        active = _Active(record, request, place)
        self._records[record.id] = record
        self._active[record.id] = active
        self._enqueue(active)
        self._hand_out()
        return record

    def cancel(self, job_id: str) -> JobRecord:
        """End a job that its user does not want any more.

        Raises:
            KeyError: there is no such job.
            NotCancellableError: it has ended, or it is being processed and `cancel_processing` is off.
        """
        record = self._records[job_id]
        may_be_processing = self._backend.settings.cancel_processing
        actions = self._happen(record, Event.CANCEL if may_be_processing else Event.CANCEL_UNBEGUN)
        if Action.REFUSE_CANCEL in actions:
            expected = "has not ended" if may_be_processing else "is pending or dispatched"
            raise NotCancellableError(record.status, expected)
        return record

    async def lose_worker(self, job_id: str) -> None:
        """Let the worker of a job break down, as in real life machines do; returns when nothing of it runs.

        The job is `pending` again with its `retry_count` one higher and without the streams it had, at its old place
        in the queue: before all jobs of its priority that had no worker yet. Where `simulation_retries` are used up,
        it is `failed`.

        Raises:
            KeyError: there is no such job.
            ValueError: it is neither dispatched nor processing.
        """
        record = self._records[job_id]
        active = self._active.get(job_id)
        attempt = active.attempt if active is not None else None
        actions = self._lose(record, Event.WORKER_LOST, Event.WORKER_GIVEN_UP)
        if Action.REFUSE_LOSS in actions:
            raise ValueError(f"expected a job that is dispatched or processing, came one that is {record.status}")
        if attempt is not None:
            await attempt.settled()

    async def close(self) -> None:
        """Cancel every job that has not ended, and return once nothing runs. No job gets a worker from now on."""
        self._closed = True
        # Again, where clients have submitted jobs meanwhile.
        while self._active or self._tasks:
            for active in list(self._active.values()):
                self._happen(active.record, Event.SHUT_DOWN, "the mock was stopped or reset before the job had ended")
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def reset(self) -> None:
        """Close, forget every job, and begin anew."""
        await self.close()
        self._records.clear()
        self._submitted = self._dispatched = 0
        self._closed = False

    def snapshot(self) -> list[JSON]:
        """What `GET /_mock/state` shows of jobs."""
        return [record.snapshot() for record in self._records.values()]

    def _lose(self, record: JobRecord, lost: Event, given_up: Event) -> tuple[Action, ...]:
        """Let `lost` happen to a job, or `given_up` where its retries are used up."""
        retries = self._backend.settings.simulation_retries
        if record.retry_count < retries:
            return self._happen(record, lost)
        attempts = retries + 1
        message = f"the worker was lost in attempt {attempts} of {attempts} (setting simulation_retries: {retries})"
        return self._happen(record, given_up, message)

    def _reach(self, point: str, record: JobRecord, event: Event, message: str | None = None) -> None:
        """Let `event` happen to a job that has come to a point of the catalogue, or what a fault has for it there."""
        fault = self._backend.faults.fire(point, account=record.account_id, job=record.id)
        match fault:
            case None:
                self._happen(record, event, message)
            case Fault(do="fail"):
                self._happen(record, Event.MADE_TO_FAIL, fault.text("message"))
            case Fault(do="lose_worker") if record.status is State.PENDING:
                self._lose(record, Event.WORKER_LOST_EARLY, Event.WORKER_GIVEN_UP_EARLY)
            case Fault(do="lose_worker"):
                self._lose(record, Event.WORKER_LOST, Event.WORKER_GIVEN_UP)
            case _:
                pass  # it stalls: nothing is due any more

    def _report(self, record: JobRecord, event: Event, message: str | None) -> None:
        """Take what an attempt reports."""
        if event in _ALL_RUN:
            self._reach("job.processing", record, event, message)
        else:
            self._happen(record, event, message)

    def _happen(self, record: JobRecord, event: Event, message: str | None = None) -> tuple[Action, ...]:
        """Let `event` happen to a job; `message` is its `error_message` where that ends it."""
        before = record.status
        actions = record.machine.handle(event)
        if record.status is not before:
            record.history = (*record.history, (record.status, self._backend.clock.time()))
            self._backend.journal.record(
                "state",
                "simulation",
                {"from": before, "to": record.status, "event": event, "job": record.id},
                account=record.account_id,
            )
        active = self._active.get(record.id)
        if active is not None:
            for action in actions:
                self._carry_out(action, active, message)
            self._hand_out()
        return actions

    def _carry_out(self, action: Action, active: _Active, message: str | None) -> None:
        record, attempt = active.record, active.attempt
        now, settings = self._backend.clock.time(), self._backend.settings
        match action:
            case Action.AWAIT_BEGIN if attempt is not None:
                record.dispatched_at = now
                record.assigned_region = settings.regions[self._dispatched % len(settings.regions)].id
                self._dispatched += 1
                begin = partial(self._reach, "job.dispatched", record, Event.BEGIN)
                attempt.later(settings.simulation_start_delay, "simulation begins", begin)
            case Action.RUN_SCRIPTS if attempt is not None:
                record.started_at = now
                attempt.run()
            case Action.LEAVE_QUEUE if attempt is None:
                self._queue.remove(active)
            case Action.FORGET_STREAMS:
                self._forget_streams(record, keep=())
            case Action.FORGET_UNFINISHED:
                self._forget_streams(record, keep=_OVER)
            case Action.RELEASE_WORKER if attempt is not None:
                attempt.stop()
                active.attempt = None
            case Action.REQUEUE:
                record.retry_count += 1
                record.dispatched_at = record.started_at = record.assigned_region = None
                self._enqueue(active)
            case Action.RETIRE:
                record.completed_at = now
                record.error_message = message
                self._count(record)
                del self._active[record.id]
                self._forget_oldest()
            case _:
                pass

    def _enqueue(self, active: _Active) -> None:
        bisect.insort(self._queue, active, key=lambda each: each.place)

    def _hand_out(self) -> None:
        """Give the jobs next in the queue to the workers that are free."""
        settings = self._backend.settings
        busy = sum(active.attempt is not None for active in self._active.values())
        while self._queue and busy < settings.simulation_workers and not self._closed:
            active = self._queue.pop(0)
            record = active.record
            report = partial(self._report, record)
            active.attempt = JobRun(self._backend, record, active.request, report=report, tasks=self._tasks)
            dispatch = partial(self._reach, "job.pending", record, Event.DISPATCH)
            active.attempt.later(settings.simulation_dispatch_delay, "simulation dispatch", dispatch)
            busy += 1

    def _wait(self, place: tuple[int, int]) -> float | None:
        """Seconds until a worker is free for a job at that place of the queue; None where there are no workers."""
        settings = self._backend.settings
        delays = settings.simulation_dispatch_delay + settings.simulation_start_delay
        attempts = [each.attempt for each in self._active.values() if each.attempt is not None]
        working = [attempt.remaining for attempt in attempts if not attempt.is_stalled]
        workers = settings.simulation_workers - (len(attempts) - len(working))
        ahead = [delays + expected_work(each.request, settings) for each in self._queue if each.place < place]
        return wait_seconds(workers, working, ahead)

    def _retry_after(self, pending: list[_Active]) -> int:
        """Whole seconds until one of `pending` is likely to be dispatched."""
        delay = self._backend.settings.simulation_dispatch_delay
        waits = [each.attempt.due_in for each in pending if each.attempt is not None]
        if not waits:
            wait = self._wait(min(each.place for each in pending))
            waits = [LONGEST_RETRY_AFTER if wait is None else wait + delay]
        return min(max(1, math.ceil(min(waits))), LONGEST_RETRY_AFTER)

    def _forget_streams(self, record: JobRecord, *, keep: tuple[StreamStatus, ...]) -> None:
        """Forget the job's streams but for those whose status is in `keep`."""
        for stream in record.streams:
            if stream.status not in keep:
                self._backend.streams.forget(stream.stream_id)
                note_stream(self._backend, record, stream, before=stream.status, after="forgotten")
        record.streams = tuple(stream for stream in record.streams if stream.status in keep)

    def _count(self, record: JobRecord) -> None:
        """Count the video that the job has made as its account's."""
        made = (each.record for each in record.streams if each.status is StreamStatus.COMPLETED and each.record)
        self._backend.usage.simulated(record.account_id, sum(each.duration_seconds or 0.0 for each in made))

    def _forget_oldest(self) -> None:
        ended = [record.id for record in self._records.values() if record.status in ENDED]
        for job_id in ended[: max(0, len(ended) - self._backend.settings.jobs_limit)]:
            del self._records[job_id]
