"""Tests that the client raises the messages of the vendor's table "Common Error Messages" word for word."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from odyssey_client import (
    AdvancedConfig,
    ConcurrentLimitReachedError,
    Odyssey,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyError,
    QueueTimeoutError,
    StreamerDisconnectedError,
    StreamerNotAvailableError,
)
from odyssey_mock import MockOdyssey

type Fault = Mapping[str, Any]  # Any: JSON

ENDS_OPEN = "..."
"""Ending of a row's message that marks it as the beginning of the client's message, which adds advice."""


@dataclass(frozen=True)
class Row:
    """A row of the vendor's table: an error message, the error's class, and the API key or faults that cause it."""

    text: str
    kind: type[OdysseyError]
    key: str = ""
    faults: tuple[Fault, ...] = ()
    status: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    advanced: AdvancedConfig = field(default_factory=AdvancedConfig)


def rest(at: str, status: int, **more: Any) -> tuple[Fault, ...]:
    return ({"at": at, "do": "status", "status": status, **more},)


def signaling(reason: str) -> tuple[Fault, ...]:
    return ({"at": "signaling.offer", "do": "error", "reason": reason},)


AT_ONCE = AdvancedConfig(queue_timeout_s=0)
IMPATIENT = AdvancedConfig(queue_timeout_s=0.2)

BY_KEY = [
    Row("Invalid API key", OdysseyAuthError, key="ody_invalid_1", status=401),
    Row("Invalid API key format...", OdysseyAuthError, key="sk_malformed", status=422),
    Row("API key access denied", OdysseyAuthError, key="ody_suspended_1", status=403),
    Row("Maximum concurrent sessions (5) reached", ConcurrentLimitReachedError, key="ody_concurrent_limit", status=429),
    Row("No available sessions", QueueTimeoutError, key="ody_no_capacity", status=503, advanced=AT_ONCE),
    Row("Timed out waiting for a streamer", QueueTimeoutError, key="ody_no_capacity", status=503, advanced=IMPATIENT),
]
BY_FAULT = [
    Row("Invalid API key", OdysseyAuthError, faults=rest("rest.auth.token", 401), status=401),
    Row("Invalid API key format...", OdysseyAuthError, faults=rest("rest.auth.token", 422), status=422),
    Row("API key access denied", OdysseyAuthError, faults=rest("rest.auth.token", 403), status=403),
    Row(
        "Maximum concurrent sessions (2) reached",
        ConcurrentLimitReachedError,
        faults=rest(
            "rest.sessions.request",
            429,
            detail={
                "error": "CONCURRENT_LIMIT_REACHED",
                "message": "Maximum concurrent sessions (2) reached",
                "action": "Close another session",
                "action_url": "https://platform.odyssey.ml/billing",
                "details": {"active_count": 2, "limit": 2},
            },
        ),
        status=429,
    ),
    Row(
        "No available sessions",
        QueueTimeoutError,
        faults=rest("rest.sessions.request", 503),
        status=503,
        advanced=AT_ONCE,
    ),
    Row(
        "Timed out waiting for a streamer",
        QueueTimeoutError,
        faults=rest("rest.sessions.request", 503),
        status=503,
        advanced=IMPATIENT,
    ),
    Row("Streamer not available", StreamerNotAvailableError, faults=signaling("streamer_not_available")),
    Row("Streamer disconnected", StreamerDisconnectedError, faults=signaling("streamer_disconnected")),
]


def says(error: OdysseyError, text: str) -> bool:
    """Return whether the error has the message `text`.

    If `text` ends with `...`, return whether the message begins with the text before the dots.
    """
    if text.endswith(ENDS_OPEN):
        return str(error).startswith(text.removesuffix(ENDS_OPEN))
    return str(error) == text


@pytest.mark.parametrize("row", [*BY_KEY, *BY_FAULT], ids=lambda row: f"{row.text} {row.key or 'fault'}")
async def test_service_error_has_the_documented_message(row: Row) -> None:
    told: list[tuple[Exception, bool]] = []
    async with MockOdyssey(faults=row.faults, **row.settings) as mock:
        client = Odyssey(row.key or mock.api_key, api_url=mock.url, advanced=row.advanced)
        with pytest.raises(row.kind) as caught:
            await client.connect(on_error=lambda error, fatal: told.append((error, fatal)))
        await client.disconnect()
    assert says(caught.value, row.text), f"expected the message {row.text!r}, got {str(caught.value)!r}"
    assert caught.value.status == row.status
    assert told == [(caught.value, True)], (
        f"expected one call of on_error, with the raised error and fatal=True, got the calls {told}"
    )


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("Odyssey: config object is required...", {"api_key": "ody_good", "advanced": {"queue_timeout_s": 5}}),
        ("Odyssey: api_key is required and must be a string...", {}),
        ("Odyssey: api_key is required and must be a string...", {"api_key": 12}),
        ("Odyssey: api_key cannot be empty...", {"api_key": ""}),
    ],
)
def test_constructor_error_has_the_documented_message(
    text: str, arguments: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ODYSSEY_API_KEY", raising=False)
    with pytest.raises(OdysseyConfigError) as caught:
        Odyssey(**arguments)
    assert says(caught.value, text), f"expected the message {text!r}, got {str(caught.value)!r}"


async def test_concurrent_limit_is_freed_when_session_closes() -> None:
    async with MockOdyssey(concurrent_sessions=1) as mock:
        first, second = (Odyssey(mock.api_key, api_url=mock.url) for _ in range(2))
        await first.connect()
        with pytest.raises(ConcurrentLimitReachedError, match=r"^Maximum concurrent sessions \(1\) reached$") as caught:
            await second.connect()
        assert caught.value.details == {"active_count": 1, "limit": 1}
        assert caught.value.action_url
        await first.disconnect()
        await mock.wait_for("state", "session", to="closed")
        await second.connect()
        await second.disconnect()
