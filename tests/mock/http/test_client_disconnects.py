"""Test that the mock does not report a bug when a client disconnects during a request."""

import asyncio
import logging
from urllib.parse import urlsplit

import pytest

from odyssey_mock import MockOdyssey


async def test_disconnect_during_request_is_not_a_bug(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    where = urlsplit(odyssey_mock.url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"POST /auth/token HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    entry = await odyssey_mock.wait_for("rest", "POST /auth/token")
    assert entry.data["status"] is None, (
        f"expected no status for a client that disconnected before the response, got {entry.data['status']}"
    )
    assert not odyssey_mock.journal.find("note", "defect")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
