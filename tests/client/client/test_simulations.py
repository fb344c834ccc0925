"""Tests of the calls for simulations and recordings of `Odyssey` with the mock server."""

import asyncio
import json
import sys
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any

import pytest

from odyssey_client import (
    ConcurrentLimitReachedError,
    ConnectionClosedError,
    Odyssey,
    OdysseyApiError,
    OdysseySimulationError,
    RateLimitError,
    Script,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationJobDetail,
    SimulationJobStatus,
    SimulationTimeoutError,
)
from odyssey_client.system import SystemClock
from odyssey_mock import MockOdyssey
from tests.support.scripts import IMAGE

pytestmark = pytest.mark.odyssey(clock="manual")

SCRIPT = Script().start("A cat").wait(1).interact("It looks out").wait(1).end()
ENTRIES: list[dict[str, Any]] = [
    {"timestamp_ms": 0, "start": {"prompt": "A cat"}},
    {"timestamp_ms": 2000, "end": {}},
]


class DrivingClock(SystemClock):
    """A client's clock that returns the time of the mock. Its `sleep` advances the mock's clock instead of waiting."""

    def __init__(self, mock: MockOdyssey) -> None:
        self.mock = mock

    def monotonic(self) -> float:
        return self.mock.clock.time()

    async def sleep(self, seconds: float) -> None:
        await self.mock.advance(seconds)


class StoppedClock(SystemClock):
    """A client's clock whose `sleep` never returns. Each call of `sleep` sets the event `sleeping`."""

    def __init__(self) -> None:
        self.sleeping = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeping.set()
        await asyncio.Event().wait()


def asked(mock: MockOdyssey) -> list[str]:
    return [f"{entry.data['method']} {entry.data['path']}" for entry in mock.journal.find("rest")]


def sent(mock: MockOdyssey) -> Any:
    """Return the request body of the job that was submitted last."""
    return mock.journal.find("rest", "POST /simulation-jobs")[-1].data["request"]


# Jobs that complete, and the lists.


async def test_job_runs_from_queue_to_recording(odyssey_mock: MockOdyssey) -> None:
    told: list[SimulationJobDetail] = []
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, clock=DrivingClock(odyssey_mock)) as client:
        made = await client.simulate(script=SCRIPT)
        assert (made.status, made.priority) == ("pending", "normal")
        job = await client.wait_for_simulation(made.job_id, poll_interval=0.1, on_update=told.append)
        assert list(dict.fromkeys(each.status for each in told)) == ["pending", "dispatched", "processing", "completed"]
        (stream,) = job.streams
        recording = await client.get_recording(stream.stream_id)
        assert (recording.frame_count, recording.duration_seconds) == (40, 2.0)
        assert recording.video_url is not None
        (summary,) = (await client.list_stream_recordings(limit=1)).recordings
        assert (summary.stream_id, summary.width, summary.height) == (stream.stream_id, 704, 1280)
        assert [each.job_id async for each in client.iter_simulations()] == [made.job_id]
        assert [each.stream_id async for each in client.iter_stream_recordings()] == [stream.stream_id]


