"""Tests that under any combination of faults every call settles in time, and nothing leaks.

Hypothesis draws faults from the whole catalog. Every call must return or raise an `OdysseyError`, and the client must
always disconnect. The outcome of each single fault is in the fault matrix.
"""

import asyncio
from collections.abc import Mapping, Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client import AdvancedConfig, Odyssey, OdysseyError
from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.testing.strategies import faults
from tests.support.leftovers import nothing_left

HANG_S = 40.0
"""Seconds after which a session counts as hanging; more than the sum of all its timeouts."""

LIMITS = AdvancedConfig(
    initial_retry_delay_ms=10,
    max_retry_delay_ms=20,
    max_retries=2,
    request_max_retries=1,
    queue_timeout_s=0.5,
    connect_timeout_s=2.0,
    operation_timeout_s=1.0,
    request_timeout_s=1.0,
    peer_timeout_s=1.0,
)


async def session(mock: MockOdyssey, told: list[str]) -> None:
    """Connect, use a stream and disconnect; append connection callbacks and error codes to `told`.

    The stream is started, changed and ended, even if one of these calls fails.
    """
    client = Odyssey(mock.api_key, api_url=mock.url, advanced=LIMITS)
    try:
        await client.connect(
            on_connected=lambda: told.append("connected"), on_disconnected=lambda: told.append("disconnected")
        )
        for call in (client.start_stream("A harbour"), client.interact("Snow falls"), client.end_stream()):
            try:
                await call
            except OdysseyError as error:
                told.append(error.code)
    except OdysseyError as error:
        told.append(error.code)
    finally:
        await client.disconnect()


async def played(drawn: Sequence[Mapping[str, JSON]]) -> list[str]:
    told: list[str] = []
    async with asyncio.timeout(HANG_S), nothing_left(), MockOdyssey(portrait_size=(176, 320), faults=drawn) as mock:
        await session(mock, told)
    return told


def _of_everybody(fault: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the fault without `match`, so that it applies to every client."""
    return {name: value for name, value in fault.items() if name != "match"}


@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(faults().map(_of_everybody), min_size=1, max_size=4))
def test_every_call_settles_under_any_faults(drawn: Sequence[Mapping[str, JSON]]) -> None:
    told = asyncio.run(played(drawn))
    assert told.count("connected") == told.count("disconnected") <= 1
