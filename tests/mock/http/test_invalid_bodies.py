"""Tests of requests whose body violates HTTP/1.1 after a valid head: one response, and no traceback in the log."""

import asyncio
import logging

import pytest

from odyssey_mock import MockOdyssey
from tests.support.raw import LIMIT, RawApi

CHUNKED = "Transfer-Encoding: chunked"
INVALID_CHUNK = b'{"events": []}\r\n0\r\n\r\n'


async def connect(
    mock: MockOdyssey, path: str, *headers: str, body: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and send the head of a POST request with the beginning of its body."""
    host, _, port = mock.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = (f"POST {path} HTTP/1.1", f"Host: {host}", *headers, "", "")
    writer.write("\r\n".join(lines).encode() + body)
    return reader, writer


@pytest.mark.off_contract("the body is no HTTP/1.1")
@pytest.mark.parametrize("path", ["/telemetry", "/auth/token", "/sessions/request", "/regions", "/nothing"])
async def test_invalid_chunk_gets_status_400(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    reader, writer = await connect(odyssey_mock, path, CHUNKED, body=INVALID_CHUNK)
    async with asyncio.timeout(LIMIT):
        received = await reader.read()
    writer.close()
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1
    await expect_no_error(odyssey_mock, caplog)


@pytest.mark.off_contract("the body is no HTTP/1.1")
async def test_invalid_chunk_after_the_response_closes_the_connection(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await connect(odyssey_mock, "/sessions/request", CHUNKED)
    async with asyncio.timeout(LIMIT):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(INVALID_CHUNK)
        rest = await reader.read()
    writer.close()
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1 " not in rest
    await expect_no_error(odyssey_mock, caplog)


@pytest.mark.parametrize("path", ["/auth/token", "/sessions/request", "/simulation-jobs"])
async def test_deep_json_gets_status_422(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async with RawApi(odyssey_mock) as api:
        answer = await api.http.post(path, content=b'{"a":' * 2000 + b"1" + b"}" * 2000)
    assert (answer.status_code, "nested too deeply" in answer.text) == (422, True), answer.text
    await expect_no_error(odyssey_mock, caplog)


async def expect_no_error(mock: MockOdyssey, caplog: pytest.LogCaptureFixture) -> None:
    """Check that the mock still answers, and has logged no error."""
    async with RawApi(mock) as api:
        assert (await api.http.get("/regions")).status_code == 200
    assert mock.journal.find("note", "defect") == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