async def test_request_body_contains_the_given_arguments(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.simulate(script=ENTRIES)
    assert sent(odyssey_mock) == {"script": ENTRIES, "portrait": True, "output_video": True}
    await odyssey_client.simulate(scripts=[SCRIPT, ENTRIES], portrait=False, bypass_prompt_expansion=False)
    assert sent(odyssey_mock) == {
        "scripts": [[entry.to_dict() for entry in SCRIPT.entries], ENTRIES],
        "portrait": False,
        "output_video": True,
        "bypass_vlm_expansion": False,
    }
    await odyssey_client.simulate(script_url="http://127.0.0.1:9/script.json")
    assert sent(odyssey_mock)["script_url"] == "http://127.0.0.1:9/script.json"


async def test_image_is_sent_in_its_script(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.simulate(script=Script().start("A cat", image=IMAGE).wait(1).end())
    assert sent(odyssey_mock)["script"][0]["start"]["image"].startswith("data:image/jpeg;base64,")


async def test_job_lists_are_filtered_and_paged(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    ids = [(await odyssey_client.simulate(script=SCRIPT)).job_id for _ in range(4)]
    await odyssey_client.cancel_simulation(ids[1])
    page = await odyssey_client.list_simulations(limit=2, offset=1)
    assert ([job.job_id for job in page.jobs], page.total, page.limit, page.offset) == ([ids[2], ids[1]], 4, 2, 1)
    cancelled = await odyssey_client.list_simulations(status=SimulationJobStatus.CANCELLED)
    assert [job.job_id for job in cancelled.jobs] == [ids[1]]
    assert (await odyssey_client.list_simulations(status="cancelled")).total == 1
    assert (await odyssey_client.list_simulations(active=True)).total == 3
    assert (await odyssey_client.list_simulations(active=False)).total == 4
    assert [job.job_id async for job in odyssey_client.iter_simulations(active=True, page_size=1)] == [
        ids[3],
        ids[2],
        ids[0],
    ]


# Jobs that do not complete.


async def test_partly_failed_batch_keeps_completed_streams(odyssey_mock: MockOdyssey) -> None:
    broken = Script().start("A cat [error:model_crash]").wait(1).end()
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, clock=DrivingClock(odyssey_mock)) as client:
        job = await client.simulate(scripts=[SCRIPT, broken])
        with pytest.raises(SimulationFailedError, match=r"script 1: .*model_crash") as caught:
            await client.wait_for_simulation(job.job_id)
    assert list(caught.value.stream_errors) == [1]
    assert caught.value.job.streams[0].video_url is not None


async def test_job_is_cancelled_only_once(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    job = await odyssey_client.simulate(script=SCRIPT)
    assert (await odyssey_client.cancel_simulation(job.job_id)).status == "cancelled"
    with pytest.raises(SimulationCancelledError):
        await odyssey_client.wait_for_simulation(job.job_id)
    with pytest.raises(OdysseySimulationError, match="job that is cancelled") as caught:
        await odyssey_client.cancel_simulation(job.job_id)
    assert caught.value.code == "not_cancellable"


@pytest.mark.odyssey(clock="manual", simulation_workers=0)
async def test_wait_for_queued_job_times_out(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, clock=DrivingClock(odyssey_mock)) as client:
        job = await client.simulate(script=SCRIPT)
        began = odyssey_mock.clock.time()
        with pytest.raises(SimulationTimeoutError, match="its last status is pending"):
            await client.wait_for_simulation(job.job_id, timeout=60)
    assert odyssey_mock.clock.time() - began == pytest.approx(60)


async def test_wait_without_timeout_outlasts_the_default(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, clock=DrivingClock(odyssey_mock)) as client:
        job = await client.simulate(script=SCRIPT)
        ended = await client.wait_for_simulation(job.job_id, poll_interval=60, timeout=None)
    assert ended.status == "completed"


async def test_unknown_and_foreign_jobs_have_different_errors(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    job = await odyssey_client.simulate(script=SCRIPT)
    async with Odyssey("ody_somebody_else", api_url=odyssey_mock.url) as other:
        for call in (other.get_simulate_status, other.cancel_simulation, other.wait_for_simulation):
            for job_id, code in ((job.job_id, "job_not_yours"), ("no such job?", "job_not_found")):
                with pytest.raises(OdysseySimulationError) as caught:
                    await call(job_id)
                assert caught.value.code == code
        with pytest.raises(OdysseyApiError, match="no recording of stream nothing") as missing:
            await other.get_recording("nothing")
    assert missing.value.code == "recording_not_found"


async def test_bypass_without_privilege_is_refused(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey("ody_no_bypass", api_url=odyssey_mock.url) as client:
        with pytest.raises(OdysseySimulationError) as caught:
            await client.simulate(script=SCRIPT, bypass_prompt_expansion=True)
        assert caught.value.code == "bypass_not_allowed"
        assert (await client.simulate(script=SCRIPT, bypass_prompt_expansion=False)).status == "pending"


@pytest.mark.odyssey(clock="manual", simulation_workers=0, queued_simulations=1)
async def test_full_queue_is_reported_without_retry(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.simulate(script=SCRIPT)
    with pytest.raises(RateLimitError) as caught:
        await odyssey_client.simulate(script=SCRIPT)
    assert caught.value.retry_after_seconds is not None
    assert len(odyssey_mock.jobs) == 1


# The access token.


@pytest.mark.odyssey(clock="manual", access_token_lifetime=100)
async def test_expired_token_is_renewed_once_for_concurrent_calls(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    await odyssey_client.list_simulations()
    await odyssey_mock.advance(101)  # the client's clock does not advance, so it learns of the expiry from a 401
    calls: list[Awaitable[object]] = [odyssey_client.simulate(script=SCRIPT) for _ in range(5)]
    calls += [odyssey_client.list_simulations() for _ in range(10)]
    calls += [odyssey_client.list_stream_recordings() for _ in range(10)]
    await asyncio.gather(*calls)
    assert asked(odyssey_mock).count("POST /auth/token") == 2
    assert len(odyssey_mock.jobs) == 5


# Disconnecting.


async def test_leaving_client_context_ends_wait_for_simulation(odyssey_mock: MockOdyssey) -> None:
    clock = StoppedClock()
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, clock=clock) as client:
        job = await client.simulate(script=SCRIPT)
        waiting = asyncio.create_task(client.wait_for_simulation(job.job_id))
        await clock.sleeping.wait()
    with pytest.raises(ConnectionClosedError, match=r"closed by disconnect\(\) while wait_for_simulation\(\)"):
        await waiting


@pytest.mark.parametrize("name", ["list_simulations", "list_stream_recordings"])
async def test_disconnecting_ends_call_that_waits_for_retry(name: str) -> None:
    clock = StoppedClock()
    client = Odyssey("ody_any_key", api_url="http://127.0.0.1:9", clock=clock)  # no server listens there
    call = asyncio.create_task(getattr(client, name)())
    await clock.sleeping.wait()
    await client.disconnect()
    with pytest.raises(ConnectionClosedError, match=rf"while {name}\(\) was under way"):
        await call


async def test_disconnecting_ends_calls_that_wait_for_response(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    calls = [
        asyncio.create_task(odyssey_client.simulate(script=SCRIPT)),
        asyncio.create_task(odyssey_client.list_simulations()),
        asyncio.create_task(anext(odyssey_client.iter_stream_recordings())),
    ]
    await SystemClock().sleep(0)
    await odyssey_client.disconnect()
    assert [type(error) for error in await asyncio.gather(*calls, return_exceptions=True)] == [
        ConnectionClosedError
    ] * 3
    page = await odyssey_client.list_simulations()  # the client works again after disconnect()
    assert page.total == 0, f"expected no submitted job, got {page.total}"


async def test_iteration_begun_before_disconnect_fails_after_it(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    for _ in range(3):
        await odyssey_client.simulate(script=SCRIPT)
    listing = odyssey_client.iter_simulations(page_size=2)
    await anext(listing)
    await anext(listing)
    await odyssey_client.disconnect()
    with pytest.raises(ConnectionClosedError, match=r"while iter_simulations\(\)"):
        await anext(listing)


async def test_abandoned_iteration_leaves_no_task(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    for _ in range(3):
        await odyssey_client.simulate(script=SCRIPT)
    before = asyncio.all_tasks()
    async with aclosing(odyssey_client.iter_simulations(page_size=2)) as listing:
        async for _ in listing:
            break
    async for _ in odyssey_client.iter_simulations(page_size=2):
        break
    await SystemClock().sleep(0)
    assert not {task for task in asyncio.all_tasks() - before if "odyssey_client" in repr(task)}


async def test_failed_connect_does_not_end_waiting_for_simulation(
    odyssey_mock: MockOdyssey,
) -> None:
    clock = StoppedClock()
    async with Odyssey("ody_concurrent_limit", api_url=odyssey_mock.url, clock=clock) as client:
        job = await client.simulate(script=SCRIPT)
        waiting = asyncio.create_task(client.wait_for_simulation(job.job_id))
        await clock.sleeping.wait()
        with pytest.raises(ConcurrentLimitReachedError):
            await client.connect()
        assert not waiting.done()
        assert (await client.get_simulate_status(job.job_id)).status == "pending"
    with pytest.raises(ConnectionClosedError):
        await waiting


async def test_simulation_completes_beside_live_connection(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) as client:
        job = await client.simulate(script=SCRIPT)
        await client.connect()
        await client.start_stream("A castle")
        await odyssey_mock.advance(5)
        assert (await client.wait_for_simulation(job.job_id)).status == "completed"
        assert client.is_connected
        live, simulated = [recording async for recording in client.iter_stream_recordings()]
        assert (live.ended_at is None, simulated.ended_at is None) in {(True, False), (False, True)}


# Imported modules.


async def test_rest_calls_load_no_heavy_library(odyssey_mock: MockOdyssey) -> None:
    code = f"""
import asyncio, json, sys
from odyssey_client import Odyssey, Script

def heavy():
    return [name for name in "aiortc av numpy PIL".split() if name in sys.modules]

async def main():
    async with Odyssey() as client:
        job = await client.simulate(script=Script().start("A cat").wait(1).end())
        [each async for each in client.iter_simulations()]
        await client.cancel_simulation(job.job_id)
        [stream] = (await client.list_stream_recordings()).recordings
        await client.get_recording(stream.stream_id)
        without_an_image = heavy()
        await client.simulate(script=Script().start("A cat", image={IMAGE!r}).wait(1).end())
        print(json.dumps([without_an_image, heavy()]))

asyncio.run(main())
"""
    async with Odyssey() as client:
        job = await client.simulate(script=SCRIPT)
        await odyssey_mock.advance(60)
        await client.wait_for_simulation(job.job_id)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert json.loads(out) == [[], ["PIL"]]
