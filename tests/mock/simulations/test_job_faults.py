"""Tests of the faults of jobs at each fault point: a job fails, stalls or loses its worker."""

import pytest

from odyssey_mock.backend import Backend
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.simulations.job_machine import JobState
from odyssey_mock.simulations.job_records import JobRecord
from odyssey_mock.simulations.jobs import NotCancellableError
from odyssey_mock.simulations.request import JobRequest
from tests.support.jobs import a_backend, a_request, a_script, an_account, states

LONG = 10_000.0

STATE_AT = {
    "job.pending": JobState.PENDING,
    "job.dispatched": JobState.DISPATCHED,
    "job.processing": JobState.PROCESSING,
}
"""For each fault point, the state of a job that reaches it."""
POINTS = sorted(STATE_AT)
ALL_THE_WAY = [JobState.PENDING, JobState.DISPATCHED, JobState.PROCESSING]


def submit(backend: Backend, request: JobRequest | None = None, account: str = "one") -> JobRecord:
    return backend.jobs.submit(an_account(account), request or a_request())


def way_to(point: str) -> list[JobState]:
    return ALL_THE_WAY[: ALL_THE_WAY.index(STATE_AT[point]) + 1]


async def check_closed(backend: Backend, clock: ManualClock) -> None:
    await backend.jobs.close()
    assert not clock.pending


@pytest.mark.parametrize("point", POINTS)
async def test_fail_fault_fails_one_job_with_its_message(point: str) -> None:
    backend, clock = a_backend(simulation_workers=1)
    backend.faults.add({"at": point, "do": "fail", "message": "the model fell over", "times": 1})
    record, next_one = submit(backend), submit(backend)
    await clock.advance(LONG)
    assert (record.status, record.error_message) == (JobState.FAILED, "the model fell over")
    assert states(record) == [*way_to(point), JobState.FAILED]
    assert next_one.status is JobState.COMPLETED
    assert [each.status for each in record.streams] == (["completed"] if point == "job.processing" else [])
    (fired,) = backend.journal.find("fault", point)
    (ended,) = backend.journal.find("state", "simulation", job=record.id, to="failed")
    assert fired.account == record.account_id
    assert fired.index == ended.index - 1
    await check_closed(backend, clock)


@pytest.mark.parametrize("point", POINTS)
async def test_stalled_job_keeps_worker_until_cancelled(point: str) -> None:
    backend, clock = a_backend(simulation_workers=1)
    backend.faults.add({"at": point, "do": "stall", "times": 1})
    record, waiting = submit(backend), submit(backend)
    await clock.advance(LONG)
    assert states(record) == way_to(point)
    assert (waiting.status, clock.pending) == (JobState.PENDING, [])
    backend.jobs.cancel(record.id)
    await clock.advance(LONG)
    assert (record.status, waiting.status) == (JobState.CANCELLED, JobState.COMPLETED)
    await check_closed(backend, clock)


@pytest.mark.parametrize("point", POINTS)
async def test_wait_estimate_excludes_worker_of_stalled_job(point: str) -> None:
    backend, clock = a_backend(simulation_workers=2)
    backend.faults.add({"at": point, "do": "stall", "times": 2})
    submit(backend)
    await clock.advance(LONG)
    assert submit(backend).estimated_wait_minutes == 0
    await clock.advance(LONG)
    assert submit(backend).estimated_wait_minutes is None
    await check_closed(backend, clock)


@pytest.mark.parametrize("point", POINTS)
async def test_job_that_loses_its_worker_is_retried(point: str) -> None:
    backend, clock = a_backend(simulation_retries=2)
    backend.faults.add({"at": point, "do": "lose_worker", "times": 2})
    record = submit(backend)
    await clock.advance(LONG)
    assert (record.status, record.retry_count, len(record.streams)) == (JobState.COMPLETED, 2, 1)
    again = way_to(point) if point != "job.pending" else []
    assert states(record) == [*again * 2, *ALL_THE_WAY, JobState.COMPLETED]
    await check_closed(backend, clock)


@pytest.mark.parametrize("point", POINTS)
async def test_job_fails_when_retries_are_used_up(point: str) -> None:
    backend, clock = a_backend(simulation_retries=1)
    backend.faults.add({"at": point, "do": "lose_worker"})
    record = submit(backend)
    await clock.advance(LONG)
    assert (record.status, record.retry_count, list(record.streams)) == (JobState.FAILED, 1, [])
    assert record.error_message == "the worker was lost in attempt 2 of 2 (setting simulation_retries: 1)"
    assert not backend.streams.records
    await check_closed(backend, clock)


async def test_completed_streams_of_a_failed_job_are_kept() -> None:
    backend, clock = a_backend()
    backend.faults.add(at="job.processing", do="fail")
    record = submit(backend, a_request(a_script(1), a_script(2)))
    await clock.advance(LONG)
    assert (record.status, [each.status for each in record.streams]) == (JobState.FAILED, ["completed", "completed"])
    assert record.error_message == "injected fault"


async def test_script_fault_fails_only_its_script() -> None:
    backend, clock = a_backend()
    backend.faults.add(at="job.script", do="fail", message="out of paint", match={"script_index": 1})
    record = submit(backend, a_request(a_script(1), a_script(2), a_script(3)))
    await clock.advance(LONG)
    assert [(each.status, each.error_message) for each in record.streams] == [
        ("completed", None),
        ("failed", "out of paint"),
        ("completed", None),
    ]
    assert (record.status, record.error_message) == (JobState.FAILED, "1 of 3 streams failed: script 1: out of paint")
    (fired,) = backend.journal.find("fault", "job.script")
    assert fired.stream == record.streams[1].stream_id
    failed = record.streams[1].record
    assert failed is not None
    assert (failed.timeline.frames, failed.error) == (0, "out of paint")


@pytest.mark.parametrize(("part", "fails"), [("cat", True), ("jumps", True), ("dog", False)])
async def test_prompt_match_considers_all_prompts_of_script(part: str, fails: bool) -> None:
    backend, clock = a_backend()
    backend.faults.add(at="job.script", do="fail", match={"prompt": part})
    record = submit(backend, a_request(a_script(10, "It jumps", prompt="A cat")))
    await clock.advance(LONG)
    assert (record.status is JobState.FAILED) == fails


async def test_match_limits_fault_to_one_account_or_job() -> None:
    backend, clock = a_backend()
    mine, other, third = submit(backend), submit(backend, account="two"), submit(backend, account="two")
    account = "acct_0123456789ab"
    backend.faults.add(at="job.pending", do="fail", match={"job": third.id})
    backend.faults.add(at="job.pending", do="fail", match={"account": account})
    elsewhere = backend.jobs.submit(an_account("0123456789ab"), a_request())
    await clock.advance(LONG)
    assert [each.status for each in (mine, other, third, elsewhere)] == ["completed", "completed", "failed", "failed"]


async def test_stalled_processing_job_obeys_cancel_processing_setting() -> None:
    backend, clock = a_backend(cancel_processing=False)
    backend.faults.add(at="job.processing", do="stall")
    record = submit(backend)
    await clock.advance(LONG)
    with pytest.raises(NotCancellableError):
        backend.jobs.cancel(record.id)
    await backend.jobs.lose_worker(record.id)
    assert record.status is JobState.PENDING
    await check_closed(backend, clock)
