"""Tests of jobs from submission to end on a manual clock: states, cancellation, lost workers and limits."""

import pytest

from odyssey_mock.core.clock import MANUAL_START
from odyssey_mock.simulations.job_machine import JobState
from odyssey_mock.simulations.job_records import JobRecord
from odyssey_mock.simulations.jobs import NotCancellableError
from tests.support.jobs import a_backend, a_request, a_script, an_account, states

LONG = 10_000.0
PENDING, DISPATCHED, PROCESSING = JobState.PENDING, JobState.DISPATCHED, JobState.PROCESSING


async def test_job_states_follow_the_configured_delays() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request(a_script(10)))
    assert (record.status, record.created_at, record.streams) == (PENDING, MANUAL_START, ())
    await clock.advance(LONG)
    assert [(state, round(at - MANUAL_START, 3)) for state, at in record.history] == [
        (PENDING, 0.0),
        (DISPATCHED, 0.2),
        (PROCESSING, 0.4),
        (JobState.COMPLETED, 1.4),
    ]
    assert [record.dispatched_at, record.started_at, record.completed_at] == [at for _, at in record.history][1:]
    assert (record.error_message, record.retry_count) == (None, 0)
    assert clock.pending == []


async def test_journal_has_every_job_and_stream_transition() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request(a_script(10), a_script(10)))
    await clock.advance(LONG)
    told = backend.journal.find("state", "simulation", account="acct_one", job=record.id)
    assert [(each.data["from"], each.data["event"], each.data["to"]) for each in told] == [
        ("pending", "dispatch", "dispatched"),
        ("dispatched", "begin", "processing"),
        ("processing", "streams_done", "completed"),
    ]
    told = backend.journal.find("state", "simulation stream", account="acct_one", job=record.id)
    first, second = (each.stream_id for each in record.streams)
    assert [(each.stream, each.data["script_index"], each.data["from"], each.data["to"]) for each in told] == [
        (first, 0, "waiting", "running"),
        (first, 0, "running", "completed"),
        (second, 1, "waiting", "running"),
        (second, 1, "running", "completed"),
    ]


async def test_job_without_delays_takes_no_time() -> None:
    backend, clock = a_backend(simulation_dispatch_delay=0, simulation_start_delay=0, simulation_pace=0)
    record = backend.jobs.submit(an_account(), a_request(a_script(10), a_script(20)))
    assert record.status is PENDING
    await clock.advance(0)
    assert (record.status, record.completed_at) == (JobState.COMPLETED, MANUAL_START)


async def test_regions_are_assigned_in_turn_at_dispatch() -> None:
    backend, clock = a_backend(simulation_workers=1)
    records = [backend.jobs.submit(an_account(), a_request()) for _ in range(4)]
    assert [record.assigned_region for record in records] == [None] * 4
    await clock.advance(LONG)
    assert [record.assigned_region for record in records] == ["us-east-1", "us-west-2", "eu-west-1", "us-east-1"]


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6])
async def test_unfinished_job_can_be_cancelled(seconds: float) -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request(a_script(10)))
    await clock.advance(seconds)
    assert backend.jobs.cancel(record.id) is record
    assert (record.status, record.completed_at, record.error_message) == (JobState.CANCELLED, clock.time(), None)
    assert (record.streams, len(backend.streams.records), clock.pending) == ((), 0, [])
    await clock.advance(LONG)
    assert record.status is JobState.CANCELLED


async def test_ended_job_cannot_be_cancelled() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    with pytest.raises(NotCancellableError, match="expected a job that has not ended, got one that is completed"):
        backend.jobs.cancel(record.id)
    with pytest.raises(KeyError):
        backend.jobs.cancel("no such job")


async def test_cancel_processing_off_protects_processing_jobs() -> None:
    backend, clock = a_backend(cancel_processing=False)
    record = backend.jobs.submit(an_account(), a_request(a_script(10)))
    await clock.advance(0.4)
    with pytest.raises(NotCancellableError, match="is pending or dispatched, got one that is processing") as refusal:
        backend.jobs.cancel(record.id)
    assert refusal.value.status is PROCESSING
    await clock.advance(LONG)
    assert record.status is JobState.COMPLETED


