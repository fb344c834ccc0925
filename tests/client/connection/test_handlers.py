"""Tests of handlers that call the client, hang or raise an exception while a connection opens or closes."""

import asyncio
from collections.abc import Callable

import pytest

from odyssey_client import (
    AdvancedConfig,
    ClientCredentials,
    ConnectionClosedError,
    MediaStream,
    Odyssey,
    StreamerNotAvailableError,
)
from odyssey_client.connection import connection
from tests.support.scripted_service import stay_up, stream
from tests.support.scripted_streamer import Script, Session, scripted


def client() -> Odyssey:
    return Odyssey.keyless(advanced=AdvancedConfig(telemetry=False))


async def leave_soon(session: Session) -> None:
    await session.come_up()


async def refuse(session: Session) -> None:
    await session.send({"type": "error", "reason": "streamer_not_available"})
    await session.until_closed()


def held_until(permitted: asyncio.Event) -> Script:
    async def wait_and_stay_up(session: Session) -> None:
        await permitted.wait()
        await stay_up(session)

    return wait_and_stay_up


def reconnecting(
    odyssey: Odyssey, credentials: ClientCredentials
) -> tuple[asyncio.Future[MediaStream], Callable[[], object]]:
    """Return a future and a handler. The handler connects again, and sets the result or exception of the future."""
    result: asyncio.Future[MediaStream] = asyncio.get_running_loop().create_future()

    async def connect_anew() -> None:
        try:
            result.set_result(await odyssey.connect_with_credentials(credentials))
        except BaseException as error:
            result.set_exception(error)
            raise

    return result, connect_anew


async def test_handler_may_connect_when_connection_ends() -> None:
    async with scripted(leave_soon, stay_up) as credentials, client() as odyssey:
        again, connect_anew = reconnecting(odyssey, credentials)
        first = await odyssey.connect_with_credentials(credentials, on_disconnected=connect_anew)
        async with asyncio.timeout(5):
            assert await again is odyssey.media_stream is not first
        assert odyssey.is_connected


async def test_handler_may_take_long_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HANDLER_LIMIT_S", 0.05)
    permitted = asyncio.Event()
    async with scripted(leave_soon, held_until(permitted)) as credentials, client() as odyssey:
        again, connect_anew = reconnecting(odyssey, credentials)
        await odyssey.connect_with_credentials(credentials, on_disconnected=connect_anew)
        await asyncio.wait({again}, timeout=0.2)
        permitted.set()
        async with asyncio.timeout(5):
            await again
        assert odyssey.is_connected


async def test_handler_may_connect_when_connecting_fails() -> None:
    async with scripted(refuse, stay_up) as credentials, client() as odyssey:
        again, connect_anew = reconnecting(odyssey, credentials)
        with pytest.raises(StreamerNotAvailableError):
            await odyssey.connect_with_credentials(credentials, on_error=connect_anew)
        async with asyncio.timeout(5):
            await again
        assert odyssey.is_connected


async def test_disconnect_ends_handler_that_is_connecting() -> None:
    begun = asyncio.Event()

    async def hold(session: Session) -> None:
        begun.set()
        await session.until_closed()

    async with scripted(leave_soon, hold) as credentials, client() as odyssey:
        again, connect_anew = reconnecting(odyssey, credentials)
        await odyssey.connect_with_credentials(credentials, on_disconnected=connect_anew)
        async with asyncio.timeout(5):
            await begun.wait()
            tasks = asyncio.all_tasks()
            await odyssey.disconnect()
        assert isinstance(again.exception(), ConnectionClosedError)
        assert not [task for task in tasks if task.get_name() == "odyssey connection" and not task.done()]


async def test_cancelled_connect_during_disconnect_leaves_usable_client() -> None:
    free = asyncio.Event()
    async with scripted(stay_up) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(credentials, on_disconnected=free.wait)
        leaving = asyncio.create_task(odyssey.disconnect())
        await asyncio.wait({leaving}, timeout=0.001)
        connecting = asyncio.create_task(odyssey.connect_with_credentials(credentials))
        await asyncio.wait({connecting}, timeout=0.001)
        connecting.cancel()
        free.set()
        await asyncio.wait({connecting, leaving})
        assert connecting.cancelled()
        await odyssey.disconnect()
        await odyssey.connect_with_credentials(credentials)
        assert odyssey.is_connected


async def test_cancelled_handler_does_not_stop_other_handlers() -> None:
    told: list[object] = []

    async def wait_for_the_cancelled() -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    async with scripted(stream) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(
            credentials,
            on_connected=wait_for_the_cancelled,
            on_stream_started=told.append,
            on_error=lambda error, fatal: told.append((error.code, fatal)),
        )
        await odyssey.start_stream("A castle")
        await odyssey.disconnect()
    assert told == [("handler_cancelled", False), "stream-1"]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_raising_handlers_are_reported_and_logged(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    reported: list[tuple[str, bool]] = []
    shown = asyncio.Event()

    def raising(name: str) -> Callable[..., object]:
        def plain(*_: object) -> None:
            if name == "on_video_frame":
                shown.set()
            raise ZeroDivisionError(name)

        async def later(*arguments: object) -> None:
            plain(*arguments)

        return plain if kind == "plain" else later

    def report(error: Exception, fatal: bool) -> None:
        reported.append((str(error), fatal))
        raise KeyError("raised by the test's handler on_error")

    names = ("on_connected", "on_status_change", "on_stream_started", "on_stream_ended", "on_video_frame")
    async with scripted(stream) as credentials, client() as odyssey, asyncio.timeout(10):
        await odyssey.connect_with_credentials(
            credentials, on_error=report, **{name: raising(name) for name in (*names, "on_disconnected")}
        )
        assert await odyssey.start_stream("A castle") == "stream-1"
        await shown.wait()
        assert odyssey.is_connected
    for name in ("on_connected", "on_status_change", "on_stream_started", "on_video_frame", "on_disconnected"):
        assert (name, False) in reported
    logged = [record.getMessage() for record in caplog.records]
    assert "the handler on_connected raised an exception" in logged
    assert "the handler on_error raised an exception" in logged
    assert not [fatal for _, fatal in reported if fatal]


async def test_messages_during_disconnect_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async def talk_to_the_last(session: Session) -> None:
        await session.come_up()
        talking = asyncio.create_task(talk(session))
        await session.until_closed()
        talking.cancel()

    async def talk(session: Session) -> None:
        never = asyncio.get_running_loop().create_future()
        while session.to_client.readyState == "open":
            session.say({"type": "update_acknowledged", "prompt": "x"})
            await asyncio.wait({never}, timeout=0)

    async with scripted(talk_to_the_last) as credentials, client() as odyssey:
        stream = await odyssey.connect_with_credentials(credentials)
        await anext(stream.frames())
        await odyssey.disconnect()
    assert not caplog.records
