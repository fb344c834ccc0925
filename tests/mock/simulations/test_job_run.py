"""What a worker does with a job: streams one after the other, failures, scripts fetched, and all of it cut short."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from odyssey_mock.backend import Backend
from odyssey_mock.core.clock import MANUAL_START, ManualClock
from odyssey_mock.simulations import job_run
from odyssey_mock.simulations.job_machine import JobState
from odyssey_mock.simulations.job_records import JobRecord
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.script_url import ScriptUrlError
from odyssey_mock.simulations.scripts import Script
from odyssey_mock.simulations.timelines import Plan, planned
from tests.support.jobs import BROKEN_IMAGE, a_backend, a_request, a_script, an_account, states
from tests.support.leftovers import nothing_left

LONG = 10_000.0
LIMIT = 5.0
URL = "http://127.0.0.1:9/script.json"

type Fetch = Callable[..., Awaitable[Script]]


def submit(backend: Backend, request: JobRequest) -> JobRecord:
    return backend.jobs.submit(an_account(), request)


class Held:
    """Something that is awaited until the test lets it go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = False

    async def fetch(self, *_: object) -> Script:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return a_script(10)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(job_run, "fetch_script", held.fetch)
    return held


async def advanced_into(held: Held, clock: ManualClock) -> "asyncio.Task[None]":
    """A manual clock that stands still because `held` is awaited."""
    advancing = asyncio.get_running_loop().create_task(clock.advance(LONG))
    async with asyncio.timeout(LIMIT):
        await held.begun.wait()
    return advancing


async def test_the_streams_of_a_batch_are_on_one_after_the_other_at_the_pace_of_the_settings() -> None:
    backend, clock = a_backend(simulation_pace=0.5)
    record = submit(backend, a_request(a_script(4, "It jumps"), a_script(10), portrait=False))
    await clock.advance(1)
    first, second = record.streams
    assert (first.status, second.status, second.record) == ("running", "waiting", None)
    assert list(backend.streams.records) == [first.stream_id]
    running = backend.streams.records[first.stream_id]
    assert running is first.record
    assert (running.ended_at, running.timeline.frames, running.session_id) == (None, 80, None)
    assert (running.account_id, running.prompt, running.error) == ("acct_one", "A cat", None)
    assert running.applied_prompt == running.timeline.changes[0].prompt != "A cat"
    assert str(running.timeline.size) == "1280x704"
    await clock.advance(LONG)
    spans = [
        (each.started_at - MANUAL_START, (each.ended_at or 0) - MANUAL_START)
        for each in backend.streams.records.values()
    ]
    assert [(round(begin, 3), round(end, 3)) for begin, end in spans] == [(0.4, 2.4), (2.4, 7.4)]
    assert [stream.script_index for stream in record.streams] == [0, 1]
    assert len({each.timeline.tag for each in backend.streams.records.values()}) == 2


async def test_a_bypassed_job_applies_prompts_as_they_came() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(bypass=True))
    await clock.advance(LONG)
    assert record.streams[0].record is not None
    assert record.streams[0].record.applied_prompt == "A cat"


async def test_one_stream_of_a_batch_fails_and_the_others_are_completed() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(a_script(1), a_script(1, image=BROKEN_IMAGE), a_script(1)))
    await clock.advance(LONG)
    assert [stream.status for stream in record.streams] == ["completed", "failed", "completed"]
    broken = record.streams[1]
    assert broken.error_message is not None
    assert record.status is JobState.FAILED
    assert record.error_message == f"1 of 3 streams failed: script 1: {broken.error_message}"
    assert broken.record is not None
    assert (broken.record.error, broken.record.ended_at) == (broken.error_message, broken.record.started_at)
    assert broken.stream_id in backend.streams.records


async def test_a_stream_with_a_test_prompt_is_on_until_there() -> None:
    backend, clock = a_backend(simulation_pace=1)
    record = submit(backend, a_request(a_script(10, "[error:model crash]")))
    await clock.advance(5)
    assert record.streams[0].status == "running"
    assert record.streams[0].record is not None
    assert record.streams[0].record.error is None
    await clock.advance(0.4)
    assert (record.streams[0].status, record.status) == ("failed", JobState.FAILED)
    assert (record.error_message or "").startswith("1 of 1 streams failed: script 0: model crash (")