async def test_lost_worker_restarts_job_from_first_script() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request(a_script(10), a_script(10)))
    await clock.advance(1.5)
    lost = {stream.stream_id for stream in record.streams}
    assert [stream.status for stream in record.streams] == ["completed", "running"]
    await backend.jobs.lose_worker(record.id)
    assert (record.status, record.retry_count, record.streams) == (PENDING, 1, ())
    assert (record.dispatched_at, record.started_at, record.assigned_region) == (None, None, None)
    assert len(backend.streams.records) == 0
    forgotten = backend.journal.find("state", "simulation stream", to="forgotten")
    assert {each.stream for each in forgotten} == lost
    await clock.advance(LONG)
    assert states(record) == [PENDING, DISPATCHED, PROCESSING, PENDING, DISPATCHED, PROCESSING, JobState.COMPLETED]
    assert [stream.status for stream in record.streams] == ["completed", "completed"]
    assert {stream.stream_id for stream in record.streams} == set(backend.streams.records)
    assert not lost & set(backend.streams.records)


async def test_job_fails_after_too_many_lost_workers() -> None:
    backend, clock = a_backend(simulation_retries=1)
    record = backend.jobs.submit(an_account(), a_request())
    for _ in range(2):
        await clock.advance(0.5)
        await backend.jobs.lose_worker(record.id)
    assert (record.status, record.retry_count, record.completed_at) == (JobState.FAILED, 1, clock.time())
    assert record.error_message == "the worker was lost in attempt 2 of 2 (setting simulation_retries: 1)"
    assert (record.streams, len(backend.streams.records), clock.pending) == ((), 0, [])


async def test_job_without_worker_cannot_lose_one() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request())
    with pytest.raises(ValueError, match="dispatched or processing, got one that is pending"):
        await backend.jobs.lose_worker(record.id)
    await clock.advance(LONG)
    with pytest.raises(ValueError, match="got one that is completed"):
        await backend.jobs.lose_worker(record.id)
    with pytest.raises(KeyError):
        await backend.jobs.lose_worker("no such job")


async def test_jobs_limit_forgets_only_ended_jobs() -> None:
    backend, clock = a_backend(jobs_limit=2, simulation_workers=1, simulation_pace=0, queued_simulations=20)
    slow = backend.jobs.submit(an_account(priority="low"), a_request(url="http://127.0.0.1/"))
    backend.jobs.cancel(slow.id)
    ended = [backend.jobs.submit(an_account(), a_request()) for _ in range(4)]
    await clock.advance(LONG)
    waiting = [backend.jobs.submit(an_account(), a_request()) for _ in range(3)]
    assert list(backend.jobs.values()) == [*ended[2:], *waiting]
    assert backend.jobs.get(ended[0].id) is None
    assert backend.jobs.get(waiting[0].id) is waiting[0]


async def test_closed_jobs_are_cancelled_and_get_no_worker() -> None:
    backend, clock = a_backend(simulation_workers=2)
    records = [backend.jobs.submit(an_account(), a_request(a_script(30))) for _ in range(4)]
    await clock.advance(1)
    await backend.jobs.close()
    assert {record.status for record in records} == {JobState.CANCELLED}
    assert {record.error_message for record in records} == {"the mock was stopped or reset before the job had ended"}
    assert clock.pending == []
    late = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    assert late.status is PENDING
    assert clock.pending == []


async def test_reset_restores_the_initial_state() -> None:
    backend, clock = a_backend()
    before = [backend.jobs.submit(an_account(), a_request(a_script(10), a_script(10))) for _ in range(5)]
    await clock.advance(1.5)
    await backend.reset()
    assert (len(backend.jobs), len(backend.streams.records), clock.pending) == (0, 0, [])
    assert backend.journal.entries == ()
    after = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    assert (after.status, after.assigned_region) == (JobState.COMPLETED, "us-east-1")
    assert {record.status for record in before} == {JobState.CANCELLED}
    assert list(backend.jobs) == [after.id]


async def test_ended_jobs_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_pace=0, queued_simulations=None)
    ended = [backend.jobs.submit(an_account(), a_request()) for _ in range(50)]
    await clock.advance(LONG)
    looked_at: list[JobRecord] = []

    def status(record: JobRecord) -> JobState:
        looked_at.append(record)
        return record.machine.state

    monkeypatch.setattr(JobRecord, "status", property(status))

    late = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)

    assert late.machine.state is JobState.COMPLETED
    assert not set(looked_at) & set(ended)


async def test_ended_job_drops_records_of_forgotten_streams() -> None:
    backend, clock = a_backend(simulation_pace=0)
    job = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    (stream,) = job.streams
    assert stream.record is backend.streams.records[stream.stream_id]

    backend.streams.forget(stream.stream_id)

    assert stream.record is None
