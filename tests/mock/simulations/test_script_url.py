"""Tests of fetching a script from a real loopback server: valid, invalid, slow, endless and missing responses."""

import asyncio
import contextlib
import gzip
from collections.abc import Iterable
from itertools import repeat

import pytest

from odyssey_mock.simulations.script_url import ScriptUrlError, fetch_script
from tests.support.script_server import CAT, LIMIT, NETWORK, SCRIPT, left, ok, refusal, serving, settings


async def test_fetch_closes_the_connection() -> None:
    async with serving(ok(SCRIPT)) as server:
        assert await fetch_script(f"{server.url}?v=1#end", settings(), NETWORK) == CAT
        await left(server)
    (request,) = server.requests
    assert request.startswith("GET /cat.json?v=1 HTTP/1.1\r\n")
    assert "accept-encoding: identity" in request.lower()


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"\xef\xbb\xbf" + SCRIPT, "Content-Type: text/plain"),
        ok(SCRIPT, "Content-Encoding: identity", status="203 Non-Authoritative Information"),
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SCRIPT), SCRIPT),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(SCRIPT),
    ],
    ids=["byte order mark", "another 2xx", "chunked", "after hints"],
)
async def test_valid_response_forms_are_accepted(answer: bytes) -> None:
    async with serving(answer) as server:
        assert await fetch_script(server.url, settings(), NETWORK) == CAT
        await left(server)


async def test_size_limit_is_exact() -> None:
    for size, comes in ((len(SCRIPT), True), (len(SCRIPT) - 1, False)):
        async with serving(ok(SCRIPT)) as server:
            if comes:
                assert await fetch_script(server.url, settings(size=size), NETWORK) == CAT
            else:
                assert f"expected at most {size} bytes" in await refusal(server.url, using=settings(size=size))


BAD_ANSWERS = {
    "Content-Length over the limit": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n",
        "expected at most 10000 bytes (setting script_url_bytes), got 10001",
    ),
    "Content-Length of 5000 digits": (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "got"),
    "a gzip bomb": (
        ok(gzip.compress(b" " * 1_000_000), "Content-Encoding: gzip"),
        "expected no content coding (Accept-Encoding: identity), got 'gzip'",
    ),
    "several content codings": (ok(SCRIPT, "Content-Encoding: identity, br"), "got 'identity, br'"),
    "not found": (ok(b"nope", status="404 Not Found"), "expected status 2xx, got 404 Not Found"),
    "server error": (ok(b"", status="500 Internal Server Error"), "expected status 2xx, got 500 Internal Server Error"),
    "unknown status": (ok(b"", status="799 Odd"), "expected status 2xx, got 799 Odd"),
    "a redirect": (
        ok(b"", "Location: http://127.0.0.1/other.json", status="302 Found"),
        "expected status 2xx, got 302 Found; redirects are not followed",
    ),
    "another protocol": (b"220 ready for mail\r\n\r\n", "expected an HTTP response, got RemoteProtocolError"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "expected an HTTP response"),
    "no body": (ok(b"", status="204 No Content"), "expected a script as JSON, got nothing"),
    "no JSON": (ok(b"<html><body>Hello, this is a page</body></html>"), "expected a script as JSON, got '<html>"),
    "no UTF-8": (ok(b"[\xff]"), "expected a script as JSON"),
    "not a number": (ok(b"[NaN]"), "expected a script as JSON"),
    "too deeply nested": (ok(b"[" * 9_999), "expected a script as JSON"),
    "truncated": (ok(SCRIPT[:50]), "expected a script as JSON"),
    "no array": (
        ok(b'{"script": []}'),
        "the script is invalid: script: expected an array of entries, got an object",
    ),
    "invalid script": (
        ok(b'[{"timestamp_ms": 0, "start": {}}, {"timestamp_ms": 0, "end": {}}]'),
        "the script is invalid: script[0].start.prompt: expected text that UTF-8 can encode, got nothing",
    ),
}