async def test_of_many_failures_some_are_told_and_the_others_counted() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(*[a_script(1, prompt=f"[error:no {number}]") for number in range(7)]))
    await clock.advance(LONG)
    assert record.error_message is not None
    assert record.error_message.startswith("7 of 7 streams failed: script 0: no 0 (")
    assert [f"script {number}: " in record.error_message for number in range(7)] == [True] * 5 + [False] * 2
    assert "script 4: no 4" in record.error_message
    assert record.error_message.endswith("; and 2 more")


async def test_what_ended_before_a_cancel_stays_and_what_was_on_is_forgotten() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(a_script(10), a_script(10), a_script(10)))
    await clock.advance(1.5)
    done, running, _ = record.streams
    backend.jobs.cancel(record.id)
    assert record.streams == (done,)
    assert list(backend.streams.records) == [done.stream_id]
    told = backend.journal.find("state", "simulation stream", to="forgotten")
    assert (told[0].stream, told[0].data["from"]) == (running.stream_id, "running")


async def test_a_script_url_is_fetched_when_processing_begins_and_becomes_one_stream(held: Held) -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(url=URL))
    advancing = await advanced_into(held, clock)
    assert (record.status, record.streams, clock.time()) == (JobState.PROCESSING, (), record.started_at)
    assert backend.jobs.submit(an_account(), a_request()).estimated_wait_minutes == 0.0
    held.go.set()
    await advancing
    assert (record.status, len(record.streams)) == (JobState.COMPLETED, 1)
    assert record.streams[0].record is not None
    assert record.streams[0].record.timeline.frames == 200


async def test_after_advance_the_answer_of_a_script_url_has_been_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> Script:
        raise ScriptUrlError("expected status 2xx, got 404 Not Found")

    monkeypatch.setattr(job_run, "fetch_script", refused)
    backend, clock = a_backend()
    record = submit(backend, a_request(url=URL))
    await clock.advance(0.4)
    assert (record.status, record.streams) == (JobState.FAILED, ())
    assert record.error_message == "expected status 2xx, got 404 Not Found"


async def test_a_cancel_while_a_script_is_fetched_stops_the_fetching(held: Held) -> None:
    async with nothing_left():
        backend, clock = a_backend(simulation_workers=1)
        record = submit(backend, a_request(url=URL))
        advancing = await advanced_into(held, clock)
        following = submit(backend, a_request())
        backend.jobs.cancel(record.id)
        async with asyncio.timeout(LIMIT):
            await advancing
    assert held.cancelled
    assert (record.status, following.status) == (JobState.CANCELLED, JobState.COMPLETED)


async def test_a_worker_lost_while_a_script_is_fetched_fetches_it_again(held: Held) -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(url=URL))
    advancing = await advanced_into(held, clock)
    await backend.jobs.lose_worker(record.id)
    assert held.cancelled
    held.go.set()
    async with asyncio.timeout(LIMIT):
        await advancing
    assert states(record)[2:4] == [JobState.PROCESSING, JobState.PENDING]
    assert record.status is JobState.COMPLETED


async def test_giving_up_an_advance_does_not_stop_the_job_that_it_waits_for(held: Held) -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(url=URL))
    advancing = await advanced_into(held, clock)
    advancing.cancel()
    await asyncio.wait({advancing})
    held.go.set()
    async with asyncio.timeout(LIMIT):
        await backend.journal.wait_for("state", "simulation stream", to="running")
    await clock.advance(LONG)
    assert record.status is JobState.COMPLETED


