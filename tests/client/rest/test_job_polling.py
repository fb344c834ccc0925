"""Tests of job polling: intervals, timeouts, errors, calls of `on_update`, and closing the client while it polls."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from odyssey_client.client.in_flight import InFlightCalls
from odyssey_client.client.job_polling import JobPolling
from odyssey_client.errors import (
    ConnectionClosedError,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseySimulationError,
    ServiceUnreachableError,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationTimeoutError,
    UnexpectedResponseError,
)
from odyssey_client.models import SimulationJobDetail
from odyssey_client.rest.transport import Transport

from .conftest import Answer, MakeTransport, Service, VirtualClock

GET = "GET /simulation-jobs/job-1"

STREAM: dict[str, Any] = {
    "stream_id": "s-1",
    "video_url": "https://host/video.mp4?signature=1",
    "events_url": None,
    "thumbnail_url": None,
    "preview_url": None,
    "frame_count": None,
    "duration_seconds": None,
    "script_index": 0,
}


def job(status: str = "pending", **fields: Any) -> Answer:
    body = {
        "job_id": "job-1",
        "status": status,
        "priority": "normal",
        "created_at": "2026-01-31T12:00:00Z",
        "retry_count": 0,
        "streams": [],
    }
    return Answer(body={**body, **fields})


def watch(
    transport: Transport,
    *,
    interval: float = 5.0,
    timeout: float | None = 600.0,
    on_update: Callable[[SimulationJobDetail], object] | None = None,
    calls: InFlightCalls | None = None,
) -> JobPolling:
    call = (calls or InFlightCalls()).begin("wait_for_simulation")
    return JobPolling(transport, call, "job-1", interval=interval, timeout=timeout, on_update=on_update)


@pytest.fixture
def transport(make: MakeTransport) -> Transport:
    """Return an HTTP transport without retries, so that each poll sends exactly one request."""
    return make(request_max_retries=0)


# Intervals and timeouts.


async def test_job_is_polled_at_once_and_every_interval(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[GET] = [job(), job("dispatched"), job("processing"), job("completed")]
    ended = await watch(transport, interval=7).run()
    assert ended.status == "completed"
    assert clock.slept == [7, 7, 7]


async def test_finished_job_is_returned_without_waiting(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[GET] = job("completed")
    await watch(transport).run()
    assert clock.slept == []


async def test_job_is_polled_once_more_at_timeout(service: Service, transport: Transport, clock: VirtualClock) -> None:
    service.script[GET] = [job(), job(), job(), job("completed")]
    assert (await watch(transport, interval=5, timeout=12).run()).status == "completed"
    assert clock.slept == [5, 5, 2]


async def test_timeout_error_has_last_received_job(service: Service, transport: Transport, clock: VirtualClock) -> None:
    service.script[GET] = [job(), job("dispatched"), job("processing"), job("completed")]
    with pytest.raises(
        SimulationTimeoutError, match=r"within 10 s: its last status is processing\. It continues"
    ) as caught:
        await watch(transport, interval=5, timeout=10).run()
    assert caught.value.job is not None
    assert caught.value.job.status == "processing"
    assert sum(clock.slept) == 10


async def test_without_timeout_polling_continues_until_job_ends(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[GET] = [*[job()] * 50, job("completed")]
    await watch(transport, interval=3600, timeout=None).run()
    assert sum(clock.slept) == 50 * 3600


async def test_timeout_ends_unanswered_poll(service: Service, transport: Transport) -> None:
    service.script[GET] = Answer(until=asyncio.Event())
    async with asyncio.timeout(10):
        with pytest.raises(SimulationTimeoutError, match="its status is unknown"):
            await watch(transport, timeout=0.01).run()


# Errors.


async def test_failed_job_raises_error_with_its_streams(service: Service, transport: Transport) -> None:
    broken = {**STREAM, "stream_id": "s-2", "script_index": 1, "status": "failed", "error_message": "the model stopped"}
    service.script[GET] = job("failed", error_message="1 of 2 streams failed", streams=[STREAM, broken])
    with pytest.raises(SimulationFailedError, match="1 of 2 streams failed") as caught:
        await watch(transport).run()
    assert caught.value.stream_errors == {1: "the model stopped"}
    assert caught.value.job.streams[0].video_url == STREAM["video_url"]


async def test_cancelled_job_raises_simulation_cancelled(service: Service, transport: Transport) -> None:
    service.script[GET] = [job(), job("cancelled")]
    with pytest.raises(SimulationCancelledError, match="job-1 was cancelled") as caught:
        await watch(transport).run()
    assert caught.value.job.status == "cancelled"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404, {"detail": "x"}), OdysseySimulationError),
        (Answer(403, {"detail": "x"}), OdysseySimulationError),
        (Answer(401, {"detail": "x"}), OdysseyAuthError),
        (Answer(400, {"detail": "x"}), OdysseyApiError),
        (Answer(200, b"<html>"), UnexpectedResponseError),
        (Answer(200, {"job_id": 5}), UnexpectedResponseError),
    ],
)
async def test_permanent_polling_errors_are_raised(
    answer: Answer, error: type[Exception], service: Service, transport: Transport
) -> None:
    service.script[GET] = [job(), answer]
    with pytest.raises(error):
        await watch(transport).run()


@pytest.mark.parametrize("answer", [Answer(503, {"detail": "x"}), Answer(500, b""), Answer(raw=b"")])
async def test_transient_polling_errors_are_ignored(
    answer: Answer, service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[GET] = [answer, job(), answer, answer, job("completed")]
    assert (await watch(transport).run()).status == "completed"
    assert clock.slept == [5, 5, 5, 5]


async def test_transport_retries_poll_before_next_interval(
    service: Service, make: MakeTransport, clock: VirtualClock
) -> None:
    service.script[GET] = [Answer(503, {"detail": "x"}), job("completed")]
    await watch(make()).run()
    (backoff,) = clock.slept
    assert 0.5 <= backoff <= 1


async def test_longer_retry_after_replaces_interval(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[GET] = [Answer(503, {"detail": "x"}, {"Retry-After": "90"}), job("completed")]
    await watch(transport).run()
    assert clock.slept == [90]


async def test_retry_after_is_limited_without_timeout(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[GET] = [Answer(503, {"detail": "x"}, {"Retry-After": "999999999"}), job("completed")]
    await watch(transport, timeout=None).run()
    assert clock.slept == [60]


async def test_last_polling_error_is_cause_of_timeout(service: Service, transport: Transport) -> None:
    service.script[GET] = [job(), Answer(raw=b"")]
    with pytest.raises(SimulationTimeoutError, match="its last status is pending") as caught:
        await watch(transport, timeout=20).run()
    assert isinstance(caught.value.__cause__, ServiceUnreachableError)
    (note,) = caught.value.__notes__
    assert note.startswith("The last poll failed: GET ")


# Updates.


async def test_on_update_is_called_for_changes_only(service: Service, transport: Transport) -> None:
    signed_anew = [{**STREAM, "video_url": "https://host/video.mp4?signature=2"}]
    service.script[GET] = [
        job(),
        job(),
        job("processing"),
        job("processing", retry_count=1),
        job("processing", retry_count=1, streams=[STREAM]),
        job("processing", retry_count=1, streams=signed_anew),
        job("completed", retry_count=1, streams=signed_anew),
    ]
    told: list[SimulationJobDetail] = []
    await watch(transport, on_update=told.append).run()
    assert [(str(each.status), each.retry_count, len(each.streams)) for each in told] == [
        ("pending", 0, 0),
        ("processing", 0, 0),
        ("processing", 1, 0),
        ("processing", 1, 1),
        ("completed", 1, 1),
    ]


async def test_on_update_receives_failed_job_before_error(service: Service, transport: Transport) -> None:
    service.script[GET] = job("failed")
    told: list[SimulationJobDetail] = []
    with pytest.raises(SimulationFailedError):
        await watch(transport, on_update=told.append).run()
    assert [each.status for each in told] == ["failed"]


async def test_async_on_update_is_awaited_and_may_raise(service: Service, transport: Transport) -> None:
    service.script[GET] = [job(), job("processing"), job("completed")]
    told: list[str] = []

    async def on_update(detail: SimulationJobDetail) -> None:
        await VirtualClock().sleep(0)
        told.append(detail.status)
        if detail.status == "processing":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await watch(transport, on_update=on_update).run()
    assert told == ["pending", "processing"]


# Closing the client and cancelling the call.


class StoppedClock(VirtualClock):
    """A clock whose `sleep` never returns. Each call of `sleep` sets the event `sleeping`."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeping = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeping.set()
        await asyncio.Event().wait()