@pytest.mark.parametrize(("answer", "why"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_invalid_response_is_rejected_with_reason(answer: bytes, why: str) -> None:
    async with serving(answer) as server:
        text = await refusal(server.url)
        assert text.startswith(f"script_url {server.url}: ")
        assert why in text
        assert len(text) < 1500
        await left(server)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 4096),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n"),
    ],
    ids=["no length", "chunked"],
)
async def test_endless_body_is_read_up_to_limit(head: bytes, piece: bytes) -> None:
    async with serving(head, then=repeat(piece)) as server:
        assert "expected at most 10000 bytes (setting script_url_bytes), got more" in await refusal(server.url)
        await left(server)


async def test_truncated_response_is_rejected() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(SCRIPT)[:-5])
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert "expected an HTTP response, got RemoteProtocolError" in await refusal(url)


SLOW = {
    "no response": ((), (), None),
    "a head without a body": ((ok(SCRIPT)[: -len(SCRIPT)],), (), None),
    "a head that trickles": ((b"HTTP/1.1 200 OK\r\nX-Slow: ",), repeat(b"z"), 0.01),
    "a body that trickles": ((b"HTTP/1.1 200 OK\r\n\r\n[",), repeat(b" "), 0.01),
    "endless hints": ((), repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n"), 0.01),
}


@pytest.mark.parametrize(("parts", "then", "every"), SLOW.values(), ids=SLOW)
async def test_timeout_covers_the_whole_response(
    parts: tuple[bytes, ...], then: Iterable[bytes], every: float | None
) -> None:
    async with serving(*parts, then=then, every=every) as server:
        text = await refusal(server.url, using=settings(timeout=0.15))
        assert text.startswith(f"script_url {server.url}: the script could not be fetched: expected HTTP status 2xx ")
        assert text.endswith(
            "expected a script within 0.15 s (setting script_url_timeout), timed out before it was complete"
        )
        await left(server)


async def test_refused_connection_is_reported() -> None:
    with NETWORK.listen("127.0.0.1", 0) as reserved:
        port = reserved.getsockname()[1]
    text = await refusal(f"http://127.0.0.1:{port}/cat.json")
    assert "expected an HTTP response, got ConnectionRefusedError" in text


@pytest.mark.parametrize(("scheme", "head"), [("http", b"\r\n\r\n"), ("https", b"\x16")], ids=["http", "https"])
async def test_cancelled_fetch_closes_its_connection(scheme: str, head: bytes) -> None:
    async with serving(head=head) as server:
        fetch = asyncio.create_task(fetch_script(f"{scheme}{server.url.removeprefix('http')}", settings(), NETWORK))
        async with asyncio.timeout(LIMIT):
            await server.asked.wait()
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
        await left(server)


async def test_message_does_not_depend_on_network_and_response() -> None:
    with NETWORK.listen("127.0.0.1", 0) as reserved:
        closed = reserved.getsockname()[1]
    responses = (
        ok(b"s3cret"),
        ok(b'[{"s3cret": 1}]'),
        ok(b"", status="404 s3cret"),
        b"s3cret\r\n\r\n",
        ok(b"", "X: y"),
    )
    messages, causes = set(), set()
    ports = []
    async with contextlib.AsyncExitStack() as stack:
        for response in responses:
            server = await stack.enter_async_context(serving(response))
            ports.append(server.port)
        for port in (closed, *ports):
            with pytest.raises(ScriptUrlError) as caught:
                await fetch_script(f"http://127.0.0.1:{port}/cat.json?sig=s3cret", settings(), NETWORK)
            messages.add(str(caught.value).replace(str(port), "PORT"))
            causes.add(caught.value.cause)
            assert caught.value.__context__ is None
    assert len(messages) == 1
    assert "s3cret" not in messages.pop()
    assert len(causes) == 6
