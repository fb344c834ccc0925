"""Tests of request bodies: their limits of size and time, and connections on which a body was not read."""

import asyncio
import json
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from odyssey_mock import MockOdyssey
from odyssey_mock.http.request_body import (
    RequestBody,
    SlowBodyError,
    UnreadBodies,
    body_of,
    known_body_of,
    set_body,
)
from tests.support.http_points import STREAM, token_of
from tests.support.raw import LIMIT
from tests.support.simulated_loops import play

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


def body_of_parts(*parts: bytes, limit: int = 1 << 20, length: int | None = None, is_whole: bool = True) -> RequestBody:
    """Return a body that arrives in these parts. If it is not whole, the client disconnects after them."""
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if is_whole:
        messages[-1:] = [{"type": "http.request", "body": parts[-1]}]
    else:
        messages.append({"type": "http.disconnect"})
    arriving = iter(messages)

    async def receive() -> Message:
        return next(arriving)

    headers = [(b"content-length", b"%d" % length)] if length is not None else []
    return RequestBody(
        {"type": "http", "headers": headers}, receive, limit, lambda limit, got: OverflowError(f"{limit}, {got}")
    )


@pytest.mark.parametrize(
    ("length", "parts", "got"),
    [
        (11, [], "11"),
        (10, [b"x" * 11], "more"),  # more than the client announced
        (None, [b"x" * 6, b"x" * 5], "more"),
    ],
)
async def test_body_above_the_limit_is_refused_and_forgotten(length: int | None, parts: list[bytes], got: str) -> None:
    body = body_of_parts(*parts, b"[]", limit=10, length=length)
    with pytest.raises(OverflowError, match=f"10, {got}"):
        await body.read()
    assert body.shown() is None


async def test_complete_refused_body_is_not_shown() -> None:
    body = body_of_parts(b"[1, 2, 3, 4]", limit=10)
    with pytest.raises(OverflowError):
        await body.read()
    assert body.shown() is None


async def test_body_of_the_declared_limit_is_read() -> None:
    body = body_of_parts(b"[1, 2", b", 34]", limit=10, length=10)
    assert await body.read() == b"[1, 2, 34]"
    assert await body.read() == b"[1, 2, 34]", "expected a second call to return the same body"


async def test_body_can_be_begun_below_its_limit() -> None:
    body = body_of_parts(b"123", b"456", b"789")
    assert not await body.begin(5)
    assert not await body.begin(5)
    assert await body.begin(9)
    assert not await body.begin(8)
    assert await body.read() == b"123456789"


async def test_disconnect_within_a_body_is_an_error() -> None:
    body = body_of_parts(b"[1]", is_whole=False)
    with pytest.raises(ClientDisconnect):
        await body.read()
    assert body.shown() is None, "expected no part of a body in the journal, even if it is JSON"


def waiting(*pauses: float) -> RequestBody:
    """Return a body whose parts each arrive after a pause in seconds."""
    left = list(pauses)

    async def receive() -> Message:
        await asyncio.sleep(left.pop(0))  # noqa: TID251 - virtual time
        return {"type": "http.request", "body": b"x", "more_body": bool(left)}

    return RequestBody({"type": "http", "headers": []}, receive, 100, lambda *_: OverflowError())


@pytest.mark.parametrize("pauses", [[29.9], [29.9, 29.9], [29.0] * 10, [29.0] * 10 + [9.9]])
def test_slow_body_within_the_time_limits_is_read(pauses: list[float]) -> None:
    assert play(waiting(*pauses).read) == b"x" * len(pauses)


@pytest.mark.parametrize(("pauses", "got"), [([30.1], 0), ([1, 30.1], 1), ([29.0] * 10 + [10.1], 10)])
def test_body_beyond_a_time_limit_is_refused(pauses: list[float], got: int) -> None:
    with pytest.raises(SlowBodyError) as refused:
        play(waiting(*pauses).read)
    assert str(refused.value) == (
        "expected the rest of the body within 30 s of its last part, and all of it within 300 s; "
        f"got {got} bytes. Send the request again"
    )


async def test_body_is_parsed_once() -> None:
    body = body_of_parts(b'{"a": [1]}')
    assert await body.json() == {"a": [1]}
    assert await body.json() is await body.json()
    assert body.shown() == {"a": [1]}


@pytest.mark.parametrize(
    ("text", "error"), [(b"", "Expecting value"), (b"{", "Expecting property"), (b"\xff", "utf-8")]
)
async def test_invalid_json_is_an_error_each_time(text: bytes, error: str) -> None:
    body = body_of_parts(text)
    for _ in range(2):
        with pytest.raises(ValueError, match=error):
            await body.json()
    assert body.shown() is None


async def test_names_must_be_unique_only_on_request() -> None:
    body = body_of_parts(b'{"a": 1, "a": 2}')
    assert await body.json() == {"a": 2}
    with pytest.raises(ValueError, match="twice"):
        await body.json(unique=True)
    assert body.shown() == {"a": 2}


async def test_journal_shows_a_body_that_was_not_parsed() -> None:
    body = body_of_parts(b'{"a": 1, "a": 2}')
    await body.read()
    assert body.shown() == {"a": 2}


async def test_large_unparsed_body_is_not_shown() -> None:
    small, large = body_of_parts(b'"%b"' % (b"x" * 65534)), body_of_parts(b'"%b"' % (b"x" * 65535))
    await small.read()
    await large.read()
    assert small.shown() == "x" * 65534
    assert large.shown() == {"omitted": "65537 bytes that were not parsed"}
    await large.json()
    assert large.shown() == "x" * 65535


async def not_read(_body: RequestBody) -> None:
    pass


