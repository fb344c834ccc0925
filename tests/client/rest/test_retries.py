"""Tests of retries: which errors are retried, after which delay, and the final error."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import (
    ConcurrentLimitReachedError,
    ConnectionClosedError,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyError,
    OdysseySimulationError,
    OdysseyUsageError,
    RateLimitError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from odyssey_client.rest.retries import RetryPolicy, asked_wait, may_pass, retry_after, retrying

from .conftest import Answer, MakeTransport, Service, VirtualClock

THING = "GET /thing"


def policy(uniform: Callable[[float, float], float] = lambda low, high: high, **settings: Any) -> RetryPolicy:
    return RetryPolicy.of(AdvancedConfig(**settings), uniform)


def answered(status: int, wait: float | None = None) -> OdysseyApiError:
    error = OdysseyApiError("the service says", status=status)
    error.retry_after_seconds = wait
    return error


# Temporary errors.


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ServiceUnreachableError("no answer"), True),
        (ServiceUnreachableError("invalid URL", retryable=False), False),
        (answered(502), True),
        (answered(503), True),
        (answered(504), True),
        (answered(500), False),
        (answered(408), False),
        (answered(404), False),
        (answered(400), False),
        (UnexpectedResponseError("no JSON", status=200), False),
        (RateLimitError("slow down", details={"retry_after_seconds": 3}), True),
        (OdysseyUsageError("slow down", details={"retry_after_seconds": 0}), True),
        (RateLimitError("slow down"), False),
        (RateLimitError("slow down", details={"retry_after_seconds": "soon"}), False),
        (RateLimitError("slow down", details={"retry_after_seconds": True}), False),
        (RateLimitError("slow down", details={"retry_after_seconds": float("nan")}), False),
        (ConcurrentLimitReachedError("too many"), False),
        (OdysseyAuthError("no", status=401), False),
        (OdysseySimulationError("no", status=404), False),
        (ConnectionClosedError("closed by disconnect()"), False),
        (OdysseyConfigError("no key"), False),
    ],
)
def test_only_temporary_errors_are_retried(error: OdysseyError, passes: bool) -> None:
    assert may_pass(error) is passes
    assert (policy().pause(error, 0) is not None) is passes


@pytest.mark.parametrize(
    ("said", "wait"), [(3, 3), (1.5, 1.5), (0, 0), (-5, 0), (10**400, 1e15), (float("inf"), 1e15), (None, None)]
)
def test_requested_wait_is_limited_to_valid_numbers(said: Any, wait: float | None) -> None:
    assert asked_wait(RateLimitError("slow down", details={"retry_after_seconds": said})) == wait


# Delays.


def test_default_delays_are_one_two_and_two_seconds() -> None:
    waits = [policy().pause(answered(503), retry) for retry in range(4)]
    assert waits == [1, 2, 2, None]


@given(
    initial=st.integers(0, 10_000),
    longer=st.integers(0, 10_000),
    multiplier=st.floats(1, 1e300),
    retry=st.integers(0, 10_000),
    where=st.floats(0, 1),
)
def test_delay_grows_and_stays_within_its_bounds(
    initial: int, longer: int, multiplier: float, retry: int, where: float
) -> None:
    settings: dict[str, Any] = {
        "initial_retry_delay_ms": initial,
        "max_retry_delay_ms": initial + longer,
        "retry_backoff_multiplier": multiplier,
    }
    full = policy(**settings).delay(retry)
    assert initial / 1000 <= full <= (initial + longer) / 1000
    drawn = policy(lambda low, high: low + (high - low) * where, **settings).delay(retry)
    assert full / 2 <= drawn <= full * 1.000001
    assert full <= policy(**settings).delay(retry + 1)


def test_delay_is_shortened_by_half_at_most() -> None:
    assert policy(lambda low, high: low).delay(0) == 0.5
    assert policy(lambda low, high: high).delay(0) == 1


def test_requested_wait_is_minimum_delay() -> None:
    assert policy().pause(answered(503, wait=30), 0) == 30
    assert policy().pause(answered(503, wait=0.1), 0) == 1
    assert policy().pause(RateLimitError("", details={"retry_after_seconds": 7.5}), 2) == 7.5


def test_too_long_wait_is_not_retried() -> None:
    assert policy().pause(answered(503, wait=61), 0) is None
    assert policy(max_retry_after_s=61).pause(answered(503, wait=61), 0) == 61
    assert policy(max_retry_after_s=0).pause(answered(503, wait=1), 0) is None
    assert policy(max_retry_after_s=5).delay(0, 3600) == 5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "0"}, 0),
        ({}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 -0000", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 99 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.text(), st.text())
def test_any_retry_after_is_read_or_ignored(said: str, date: str) -> None:
    wait = retry_after({"Retry-After": said, "Date": date})
    assert wait is None or wait >= 0


# Retrying.


class Attempts:
    """A fake operation. Each call raises the next of `errors`; after the last error, calls succeed."""

    def __init__(self, *errors: OdysseyError) -> None:
        self.errors = list(errors)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_attempt_is_repeated_until_it_succeeds(clock: VirtualClock) -> None:
    attempts = Attempts(answered(503), ServiceUnreachableError("gone"), answered(502, wait=9))
    assert await retrying(attempts, policy(), clock) == "done"
    assert attempts.made == 4
    assert clock.slept == [1, 2, 9]


async def test_last_error_is_raised_with_number_of_attempts(clock: VirtualClock) -> None:
    attempts = Attempts(*[answered(503) for _ in range(3)], ServiceUnreachableError("the last"))
    with pytest.raises(ServiceUnreachableError, match="the last") as caught:
        await retrying(attempts, policy(), clock)
    assert caught.value.__notes__ == ["Tried 4 times."]


async def test_permanent_error_is_raised_at_once(clock: VirtualClock) -> None:
    with pytest.raises(OdysseyApiError) as caught:
        await retrying(attempts := Attempts(answered(404)), policy(), clock)
    assert (attempts.made, clock.slept) == (1, [])
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(OdysseyApiError) as caught:
        await retrying(Attempts(answered(503), answered(404)), policy(), clock)
    assert caught.value.__notes__ == ["Tried 2 times."]


async def test_note_names_too_long_wait_and_setting(clock: VirtualClock) -> None:
    with pytest.raises(OdysseyApiError) as caught:
        await retrying(Attempts(answered(503, wait=120)), policy(), clock)
    assert clock.slept == []
    (note,) = caught.value.__notes__
    assert "asks to wait 120 s" in note
    assert "longer than the limit of 60 s (AdvancedConfig.max_retry_after_s)" in note


async def test_shared_error_gets_its_note_once(clock: VirtualClock) -> None:
    shared = answered(503)
    for _ in range(2):
        with pytest.raises(OdysseyApiError):
            await retrying(Attempts(*[shared] * 4), policy(), clock)
    assert shared.__notes__ == ["Tried 4 times."]


async def test_zero_retries_make_one_attempt(clock: VirtualClock) -> None:
    with pytest.raises(OdysseyApiError):
        await retrying(attempts := Attempts(answered(503)), policy(request_max_retries=0), clock)
    assert attempts.made == 1


async def test_other_exceptions_are_not_retried(clock: VirtualClock) -> None:
    made = 0

    async def broken() -> None:
        nonlocal made
        made += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await retrying(broken, policy(), clock)
    assert made == 1


async def test_cancelling_delay_ends_attempts() -> None:
    waiting = asyncio.Event()

    class StoppedClock(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

    attempts = Attempts(answered(503))
    call = asyncio.create_task(retrying(attempts, policy(), StoppedClock()))
    await waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert attempts.made == 1


# Over a real socket.


def getting(transport: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: transport.request("GET", "/thing")


async def test_transport_retries_by_settings_and_service_waits(
    service: Service, make: MakeTransport, clock: VirtualClock
) -> None:
    service.script[THING] = [
        Answer(503, {"detail": "Restarting"}, {"Retry-After": "11"}),
        Answer(429, {"detail": {"error": "RATE_LIMITED", "message": "m", "details": {"retry_after_seconds": 12}}}),
        Answer(429, {"detail": "slow down"}, {"Retry-After": "13"}),
        Answer(raw=b""),
        Answer(504, b"<html>"),
        Answer(body="here"),
    ]
    transport = make(request_max_retries=5, initial_retry_delay_ms=2000)
    assert await retrying(getting(transport), transport.retries, clock) == "here"
    assert clock.slept[:3] == [11, 12, 13]
    assert all(1 <= pause <= 2 for pause in clock.slept[3:])
    assert len(clock.slept) == 5


async def test_access_token_request_is_retried(service: Service, make: MakeTransport, clock: VirtualClock) -> None:
    token = service.script["POST /auth/token"]
    assert isinstance(token, Answer)
    service.script["POST /auth/token"] = [Answer(503, {"detail": "Restarting"}), token]
    service.script[THING] = Answer(body="here")
    transport = make()
    assert await retrying(getting(transport), transport.retries, clock) == "here"
    assert len(service.calls("POST /auth/token")) == 2


async def test_invalid_url_is_not_retried(make: MakeTransport, clock: VirtualClock) -> None:
    transport = make(api_url="http://xn--ü")
    with pytest.raises(ServiceUnreachableError):
        await retrying(getting(transport), transport.retries, clock)
    assert clock.slept == []
