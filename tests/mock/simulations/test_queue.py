"""Tests of the queue on a manual clock: order, estimates and the limit of pending jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.clock import MANUAL_START
from odyssey_mock.settings import PRIORITIES, Priority
from odyssey_mock.simulations.job_machine import JobState
from odyssey_mock.simulations.jobs import QueueFullError
from tests.support.jobs import a_backend, a_request, a_script, an_account

LONG = 10_000.0
PENDING, DISPATCHED = JobState.PENDING, JobState.DISPATCHED


async def test_free_workers_take_the_next_jobs() -> None:
    backend, clock = a_backend(simulation_workers=2)
    records = [backend.jobs.submit(an_account(), a_request(a_script(10))) for _ in range(4)]
    await clock.advance(LONG)
    assert [round((record.dispatched_at or 0) - MANUAL_START, 3) for record in records] == [0.2, 0.2, 1.6, 1.6]


async def test_without_workers_every_job_stays_pending() -> None:
    backend, clock = a_backend(simulation_workers=0)
    record = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    assert (record.status, record.estimated_wait_minutes) == (PENDING, None)
    assert clock.pending == []


@given(st.lists(st.sampled_from(PRIORITIES), min_size=1, max_size=8), st.integers(1, 3))
async def test_jobs_are_dispatched_by_priority_then_age(priorities: list[Priority], workers: int) -> None:
    backend, clock = a_backend(simulation_workers=workers)
    records = [
        backend.jobs.submit(an_account(f"{number}", priority), a_request(a_script(1 + number)))
        for number, priority in enumerate(priorities)
    ]
    await clock.advance(LONG)
    assert [record.priority for record in records] == priorities
    # The first jobs start at once on the free workers; only the other jobs are sorted by priority.
    queued = sorted(records[workers:], key=lambda record: -PRIORITIES.index(record.priority))
    expected = [record.dispatched_at for record in (*records[:workers], *queued)]
    assert expected == sorted(at for at in expected if at is not None)


async def test_job_assigned_to_worker_is_not_overtaken() -> None:
    backend, clock = a_backend(simulation_workers=1)
    first = backend.jobs.submit(an_account(), a_request(a_script(10)))
    await clock.advance(0.1)
    urgent = backend.jobs.submit(an_account("other", "high"), a_request(a_script(10)))
    await clock.advance(0.1)
    assert (first.status, urgent.status) == (DISPATCHED, PENDING)


async def test_cancel_frees_worker_for_the_next_job() -> None:
    backend, clock = a_backend(simulation_workers=1)
    first, second = (backend.jobs.submit(an_account(), a_request()) for _ in range(2))
    await clock.advance(0.15)
    backend.jobs.cancel(first.id)
    await clock.advance(0.19)
    assert second.status is PENDING
    await clock.advance(0.01)
    assert (first.status, second.status) == (JobState.CANCELLED, DISPATCHED)


async def test_estimate_counts_the_jobs_ahead() -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_pace=60, simulation_duration=60)

    def submit(minutes: float, priority: Priority = "normal", url: str | None = None) -> float | None:
        request = a_request(a_script(minutes), url=url)
        return backend.jobs.submit(an_account(priority=priority), request).estimated_wait_minutes

    assert submit(10) == 0.0
    assert submit(2) == 10.0
    wait = submit(3, "high")
    assert wait == 10.0, (
        f"expected a wait of 10 minutes, because only the first job is ahead of a high-priority job; got {wait} minutes"
    )
    assert submit(1, "low") == 15.0
    await clock.advance(4 * 60)
    wait = submit(61)
    assert wait == 11.0, (
        f"expected a wait of 6 + 2 + 3 minutes for the jobs ahead, without the low-priority job; got {wait} minutes"
    )
    wait = submit(1)
    assert wait == 11.0, (
        f"expected a wait of 11 minutes, because a script over the maximum duration counts as 0; got {wait} minutes"
    )
    assert submit(1, url="http://127.0.0.1/script.json") == 12.0
    wait = submit(1)
    assert wait == 12.2, (
        f"expected a wait of 12 minutes, and 0.2 for the script ahead, which is not fetched yet; got {wait} minutes"
    )


async def test_estimate_includes_dispatch_and_start_delays() -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_dispatch_delay=60, simulation_start_delay=120)

    def estimate() -> float | None:
        # Cancel the probe, so that it is not ahead of the next probe.
        probe = backend.jobs.submit(an_account(), a_request())
        backend.jobs.cancel(probe.id)
        return probe.estimated_wait_minutes

    backend.jobs.submit(an_account(), a_request(a_script(10), a_script(10)))
    waits = []
    for seconds in (0, 30, 30, 60, 59.5):
        await clock.advance(seconds)
        waits.append(estimate())
    assert waits == [3.0, 2.5, 2.0, 1.0, 0.0]


async def test_estimate_takes_every_worker_into_account() -> None:
    backend, _ = a_backend(simulation_workers=2, simulation_pace=60)
    waits = [
        backend.jobs.submit(an_account(), a_request(a_script(minutes))).estimated_wait_minutes
        for minutes in (10, 4, 3, 2)
    ]
    assert waits == [0.0, 0.0, 4.0, 7.0]


async def test_full_queue_error_has_retry_after() -> None:
    backend, clock = a_backend(simulation_workers=1, queued_simulations=2, simulation_pace=1)
    first = backend.jobs.submit(an_account(), a_request(a_script(30)))
    await clock.advance(0.2)
    assert first.status is DISPATCHED
    for _ in range(2):
        backend.jobs.submit(an_account(), a_request())
    with pytest.raises(QueueFullError, match=r"fewer than 2 pending jobs in the account, got 2; .* in 31 s") as full:
        backend.jobs.submit(an_account(), a_request())
    assert (full.value.queued, full.value.limit, full.value.retry_after_seconds) == (2, 2, 31)
    assert len(backend.jobs) == 3
    backend.jobs.submit(an_account("other"), a_request())
    await clock.advance(full.value.retry_after_seconds)
    backend.jobs.submit(an_account(), a_request())


async def test_retry_after_is_between_second_and_day() -> None:
    backend, clock = a_backend(queued_simulations=1)
    backend.jobs.submit(an_account(), a_request())
    with pytest.raises(QueueFullError) as full:
        backend.jobs.submit(an_account(), a_request())
    assert full.value.retry_after_seconds == 1
    await clock.advance(1)
    backend.jobs.submit(an_account(), a_request())
    for settings in ({"simulation_workers": 0}, {"simulation_workers": 1, "simulation_pace": 1e6}):
        backend, clock = a_backend(queued_simulations=1, **settings)
        backend.jobs.submit(an_account("other"), a_request())
        await clock.advance(1)
        backend.jobs.submit(an_account(), a_request())
        with pytest.raises(QueueFullError) as full:
            backend.jobs.submit(an_account(), a_request())
        assert full.value.retry_after_seconds == 86_400


async def test_requeued_job_goes_first_within_its_priority() -> None:
    backend, clock = a_backend(simulation_workers=1)
    first = backend.jobs.submit(an_account(), a_request())
    second = backend.jobs.submit(an_account(), a_request())
    await clock.advance(0.3)
    await backend.jobs.lose_worker(first.id)
    await clock.advance(0.3)
    assert (first.status, second.status) == (DISPATCHED, PENDING)
    urgent = backend.jobs.submit(an_account(priority="high"), a_request())
    await backend.jobs.lose_worker(first.id)
    await clock.advance(0.3)
    assert (urgent.status, first.status) == (DISPATCHED, PENDING)
