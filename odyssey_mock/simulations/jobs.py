"""The simulation jobs of a mock: the queue, the workers and the records (`protocol.md` section 8)."""

import asyncio
import bisect
import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never, override

from odyssey_mock.accounts.accounts import Account, Accounts
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.ended_order import EndedOrder
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.network import Network
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.core.state_store import NO_STATE, StateStore
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.registry import Faults
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.settings import PRIORITIES
from odyssey_mock.simulations.job_machine import JobEffect, JobEvent, JobState
from odyssey_mock.simulations.job_records import JobRecord, JobStream, StreamStatus
from odyssey_mock.simulations.job_run import JobRun, dispatch_delay, expected_work, note_stream, start_delay
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.saved_jobs import JOBS, REQUESTS, restored_job, saved_job

LONGEST_RETRY_AFTER = 86_400
"""Maximum of `retry_after_seconds`, also used if no worker will ever be free."""

_OVER = (StreamStatus.COMPLETED, StreamStatus.FAILED)
_ALL_RUN = (JobEvent.STREAMS_DONE, JobEvent.STREAMS_FAILED)


class QueueFullError(PicklableError):
    """The account has reached its limit of pending jobs."""

    def __init__(self, queued: int, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"expected fewer than {limit} pending jobs in the account, got {queued}; "
            f"submit again in {retry_after_seconds} s"
        )
        self.queued = queued
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds
        """Estimated seconds until the first of the account's pending jobs leaves the queue, at least 1."""


class NotCancellableError(PicklableError):
    """The job can no longer be cancelled."""

    def __init__(self, status: JobState, expected: str) -> None:
        super().__init__(f"expected a job that {expected}, got one that is {status}; it can no longer be cancelled")
        self.status = status


@dataclass(slots=True, eq=False)
class _Active:
    """A job that has not ended."""

    record: JobRecord
    request: JobRequest
    place: tuple[int, int]
    """The sort key in the queue: by priority, then by order of submission."""
    run: JobRun | None = None
    """The run of the job by a worker; None while the job waits for a worker."""


