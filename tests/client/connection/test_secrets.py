"""Tests that no key or token appears in logs, exceptions, tracebacks or reprs, even at log level DEBUG."""

import asyncio
import logging
import traceback
from collections.abc import Iterator

import pytest

from odyssey_client import BroadcastReady, ErrorOccurred, OdysseyError, OdysseyStreamError, connect_to_stream
from tests.client.rest.conftest import Answer
from tests.support.scripted_service import (
    ACCESS_TOKEN,
    GONE,
    KEY,
    TOKEN,
    Told,
    client_of,
    refuse,
    stream,
    whole_service,
)
from tests.support.scripted_streamer import Session

LIMIT = 20.0
SPECTATOR_TOKEN = "spectator-token-of-the-broadcast"
SECRETS = (KEY, ACCESS_TOKEN, SPECTATOR_TOKEN, *(f"session-token-{number}" for number in range(1, 9)))
OF_THE_SERVICE = ("websockets.server",)
"""Loggers of the fake service, which runs in the test process and does not mask secrets."""


@pytest.fixture
def everything_said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Set all existing loggers to level DEBUG, and yield `caplog`, which captures their records."""
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    levels = {logger: logger.level for logger in loggers}
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield caplog
    for logger, level in levels.items():
        logger.setLevel(level)


async def repeat_secrets(session: Session) -> None:
    """Script: start a stream, send messages that contain secrets, and close the socket with a token in the reason."""
    await session.come_up()
    await session.start_stream()
    ready = {"webrtc_url": "http://127.0.0.1:9/stream", "spectator_token": SPECTATOR_TOKEN, "broadcast_url": None}
    session.say({"type": "broadcast_ready", **ready})
    assert (await session.heard.get())["type"] == "update"
    session.say({"type": "interactive_stream_error", "reason": "moderation", "message": "No"})
    await session.send(f"no JSON but {session.token}")
    await session.receive("keepalive")
    await session.socket.close(1011, f"lost {session.token}")


async def report_with_secret(session: Session) -> None:
    await session.send({"type": "error", "reason": f"no such session for {session.token}"})
    await session.until_closed()


async def test_failing_and_restored_session_reveals_no_secret(everything_said: pytest.LogCaptureFixture) -> None:
    told = Told()
    texts: list[str] = []
    scripts = (repeat_secrets, refuse, report_with_secret, stream, report_with_secret)
    async with asyncio.timeout(LIMIT), whole_service(*scripts) as service:
        with_secrets = {"detail": f"{ACCESS_TOKEN} and {KEY}"}
        service.then(TOKEN, await service.token(), Answer(503, with_secrets), Answer(401, with_secrets), GONE)
        async with client_of(service, keepalive_interval_s=0.1, telemetry=True) as odyssey:
            asyncio.get_running_loop().set_debug(True)
            events = odyssey.events()
            await odyssey.connect(**told.handlers())
            await odyssey.start_stream("A castle")
            with pytest.raises(OdysseyStreamError):
                await odyssey.interact("Night")
            await told.until("status_change", "connected", times=2)
            texts.append(f"{odyssey!r} {odyssey._connection!r} {odyssey._transport!r} {odyssey._config!r}")
            credentials = await odyssey.create_client_credentials()
            texts.append(repr(credentials))
            with pytest.raises(OdysseyError) as refused:
                await connect_to_stream("http://127.0.0.1:9/stream", SPECTATOR_TOKEN)
            texts += traceback.format_exception(refused.value)
        seen = [event async for event in events]
    assert [event for event in seen if isinstance(event, BroadcastReady)]
    errors = [event.error for event in seen if isinstance(event, ErrorOccurred)]
    assert len(errors) >= 4
    texts += [repr(event) for event in seen]
    for error in errors:
        texts += traceback.format_exception(error)
        texts.append(repr(vars(error)))
    records = [record for record in everything_said.records if record.name not in OF_THE_SERVICE]
    assert {"httpcore.connection", "odyssey_client", "odyssey_client.websocket"} <= {r.name for r in records}
    formatter = logging.Formatter()
    texts += [formatter.format(record) for record in records]
    assert [text for text in texts for secret in SECRETS if secret in text] == []
