"""Tests that every call returns or raises an `OdysseyError` in time under any combination of faults.

Hypothesis draws up to four faults from the whole catalog. The client must always disconnect, and nothing may leak. The
fault matrix contains the outcome of each single fault.
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
"""Timeout in seconds for one session. It is longer than the sum of all timeouts of the client."""

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
    """Connect, start a stream, interact, end the stream and disconnect.

    Each step follows even if the step before has failed, except if `connect` fails. `connected`, `disconnected` and
    the codes of all errors are appended to `told`.
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
    """Return the fault without its field `match`, so that it applies to every client."""
    return {name: value for name, value in fault.items() if name != "match"}


@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(faults().map(_of_everybody), min_size=1, max_size=4))
def test_every_call_settles_under_any_faults(drawn: Sequence[Mapping[str, JSON]]) -> None:
    told = asyncio.run(played(drawn))
    assert told.count("connected") == told.count("disconnected") <= 1
