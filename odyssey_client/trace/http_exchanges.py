"""A transport of httpx that records each exchange."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import override

import httpx

from odyssey_client.models import JSON
from odyssey_client.redaction import MASK, names_secret
from odyssey_client.trace.client_trace import ClientTrace
from odyssey_client.trace.described import LONGEST_TEXT, error_text
from odyssey_client.trace.recorder import Span
from odyssey_client.trace.waiting import waits_for

_TEXT = ("application/json", "application/sdp", "application/trickle-ice-sdpfrag", "application/x-ndjson", "text/")
"""Media types whose bodies are recorded; also those that end in ``+json``. All others are binary."""


class RecordingTransport(httpx.AsyncBaseTransport):
    """Passes requests to another transport, and records them with their responses. Bodies are still streamed."""

    def __init__(self, transport: httpx.AsyncBaseTransport, trace: ClientTrace) -> None:
        self._transport = transport
        self._trace = trace

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = _Exchange(self._trace, request)
        waits_for(f"the response to {exchange.name}")
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            exchange.end(error)
            raise
        exchange.answered(response)
        return response

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()


class _Exchange:
    """One request with its response."""

    def __init__(self, trace: ClientTrace, request: httpx.Request) -> None:
        self.name = f"{request.method} {request.url.path}"
        body = _Body(request.headers)
        with suppress(httpx.RequestNotRead):  # a body that is streamed
            body.add(request.content)
        self._request = body
        self._response: _Body | None = None
        self._head: dict[str, JSON] = {"method": request.method, "url": str(request.url)}
        self._span: Span = trace.begin("http", self.name, self._data, size=body.size)

    def answered(self, response: httpx.Response) -> None:
        """Record the head of the response, and its body while the caller reads it."""
        self._head["status"] = response.status_code
        self._response = body = _Body(response.headers)
        if response.is_stream_consumed:  # a transport that keeps whole responses in memory
            body.add(response.content)
            self.end()
        elif isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Stream(response.stream, self, body)

    def end(self, error: BaseException | None = None) -> None:
        """Record the end of the exchange. Later calls have no effect."""
        size = self._request.size + (0 if self._response is None else self._response.size)
        self._span.end(error=self._error(error), data=self._data, size=size)

    def _error(self, error: BaseException | None) -> str | None:
        if error is not None:
            return error_text(error)
        status = self._head.get("status")
        return f"status {status}" if isinstance(status, int) and status >= 400 else None

    def _data(self) -> Mapping[str, JSON]:
        data = {**self._head, "request": self._request.to_json()}
        return data if self._response is None else {**data, "response": self._response.to_json()}


class _Body:
    """The headers and the beginning of the body of a request or a response."""

    def __init__(self, headers: httpx.Headers) -> None:
        self._headers = headers
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        coding = headers.get("Content-Encoding", "identity").strip().lower()
        self._is_text = (kind.startswith(_TEXT) or kind.endswith("+json")) and coding in {"", "identity"}
        self._content = bytearray()
        self._length = 0

    @property
    def size(self) -> int:
        """Approximate number of bytes that the body takes in a recording."""
        return len(self._content) + 40 * len(self._headers)

    def add(self, chunk: bytes) -> None:
        self._length += len(chunk)
        if self._is_text and (room := LONGEST_TEXT - len(self._content)) > 0:
            self._content += chunk[:room]

    def to_json(self) -> dict[str, JSON]:
        shown: dict[str, JSON] = {
            "headers": [[name, MASK if names_secret(name) else value] for name, value in self._headers.multi_items()],
            "bytes": self._length,
        }
        if self._content:
            text = self._content.decode(errors="replace")
            shown["body"] = text
            if self._length == len(self._content):
                with suppress(ValueError, RecursionError):
                    shown["body"] = json.loads(text)
        return shown


class _Stream(httpx.AsyncByteStream):
    """The body of a response, which is recorded while the caller reads it."""

    def __init__(self, stream: httpx.AsyncByteStream, exchange: _Exchange, body: _Body) -> None:
        self._stream = stream
        self._exchange = exchange
        self._body = body

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._body.add(chunk)
                yield chunk
        except GeneratorExit:  # the caller reads no further
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise
        self._exchange.end()

    @override
    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._exchange.end()
