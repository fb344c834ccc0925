"""Resumable HTTP downloads: after a lost connection, the next request continues at the first missing byte.

A part is appended only if the service confirms that it belongs to the same version of the file (``If-Range``;
see `ranges`). Otherwise the download starts again from the first byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import httpx

from odyssey_client.errors import (
    DownloadError,
    DownloadTimeoutError,
    OdysseyError,
    ServiceUnreachableError,
    excerpt,
)
from odyssey_client.redaction import remember_url, without_query
from odyssey_client.rest.error_mapping import Failure
from odyssey_client.rest.ranges import Body, RangeError, is_past_end, partial_body, range_headers, whole_body
from odyssey_client.rest.response_body import NO_ENCODING, YIELD_EVERY
from odyssey_client.rest.retries import may_pass, retry_after
from odyssey_client.rest.transport import Transport

BUFFER_BYTES = 2**20
"""The number of bytes that are buffered before a write."""
MAX_REDIRECTS = 5
MAX_PARTS = 10_000
"""The maximum number of responses with only a part of the file. A service may send less than was requested."""

_EXPIRED = frozenset({400, 401, 403, 410})
"""Statuses with which stores reject an expired URL: Amazon S3 sends 403 or 400, Google Cloud Storage 400."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Sink(Protocol):
    """The destination of the downloaded bytes."""

    async def write(self, content: bytes) -> None:
        """Append ``content``."""
        ...

    async def restart(self) -> None:
        """Discard everything that was written."""
        ...


class _Interrupted(Exception):  # noqa: N818 - a signal to retry, not an error
    """An attempt to download failed, and another attempt may succeed."""

    def __init__(self, error: OdysseyError) -> None:
        super().__init__(str(error))
        self.error = error


