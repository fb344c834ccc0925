"""Tests of calls made while the client reconnects, mainly `disconnect`."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from odyssey_client import InvalidStateError, Odyssey, StatusChanged, StreamerCapabilities, SystemClock
from odyssey_client.client import live
from tests.client.rest.conftest import Answer
from tests.support.leftovers import nothing_left
from tests.support.scripted_service import (
    FULL,
    GONE,
    REQUEST,
    TOKEN,
    Told,
    after,
    client_of,
    lose_both,
    lose_peer,
    lose_socket,
    never_offer,
    quick,
    refuse,
    stay_up,
    stream,
    whole_service,
)
from tests.support.scripted_streamer import Script, scripted

LIMIT = 20.0


async def test_calls_while_reconnecting_raise_invalid_state() -> None:
    told = Told()
    permitted = asyncio.Event()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, after(permitted, stay_up)) as service,
        client_of(service) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "reconnecting")
        for call in (odyssey.start_stream, lambda: odyssey.interact("Night"), odyssey.end_stream):
            with pytest.raises(InvalidStateError, match=r"reconnecting\. Wait until the client is connected") as raised:
                await call()
            assert raised.value.reason == "reconnecting"
        with pytest.raises(InvalidStateError, match=r"connection already \(reconnecting\)"):
            await odyssey.connect()
        assert not odyssey.is_connected
        permitted.set()
        await told.until("status_change", "connected", times=2)


async def test_start_with_image_is_not_sent_while_reconnecting(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = threading.Event()
    monkeypatch.setattr(live, "prepare_image", lambda *_, **__: str(prepared.wait(LIMIT)))
    told, permitted = Told(), asyncio.Event()
    async with (
        asyncio.timeout(LIMIT),
        scripted(lose_socket, after(permitted, stream)) as credentials,
        Odyssey.keyless(advanced=quick()) as odyssey,
    ):
        with_images = replace(credentials, capabilities=StreamerCapabilities(image_to_video=True))
        await odyssey.connect_with_credentials(with_images, **told.handlers())
        starting = asyncio.create_task(odyssey.start_stream("A castle", image=b"an image"))
        await told.until("status_change", "reconnecting")
        prepared.set()
        with pytest.raises(InvalidStateError, match="nothing was sent"):
            await starting
        permitted.set()
        await told.until("status_change", "connected", times=2)
        assert await odyssey.start_stream("A castle") == "stream-1"


async def test_old_watchdog_does_not_end_the_restored_connection() -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_both, stay_up) as service,
        client_of(service, peer_timeout_s=0.4) as odyssey,
    ):
        video = await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
        began: float | None = None
        async for frame in video:
            began = frame.timestamp_ms if began is None else began
            if frame.timestamp_ms > began + 1500:
                break
        assert told.statuses.count("reconnecting") == 1
        assert odyssey.is_connected


type HeldBack = tuple[list[Script], dict[str, list[Answer]]]

HELD_BACK: dict[str, Callable[[], HeldBack]] = {
    "lost": lambda: ([lose_peer], {}),
    "waiting": lambda: ([lose_socket, refuse], {}),
    "renewing": lambda: ([lose_socket], {TOKEN: [never_answered()]}),
    "reopening": lambda: ([lose_socket], {TOKEN: [GONE], REQUEST: [never_answered()]}),
    "requeueing": lambda: ([lose_socket], {TOKEN: [GONE], REQUEST: [FULL] * 60}),
    "reconnecting": lambda: ([lose_socket, never_offer], {}),
}
"""For each state of a reconnecting connection, the streamer's scripts and the responses that keep it in this state."""


def never_answered() -> Answer:
    return Answer(until=asyncio.Event())  # created per test: an event belongs to one event loop


@pytest.mark.parametrize("where", HELD_BACK)
@pytest.mark.parametrize("how", ["twice", "leaving"])
async def test_disconnect_while_reconnecting_is_clean_and_reported_once(where: str, how: str) -> None:
    scripts, answers = HELD_BACK[where]()
    told = Told()
    wait_ms = 60_000 if where == "waiting" else 10
    async with nothing_left(), asyncio.timeout(LIMIT), whole_service(*scripts) as service:
        service.then(TOKEN, await service.token(), *answers.get(TOKEN, []))
        service.then(REQUEST, await service.session(), *answers.get(REQUEST, []))
        async with client_of(service, initial_retry_delay_ms=wait_ms, max_retry_delay_ms=wait_ms) as odyssey:
            await odyssey.connect(**told.handlers())
            await until_it_is(where, odyssey)
            if how == "twice":
                await asyncio.gather(odyssey.disconnect(), odyssey.disconnect())
                await odyssey.disconnect()
                assert odyssey.current_status == "disconnected"
    assert told.statuses[-1] == "disconnected"
    assert len(told.of("disconnected")) == 1
    assert not [fatal for _, fatal in told.errors if fatal]


async def until_it_is(state: str, odyssey: Odyssey) -> None:
    """Poll the state of the client's connection machine until it is `state`. No handler is called for some states."""
    connection = odyssey._connection
    assert connection is not None
    while connection._machine.state != state:
        await SystemClock().sleep(0.005)


async def test_handler_may_disconnect_while_reconnecting() -> None:
    told = Told()
    async with nothing_left(), asyncio.timeout(LIMIT), whole_service(lose_socket, never_offer) as service:
        async with client_of(service) as odyssey:
            await odyssey.connect(**{**told.handlers(), "on_error": odyssey.disconnect})
            await told.until("disconnected")
        assert told.statuses[-1] == "disconnected"


async def test_client_can_connect_after_giving_up() -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, refuse, stay_up) as service,
        client_of(service, max_retries=1) as odyssey,
    ):
        first = await odyssey.connect(**told.handlers())
        await told.until("disconnected")
        assert await odyssey.connect() is not first
        assert odyssey.is_connected


async def test_event_reader_continues_after_reconnecting() -> None:
    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(lose_socket, stay_up) as service, client_of(service) as odyssey:
        events = odyssey.events()
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
        await odyssey.disconnect()
        statuses = [event.status async for event in events if isinstance(event, StatusChanged)]
    assert statuses[2:] == ["connected", "reconnecting", "connected", "disconnected"]