async def test_closing_waits_for_the_image_that_is_being_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(*given: object, **named: object) -> Plan:
        begun.set()
        assert go.wait(LIMIT)
        return planned(*given, **named)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(job_run, "planned", slow)
    backend, clock = a_backend()
    record = submit(backend, a_request())
    loop = asyncio.get_running_loop()
    async with nothing_left():
        advancing = loop.create_task(clock.advance(LONG))
        assert await loop.run_in_executor(None, begun.wait, LIMIT)
        closing = loop.create_task(backend.jobs.close())
        for _ in range(20):  # turns, in any few of which it would be done if it did not wait
            done, _ = await asyncio.wait({closing}, timeout=0)
            assert not done
        assert record.status is JobState.CANCELLED
        go.set()
        async with asyncio.timeout(LIMIT):
            await closing
            await advancing
    assert (len(backend.streams.records), clock.pending) == (0, [])


async def test_a_defect_fails_the_job_frees_the_worker_and_comes_out_of_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> Script:
        raise LookupError("mine")

    monkeypatch.setattr(job_run, "fetch_script", broken)
    backend, clock = a_backend(simulation_workers=1)
    record = submit(backend, a_request(url=URL))
    following = submit(backend, a_request())
    with pytest.raises(ExceptionGroup) as raised:
        await clock.advance(LONG)
    assert raised.group_contains(LookupError, match="mine")
    assert record.status is JobState.FAILED
    assert record.error_message == "defect of the mock: LookupError while running the scripts"
    assert following.status is JobState.COMPLETED


async def test_how_long_a_worker_is_busy_is_known_once_the_script_is_fetched(held: Held) -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_pace=6)
    held.go.set()
    submit(backend, a_request(url=URL))
    await clock.advance(0.4)
    assert submit(backend, a_request()).estimated_wait_minutes == 1.0


class WatchedRequest(JobRequest):
    """A request that tells when it is gone."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("after", [0.0, 0.3, 0.5, LONG], ids=["pending", "dispatched", "processing", "completed"])
async def test_what_a_job_asked_for_is_gone_with_the_job_as_there_may_be_images_in_it(after: float) -> None:
    backend, clock = a_backend()
    request = WatchedRequest(scripts=(a_script(),), script_url=None, portrait=True, bypass=False)
    watched = weakref.ref(request)
    # Not left to the garbage collector: to it, megabytes of text are one object.
    gc.disable()
    try:
        record = submit(backend, request)
        del request
        await clock.advance(after)
        if record.status is not JobState.COMPLETED:
            assert watched() is not None
            backend.jobs.cancel(record.id)
        assert watched() is None
    finally:
        gc.enable()


async def test_a_prompt_that_asks_to_be_slow_keeps_the_job_longer() -> None:
    backend, clock = a_backend(simulation_pace=0.5, simulation_dispatch_delay=0, simulation_start_delay=0)
    record = submit(backend, a_request(a_script(10, prompt="A cat [slow:2500]")))
    await clock.advance(7.4)
    assert states(record)[-1] is JobState.PROCESSING
    await clock.advance(0.1)
    assert states(record)[-1] is JobState.COMPLETED


async def test_a_prompt_that_asks_to_stall_keeps_the_job_for_ever_until_it_is_cancelled() -> None:
    backend, clock = a_backend(simulation_workers=1)
    record = submit(backend, a_request(a_script(2), a_script(10, "It jumps [stall]"), a_script(2)))
    waiting = submit(backend, a_request())
    await clock.advance(LONG)
    assert [stream.status for stream in record.streams] == ["completed", "running", "waiting"]
    assert (record.status, waiting.status, clock.pending) == (JobState.PROCESSING, JobState.PENDING, [])
    backend.jobs.cancel(record.id)
    assert [stream.status for stream in record.streams] == ["completed"]
    await clock.advance(LONG)
    assert (record.status, waiting.status) == (JobState.CANCELLED, JobState.COMPLETED)


async def test_a_job_that_stalls_can_lose_its_worker_and_stalls_again() -> None:
    backend, clock = a_backend(simulation_retries=1)
    record = submit(backend, a_request(a_script(10, prompt="[stall]")))
    await clock.advance(LONG)
    await backend.jobs.lose_worker(record.id)
    await clock.advance(LONG)
    assert (record.status, record.retry_count) == (JobState.PROCESSING, 1)
    await backend.jobs.lose_worker(record.id)
    assert record.status is JobState.FAILED
    await backend.jobs.close()
