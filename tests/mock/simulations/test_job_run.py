"""Tests of running a job: streams in order, failures, fetched scripts, and cancellation."""

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
    """A fake script fetch that sets `begun`, then blocks until the test sets `go`."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = False

    async def fetch(self, *_: object, **__: object) -> Script:
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
    """Start a task that advances the clock, and wait until the job is fetching its script. Return the task."""
    advancing = asyncio.get_running_loop().create_task(clock.advance(LONG))
    async with asyncio.timeout(LIMIT):
        await held.begun.wait()
    return advancing


async def test_streams_of_a_batch_run_one_by_one() -> None:
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


async def test_bypass_applies_prompts_unchanged() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(bypass=True))
    await clock.advance(LONG)
    assert record.streams[0].record is not None
    assert record.streams[0].record.applied_prompt == "A cat"


async def test_failed_stream_does_not_stop_the_batch() -> None:
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


async def test_error_marker_fails_stream_at_its_action() -> None:
    backend, clock = a_backend(simulation_pace=1)
    record = submit(backend, a_request(a_script(10, "[error:model crash]")))
    await clock.advance(5)
    assert record.streams[0].status == "running"
    assert record.streams[0].record is not None
    assert record.streams[0].record.error is None
    await clock.advance(0.4)
    assert (record.streams[0].status, record.status) == ("failed", JobState.FAILED)
    assert (record.error_message or "").startswith("1 of 1 streams failed: script 0: model crash (")


async def test_error_message_lists_five_failures() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(*[a_script(1, prompt=f"[error:no {number}]") for number in range(7)]))
    await clock.advance(LONG)
    assert record.error_message is not None
    assert record.error_message.startswith("7 of 7 streams failed: script 0: no 0 (")
    assert [f"script {number}: " in record.error_message for number in range(7)] == [True] * 5 + [False] * 2
    assert "script 4: no 4" in record.error_message
    assert record.error_message.endswith("; and 2 more")


async def test_cancel_keeps_only_ended_streams() -> None:
    backend, clock = a_backend()
    record = submit(backend, a_request(a_script(10), a_script(10), a_script(10)))
    await clock.advance(1.5)
    done, running, _ = record.streams
    backend.jobs.cancel(record.id)
    assert record.streams == (done,)
    assert list(backend.streams.records) == [done.stream_id]
    told = backend.journal.find("state", "simulation stream", to="forgotten")
    assert (told[0].stream, told[0].data["from"]) == (running.stream_id, "running")


async def test_script_url_is_fetched_when_processing_begins(held: Held) -> None:
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


async def test_advance_waits_for_the_script_url(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> Script:
        raise ScriptUrlError("expected status 2xx, got 404 Not Found")

    monkeypatch.setattr(job_run, "fetch_script", refused)
    backend, clock = a_backend()
    record = submit(backend, a_request(url=URL))
    await clock.advance(0.4)
    assert (record.status, record.streams) == (JobState.FAILED, ())
    assert record.error_message == "expected status 2xx, got 404 Not Found"


async def test_cancel_stops_fetching_the_script(held: Held) -> None:
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


async def test_script_is_fetched_again_after_lost_worker(held: Held) -> None:
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


async def test_cancelled_advance_does_not_stop_the_job(held: Held) -> None:
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


async def test_closing_waits_for_image_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(*given: object, **named: object) -> Plan:
        begun.set()
        assert go.wait(LIMIT)
        return planned(*given, **named)  # type: ignore[arg-type]  # passed through unchanged

    monkeypatch.setattr(job_run, "planned", slow)
    backend, clock = a_backend()
    record = submit(backend, a_request())
    loop = asyncio.get_running_loop()
    async with nothing_left():
        advancing = loop.create_task(clock.advance(LONG))
        assert await loop.run_in_executor(None, begun.wait, LIMIT)
        closing = loop.create_task(backend.jobs.close())
        for _ in range(20):  # without waiting, `close` ends within a few iterations of the loop
            done, _ = await asyncio.wait({closing}, timeout=0)
            assert not done
        assert record.status is JobState.CANCELLED
        go.set()
        async with asyncio.timeout(LIMIT):
            await closing
            await advancing
    assert (len(backend.streams.records), clock.pending) == (0, [])


async def test_bug_fails_job_and_is_raised_by_advance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object, **__: object) -> Script:
        raise LookupError("raised by the test")

    monkeypatch.setattr(job_run, "fetch_script", broken)
    backend, clock = a_backend(simulation_workers=1)
    record = submit(backend, a_request(url=URL))
    following = submit(backend, a_request())
    with pytest.raises(ExceptionGroup) as raised:
        await clock.advance(LONG)
    assert raised.group_contains(LookupError, match="raised by the test")
    assert record.status is JobState.FAILED
    assert record.error_message == "unexpected LookupError in the mock while running the scripts"
    assert following.status is JobState.COMPLETED


async def test_estimate_uses_the_length_of_fetched_script(held: Held) -> None:
    backend, clock = a_backend(simulation_workers=1, simulation_pace=6)
    held.go.set()
    submit(backend, a_request(url=URL))
    await clock.advance(0.4)
    assert submit(backend, a_request()).estimated_wait_minutes == 1.0


class WatchedRequest(JobRequest):
    """A job request to which a test can hold a weak reference."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("after", [0.0, 0.3, 0.5, LONG], ids=["pending", "dispatched", "processing", "completed"])
async def test_request_is_freed_when_the_job_ends(after: float) -> None:
    backend, clock = a_backend()
    request = WatchedRequest(scripts=(a_script(),), script_url=None, portrait=True, bypass=False)
    watched = weakref.ref(request)
    # Reference counting must free the request: the garbage collector counts objects, not bytes, and may run late.
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


async def test_slow_marker_delays_the_job() -> None:
    backend, clock = a_backend(simulation_pace=0.5, simulation_dispatch_delay=0, simulation_start_delay=0)
    record = submit(backend, a_request(a_script(10, prompt="A cat [slow:2500]")))
    await clock.advance(7.4)
    assert states(record)[-1] is JobState.PROCESSING
    await clock.advance(0.1)
    assert states(record)[-1] is JobState.COMPLETED


async def test_stall_marker_keeps_job_until_cancelled() -> None:
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


async def test_stalled_job_can_lose_its_worker() -> None:
    backend, clock = a_backend(simulation_retries=1)
    record = submit(backend, a_request(a_script(10, prompt="[stall]")))
    await clock.advance(LONG)
    await backend.jobs.lose_worker(record.id)
    await clock.advance(LONG)
    assert (record.status, record.retry_count) == (JobState.PROCESSING, 1)
    await backend.jobs.lose_worker(record.id)
    assert record.status is JobState.FAILED
    await backend.jobs.close()
