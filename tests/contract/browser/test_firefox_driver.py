"""Tests of the Firefox driver with a fake Firefox: every command ends within a time limit."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.contract.browser.firefox import BidiError, Firefox, FirefoxPage
from tests.contract.browser.waiting import wait_until

LIMIT = 10.0
"""Timeout in seconds for every wait. Waits usually take much less."""

type Play = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def firefox_played_by(play: Play) -> AsyncIterator[Firefox]:
    """Run a fake Firefox, a WebSocket server with the handler `play`; yield a driver that is connected to it."""
    async with serve(play, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with asyncio.timeout(LIMIT), connect(f"ws://{host}:{port}", proxy=None) as socket:
            driver = Firefox(socket)
            receiving = asyncio.create_task(driver.receive())
            yield driver
        with suppress(KeyError):  # a message that the driver cannot read
            await receiving


async def silence(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def test_command_without_answer_times_out() -> None:
    async with firefox_played_by(silence) as driver:
        with pytest.raises(TimeoutError, match=r"expected an answer to session\.new within 0\.01 s, got none"):
            await driver.command("session.new", limit=0.01)


async def send_nonsense(socket: ServerConnection) -> None:
    async for _ in socket:
        await socket.send("{}")


async def hang_up(socket: ServerConnection) -> None:
    await socket.recv()


ENDS = {send_nonsense: r"no longer received: KeyError\('type'\)", hang_up: "Firefox closed the connection"}


@pytest.mark.parametrize(("play", "error"), ENDS.items(), ids=["unreadable", "closed"])
async def test_commands_fail_when_receiving_has_ended(play: Play, error: str) -> None:
    async with firefox_played_by(play) as driver:
        for _ in range(2):
            with pytest.raises(BidiError, match=error):
                await driver.command("session.new")


async def test_waiting_for_condition_adds_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(socket: ServerConnection) -> None:
        sent = json.loads(await socket.recv())
        result = {"result": {"type": "string", "value": json.dumps({"value": True})}}
        await socket.send(json.dumps({"type": "success", "id": sent["id"], "result": result}))
        await socket.wait_closed()

    monkeypatch.setattr("tests.contract.browser.firefox.COMMAND_LIMIT_S", 0.0)
    async with firefox_played_by(answer) as driver:
        await wait_until(FirefoxPage(driver, "context", "user"), "window.contract", limit=5)