class Fetch:
    """Downloads the file at a URL into a sink."""

    def __init__(
        self,
        transport: Transport,
        sink: Sink,
        *,
        what: str,
        locate: Callable[[], Awaitable[str]],
        report: Callable[[int, int | None], Awaitable[None]],
    ) -> None:
        """Store the arguments. `run` sends the requests.

        Args:
            transport: The HTTP transport.
            sink: The destination of the bytes.
            what: A description of the file for messages.
            locate: Returns a valid URL. It is called once at the start, and again when the URL has expired.
            report: Called with the number of bytes received, which never decreases, and the file size, or None if the
                size is unknown.
        """
        self._transport = transport
        self._sink = sink
        self._what = what
        self._locate = locate
        self._report = report
        self._limit = transport.config.advanced.request_timeout_s
        self._total_limit = transport.config.advanced.download_timeout_s
        self._max_bytes = transport.config.advanced.max_download_bytes
        self._deadline = transport.clock.monotonic() + self._total_limit
        self._url = ""
        self._is_url_new = True
        """Whether no request with the URL was sent. A rejected new URL is an error and not renewed."""
        self._buffer = bytearray()
        self._received = 0
        self._total: int | None = None
        self._validator: str | None = None
        self._furthest = 0
        """The largest value of `_received` so far. `_received` becomes 0 when the download starts again."""

    async def run(self) -> int:
        """Download the whole file and return its size.

        Raises:
            DownloadTimeoutError: the download was not complete within ``AdvancedConfig.download_timeout_s``.
            DownloadError: the response is an error or violates HTTP, the file is larger than
                ``AdvancedConfig.max_download_bytes``, or too many attempts in a row got no new bytes.
            OdysseyError: the sink or ``locate`` raised this error.
        """
        self._url = await self._find()
        retries = parts = 0
        while True:
            furthest = self._furthest
            try:
                if await self._try():
                    return self._received
                parts += 1
                if parts == MAX_PARTS:
                    raise self._refused(f"expected at most {MAX_PARTS} parts, got more")
                continue  # the service sent only a part: request the next one at once
            except _Interrupted as interrupted:
                error = interrupted.error
            if self._furthest > furthest:
                retries = 0
            pause = self._transport.retries.pause(error, retries)
            if pause is None:
                raise self._given_up(retries, error) from error
            if pause >= self._left():
                raise self._overdue() from error
            await self._transport.clock.sleep(pause)
            retries += 1

    async def _try(self) -> bool:
        """Request the missing bytes once; return whether the file is complete."""
        is_url_new, self._is_url_new = self._is_url_new, False
        answer = await self._ask()
        if answer.status_code in _EXPIRED and not is_url_new:
            await answer.aclose()
            self._url = await self._find()
            answer = await self._ask()
        try:
            body = await self._read_headers(answer)
            if body is None:
                return True
            await self._read_body(answer, body)
        finally:
            await answer.aclose()
        if body.end is None:
            return True
        if self._received < body.end:
            raise _Interrupted(ServiceUnreachableError(f"the response ended {body.end - self._received} bytes early"))
        return self._received == self._total

    async def _ask(self) -> httpx.Response:
        """Send the request, follow redirects, and return the response before its body is read."""
        validator = self._condition()
        headers = NO_ENCODING if validator is None else NO_ENCODING | range_headers(self._received, validator)
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            answer = await self._within_limit(self._transport.open_url(url, headers))
            location = answer.headers.get("Location")
            if answer.status_code not in _REDIRECTS or location is None:
                return answer
            await answer.aclose()
            url = _joined(url, location)
            remember_url(url)
        raise self._refused(f"expected at most {MAX_REDIRECTS} redirects, got more, the last to {without_query(url)}")

    async def _read_headers(self, answer: httpx.Response) -> Body | None:
        """Parse the headers of ``answer`` and check its status. Return None if no bytes are missing."""
        status, headers, validator = answer.status_code, answer.headers, self._condition()
        try:
            if status == 200:
                body = whole_body(headers)
            elif status == 206 and validator is not None:
                body = partial_body(headers, self._received, total=self._total, validator=validator)
            elif status == 416 and validator is not None:
                if is_past_end(headers, self._received):
                    return None
                self._validator = None  # the next attempt requests the whole file
                raise _Interrupted(ServiceUnreachableError(str(_failure(answer))))
            elif may_pass(error := _failure(answer)):
                raise _Interrupted(error)
            else:
                raise self._refused(str(error), status=status) from error
        except RangeError as wrong:
            raise self._refused(f"the response violates HTTP: {wrong}") from wrong
        if (encoding := headers.get("Content-Encoding", "identity").lower()) != "identity":
            raise self._refused(f"expected Content-Encoding identity, got {excerpt(encoding, 40)!r}")
        if max(body.end or 0, body.total or 0) > self._max_bytes:
            raise self._too_large(f"{max(body.end or 0, body.total or 0)} bytes")
        if body.start < self._received:
            self._received = 0
            await self._sink.restart()
        self._total, self._validator = body.total, body.validator
        return body

    async def _read_body(self, answer: httpx.Response, body: Body) -> None:
        content, chunks = answer.aiter_raw(), 0
        try:
            while chunk := await self._within_limit(anext(content, b"")):
                self._received += len(chunk)
                if body.end is not None and self._received > body.end:
                    raise self._refused(f"expected {body.end} bytes, as stated in the headers, got more")
                if self._received > self._max_bytes:
                    raise self._too_large("more")
                self._buffer += chunk
                if len(self._buffer) >= BUFFER_BYTES:
                    await self._flush()
                if self._received > self._furthest:
                    self._furthest = self._received
                    await self._report(self._received, self._total)
                chunks += 1
                if chunks % YIELD_EVERY == 0:
                    await asyncio.sleep(0)  # noqa: TID251 - lets other tasks run; no time passes
        except _Interrupted:
            await self._flush()
            raise
        await self._flush()

    async def _find(self) -> str:
        try:
            async with self._transport.clock.timeout(self._left()):
                return await self._locate()
        except TimeoutError as error:
            if isinstance(error, OdysseyError):  # an error of the lookup itself
                raise
            raise self._overdue() from error

    async def _within_limit[T](self, step: Awaitable[T]) -> T:
        left = self._left()
        try:
            async with self._transport.clock.timeout(min(self._limit, left)):
                return await step
        except TimeoutError as error:
            if left <= self._limit:
                raise self._overdue() from error
            raise _Interrupted(
                ServiceUnreachableError(
                    f"{without_query(self._url)} sent no data for {self._limit:g} s; the limit is "
                    "AdvancedConfig(request_timeout_s=...)",
                    code="request_timeout",
                )
            ) from error
        except ServiceUnreachableError as error:
            raise _Interrupted(error) from error
        except httpx.HTTPError as error:
            why = excerpt(str(error)) or type(error).__name__
        # Outside of `except`: the exception of httpx must not become the context (transport.py).
        raise _Interrupted(ServiceUnreachableError(f"the connection was lost: {why}"))

    def _condition(self) -> str | None:
        """Return the validator for a range request; None to request the whole file."""
        return self._validator if self._received else None

    async def _flush(self) -> None:
        content, self._buffer = bytes(self._buffer), bytearray()
        if content:
            await self._sink.write(content)

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            is_good = False
        if not is_good:
            raise self._refused(f"expected an http or https URL, got {without_query(url)!r}")

    def _left(self) -> float:
        """Return the seconds until the time limit of the whole download."""
        return max(0.0, self._deadline - self._transport.clock.monotonic())

    def _overdue(self) -> DownloadTimeoutError:
        return DownloadTimeoutError(
            f"Download of {self._what} took longer than {self._total_limit:g} s: received {self._furthest}{self._of()} "
            "bytes. For a slow connection, raise AdvancedConfig(download_timeout_s=...)."
        )

    def _of(self) -> str:
        return "" if self._total is None else f" of {self._total}"

    def _refused(self, why: str, *, status: int | None = None) -> DownloadError:
        return DownloadError(f"Could not download {self._what}: {why}", status=status)

    def _too_large(self, got: str) -> DownloadError:
        return DownloadError(
            f"Could not download {self._what}: expected at most {self._max_bytes} bytes, got {got}. "
            "To download larger files, raise AdvancedConfig(max_download_bytes=...).",
            code="download_too_large",
        )

    def _given_up(self, retries: int, error: OdysseyError) -> DownloadError:
        tries = f", and {retries} retries received no more" if retries else ""
        return DownloadError(
            f"Download of {self._what} is incomplete: received {self._furthest}{self._of()} bytes{tries}. "
            f"Last error: {error}",
            code="download_interrupted",
            status=error.status,
            retryable=error.retryable,
        )


def _failure(answer: httpx.Response) -> OdysseyError:
    call = f"GET {without_query(str(answer.request.url))}"
    wait = retry_after(answer.headers)
    return Failure(call, answer.status_code, detail=None, request_id="", retry_after=wait, route="GET artifact").error()


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:  # such as an incomplete IPv6 address
        return location
