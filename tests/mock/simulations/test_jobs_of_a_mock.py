"""Tests of jobs in a whole mock: on a real clock, in the control API, and when the mock is reset or stopped."""

import asyncio

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.settings import ClockKind
from odyssey_mock.simulations import job_run
from odyssey_mock.simulations.job_machine import JobState
from odyssey_mock.simulations.scripts import Script
from tests.support.jobs import BROKEN_IMAGE, a_request, a_script, an_account, states
from tests.support.leftovers import nothing_left
from tests.support.streams import data_url, picture

LIMIT = 5.0
manual = pytest.mark.odyssey(clock="manual")


class Stuck:
    """A fake script fetch that sets `begun` and never ends."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def fetch(self, *_: object, **__: object) -> Script:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Stuck:
    stuck = Stuck()
    monkeypatch.setattr(job_run, "fetch_script", stuck.fetch)
    return stuck


async def test_batch_runs_on_a_real_clock() -> None:
    async with MockOdyssey(speed=200, simulation_pace=1) as mock:
        request = a_request(
            a_script(60, "It jumps"), a_script(4, image=BROKEN_IMAGE), a_script(4, image=data_url(picture()))
        )
        record = mock.jobs.submit(an_account(), request)
        await mock.wait_for("state", "simulation", LIMIT, job=record.id, to="failed")
        assert [stream.status for stream in record.streams] == ["completed", "failed", "completed"]
        assert states(record) == [JobState.PENDING, JobState.DISPATCHED, JobState.PROCESSING, JobState.FAILED]
        assert (record.completed_at or 0) - (record.started_at or 0) >= 64
        assert mock.clock.pending == []
        assert [stream.stream_id for stream in record.streams] == list(mock.streams)


async def test_cancel_right_after_dispatch_timer_is_effective() -> None:
    async with MockOdyssey(simulation_dispatch_delay=0) as mock:
        record = mock.jobs.submit(an_account(), a_request())
        # Cancel in the loop iteration of the dispatch timer: after the timer, but before the task that it creates.
        asyncio.get_running_loop().call_later(0, mock.jobs.cancel, record.id)
        await mock.wait_for("state", "simulation", LIMIT, job=record.id)
    assert states(record) == [JobState.PENDING, JobState.CANCELLED]


@manual
async def test_worker_can_be_lost_during_processing(odyssey_mock: MockOdyssey) -> None:
    record = odyssey_mock.jobs.submit(an_account(), a_request())
    await odyssey_mock.advance(0.4)
    await odyssey_mock.jobs.lose_worker(record.id)
    await odyssey_mock.advance(60)
    assert (record.status, record.retry_count) == ("completed", 1)
    assert states(record)[:4] == ["pending", "dispatched", "processing", "pending"]


@manual
async def test_state_shows_jobs_with_their_streams(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    record = odyssey_mock.jobs.submit(an_account(priority="high"), a_request(a_script(10), a_script(10)))
    await odyssey_mock.advance(0.5)
    state = (await http.get("/_mock/state")).json()
    assert state["jobs"] == [
        {
            "job_id": record.id,
            "account": "acct_one",
            "status": "processing",
            "priority": "high",
            "created_at": record.created_at,
            "dispatched_at": record.dispatched_at,
            "started_at": record.started_at,
            "completed_at": None,
            "error_message": None,
            "assigned_region": "us-east-1",
            "retry_count": 0,
            "streams": [
                {"stream_id": record.streams[0].stream_id, "script_index": 0, "status": "running"},
                {"stream_id": record.streams[1].stream_id, "script_index": 1, "status": "waiting"},
            ],
        }
    ]
    assert [stream["stream_id"] for stream in state["streams"]] == [record.streams[0].stream_id]


@manual
async def test_reset_forgets_jobs_in_every_state(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    for _ in range(6):
        odyssey_mock.jobs.submit(an_account(), a_request(a_script(10), a_script(10)))
    await odyssey_mock.advance(1.5)
    await http.post("/_mock/reset")
    state = (await http.get("/_mock/state")).json()
    assert (state["jobs"], state["streams"], state["clock"]["deadlines"]) == ([], [], [])


@pytest.mark.parametrize("clock", ["manual", "real"])
async def test_stopped_mock_leaves_no_deadlines_or_tasks(stuck: Stuck, clock: ClockKind) -> None:
    async with nothing_left():
        async with MockOdyssey(clock=clock, speed=1000 if clock == "real" else 1, simulation_workers=2) as mock:
            fetching = mock.jobs.submit(an_account(), a_request(url="http://127.0.0.1/script.json"))
            rest = [mock.jobs.submit(an_account(), a_request(a_script(100))) for _ in range(2)]
            advancing = asyncio.get_running_loop().create_task(mock.advance(0.4)) if clock == "manual" else None
            async with asyncio.timeout(LIMIT):
                await stuck.begun.wait()
        if advancing is not None:
            await advancing
        assert mock.clock.pending == []
    assert fetching.status is JobState.CANCELLED
    assert all(record.status in (JobState.CANCELLED, JobState.COMPLETED) for record in rest)


@manual
async def test_jobs_remain_readable_after_the_mock_stopped() -> None:
    async with MockOdyssey(clock="manual") as mock:
        record = mock.jobs.submit(an_account(), a_request())
        await mock.advance(60)
    assert mock.jobs[record.id].status is JobState.COMPLETED
