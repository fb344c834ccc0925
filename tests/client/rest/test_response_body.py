"""Tests of the limits on response bodies, before and after decoding."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from odyssey_client.errors import OdysseyApiError, UnexpectedResponseError
from odyssey_client.rest.response_body import MAX_BODY_BYTES, BodyError, read_answer, read_body
from odyssey_client.rest.transport import Transport

from .conftest import Answer, Service

MIB = 2**20


class Chunks(httpx.AsyncByteStream):
    """A response body that counts the bytes that were read from it."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.read += len(chunk)
            yield chunk


def response(*chunks: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, stream=Chunks(*chunks))


async def test_body_of_the_maximum_size_is_read() -> None:
    assert await read_body(response(b"abc", b"de"), 5) == b"abcde"
    assert await read_body(response(b"abcde", Content_Length="5"), 5) == b"abcde"


async def test_endless_body_is_read_to_its_limit() -> None:
    body = Chunks(*[b"x" * 1000] * 100)
    with pytest.raises(BodyError, match="expected a body of at most 2500 bytes, got more"):
        await read_body(httpx.Response(200, stream=body), 2500)
    assert body.read == 3000


@pytest.mark.parametrize("length", ["6", "9" * 30, "9" * 5000])
async def test_declared_length_above_the_limit_is_not_read(length: str) -> None:
    answer = response(b"abcdef", Content_Length=length)
    with pytest.raises(BodyError, match="expected a body of at most 5 bytes, got a Content-Length of"):
        await read_body(answer, 5)
    assert not answer.is_stream_consumed


@pytest.mark.parametrize(("digits", "shown"), [(30, "9" * 30), (31, "9" * 29 + "…")])
async def test_long_declared_length_is_cut(digits: int, shown: str) -> None:
    with pytest.raises(BodyError, match=f"got a Content-Length of {shown}$"):
        await read_body(response(b"abcdef", Content_Length="9" * digits), 5)


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
async def test_compressed_body_is_decoded(coding: str, encode: object) -> None:
    assert callable(encode)
    content = encode(b"abcdef")
    assert await read_body(response(content[:9], content[9:], Content_Encoding=coding), 100) == b"abcdef"


async def test_decoded_body_of_the_maximum_size_is_read() -> None:
    assert await read_body(response(gzip.compress(b"a" * 1000), Content_Encoding="gzip"), 1000) == b"a" * 1000


@pytest.mark.parametrize(("length", "shown"), [(58, f"'{'x' * 58}'"), (59, f"'{'x' * 58}…")])
async def test_long_content_encoding_is_cut(length: int, shown: str) -> None:
    with pytest.raises(BodyError, match=f"got {shown}$"):
        await read_body(response(b"abc", Content_Encoding="x" * length))


async def test_decoded_body_is_limited() -> None:
    bomb = gzip.compress(b" " * (64 * MIB))
    with pytest.raises(BodyError, match=r"expected a body of at most 1048576 bytes, got \d+ bytes that decode to more"):
        await read_body(response(bomb, Content_Encoding="gzip"), MIB)


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "compress", "x" * 1000])
async def test_other_content_encoding_is_rejected(coding: str) -> None:
    with pytest.raises(BodyError, match="expected a Content-Encoding of identity, gzip or deflate, got") as raised:
        await read_body(response(b"abc", Content_Encoding=coding))
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("content", "got"), [(b"abc", "invalid data"), (gzip.compress(b"abcdef", mtime=0)[:-9], "incomplete data")]
)
async def test_corrupt_compression_is_rejected(content: bytes, got: str) -> None:
    with pytest.raises(BodyError, match=f"expected a body with the Content-Encoding gzip, got {got}"):
        await read_body(response(content, Content_Encoding="gzip"))


@pytest.mark.parametrize("coding", ["identity", ""])
async def test_body_without_compression_is_read(coding: str) -> None:
    assert await read_body(response(b"abc", Content_Encoding=coding)) == b"abc"


async def test_data_of_another_encoding_is_rejected() -> None:
    with pytest.raises(BodyError, match="expected a body with the Content-Encoding gzip, got invalid data"):
        await read_body(response(zlib.compress(b"abcdef"), Content_Encoding="gzip"))
    with pytest.raises(BodyError, match="expected a body with the Content-Encoding deflate, got invalid data"):
        await read_body(response(gzip.compress(b"abcdef"), Content_Encoding="deflate"))


@pytest.mark.parametrize(
    ("status", "is_success"), [(199, False), (200, True), (204, True), (299, True), (300, False), (404, False)]
)
async def test_status_from_200_to_299_is_success(status: int, is_success: bool) -> None:
    answer = await read_answer(httpx.Response(status, content=b"abc"))
    assert (answer.is_success, answer.body, answer.fault) == (is_success, b"abc", None)


async def test_body_in_memory_is_limited() -> None:
    assert await read_body(httpx.Response(200, content=b"abc"), 3) == b"abc"
    with pytest.raises(BodyError, match="expected a body of at most 3 bytes, got 4 bytes"):
        await read_body(httpx.Response(200, content=b"abcd"), 3)


# The same through the REST transport.


async def test_requests_ask_for_no_compression(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(200, {})
    await transport.request("GET", "/thing")
    assert {asked.headers["accept-encoding"] for asked in service.asked} == {"identity"}


async def test_large_response_raises_unexpected_response(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(200, b" " * (MAX_BODY_BYTES + 1), {"X-Request-Id": "r-7"})
    with pytest.raises(UnexpectedResponseError, match="GET /thing: HTTP 200: expected a body of at most") as raised:
        await transport.request("GET", "/thing")
    error = raised.value
    assert (error.expected, error.status, error.request_id) == ("a body of at most 4194304 bytes", 200, "r-7")


async def test_response_with_too_many_values_raises_unexpected_response(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(200, b"[" + b"0," * 100_000 + b"0]")
    with pytest.raises(UnexpectedResponseError, match="expected JSON of at most 100000 values, got up to 100002"):
        await transport.request("GET", "/thing")


async def test_large_error_response_keeps_its_status(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(404, b" " * (MAX_BODY_BYTES + 1))
    with pytest.raises(OdysseyApiError, match="GET /thing: HTTP 404 Not Found") as raised:
        await transport.request("GET", "/thing")
    assert raised.value.detail is None
    (note,) = raised.value.__notes__
    assert note.startswith("The body of the response was not read: expected a body of at most 4194304 bytes, got ")


async def test_fetch_limits_the_body(service: Service, transport: Transport) -> None:
    service.script["GET /config"] = Answer(200, b" " * (MAX_BODY_BYTES + 1))
    with pytest.raises(ValueError, match="expected a body of at most 4194304 bytes"):
        await transport.fetch(f"{service.url}/config")


async def test_other_tasks_run_while_chunks_are_read() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)  # noqa: TID251 - counts the turns of this task
            turns += 1

    task = asyncio.create_task(take_turns())
    assert await read_body(response(*[b"x"] * 1000)) == b"x" * 1000
    task.cancel()
    assert 10 <= turns <= 20, f"expected about 15 turns of other tasks while 1000 chunks are read, got {turns}"
