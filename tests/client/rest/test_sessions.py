"""Tests of opening a session: the two REST calls, the queue, and its timeout."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import (
    ConcurrentLimitReachedError,
    OdysseyApiError,
    QueueTimeoutError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from odyssey_client.models import StreamerCapabilities
from odyssey_client.rest.sessions import OnQueued, Sessions
from odyssey_client.rest.transport import Transport

from .conftest import Answer, MakeTransport, Service, VirtualClock

KEY = "POST /auth/token"
REQUEST = "POST /sessions/request"
TOKEN = "POST /sessions/token"
FULL = Answer(503, {"detail": "All streamers are busy"})
RESTARTING = Answer(503, {"detail": "Restarting"})
HANG_UP = Answer(raw=b"")
SESSION: dict[str, Any] = {
    "session_id": "s-1",
    "signalling_url": "wss://host/signaling/",
    "streamer_id": "st-1",
    "model": "m",
    "region": "eu",
    "capabilities": {"image_to_video": True},
}


async def open_session(transport: Transport, *, on_queued: OnQueued = lambda *_: None) -> ClientCredentials:
    """Open a session with a new `Sessions` object. Fail the test if the object ends a session."""
    return await Sessions(transport, ends_nothing).open(on_queued)


async def ends_nothing(credentials: ClientCredentials) -> bool:
    raise AssertionError(f"expected no session to be ended, got {credentials.session_id}")


@pytest.fixture(autouse=True)
def free(service: Service) -> None:
    service.script[REQUEST] = Answer(body=SESSION)
    service.script[TOKEN] = Answer(body={"session_token": "a.b.c", "expires_in": 600})


async def test_session_is_requested_and_then_its_token(service: Service, transport: Transport) -> None:
    credentials = await open_session(transport)
    assert credentials == ClientCredentials(
        "s-1", "wss://host/signaling", "a.b.c", 600, StreamerCapabilities(image_to_video=True)
    )
    assert service.calls(REQUEST)[0].body == {}
    assert service.calls(TOKEN)[0].body == {"session_id": "s-1"}


async def test_latencies_are_sent_with_session_request(service: Service, transport: Transport) -> None:
    service.script["GET /regions"] = Answer(body={"regions": [{"id": "eu", "ping_url": f"{service.url}/unknown"}]})
    await open_session(transport)
    assert service.calls(REQUEST)[0].body == {"region_latencies": {"eu": 9999.0}}


async def test_request_repeats_every_second_while_queued(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[REQUEST] = [FULL, FULL, FULL, Answer(body=SESSION)]
    heard: list[tuple[int, str]] = []
    credentials = await open_session(transport, on_queued=lambda *said: heard.append(said))
    assert credentials.session_id == "s-1"
    assert clock.slept == [1, 1, 1]
    assert heard == [(1, "All streamers are busy"), (2, "All streamers are busy"), (3, "All streamers are busy")]


async def test_queue_timeout_has_vendors_message(service: Service, make: MakeTransport, clock: VirtualClock) -> None:
    service.script[REQUEST] = FULL
    with pytest.raises(QueueTimeoutError) as caught:
        await open_session(make(queue_timeout_s=2.5))
    error = caught.value
    assert str(error) == "Timed out waiting for a streamer"
    assert (error.code, error.status, error.detail, error.retryable) == (
        "queue_timeout",
        503,
        "All streamers are busy",
        True,
    )
    assert clock.slept == [1, 1, 0.5]
    assert service.calls(TOKEN) == []


async def test_default_queue_timeout_is_thirty_seconds(
    service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[REQUEST] = FULL
    with pytest.raises(QueueTimeoutError):
        await open_session(transport)
    assert sum(clock.slept) == 30


async def test_busy_service_fails_at_once_without_queue(
    service: Service, make: MakeTransport, clock: VirtualClock
) -> None:
    service.script[REQUEST] = FULL
    heard: list[int] = []
    with pytest.raises(QueueTimeoutError) as caught:
        await open_session(make(queue_timeout_s=0), on_queued=lambda attempt, _: heard.append(attempt))
    assert (str(caught.value), caught.value.code) == ("No available sessions", "no_available_sessions")
    assert (clock.slept, heard, len(service.calls(REQUEST))) == ([], [], 1)


async def test_account_limit_ends_queue_at_once(service: Service, transport: Transport) -> None:
    service.script[REQUEST] = [FULL, Answer(429, {"detail": "Maximum concurrent sessions (5) reached"})]
    with pytest.raises(ConcurrentLimitReachedError, match=r"^Maximum concurrent sessions \(5\) reached$"):
        await open_session(transport)


async def test_503_for_token_is_no_queue_timeout(service: Service, transport: Transport) -> None:
    service.script[TOKEN] = RESTARTING
    with pytest.raises(OdysseyApiError, match="POST /sessions/token: HTTP 503"):
        await open_session(transport)


@pytest.mark.parametrize("trouble", [RESTARTING, HANG_UP], ids=["503", "no answer"])
@pytest.mark.parametrize("call", [KEY, TOKEN])
async def test_token_requests_are_retried(call: str, trouble: Answer, service: Service, transport: Transport) -> None:
    right = service.script[call]
    assert isinstance(right, Answer)
    service.script[call] = [trouble, trouble, right]
    credentials = await open_session(transport)
    assert credentials.session_id == "s-1"
    assert (len(service.calls(call)), len(service.calls(REQUEST))) == (3, 1)


async def test_session_request_without_response_is_not_repeated(service: Service, transport: Transport) -> None:
    service.script[REQUEST] = HANG_UP
    with pytest.raises(ServiceUnreachableError):
        await open_session(transport)
    assert len(service.calls(REQUEST)) == 1


async def test_renewal_of_session_token_is_not_retried(service: Service, transport: Transport) -> None:
    credentials = await open_session(transport)
    service.script[TOKEN] = RESTARTING
    with pytest.raises(OdysseyApiError):
        await Sessions(transport, ends_nothing).renew(credentials)
    assert len(service.calls(TOKEN)) == 2


@pytest.mark.parametrize(
    ("call", "change", "path"),
    [
        (REQUEST, {"session_id": None}, "session_id"),
        (REQUEST, {"session_id": 3}, "session_id"),
        (REQUEST, {"signalling_url": "https://host"}, "signalling_url"),
        (REQUEST, {"capabilities": []}, "capabilities"),
        (REQUEST, {"capabilities": {}}, "capabilities.image_to_video"),
        (REQUEST, {"capabilities": {"image_to_video": "yes"}}, "capabilities.image_to_video"),
        (TOKEN, {"session_token": ""}, "session_token"),
        (TOKEN, {"expires_in": -1}, "expires_in"),
    ],
)
async def test_invalid_response_names_field(
    call: str, change: dict[str, Any], path: str, service: Service, transport: Transport
) -> None:
    service.change(call, change)
    with pytest.raises(UnexpectedResponseError, match=call) as caught:
        await open_session(transport)
    assert caught.value.path == path


async def test_missing_capabilities_mean_no_image_to_video(service: Service, transport: Transport) -> None:
    service.script[REQUEST] = Answer(body={name: SESSION[name] for name in SESSION if name != "capabilities"})
    assert not (await open_session(transport)).capabilities.image_to_video


async def test_cancelling_in_queue_ends_requests(service: Service, transport: Transport) -> None:
    service.script[REQUEST] = FULL
    queueing = asyncio.Event()

    class StoppedClock(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            queueing.set()
            await asyncio.Event().wait()

    transport.clock = StoppedClock()
    opening = asyncio.create_task(open_session(transport))
    await queueing.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert len(service.calls(REQUEST)) == 1


async def test_cancelled_call_waits_one_second_for_its_token(service: Service, make: MakeTransport) -> None:
    limits: list[float | None] = []

    class ImpatientClock(VirtualClock):
        def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
            limits.append(seconds)
            return super().timeout(0 if seconds == 1 else seconds)

    service.script[TOKEN] = Answer(until=asyncio.Event())
    opening = asyncio.create_task(open_session(make(clock=ImpatientClock())))
    await service.until_asked(TOKEN)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert limits[-1] == 1


async def test_session_that_did_not_end_is_reused(service: Service, transport: Transport) -> None:
    async def fails_to_end(_: ClientCredentials) -> bool:
        return False

    granted = asyncio.Event()
    service.script[TOKEN] = Answer(body={"session_token": "a.b.c", "expires_in": 600}, until=granted)
    sessions = Sessions(transport, fails_to_end)
    opening = asyncio.create_task(sessions.open(lambda *_: None))
    await service.until_asked(TOKEN)
    opening.cancel()
    granted.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert (await sessions.open(lambda *_: None)).session_id == "s-1"
    assert len(service.calls(REQUEST)) == 1
