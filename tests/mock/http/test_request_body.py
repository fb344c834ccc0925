"""Tests of request bodies: the limit of each route, and connections on which a body was not read."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from odyssey_mock import MockOdyssey
from odyssey_mock.http.request_body import RequestBody
from tests.support.http_points import STREAM, token_of
from tests.support.raw import LIMIT

LIMITS = {
    "POST /auth/token": 64 << 10,
    "POST /telemetry": 1 << 20,
    "POST /_mock/faults": 64 << 10,
    "POST /_mock/settings": 64 << 10,
    "POST /_mock/clock/advance": 64 << 10,
}
"""Maximum bytes of a body by route, for routes that require no access token."""

AUTHORIZED_LIMITS = {
    "POST /sessions/request": 64 << 10,
    "POST /sessions/token": 64 << 10,
    "POST /simulation-jobs": 64 << 20,
}
"""Maximum bytes of a body by route, for routes that require an access token."""


@asynccontextmanager
async def connection(mock: MockOdyssey) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]))
    try:
        async with asyncio.timeout(LIMIT):
            yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def head(request: str, length: int | None, token: str = "") -> bytes:
    """Return the head of a request; without `length`, its body is chunked."""
    fields = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{request} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{fields}\r\n\r\n".encode()


async def response(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str], bytes]:
    """Read a response: its status, its fields and its body."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), fields, await reader.readexactly(int(fields["content-length"]))


async def detail(reader: asyncio.StreamReader) -> tuple[int, object]:
    """Read an error response, after which the server closes the connection: its status and its detail."""
    status, fields, body = await response(reader)
    assert fields["connection"] == "close"
    assert await reader.read() == b"", "expected the end of the connection after the response"
    return status, json.loads(body)["detail"]


@pytest.mark.off_contract("bodies that are too large")
@pytest.mark.parametrize(("request_", "limit"), [*LIMITS.items(), *AUTHORIZED_LIMITS.items()])
async def test_declared_body_above_the_limit_is_413_unread(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, request_: str, limit: int
) -> None:
    token = await token_of(odyssey_mock, http)
    async with connection(odyssey_mock) as (reader, writer):
        writer.write(head(request_, limit + 1, token))
        assert await detail(reader) == (413, f"expected a body of at most {limit} bytes, got {limit + 1}")


@pytest.mark.off_contract("bodies that are too large")
@pytest.mark.parametrize(("request_", "limit"), LIMITS.items())
async def test_chunked_body_above_the_limit_is_413(odyssey_mock: MockOdyssey, request_: str, limit: int) -> None:
    async with connection(odyssey_mock) as (reader, writer):
        writer.write(head(request_, None) + b"%x\r\n%b\r\n" % (limit + 1, b"x" * (limit + 1)))
        assert await detail(reader) == (413, f"expected a body of at most {limit} bytes, got more")
    assert [entry.data["request"] for entry in odyssey_mock.journal.find("rest")] in ([], [None])


@pytest.mark.off_contract("a body that is not JSON")
async def test_body_of_exactly_the_limit_is_read(odyssey_mock: MockOdyssey) -> None:
    async with connection(odyssey_mock) as (reader, writer):
        writer.write(head("POST /auth/token", 64 << 10) + b"x" * (64 << 10))
        status, fields, _ = await response(reader)
    assert (status, "connection" in fields) == (422, False)


@pytest.mark.off_contract("requests without a token and bodies that are too large")
@pytest.mark.parametrize("request_", AUTHORIZED_LIMITS)
@pytest.mark.parametrize("latency", ["instant", "realistic"])
async def test_401_comes_before_the_body(latency: str, request_: str) -> None:
    async with MockOdyssey(latency=latency, clock="manual") as mock, connection(mock) as (reader, writer):  # type: ignore[arg-type]
        writer.write(head(request_, 60 << 20))
        if latency == "realistic" and "simulation" not in request_:
            assert (await detail(reader))[0] == 413, "a small body is read before its latency"
        else:
            assert await detail(reader) == (401, "Not authenticated")


@pytest.mark.off_contract("unknown routes and methods")
@pytest.mark.parametrize(
    ("request_", "status"), [("POST /nope", 404), ("PUT /auth/token", 405), (f"POST /broadcast/{STREAM}/whep", 404)]
)
@pytest.mark.parametrize("length", [1 << 30, None], ids=["declared", "chunked"])
async def test_response_without_reading_the_body_closes_the_connection(
    odyssey_mock: MockOdyssey, request_: str, status: int, length: int | None
) -> None:
    async with connection(odyssey_mock) as (reader, writer):
        writer.write(head(request_, length))
        received, fields, _ = await response(reader)
        assert (received, fields["connection"]) == (status, "close")
        assert await reader.read() == b""


@pytest.mark.off_contract("an unknown route")
async def test_small_unread_body_leaves_the_connection_open(odyssey_mock: MockOdyssey) -> None:
    async with connection(odyssey_mock) as (reader, writer):
        for _ in range(2):
            writer.write(head("POST /nope", 1000) + b"x" * 1000)
            assert (await response(reader))[0] == 404


@pytest.mark.off_contract("a body that is too large")
async def test_client_that_keeps_sending_gets_the_413(odyssey_mock: MockOdyssey) -> None:
    size = 4 << 20
    async with connection(odyssey_mock) as (reader, writer):
        writer.write(head("POST /auth/token", size))
        await writer.drain()
        await odyssey_mock.wait_for("rest", "POST /auth/token", status=413)
        writer.write(b"x" * size)
        await writer.drain()
        assert (await detail(reader))[0] == 413


@given(st.lists(st.binary(max_size=8)), st.integers(0, 30))
def test_any_chunks_are_read_up_to_the_limit(chunks: list[bytes], limit: int) -> None:
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request"})
    received = 0

    async def receive() -> Message:
        nonlocal received
        received += 1
        return messages[received - 1]

    def too_large(limit: int, got: str) -> Exception:
        return OverflowError(f"{limit} {got}")

    body = RequestBody({"type": "http", "headers": []}, receive, limit, too_large)
    whole = b"".join(chunks)
    if len(whole) > limit:
        with pytest.raises(OverflowError, match=f"{limit} more"):
            asyncio.run(body.read())
        sizes = [len(b"".join(chunks[:count])) for count in range(len(chunks) + 1)]
        assert sizes[received - 1] <= limit, "expected no further chunk to be received above the limit"
    else:
        assert asyncio.run(body.read()) == whole


@pytest.mark.parametrize(("size", "is_refused"), [(10, False), (11, True)])
async def test_last_part_counts_for_the_limit(size: int, is_refused: bool) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    body = RequestBody({"type": "http", "headers": []}, receive, 10, lambda limit, got: ValueError(f"{limit}, {got}"))
    with pytest.raises(ValueError, match="10, more") if is_refused else nullcontext():
        assert await body.read() == b"x" * size