async def test_closing_client_ends_wait_between_polls(service: Service, make: MakeTransport) -> None:
    service.script[GET] = job()
    calls, clock = InFlightCalls(), StoppedClock()
    waiting = asyncio.create_task(watch(make(clock=clock), calls=calls).run())
    await clock.sleeping.wait()
    await calls.end()
    with pytest.raises(ConnectionClosedError, match=r"while wait_for_simulation\(\) was under way"):
        await waiting


async def test_closing_client_ends_poll_in_progress(service: Service, transport: Transport) -> None:
    service.script[GET] = Answer(until=asyncio.Event())
    calls = InFlightCalls()
    waiting = asyncio.create_task(watch(transport, calls=calls).run())
    await service.until_asked(GET)
    await calls.end()
    with pytest.raises(ConnectionClosedError):
        await waiting
    assert len(service.calls(GET)) == 1


async def test_on_update_may_close_client(service: Service, transport: Transport) -> None:
    service.script[GET] = job()
    calls = InFlightCalls()
    done: list[str] = []

    async def on_update(_: SimulationJobDetail) -> None:
        await calls.end()
        done.append("whole")

    with pytest.raises(ConnectionClosedError):
        await watch(transport, on_update=on_update, calls=calls).run()
    assert done == ["whole"]
    assert len(service.calls(GET)) == 1


async def test_cancelling_wait_ends_polling(service: Service, make: MakeTransport) -> None:
    service.script[GET] = job()
    clock = StoppedClock()
    waiting = asyncio.create_task(watch(make(clock=clock)).run())
    await clock.sleeping.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(service.calls(GET)) == 1
