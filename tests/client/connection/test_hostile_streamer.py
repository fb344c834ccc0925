"""Tests of a hostile streamer, which floods the client with messages over a real data channel."""

import asyncio

import pytest

from odyssey_client import PeerError
from odyssey_client.connection.messages import MAX_INVALID_MESSAGES, MessageError
from tests.support.leftovers import nothing_left
from tests.support.loop_watchdog import again_if_slow, loop_watchdog
from tests.support.scripted_service import Told, client_of, whole_service
from tests.support.scripted_streamer import Session

LIMIT_S = 20
BUFFER = 50
"""Number of events that wait for handlers in the tests, instead of 1,000: a data channel needs 2 ms for a message."""


async def test_too_many_invalid_messages_count_as_lost_peer() -> None:
    async def flood(session: Session) -> None:
        await session.come_up()
        for number in range(3 * MAX_INVALID_MESSAGES):
            session.say(f"not JSON {number}")
        await session.until_closed()

    told = Told()
    async with (
        nothing_left(),
        asyncio.timeout(LIMIT_S),
        whole_service(flood) as service,
        client_of(service, reconnect="off") as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
    assert [kind for kind, _ in told.errors] == [MessageError] * MAX_INVALID_MESSAGES + [PeerError]
    message = str(told.of("error")[-1][0])
    assert message.startswith("The streamer was lost: the streamer sent more than 100 invalid messages. The last: ")


@again_if_slow
async def test_flood_of_messages_to_slow_handler_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_client.events.EVENT_BUFFER", BUFFER)
    may_go_on, is_last = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def flood(session: Session) -> None:
        await session.come_up()
        for number in range(5 * BUFFER):
            session.say({"type": "update_acknowledged", "prompt": str(number)})
            await asyncio.sleep(0)  # noqa: TID251 - the client is measured, not the work of this peer
        session.say({"type": "stream_started", "stream_id": "last"})
        await session.until_closed()

    async def wait(prompt: str) -> None:
        seen.append(prompt)
        await may_go_on.wait()

    async with asyncio.timeout(LIMIT_S), whole_service(flood) as service, client_of(service) as odyssey:
        events = odyssey.events()
        with loop_watchdog() as watchdog:
            await odyssey.connect(on_interact_acknowledged=wait, on_stream_started=lambda _: is_last.set())
            async for event in events:
                if getattr(event, "stream_id", None) == "last":
                    break
        may_go_on.set()
        await is_last.wait()
    watchdog.assert_responsive()
    assert seen[0] == "0"
    assert seen[-1] == str(5 * BUFFER - 1)
    assert len(seen) <= BUFFER