async def parsed_with_unique_names(body: RequestBody) -> None:
    with suppress(ValueError):
        await body.json(unique=True)


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"a": 1, "a": 2}'])
@pytest.mark.parametrize(
    "use", [not_read, RequestBody.read, RequestBody.json, parsed_with_unique_names], ids=lambda use: use.__name__
)
async def test_body_that_is_shown_later_is_the_same(
    use: Callable[[RequestBody], Awaitable[object]], text: bytes, *, is_whole: bool
) -> None:
    body = body_of_parts(text, is_whole=is_whole)
    with suppress(ValueError, ClientDisconnect):
        await use(body)
    shown = body.shown()
    later = body.shown_later()
    body.received.clear()
    assert later() == shown


async def test_closed_body_ends_and_forgets_its_connection() -> None:
    async def receive() -> Message:
        return {"type": "http.request"}

    body = RequestBody({"type": "http", "headers": []}, receive, 10, lambda *_: OverflowError())
    gone = weakref.ref(receive)
    del receive
    body.close()
    assert gone() is None
    with pytest.raises(ClientDisconnect):
        await body.read()


@pytest.mark.parametrize(("size", "is_in_thread"), [(65536, False), (65537, True)])
async def test_large_body_is_processed_in_a_thread(size: int, is_in_thread: bool) -> None:
    body = body_of_parts(b"x" * size)
    await body.read()
    number, thread = await body.process(lambda value: (value + 1, threading.get_ident()), 7)
    assert number == 8
    assert (thread != threading.get_ident()) == is_in_thread


def test_body_is_found_by_request_and_scope() -> None:
    body = body_of_parts(b"")
    scope: Scope = {"type": "http", "state": {"other": 1}}
    assert known_body_of(scope) is None
    assert known_body_of({"type": "http"}) is None
    set_body(scope, body)
    assert body_of(scope) is body_of(HTTPConnection(scope)) is known_body_of(scope) is body
    assert scope["state"]["other"] == 1, "expected the rest of the state to be unchanged"


START: Message = {"type": "http.response.start", "status": 404, "headers": [(b"x-a", b"b")]}
CLOSING: Message = {**START, "headers": [(b"x-a", b"b"), (b"connection", b"close")]}


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Exchange:
    """A request to an application behind `UnreadBodies`, on a loop with virtual time.

    Attributes:
        sent: the messages that reach the server, each with its time.
        left: the pauses in seconds before the parts of the request's body that were not received.
    """

    def __init__(self, headers: Mapping[str, str], pauses: Sequence[float]) -> None:
        self.sent: list[tuple[float, Message]] = []
        self.left = list(pauses)
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    def run(self, *, reads: int = 0, kind: str = "http") -> list[Message]:
        """Run an application that reads this many parts of the body and then responds; return the messages."""

        async def application(_: Scope, receive: Receive, send: Send) -> None:
            for _each in range(reads):
                assert (await receive())["body"] == b"x"
            await send(START)
            await send(part(b"Not ", more=True))
            await send({"type": "http.response.body", "body": b"Found"})

        async def scenario() -> None:
            begun = asyncio.get_running_loop().time()

            async def receive() -> Message:
                await asyncio.sleep(self.left[0])  # noqa: TID251 - virtual time
                self.left.pop(0)
                more = {"more_body": True} if self.left else {}
                return {"type": "http.request", "body": b"x", **more}

            async def send(message: Message) -> None:
                self.sent.append((asyncio.get_running_loop().time() - begun, message))

            await UnreadBodies(application)({"type": kind, "headers": self._headers}, receive, send)

        play(scenario)
        return [message for _, message in self.sent]


RESPONSE = [START, part(b"Not ", more=True), {"type": "http.response.body", "body": b"Found"}]
CLOSED = [CLOSING, part(b"Not ", more=True), part(b"Found", more=True), {"type": "http.response.body"}]


@pytest.mark.parametrize("headers", [{}, {"content-length": "65536"}, {"content-length": "many"}])
def test_response_to_a_small_body_is_unchanged(headers: Mapping[str, str]) -> None:
    exchange = Exchange(headers, [0, 0])
    assert exchange.run() == RESPONSE
    assert len(exchange.left) == 2, "expected the server to receive the rest of the body, not the middleware"


@pytest.mark.parametrize("headers", [{"content-length": "65537"}, {"transfer-encoding": "chunked"}])
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_rest_of_body_is_dropped_before_end(headers: Mapping[str, str], reads: int) -> None:
    exchange = Exchange(headers, [0.1, 0.2, 0.3])
    assert exchange.run(reads=reads) == CLOSED
    assert exchange.left == []
    *response, end = [time for time, _ in exchange.sent]
    assert response == pytest.approx([sum([0.1, 0.2][:reads])] * 3), "expected the client to get the response at once"
    assert end == pytest.approx(0.6)


@pytest.mark.parametrize("headers", [{"content-length": "65537"}, {"transfer-encoding": "chunked"}])
def test_response_after_a_read_body_is_unchanged(headers: Mapping[str, str]) -> None:
    assert Exchange(headers, [0, 0]).run(reads=2) == RESPONSE


def test_rest_of_body_is_awaited_one_second() -> None:
    exchange = Exchange({"transfer-encoding": "chunked"}, [0.9, 60])
    assert exchange.run() == CLOSED
    assert exchange.sent[-1][0] == pytest.approx(1)
    assert exchange.left == [60]


def test_messages_of_other_connections_are_unchanged() -> None:
    exchange = Exchange({"transfer-encoding": "chunked"}, [0])
    assert exchange.run(kind="websocket") == RESPONSE
    assert exchange.left == [0]