class Jobs(Mapping[str, JobRecord]):
    """The simulation jobs of one server, and the workers that run them.

    The mapping has the id and the record of each job that has not ended, and of the latest `jobs_limit` jobs that have
    ended, oldest first.

    A free worker takes the first job of the queue: the highest priority first, then the oldest. The job then stays
    `pending` for `simulation_dispatch_delay` seconds, but a new job of higher priority no longer overtakes it.
    """

    def __init__(
        self,
        *,
        settings: CurrentSettings,
        clock: Clock,
        entropy: Entropy,
        network: Network,
        journal: Journal,
        faults: Faults,
        accounts: Accounts,
        usage: Usage,
        streams: StreamStore,
        state: StateStore = NO_STATE,
    ) -> None:
        """Create an empty queue. `network` is used to fetch the script of a job with a `script_url`.

        Call `restore` to continue the jobs in `state`.
        """
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._journal = journal
        self._faults = faults
        self._accounts = accounts
        self._usage = usage
        self._streams = streams
        self._state = state
        self._records: dict[str, JobRecord] = {}
        self._by_account: dict[str, dict[str, JobRecord]] = {}
        self._order = EndedOrder()
        self._streams_of_ended: dict[str, JobStream] = {}
        """The streams of ended jobs that the store of streams still has, by stream id."""
        self._active: dict[str, _Active] = {}
        self._working: dict[str, _Active] = {}
        """The jobs that have a worker."""
        self._pending = Counter[str]()
        """The number of pending jobs of each account, with or without a worker."""
        self._queue: list[_Active] = []
        """Pending jobs without a worker; the job that gets the next worker is first."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._make_run = partial(
            JobRun,
            clock=clock,
            entropy=entropy,
            network=network,
            journal=journal,
            faults=faults,
            streams=streams,
            tasks=self._tasks,
        )
        self._submitted = 0
        self._dispatched = 0
        self._closed = False
        streams.on_forgotten(self._stream_forgotten)

    @override
    def __getitem__(self, job_id: str) -> JobRecord:
        return self._records[job_id]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    @override
    def __len__(self) -> int:
        return len(self._records)

    def newest_first(self, account_id: str) -> Iterator[JobRecord]:
        """Iterate over the jobs of an account, from the newest to the oldest."""
        return reversed(self._by_account.get(account_id, {}).values())

    def newest_active_first(self, account_id: str) -> Iterator[JobRecord]:
        """Iterate over the jobs of an account that have not ended, from the newest to the oldest."""
        active = (each.record for each in reversed(self._active.values()))
        return (record for record in active if record.account_id == account_id)

    def count_of(self, account_id: str) -> int:
        """Return the number of jobs of an account."""
        return len(self._by_account.get(account_id, ()))

    def pending_of(self, account_id: str) -> int:
        """Return the number of pending jobs of an account."""
        return self._pending[account_id]

    def submit(self, account: Account, request: JobRequest) -> JobRecord:
        """Put a new job into the queue.

        Raises:
            QueueFullError: the account already has `queued_simulations` pending jobs.
        """
        now = self._clock.time()
        pending = self._pending[account.id]
        limit = self._accounts.limits_of(account.id).queued_simulations
        if limit is not None and pending >= limit:
            raise QueueFullError(pending, limit, self._retry_after(account.id)).because(
                f"the account has {pending} pending jobs (setting `queued_simulations`: {limit})"
            )
        place = (-PRIORITIES.index(account.simulation_priority), self._submitted)
        self._submitted += 1
        wait = self._wait(place)
        record = JobRecord(
            id=self._entropy.uuid(),
            account_id=account.id,
            priority=account.simulation_priority,
            created_at=now,
            estimated_wait_minutes=None if wait is None else round(wait / 60, 1),
            history=((JobState.PENDING, now),),
        )
        active = _Active(record, request, place)
        self._add(record)
        self._active[record.id] = active
        self._state.save(REQUESTS, record.id, lambda: request)
        self._save(record)
        self._enqueue(active)
        self.hand_out()
        return record

    def restore(self) -> None:
        """Continue the saved jobs of an earlier process.

        A pending job is in the queue again. A job that was dispatched or processing has lost its worker.
        """
        requests = self._state.load(REQUESTS)
        interrupted: list[JobRecord] = []
        for job_id, saved in self._state.load(JOBS).items():
            record = restored_job(job_id, saved, self._streams.records)
            self._add(record)
            if saved.place is None:
                self._ended(record)
                continue
            active = self._active[job_id] = _Active(record, requests[job_id], saved.place)
            self._submitted = max(self._submitted, saved.place[1] + 1)
            if record.status is JobState.PENDING:
                self._enqueue(active)
            else:
                interrupted.append(record)
        self._closed = True  # no job gets a worker until all are in the queue
        for record in interrupted:
            self._lose(record, JobEvent.WORKER_LOST, JobEvent.WORKER_GIVEN_UP, "the server was stopped")
        self._closed = False
        self.hand_out()

    def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job.

        Raises:
            KeyError: the job is unknown.
            NotCancellableError: the job has ended, or it is being processed and `cancel_processing` is off.
        """
        record = self._records[job_id]
        may_be_processing = self._settings.now.cancel_processing
        effects = self._happen(record, JobEvent.CANCEL if may_be_processing else JobEvent.CANCEL_UNBEGUN)
        if JobEffect.REFUSE_CANCEL in effects:
            expected = "has not ended" if may_be_processing else "is pending or dispatched"
            raise NotCancellableError(record.status, expected)
        return record

    async def lose_worker(self, job_id: str) -> None:
        """Simulate the loss of a job's worker; return once its run has stopped.

        The job is `pending` again, without streams and with its `retry_count` increased. It keeps its position in the
        queue: before all jobs of its priority that had no worker yet. If the job has no retries left
        (`simulation_retries`), it is `failed` instead.

        Raises:
            KeyError: the job is unknown.
            ValueError: the job is neither dispatched nor processing.
        """
        record = self._records[job_id]
        active = self._active.get(job_id)
        run = active.run if active is not None else None
        effects = self._lose(
            record, JobEvent.WORKER_LOST, JobEvent.WORKER_GIVEN_UP, "the worker was lost: Jobs.lose_worker was called"
        )
        if JobEffect.REFUSE_LOSS in effects:
            raise ValueError(f"expected a job that is dispatched or processing, got one that is {record.status}")
        if run is not None:
            await run.settled()

    async def close(self) -> None:
        """Cancel every job that has not ended; return once all runs have stopped. No job gets a worker afterward."""
        self._closed = True
        # Repeat: clients may have submitted jobs while this waited.
        while self._active or self._tasks:
            for active in list(self._active.values()):
                self._happen(
                    active.record, JobEvent.SHUT_DOWN, "the mock was stopped or reset before the job had ended"
                )
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def suspend(self) -> None:
        """Stop all runs without ending their jobs, which `restore` continues in another process."""
        self._closed = True
        for active in self._active.values():
            if active.run is not None:
                active.run.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def reset(self) -> None:
        """Cancel every job that has not ended, drop the records of all jobs, and start again with an empty queue."""
        await self.close()
        for job_id in self._records:
            self._state.delete(JOBS, job_id)
        self._records.clear()
        self._by_account.clear()
        self._streams_of_ended.clear()
        self._order = EndedOrder()
        self._submitted = self._dispatched = 0
        self._closed = False

    def snapshot(self) -> list[JSON]:
        """Return the jobs as `GET /_mock/state` shows them."""
        return [record.snapshot() for record in self._records.values()]

    def _lose(self, record: JobRecord, lost: JobEvent, given_up: JobEvent, why: str) -> tuple[JobEffect, ...]:
        """Handle the loss of a job's worker as the event `lost`, or as `given_up` if the job has no retries left.

        `why`: the cause of the loss, for the journal.
        """
        retries = self._settings.now.simulation_retries
        if record.retry_count < retries:
            return self._happen(record, lost, why=why)
        attempts = retries + 1
        message = f"the worker was lost in attempt {attempts} of {attempts} (setting simulation_retries: {retries})"
        return self._happen(record, given_up, message, why=f"{message}; {why}")

    def _reach(self, point: str, record: JobRecord, event: JobEvent, message: str | None = None) -> None:
        """Apply the fault that fires at the fault point `point`; if none fires, handle `event`."""
        fault = self._faults.fire(point, account=record.account_id, job=record.id)
        match fault:
            case None:
                self._happen(record, event, message)
            case Fault(do="fail"):
                self._happen(
                    record, JobEvent.MADE_TO_FAIL, fault.text("message"), why=f"{fault.label} makes the job fail"
                )
            case Fault(do="lose_worker") if record.status is JobState.PENDING:
                early = (JobEvent.WORKER_LOST_EARLY, JobEvent.WORKER_GIVEN_UP_EARLY)
                self._lose(record, *early, f"{fault.label} loses the worker")
            case Fault(do="lose_worker"):
                self._lose(record, JobEvent.WORKER_LOST, JobEvent.WORKER_GIVEN_UP, f"{fault.label} loses the worker")
            case _:
                pass  # the job stalls: it has no deadline

    def _report(self, record: JobRecord, event: JobEvent, message: str | None) -> None:
        """Handle an event that a run reports."""
        if event in _ALL_RUN:
            self._reach("job.processing", record, event, message)
        else:
            self._happen(record, event, message)

    def _happen(
        self, record: JobRecord, event: JobEvent, message: str | None = None, *, why: str = ""
    ) -> tuple[JobEffect, ...]:
        """Handle an event of a job; `message` becomes the job's `error_message` if the event ends the job.

        `why`: the cause for the journal; by default `message`.
        """
        why = why or message or ""
        before = record.status
        effects = record.machine.handle(event)
        if record.status is not before:
            self._count_pending(record, (record.status is JobState.PENDING) - (before is JobState.PENDING))
            record.history = (*record.history, (record.status, self._clock.time()))
            data: dict[str, JSON] = {"from": before, "to": record.status, "event": event, "job": record.id}
            if why:
                data["why"] = why
            self._journal.record("state", "simulation", data, account=record.account_id)
        active = self._active.get(record.id)
        if active is not None:
            for effect in effects:
                self._carry_out(effect, active, message, why)
            self._save(record)
            self.hand_out()
        return effects

    def _carry_out(self, effect: JobEffect, active: _Active, message: str | None, why: str) -> None:
        record, run = active.record, active.run
        now = self._clock.time()
        match effect:
            case JobEffect.AWAIT_BEGIN:
                assert run is not None  # only a job with a worker is dispatched
                record.dispatched_at = now
                regions = self._settings.now.regions
                record.assigned_region = regions[self._dispatched % len(regions)].id
                self._dispatched += 1
                begin = partial(self._reach, "job.dispatched", record, JobEvent.BEGIN)
                run.later(start_delay(run.settings), "simulation begins", begin)
            case JobEffect.RUN_SCRIPTS:
                assert run is not None  # only a job with a worker begins
                record.started_at = now
                run.run()
            case JobEffect.LEAVE_QUEUE:
                if run is None:
                    self._queue.remove(active)
            case JobEffect.FORGET_STREAMS:
                self._forget_streams(record, keep=(), why=why)
            case JobEffect.FORGET_UNFINISHED:
                self._forget_streams(record, keep=_OVER, why=why)
            case JobEffect.RELEASE_WORKER:
                if run is not None:
                    run.stop()
                    active.run = None
                    del self._working[record.id]
            case JobEffect.REQUEUE:
                record.retry_count += 1
                record.dispatched_at = record.started_at = record.assigned_region = None
                self._enqueue(active)
            case JobEffect.RETIRE:
                record.completed_at = now
                record.error_message = message
                self._count(record)
                del self._active[record.id]
                self._state.delete(REQUESTS, record.id)
                self._ended(record)
                self._forget_oldest()
            case JobEffect.REFUSE_CANCEL | JobEffect.REFUSE_LOSS:
                pass  # `cancel` and `lose_worker` raise it
            case _ as unreachable:
                assert_never(unreachable)

    def _enqueue(self, active: _Active) -> None:
        bisect.insort(self._queue, active, key=lambda each: each.place)

    def hand_out(self) -> None:
        """Assign the next jobs of the queue to free workers. Call this after a change of `simulation_workers`."""
        settings = self._settings.now
        while self._queue and len(self._working) < settings.simulation_workers and not self._closed:
            active = self._queue.pop(0)
            record = active.record
            report = partial(self._report, record)
            self._working[record.id] = active
            active.run = self._make_run(
                record,
                active.request,
                settings=settings,
                report=report,
                on_streams_changed=partial(self._save, record),
            )
            dispatch = partial(self._reach, "job.pending", record, JobEvent.DISPATCH)
            active.run.later(dispatch_delay(settings), "simulation dispatch", dispatch)

    def _wait(self, place: tuple[int, int]) -> float | None:
        """Estimate the seconds until a worker is free for a job at `place` in the queue; None without workers."""
        settings = self._settings.now
        delays = dispatch_delay(settings) + start_delay(settings)
        runs = [each.run for each in self._working.values() if each.run is not None]
        working = [run.remaining for run in runs if not run.is_stalled]
        workers = settings.simulation_workers - (len(runs) - len(working))
        ahead = [delays + expected_work(each.request, settings) for each in self._queue if each.place < place]
        return wait_seconds(workers, working, ahead)

    def _retry_after(self, account_id: str) -> int:
        """Estimate the seconds until the first of the pending jobs of an account is dispatched, rounded up."""
        pending = [
            each
            for each in self._active.values()
            if each.record.account_id == account_id and each.record.status is JobState.PENDING
        ]
        delay = dispatch_delay(self._settings.now)
        waits = [each.run.due_in for each in pending if each.run is not None]
        if not waits:
            wait = self._wait(min(each.place for each in pending))
            waits = [LONGEST_RETRY_AFTER if wait is None else wait + delay]
        return min(max(1, math.ceil(min(waits))), LONGEST_RETRY_AFTER)

    def _forget_streams(self, record: JobRecord, *, keep: tuple[StreamStatus, ...], why: str) -> None:
        """Drop the records of the job's streams, except those whose status is in `keep`."""
        for stream in record.streams:
            if stream.status not in keep:
                self._streams.forget(stream.stream_id)
                note_stream(self._journal, record, stream, before=stream.status, after="forgotten", why=why)
        record.streams = tuple(stream for stream in record.streams if stream.status in keep)

    def _count(self, record: JobRecord) -> None:
        """Add the duration of the job's completed videos to the usage of its account."""
        made = (each.record for each in record.streams if each.status is StreamStatus.COMPLETED and each.record)
        self._usage.simulated(record.account_id, sum(each.duration_seconds or 0.0 for each in made))

    def _add(self, record: JobRecord) -> None:
        self._records[record.id] = record
        self._by_account.setdefault(record.account_id, {})[record.id] = record
        self._order.begin(record.id)
        self._count_pending(record, int(record.status is JobState.PENDING))

    def _count_pending(self, record: JobRecord, change: int) -> None:
        self._pending[record.account_id] += change
        if not self._pending[record.account_id]:
            del self._pending[record.account_id]

    def _ended(self, record: JobRecord) -> None:
        """Note that a job has ended, and drop the records that it has of forgotten streams."""
        self._order.end(record.id)
        for stream in record.streams:
            if stream.stream_id in self._streams.records:
                self._streams_of_ended[stream.stream_id] = stream
            else:
                stream.record = None

    def _stream_forgotten(self, stream_id: str) -> None:
        stream = self._streams_of_ended.pop(stream_id, None)
        if stream is not None:
            stream.record = None

    def _forget_oldest(self) -> None:
        """Drop the oldest ended jobs above the limit."""
        while len(self._order) > self._settings.now.jobs_limit and (oldest := self._order.oldest) is not None:
            record = self._records.pop(oldest)
            self._order.drop(oldest)
            of_account = self._by_account[record.account_id]
            del of_account[oldest]
            if not of_account:
                del self._by_account[record.account_id]
            for stream in record.streams:
                self._streams_of_ended.pop(stream.stream_id, None)
            self._state.delete(JOBS, oldest)

    def _save(self, record: JobRecord) -> None:
        """Save a job in its current form, unless its record was dropped."""
        if record.id in self._records:
            active = self._active.get(record.id)
            self._state.save(JOBS, record.id, partial(saved_job, record, None if active is None else active.place))


def wait_seconds(workers: int, working: Sequence[float], ahead: Sequence[float]) -> float | None:
    """Return the estimated seconds until a worker is free for a job; None without workers.

    Args:
        workers: the number of workers.
        working: for each busy worker, the seconds until it is free.
        ahead: the seconds of work of each earlier job in the queue, in order.
    """
    if workers == 0:
        return None
    free_in = [*working, *[0.0] * (workers - len(working))]
    heapq.heapify(free_in)
    for seconds in ahead:
        heapq.heapreplace(free_in, free_in[0] + seconds)
    return free_in[0]
