"""Reading of response bodies, with limits on their size before and after decoding."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odyssey_client.errors import PicklableError, excerpt

if TYPE_CHECKING:  # importing httpx takes 100 ms
    import httpx

MAX_BODY_BYTES = 4 * 2**20
"""Maximum size of a response body, both as sent and decoded. A list of 100 jobs, the longest page, has about 50 kB."""

NO_ENCODING = {"Accept-Encoding": "identity"}
"""Request headers. Most responses are too short to gain from compression."""

YIELD_EVERY = 64
"""Number of chunks after which other tasks may run. 64 kB can arrive at once, and contain thousands of chunks."""

_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
"""The ``wbits`` argument of zlib for each content coding (RFC 9110 section 8.4.1)."""


class BodyError(PicklableError, ValueError):
    """A response body is too large, or its encoding is invalid or not supported.

    Attributes:
        expected: What the client accepts.
        got: What was received instead.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response whose body was read.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        body: The decoded body; empty if ``fault`` is not None.
        fault: Why the body was not read to its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: BodyError | None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


async def read_answer(response: httpx.Response, limit: int = MAX_BODY_BYTES) -> Answer:
    """Read the body of ``response`` as `read_body` does; a `BodyError` becomes the ``fault`` of the result.

    Raises:
        httpx.HTTPError: the connection was lost.
    """
    body, fault = b"", None
    try:
        body = await read_body(response, limit)
    except BodyError as error:
        fault = error
    return Answer(response.status_code, response.headers, body, fault)


async def read_body(response: httpx.Response, limit: int = MAX_BODY_BYTES) -> bytes:
    """Read and decode the body of ``response``, whose headers have arrived. The caller closes the response.

    A body that the service compresses once, although the client asked for no compression, is decoded.

    Raises:
        BodyError: the body is larger than ``limit`` bytes, or cannot be decoded.
        httpx.HTTPError: the connection was lost.
    """
    if response.is_stream_consumed:  # a transport that keeps whole responses in memory, such as httpx.MockTransport
        if len(response.content) > limit:
            raise BodyError(f"a body of at most {limit} bytes", f"{len(response.content)} bytes")
        return response.content
    coding = response.headers.get("Content-Encoding", "").lower()
    wbits = _CODINGS.get(coding)
    if wbits is None and coding not in {"identity", ""}:
        raise BodyError("a Content-Encoding of identity, gzip or deflate", excerpt(repr(coding), 60))
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
        raise BodyError(f"a body of at most {limit} bytes", f"a Content-Length of {excerpt(declared, 30)}")
    content, chunks = bytearray(), 0
    async for chunk in response.aiter_raw():
        content += chunk
        chunks += 1
        if len(content) > limit:
            raise BodyError(f"a body of at most {limit} bytes", "more")
        if chunks % YIELD_EVERY == 0:
            await asyncio.sleep(0)  # noqa: TID251 - lets other tasks run; no time passes
    return bytes(content) if wbits is None or not content else _decoded(bytes(content), coding, wbits, limit)


def _decoded(content: bytes, coding: str, wbits: int, limit: int) -> bytes:
    decoder = zlib.decompressobj(wbits)
    try:
        decoded = decoder.decompress(content, limit + 1)
    except zlib.error as error:
        raise BodyError(f"a body with the Content-Encoding {coding}", f"invalid data ({error})") from None
    if len(decoded) > limit:
        raise BodyError(f"a body of at most {limit} bytes", f"{len(content)} bytes that decode to more")
    if not decoder.eof:
        raise BodyError(f"a body with the Content-Encoding {coding}", "incomplete data")
    return decoded
