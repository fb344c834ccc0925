"""Tests of jobs with Hypothesis: submissions, cancellations, lost workers, resets and clock advances in any order."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from odyssey_mock.backend import Backend
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.settings import PRIORITIES, Priority, Settings
from odyssey_mock.simulations import job_run
from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, JobState
from odyssey_mock.simulations.job_records import JobRecord
from odyssey_mock.simulations.jobs import NotCancellableError, QueueFullError
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.script_url import ScriptUrlError
from odyssey_mock.simulations.scripts import Script
from tests.support.jobs import BROKEN_IMAGE, a_backend, a_request, a_script, an_account, states

TARGETS = {state: {target for target, _ in row.values()} for state, row in TRANSITIONS.items()}
WITH_A_WORKER = {JobState.DISPATCHED, JobState.PROCESSING}
AGES = 100_000.0
QUEUED = 3

scripts = st.sampled_from(
    [
        a_script(0.001),
        a_script(3, "It looks out"),
        a_script(10),
        a_script(10, "[error:model crash]"),
        a_script(200),
        a_script(4, image=BROKEN_IMAGE),
    ]
)
requests = st.one_of(
    st.lists(scripts, min_size=1, max_size=3).map(lambda drawn: a_request(*drawn)),
    st.sampled_from(["http://127.0.0.1/good", "http://127.0.0.1/bad"]).map(lambda url: a_request(url=url)),
)
spans = st.sampled_from([0.2, 0.5, 0.0, 0.001, 0.1, 0.2, 0.3, 1.0, 3.0, 30.0, AGES])
picks = st.integers(0, 1000)


async def fetch(url: str, *_: object, **__: object) -> Script:
    await turns(3)
    if url.endswith("bad"):
        raise ScriptUrlError("expected a script, got none")
    return a_script(5)


async def in_turns[T](function: Callable[[], T]) -> T:
    """Call `function` after two iterations of the event loop, as a replacement for a call in a thread.

    With a real thread, runs would not be repeatable.
    """
    await turns(2)
    return function()


async def turns(count: int) -> None:
    """Wait for `count` iterations of the event loop."""
    for _ in range(count):
        turn = asyncio.Event()
        asyncio.get_running_loop().call_soon(turn.set)
        await turn.wait()


class JobsWalk(RuleBasedStateMachine):
    """A Hypothesis test with random steps on real jobs and a manual clock.

    Hypothesis checks the invariants after each step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(job_run, "fetch_script", fetch)
        self.patch.setattr(job_run, "_in_thread", in_turns)
        self.runner = asyncio.Runner()
        self.seen: dict[str, JobRecord] = {}
        self.backend: Backend
        self.clock: ManualClock

    @initialize(
        workers=st.sampled_from([2, 1, 3, 0]), retries=st.sampled_from([2, 1, 0]), cancel_processing=st.booleans()
    )
    def begin(self, workers: int, retries: int, cancel_processing: bool) -> None:
        self.backend, self.clock = a_backend(
            simulation_workers=workers,
            simulation_retries=retries,
            cancel_processing=cancel_processing,
            queued_simulations=QUEUED,
            jobs_limit=4,
        )

    @property
    def settings(self) -> Settings:
        return self.backend.settings.now

    def run(self, step: Coroutine[None, None, None]) -> None:
        self.runner.run(step)

    def picked(self, number: int) -> JobRecord:
        """Return one of the submitted jobs, chosen by `number`. The mock may already have deleted this job."""
        return list(self.seen.values())[number % len(self.seen)]

    @property
    def busy(self) -> list[JobRecord]:
        return [record for record in self.seen.values() if record.status in WITH_A_WORKER]

    @rule(request=requests, account=st.sampled_from("ab"), priority=st.sampled_from(PRIORITIES))
    def submit(self, request: JobRequest, account: str, priority: Priority) -> None:
        async def submit() -> None:
            pending = [
                each
                for each in self.backend.jobs.values()
                if each.account_id == f"acct_{account}" and each.status is JobState.PENDING
            ]
            # Jobs that lost their workers are queued again, even if that exceeds the limit of pending jobs.
            if len(pending) >= QUEUED:
                with pytest.raises(QueueFullError) as refusal:
                    self.backend.jobs.submit(an_account(account, priority), request)
                assert refusal.value.queued == len(pending)
                assert refusal.value.retry_after_seconds >= 1
                return
            record = self.backend.jobs.submit(an_account(account, priority), request)
            assert record.status is JobState.PENDING
            assert (record.estimated_wait_minutes is None) == (self.settings.simulation_workers == 0)
            assert (record.estimated_wait_minutes or 0) >= 0
            self.seen[record.id] = record

        self.run(submit())

    @rule(seconds=spans)
    def advance(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))

    @precondition(lambda self: self.seen)
    @rule(number=picks)
    def cancel(self, number: int) -> None:
        self.run(self._cancel(self.picked(number)))

    @precondition(lambda self: self.seen)
    @rule(number=picks)
    def lose_worker(self, number: int) -> None:
        self.run(self._lose_worker(self.picked(number)))

    @precondition(lambda self: self.busy)
    @rule(number=picks)
    def lose_a_worker_that_there_is(self, number: int) -> None:
        self.run(self._lose_worker(self.busy[number % len(self.busy)]))

    @precondition(lambda self: self.seen)
    @rule(
        number=picks,
        seconds=spans,
        after=st.integers(0, 12),
        how=st.sampled_from(["cancel", "lose", "lose", "lose", "reset"]),
    )
    def meddle_while_time_passes(self, number: int, seconds: float, after: int, how: str) -> None:
        """Advance the clock. After `after` iterations of the loop, cancel a job, lose its worker or reset the mock."""

        async def meddle() -> None:
            record = self.picked(number)
            advancing = asyncio.get_running_loop().create_task(self.clock.advance(seconds))
            await turns(after)
            match how:
                case "cancel":
                    await self._cancel(record)
                case "lose":
                    await self._lose_worker(record)
                case _:
                    await self.backend.reset()
            await advancing

        self.run(meddle())

    @precondition(lambda self: len(self.seen) > 5)
    @rule()
    def reset(self) -> None:
        self.run(self.backend.reset())
        assert len(self.backend.jobs) == len(self.clock.pending) == 0
        assert {record.status for record in self.seen.values()} <= ENDED

    async def _cancel(self, record: JobRecord) -> None:
        before = record.status
        try:
            self.backend.jobs.cancel(record.id)
        except NotCancellableError:
            assert record.status is before
            assert before in ENDED or (before is JobState.PROCESSING and not self.settings.cancel_processing)
        except KeyError:
            assert before in ENDED, f"expected the mock to delete only ended jobs, got a deleted {before} job"
        else:
            assert record.status is JobState.CANCELLED

    async def _lose_worker(self, record: JobRecord) -> None:
        before, retries = record.status, record.retry_count
        try:
            await self.backend.jobs.lose_worker(record.id)
        except ValueError:
            assert before not in WITH_A_WORKER
        except KeyError:
            assert before in ENDED, f"expected the mock to delete only ended jobs, got a deleted {before} job"
        else:
            assert before in WITH_A_WORKER
            used_up = retries == self.settings.simulation_retries
            assert states(record).count(JobState.PENDING) == record.retry_count + 1
            assert (JobState.FAILED if used_up else JobState.PENDING) in states(record)[-3:]

    @invariant()
    def every_history_is_a_path_of_the_machine(self) -> None:
        for record in self.seen.values():
            assert states(record)[0] is INITIAL
            assert states(record)[-1] is record.status
            for (before, earlier), (after, later) in pairwise(record.history):
                assert after is not before
                assert after in TARGETS[before]
                assert later >= earlier

    @invariant()
    def workers_never_exceed_the_limit_and_none_idles_while_there_is_a_queue(self) -> None:
        if not self.seen:
            return
        records = self.backend.jobs.values()
        assert sum(record.status in WITH_A_WORKER for record in records) <= self.settings.simulation_workers
        unfinished = sum(record.status not in ENDED for record in records)
        # Each busy worker has one deadline; there are no other deadlines.
        assert len(self.clock.pending) == min(unfinished, self.settings.simulation_workers)

    @invariant()
    def times_and_streams_are_those_of_the_state(self) -> None:
        for record in self.seen.values():
            reached = [state for state, _ in record.history]
            since_pending = reached[len(reached) - reached[::-1].index(JobState.PENDING) :]
            assert (record.dispatched_at is not None) == (JobState.DISPATCHED in since_pending)
            assert (record.started_at is not None) == (JobState.PROCESSING in since_pending)
            assert (record.completed_at is not None) == (record.status in ENDED)
            assert (record.assigned_region is not None) == (record.dispatched_at is not None)
            assert (record.error_message is None) or record.status in ENDED
            kinds = {stream.status.value for stream in record.streams}
            match record.status:
                case JobState.PENDING | JobState.DISPATCHED:
                    assert not kinds
                case JobState.COMPLETED:
                    assert kinds == {"completed"}
                case JobState.FAILED | JobState.CANCELLED:
                    assert kinds <= {"completed", "failed"}
            if record.status is JobState.FAILED:
                assert record.error_message

    @invariant()
    def every_stream_that_is_remembered_is_a_jobs(self) -> None:
        if not self.seen:
            return
        known = {
            stream.stream_id: stream.record
            for record in self.seen.values()
            for stream in record.streams
            if stream.record
        }
        assert all(known[stream_id] is record for stream_id, record in self.backend.streams.records.items())

    @invariant()
    def only_the_latest_that_ended_are_remembered(self) -> None:
        if self.seen:
            ended = [record for record in self.backend.jobs.values() if record.status in ENDED]
            assert len(ended) <= self.settings.jobs_limit

    def teardown(self) -> None:
        try:
            if self.seen:
                self.run(self.clock.advance(AGES))
                if self.settings.simulation_workers:
                    assert {record.status for record in self.seen.values()} <= ENDED
                assert len(self.clock.pending) == 0
                self.run(self._nothing_runs())
        finally:
            self.runner.close()
            self.patch.undo()

    async def _nothing_runs(self) -> None:
        assert asyncio.all_tasks() == {asyncio.current_task()}


TestJobsWalk = JobsWalk.TestCase
TestJobsWalk.settings = settings(max_examples=60, stateful_step_count=30)
