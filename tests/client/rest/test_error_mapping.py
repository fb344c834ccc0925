"""Tests of the exceptions that the client raises for HTTP error responses."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey_client.config import AdvancedConfig, ClientConfig
from odyssey_client.errors import (
    AccountSuspendedError,
    ConcurrentLimitReachedError,
    MonthlyLimitReachedError,
    OdysseyApiError,
    OdysseyError,
    OdysseyUsageError,
    RateLimitError,
    StreamDurationExceededError,
)
from odyssey_client.models import JSON
from odyssey_client.rest.error_mapping import Failure, detail_of, readable
from odyssey_client.rest.transport import Transport
from odyssey_client.service_errors import ROWS, Source
from odyssey_client.system import SystemClock, SystemEntropy

from .conftest import API_KEY

USAGE_CODES = [row.said for row in ROWS if row.source is Source.USAGE]

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(f"key {API_KEY}"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just(API_KEY), inner, max_size=4),
    max_leaves=12,
)
faults = st.lists(st.fixed_dictionaries({}, optional={"loc": json, "msg": json, "type": json, "input": json}))
usage = st.fixed_dictionaries(
    {},
    optional={
        "error": json | st.sampled_from(USAGE_CODES),
        "message": json | st.just("Maximum concurrent sessions (7) reached"),
        "action": json,
        "action_url": json,
        "details": json | st.dictionaries(st.sampled_from(["limit", "active_count", "retry_after_seconds"]), json),
    },
)
bodies = json | st.fixed_dictionaries({"detail": json | faults | usage})


def usage_error(detail: JSON, retry_after: float | None = None) -> OdysseyUsageError:
    error = Failure("POST /sessions/request", 429, detail, "r-1", retry_after).error()
    assert isinstance(error, OdysseyUsageError)
    assert (error.status, error.detail, error.request_id) == (429, detail, "r-1")
    return error


@given(st.integers(300, 599), bodies)
@example(429, {"detail": {"error": "CONCURRENT_LIMIT_REACHED", "details": {"limit": 10**400}}})
def test_any_error_response_gives_readable_odyssey_error(status: int, body: JSON) -> None:
    error = Failure("GET /x", status, detail_of(body), "r-1").error()
    assert isinstance(error, OdysseyError)
    assert str(error).isprintable()
    assert 0 < len(str(error)) < 1000
    assert API_KEY not in f"{error} {error!r} {vars(error)!r}"
    assert (error.status, error.request_id) == (status, "r-1")


@given(st.integers(200, 599), st.binary() | st.text().map(str.encode), st.sampled_from(["/auth/token", "/x"]))
def test_any_bytes_give_json_or_odyssey_error(status: int, body: bytes, path: str) -> None:
    class Network:
        def http_transport(self) -> httpx.AsyncBaseTransport:
            return httpx.MockTransport(lambda request: httpx.Response(status, content=body + API_KEY.encode()))

        def websocket(self, url: str) -> Any:
            raise NotImplementedError

        def ice_addresses(self) -> None:
            return None

        def peer(self, *_: object) -> Any:
            raise NotImplementedError

        def spectator_peer(self, *_: object, **__: object) -> Any:
            raise NotImplementedError

    config = ClientConfig(API_KEY, "http://host", AdvancedConfig())
    transport = Transport(config, clock=SystemClock(), entropy=SystemEntropy(), network=Network())

    async def call() -> OdysseyError | None:
        try:
            await (transport.authenticate() if path == "/auth/token" else transport.request("GET", path, auth="none"))
        except OdysseyError as error:
            return error
        finally:
            await transport.aclose()
        return None

    with asyncio.Runner() as runner:
        error = runner.run(call())
    assert error is None or API_KEY not in f"{error} {error!r} {vars(error)!r}"


@pytest.mark.parametrize(
    ("code", "kind", "details", "property_name", "value"),
    [
        ("MONTHLY_LIMIT_REACHED", MonthlyLimitReachedError, {"used_hours": 9.5}, "used_hours", 9.5),
        ("MONTHLY_LIMIT_REACHED", MonthlyLimitReachedError, {"limit_hours": 10}, "limit_hours", 10),
        ("MONTHLY_LIMIT_REACHED", MonthlyLimitReachedError, {"reset_date": "2026-12-01"}, "reset_date", "2026-12-01"),
        ("CONCURRENT_LIMIT_REACHED", ConcurrentLimitReachedError, {"active_count": 5}, "active_count", 5),
        (
            "STREAM_DURATION_EXCEEDED",
            StreamDurationExceededError,
            {"max_duration_seconds": 150},
            "max_duration_seconds",
            150,
        ),
        ("ACCOUNT_SUSPENDED", AccountSuspendedError, {"reason": "billing"}, "reason", "billing"),
        ("RATE_LIMITED", RateLimitError, {"retry_after_seconds": 3}, "retry_after_seconds", 3),
    ],
)
def test_usage_codes_have_classes_and_attributes(
    code: str, kind: type[OdysseyUsageError], details: dict[str, JSON], property_name: str, value: object
) -> None:
    error = usage_error(
        {"error": code, "message": "m", "action": "upgrade", "action_url": "https://u", "details": details}
    )
    assert type(error) is kind
    assert getattr(error, property_name) == value
    assert (str(error), error.code, error.action, error.action_url) == ("m", code, "upgrade", "https://u")
    assert error.retryable is kind.default_retryable


@pytest.mark.parametrize(
    "detail",
    [
        "Maximum concurrent sessions (5) reached",
        "Error: Maximum concurrent sessions (5) reached, wait",
        {"error": "CONCURRENT_LIMIT_REACHED", "message": "Too many", "details": {"limit": 5}},
        {"message": "Maximum concurrent sessions (5) reached"},
    ],
)
def test_concurrent_limit_raises_vendor_message(detail: JSON) -> None:
    error = usage_error(detail)
    assert isinstance(error, ConcurrentLimitReachedError)
    assert str(error) == "Maximum concurrent sessions (5) reached"
    assert error.limit == 5
    assert error.code == "CONCURRENT_LIMIT_REACHED"


def test_unknown_usage_code_keeps_code_and_message() -> None:
    error = usage_error({"error": "NEW_LIMIT", "message": "New"})
    assert type(error) is OdysseyUsageError
    assert (error.code, str(error)) == ("NEW_LIMIT", "New")


def test_429_with_retry_after_is_rate_limit() -> None:
    error = usage_error("<html>", retry_after=7)
    assert isinstance(error, RateLimitError)
    assert (error.retry_after_seconds, error.retryable) == (7, True)
    assert "usage limit is reached" in str(usage_error(None))


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (403, False), (404, False), (500, True), (503, True)])
def test_error_message_has_call_status_and_detail(status: int, retryable: bool) -> None:
    error = Failure("GET /x", status, "why", "r").error()
    assert type(error) is OdysseyApiError
    assert str(error).startswith(f"GET /x: HTTP {status} ")
    assert str(error).endswith(": why")
    assert error.retryable is retryable


def test_fastapi_errors_are_listed_by_path() -> None:
    detail: JSON = [{"loc": ["body", "limit", 0], "msg": "too big", "type": "t"}, {"msg": "bare"}, "odd"]
    assert readable(detail) == "body.limit.0: too big; bare; odd"
