"""The queue, the workers and the memory of jobs, on a clock that is moved by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.backend import Backend
from odyssey_mock.clock import MANUAL_START, ManualClock
from odyssey_mock.jobs.jobs import LONGEST_RETRY_AFTER, NotCancellableError, QueueFullError
from odyssey_mock.jobs.machine import State
from odyssey_mock.settings import PRIORITIES, Priority
from tests.support.jobs import a_backend, a_request, a_script, an_account, states

LONG = 10_000.0
PENDING, DISPATCHED, PROCESSING = State.PENDING, State.DISPATCHED, State.PROCESSING


async def until_processing(backend: Backend, clock: ManualClock, **wanted: str) -> str:
    """A job of 1 s of work that has just begun to be processed, alone."""
    record = backend.jobs.submit(an_account(), a_request(a_script(10)))
    await clock.advance(0.4)
    assert record.status is PROCESSING
    return record.id


async def test_a_job_goes_through_its_states_at_the_times_of_the_settings() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request(a_script(10)))
    assert (record.status, record.created_at, record.streams) == (PENDING, MANUAL_START, ())
    await clock.advance(LONG)
    assert [(state, round(at - MANUAL_START, 3)) for state, at in record.history] == [
        (PENDING, 0.0),
        (DISPATCHED, 0.2),
        (PROCESSING, 0.4),
        (State.COMPLETED, 1.4),
    ]
    assert [record.dispatched_at, record.started_at, record.completed_at] == [at for _, at in record.history][1:]
    assert (record.error_message, record.retry_count) == (None, 0)
    assert clock.pending == []


async def test_each_change_of_a_job_is_in_the_journal_and_each_change_of_a_stream() -> None:
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


async def test_with_no_delays_and_no_pace_a_job_is_done_without_any_time_passing() -> None:
    backend, clock = a_backend(simulation_dispatch_delay=0, simulation_start_delay=0, simulation_pace=0)
    record = backend.jobs.submit(an_account(), a_request(a_script(10), a_script(20)))
    assert record.status is PENDING
    await clock.advance(0)
    assert (record.status, record.completed_at) == (State.COMPLETED, MANUAL_START)


async def test_workers_take_jobs_as_they_get_free() -> None:
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
async def test_jobs_get_workers_by_priority_and_then_as_they_came(priorities: list[Priority], workers: int) -> None:
    backend, clock = a_backend(simulation_workers=workers)
    records = [
        backend.jobs.submit(an_account(f"{number}", priority), a_request(a_script(1 + number)))
        for number, priority in enumerate(priorities)
    ]
    await clock.advance(LONG)
    assert [record.priority for record in records] == priorities
    # The first find a free worker each, whoever comes after them.
    queued = sorted(records[workers:], key=lambda record: -PRIORITIES.index(record.priority))
    expected = [record.dispatched_at for record in (*records[:workers], *queued)]
    assert expected == sorted(at for at in expected if at is not None)


async def test_a_job_that_has_a_worker_waiting_for_it_is_not_overtaken() -> None:
    backend, clock = a_backend(simulation_workers=1)
    first = backend.jobs.submit(an_account(), a_request(a_script(10)))
    await clock.advance(0.1)
    urgent = backend.jobs.submit(an_account("other", "high"), a_request(a_script(10)))
    await clock.advance(0.1)
    assert (first.status, urgent.status) == (DISPATCHED, PENDING)


async def test_a_worker_whose_job_was_cancelled_is_free_for_the_next_with_the_whole_delay() -> None:
    backend, clock = a_backend(simulation_workers=1)
    first, second = (backend.jobs.submit(an_account(), a_request()) for _ in range(2))
    await clock.advance(0.15)
    backend.jobs.cancel(first.id)
    await clock.advance(0.19)
    assert second.status is PENDING
    await clock.advance(0.01)
    assert (first.status, second.status) == (State.CANCELLED, DISPATCHED)


async def test_regions_come_in_turn_from_dispatch_on() -> None:
    backend, clock = a_backend(simulation_workers=1)
    records = [backend.jobs.submit(an_account(), a_request()) for _ in range(4)]
    assert [record.assigned_region for record in records] == [None] * 4
    await clock.advance(LONG)
    assert [record.assigned_region for record in records] == ["us-east-1", "us-west-2", "eu-west-1", "us-east-1"]


async def test_the_estimate_is_what_is_before_a_job_when_it_comes() -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_pace=60, simulation_duration=60)

    def submit(minutes: float, priority: Priority = "normal", url: str | None = None) -> float | None:
        request = a_request(a_script(minutes), url=url)
        return backend.jobs.submit(an_account(priority=priority), request).estimated_wait_minutes

    assert submit(10) == 0.0
    assert submit(2) == 10.0
    assert submit(3, "high") == 10.0, "it goes before the second"
    assert submit(1, "low") == 15.0
    await clock.advance(4 * 60)
    assert submit(61) == 11.0, "six minutes of the first are left, and the low one is behind it"
    assert submit(1) == 11.0, "what is longer than a stream may be fails at once"
    assert submit(1, url="http://127.0.0.1/script.json") == 12.0
    assert submit(1) == 12.2, "a script still to be fetched counts as 10 s"


async def test_the_estimate_counts_what_a_worker_still_has_to_do_from_its_dispatch_on() -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_dispatch_delay=60, simulation_start_delay=120)

    def estimate() -> float | None:
        # Cancelled again: each is to see the same job before it, and no other.
        probe = backend.jobs.submit(an_account(), a_request())
        backend.jobs.cancel(probe.id)
        return probe.estimated_wait_minutes

    backend.jobs.submit(an_account(), a_request(a_script(10), a_script(10)))
    waits = []
    for seconds in (0, 30, 30, 60, 59.5):
        await clock.advance(seconds)
        waits.append(estimate())
    assert waits == [3.0, 2.5, 2.0, 1.0, 0.0]


async def test_the_estimate_counts_on_every_worker() -> None:
    backend, _ = a_backend(simulation_workers=2, simulation_pace=60)
    waits = [
        backend.jobs.submit(an_account(), a_request(a_script(minutes))).estimated_wait_minutes
        for minutes in (10, 4, 3, 2)
    ]
    assert waits == [0.0, 0.0, 4.0, 7.0]


async def test_one_pending_job_too_many_of_an_account_is_refused_with_the_time_to_come_back() -> None:
    backend, clock = a_backend(simulation_workers=1, queued_simulations=2, simulation_pace=1)
    first = backend.jobs.submit(an_account(), a_request(a_script(30)))
    await clock.advance(0.2)
    assert first.status is DISPATCHED
    for _ in range(2):
        backend.jobs.submit(an_account(), a_request())
    with pytest.raises(QueueFullError, match=r"fewer than 2 pending jobs of the account, it has 2; .* in 31 s") as full:
        backend.jobs.submit(an_account(), a_request())
    assert (full.value.queued, full.value.limit, full.value.retry_after_seconds) == (2, 2, 31)
    assert len(backend.jobs.records) == 3
    backend.jobs.submit(an_account("other"), a_request())
    await clock.advance(full.value.retry_after_seconds)
    backend.jobs.submit(an_account(), a_request())


async def test_the_time_to_come_back_is_a_second_at_least_and_a_day_at_most() -> None:
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
        assert full.value.retry_after_seconds == LONGEST_RETRY_AFTER


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6])
async def test_a_job_that_has_not_ended_can_be_cancelled(seconds: float) -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request(a_script(10)))
    await clock.advance(seconds)
    assert backend.jobs.cancel(record.id) is record
    assert (record.status, record.completed_at, record.error_message) == (State.CANCELLED, clock.time(), None)
    assert (record.streams, len(backend.streams.records), clock.pending) == ((), 0, [])
    await clock.advance(LONG)
    assert record.status is State.CANCELLED


async def test_a_job_that_has_ended_cannot_be_cancelled() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    with pytest.raises(NotCancellableError, match="expected a job that has not ended, came one that is completed"):
        backend.jobs.cancel(record.id)
    with pytest.raises(KeyError):
        backend.jobs.cancel("no such job")


async def test_where_the_settings_say_so_a_job_that_is_processed_cannot_be_cancelled_any_more() -> None:
    backend, clock = a_backend(cancel_processing=False)
    job_id = await until_processing(backend, clock)
    with pytest.raises(NotCancellableError, match="is pending or dispatched, came one that is processing") as refusal:
        backend.jobs.cancel(job_id)
    assert refusal.value.status is PROCESSING
    await clock.advance(LONG)
    assert backend.jobs.records[job_id].status is State.COMPLETED


async def test_a_job_whose_worker_is_lost_is_begun_anew_from_its_first_script() -> None:
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
    assert states(record) == [PENDING, DISPATCHED, PROCESSING, PENDING, DISPATCHED, PROCESSING, State.COMPLETED]
    assert [stream.status for stream in record.streams] == ["completed", "completed"]
    assert {stream.stream_id for stream in record.streams} == set(backend.streams.records)
    assert not lost & set(backend.streams.records)


async def test_a_job_that_lost_its_worker_goes_before_those_that_had_none_but_not_before_a_higher_priority() -> None:
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


async def test_a_job_that_loses_its_worker_too_often_fails_and_says_so() -> None:
    backend, clock = a_backend(simulation_retries=1)
    record = backend.jobs.submit(an_account(), a_request())
    for _ in range(2):
        await clock.advance(0.5)
        await backend.jobs.lose_worker(record.id)
    assert (record.status, record.retry_count, record.completed_at) == (State.FAILED, 1, clock.time())
    assert record.error_message == (
        "the worker was lost 2 times, and a job is begun anew at most 1 times (setting simulation_retries)"
    )
    assert (record.streams, len(backend.streams.records), clock.pending) == ((), 0, [])


async def test_a_job_without_a_worker_has_none_to_lose() -> None:
    backend, clock = a_backend()
    record = backend.jobs.submit(an_account(), a_request())
    with pytest.raises(ValueError, match="dispatched or processing, came one that is pending"):
        await backend.jobs.lose_worker(record.id)
    await clock.advance(LONG)
    with pytest.raises(ValueError, match="came one that is completed"):
        await backend.jobs.lose_worker(record.id)
    with pytest.raises(KeyError):
        await backend.jobs.lose_worker("no such job")


async def test_the_oldest_that_ended_are_forgotten_and_none_that_has_not() -> None:
    backend, clock = a_backend(jobs_limit=2, simulation_workers=1, simulation_pace=0, queued_simulations=20)
    slow = backend.jobs.submit(an_account(priority="low"), a_request(url="http://127.0.0.1/"))
    backend.jobs.cancel(slow.id)
    ended = [backend.jobs.submit(an_account(), a_request()) for _ in range(4)]
    await clock.advance(LONG)
    waiting = [backend.jobs.submit(an_account(), a_request()) for _ in range(3)]
    assert list(backend.jobs.records.values()) == [*ended[2:], *waiting]
    assert backend.jobs.get(ended[0].id) is None
    assert backend.jobs.get(waiting[0].id) is waiting[0]


async def test_closing_ends_every_job_and_what_is_submitted_later_gets_no_worker() -> None:
    backend, clock = a_backend(simulation_workers=2)
    records = [backend.jobs.submit(an_account(), a_request(a_script(30))) for _ in range(4)]
    await clock.advance(1)
    await backend.jobs.close()
    assert {record.status for record in records} == {State.CANCELLED}
    assert {record.error_message for record in records} == {"the mock was stopped or reset before the job had ended"}
    assert clock.pending == []
    late = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    assert late.status is PENDING
    assert clock.pending == []


async def test_after_a_reset_everything_is_as_at_the_beginning() -> None:
    backend, clock = a_backend()
    before = [backend.jobs.submit(an_account(), a_request(a_script(10), a_script(10))) for _ in range(5)]
    await clock.advance(1.5)
    await backend.reset()
    assert (len(backend.jobs.records), len(backend.streams.records), clock.pending) == (0, 0, [])
    assert backend.journal.entries == ()
    after = backend.jobs.submit(an_account(), a_request())
    await clock.advance(LONG)
    assert (after.status, after.assigned_region) == (State.COMPLETED, "us-east-1")
    assert {record.status for record in before} == {State.CANCELLED}
    assert list(backend.jobs.records) == [after.id]
