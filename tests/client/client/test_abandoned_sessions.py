"""Tests of sessions whose opening call was cancelled or failed: the client ends them or uses them in its next call."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_client import (
    AdvancedConfig,
    ClientCredentials,
    ConnectionClosedError,
    ConnectTimeoutError,
    Odyssey,
    OdysseyApiError,
)
from odyssey_client.rest import sessions
from odyssey_mock import MockOdyssey
from odyssey_mock.sim.world import World
from tests.support.simulated_worlds import at_step, complete

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))

TOKEN: Final = "rest.sessions.token"
SLOW = {"at": TOKEN, "do": "delay", "seconds": 0.2, "times": 1}
CALLS: dict[str, Callable[[Odyssey], Awaitable[object]]] = {
    "connect": lambda client: client.connect(),
    "create_client_credentials": lambda client: client.create_client_credentials(),
}


def opened(mock: MockOdyssey) -> int:
    """Return the number of sessions that the mock has opened."""
    return len(mock.requests("POST /sessions/request", status=200))


@pytest.mark.odyssey(concurrent_sessions=1)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_session_of_a_cancelled_call_ends(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, call: Callable[[Odyssey], Awaitable[object]]
) -> None:
    for number in range(3):
        since = odyssey_mock.journal.next_index
        odyssey_mock.faults.add(at=TOKEN, do="delay", seconds=0.2, times=1)
        calling = asyncio.ensure_future(call(odyssey_client))
        await odyssey_mock.wait_for("fault", TOKEN, since=since)
        calling.cancel()
        await asyncio.wait({calling})
        assert calling.cancelled()
        await odyssey_mock.wait_for("state", "session", to="closed", event="client_left", since=since)
        assert opened(odyssey_mock) == number + 1


@pytest.mark.odyssey(concurrent_sessions=1, faults=[SLOW])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_disconnect_ends_a_session_that_is_opening(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, call: Callable[[Odyssey], Awaitable[object]]
) -> None:
    calling = asyncio.ensure_future(call(odyssey_client))
    await odyssey_mock.wait_for("fault", TOKEN)
    await odyssey_client.disconnect()
    with pytest.raises(ConnectionClosedError):
        await calling
    await odyssey_mock.wait_for("state", "session", to="closed", event="client_left")


@pytest.mark.odyssey(concurrent_sessions=1, faults=[{"at": TOKEN, "do": "no_answer", "times": 2}])
async def test_session_without_a_token_is_used_next(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "GRANT_LIMIT_S", 0.01)
    for _ in range(2):
        since = odyssey_mock.journal.next_index
        connecting = asyncio.ensure_future(odyssey_client.connect())
        await odyssey_mock.wait_for("fault", TOKEN, since=since)
        connecting.cancel()
        await asyncio.wait({connecting})
    await odyssey_client.connect()
    assert (opened(odyssey_mock), list(odyssey_mock.sessions)) == (1, [odyssey_client.current_session_id])


@pytest.mark.odyssey(concurrent_sessions=1, faults=[{"at": TOKEN, "do": "status", "status": 400, "times": 1}])
async def test_session_whose_token_was_refused_is_used_again(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    with pytest.raises(OdysseyApiError, match="POST /sessions/token: HTTP 400"):
        await odyssey_client.connect()
    await odyssey_client.connect()
    assert (opened(odyssey_mock), list(odyssey_mock.sessions)) == (1, [odyssey_client.current_session_id])


@pytest.mark.odyssey(clock="manual", faults=[{"at": TOKEN, "do": "status", "status": 400, "times": 1}])
async def test_unused_session_that_has_ended_is_replaced(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    with pytest.raises(OdysseyApiError):
        await odyssey_client.connect()
    await odyssey_mock.advance(15 * 60)
    await odyssey_client.connect()
    assert opened(odyssey_mock) == 2


@pytest.mark.odyssey(faults=[{"at": TOKEN, "do": "status", "status": 400, "times": 2}])
async def test_unused_session_is_tried_only_once(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    for _ in range(2):
        with pytest.raises(OdysseyApiError):
            await odyssey_client.connect()
    await odyssey_client.connect()
    assert opened(odyssey_mock) == 2


@pytest.mark.odyssey(
    concurrent_sessions=1, faults=[{"at": "signaling.upgrade", "do": "delay", "seconds": 60, "times": 1}]
)
async def test_session_of_a_timed_out_connect_ends(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey(advanced=AdvancedConfig(connect_timeout_s=0.3)) as client:
        with pytest.raises(ConnectTimeoutError):
            await client.connect()
    assert not odyssey_mock.sessions


@pytest.mark.odyssey(
    clock="manual", faults=[{"at": "signaling.connected", "do": "close", "code": 1011, "seconds": 1, "times": 1}]
)
async def test_disconnect_while_reconnecting_ends_the_session(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at=TOKEN, do="no_answer", after=1)
    async with Odyssey() as client:
        await client.connect()
        await odyssey_mock.advance(1)
        await odyssey_mock.wait_for("fault", TOKEN)
    await odyssey_mock.wait_for("state", "session", to="closed", event="client_left")


# At every point of the call.

STEPS = 240
"""A few more than the number of callbacks that the event loop runs until a client is connected."""


@given(step=st.integers(1, STEPS), call=st.sampled_from(sorted(CALLS)), how=st.sampled_from(["cancel", "disconnect"]))
@settings(max_examples=60)
def test_call_interrupted_at_any_step_leaves_no_session(step: int, call: str, how: str) -> None:
    async def scenario(world: World) -> bool:
        reached = asyncio.Event()
        async with world.client() as client:
            calling = asyncio.ensure_future(CALLS[call](client))
            reaching = asyncio.ensure_future(reached.wait())
            at_step(world, step, reached.set)
            await asyncio.wait({calling, reaching}, return_when=asyncio.FIRST_COMPLETED)
            reaching.cancel()
            if how == "cancel":
                calling.cancel()
            else:
                await client.disconnect()
            (outcome,) = await asyncio.gather(calling, return_exceptions=True)
        if not isinstance(outcome, ClientCredentials):  # otherwise the session belongs to the caller
            async with world.client() as other:
                await other.connect()
        return True

    went = complete(scenario, concurrent_sessions=1)
    assert went.left == ()
