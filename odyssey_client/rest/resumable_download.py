"""One file over as many connections as it takes: each goes on where the one before broke off.

A part is only added to what is there already if the service vouches that it is of the same file (``If-Range``, and
`ranges`); else the file is fetched anew. So the bytes are those of one file, or there are none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import httpx

from odyssey_client.errors import DownloadError, OdysseyError, ServiceUnreachableError, excerpt
from odyssey_client.rest.error_mapping import Failure
from odyssey_client.rest.ranges import Body, RangeError, is_past_end, partial_body, range_headers, whole_body
from odyssey_client.rest.retries import may_pass, retry_after
from odyssey_client.rest.transport import Transport, without_query

BUFFER_BYTES = 2**20
"""How much is gathered before it is written."""
MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_IDENTITY = {"Accept-Encoding": "identity"}


class Sink(Protocol):
    """Where the bytes go."""

    async def write(self, content: bytes) -> None:
        """Add ``content`` at the end."""
        ...

    async def restart(self) -> None:
        """Forget all that was written."""
        ...


class _Interrupted(Exception):  # noqa: N818 - not an error yet: another try may do
    """No answer came, or not all of it."""

    def __init__(self, error: OdysseyError) -> None:
        super().__init__(str(error))
        self.error = error


class Fetch:
    """Brings the file behind a URL into a sink."""

    def __init__(
        self,
        transport: Transport,
        sink: Sink,
        *,
        what: str,
        locate: Callable[[], Awaitable[str]],
        report: Callable[[int, int | None], Awaitable[None]],
    ) -> None:
        """Make one; nothing is sent yet.

        Args:
            transport: The way out.
            sink: Where the bytes go.
            what: What is fetched, for messages.
            locate: Finds a URL that is good now: once at first, and again when one is refused with 403.
            report: Told how many bytes have come, and of how many if that is known; the former only grows.
        """
        self._transport = transport
        self._sink = sink
        self._what = what
        self._locate = locate
        self._report = report
        self._limit = transport.config.advanced.request_timeout_s
        self._url = ""
        self._is_url_new = True
        self._buffer = bytearray()
        self._received = 0
        self._total: int | None = None
        self._validator: str | None = None
        self._furthest = 0
        """The most that was ever received, which `_received` is not after a new beginning."""

    async def run(self) -> int:
        """Fetch all of it; return its size.

        Raises:
            DownloadError: the service does not give it or breaks the rules, or too many tries in a row brought nothing.
            OdysseyError: what the sink, or finding a URL, raised.
        """
        self._url = await self._locate()
        retries = 0
        while True:
            furthest = self._furthest
            try:
                if await self._try():
                    return self._received
                continue  # it comes in parts
            except _Interrupted as interrupted:
                error = interrupted.error
            if self._furthest > furthest:
                retries = 0
            pause = self._transport.retries.pause(error, retries)
            if pause is None:
                raise self._given_up(retries, error) from error
            await self._transport.clock.sleep(pause)
            retries += 1

    async def _try(self) -> bool:
        """Ask once for what is missing; tell whether all is there now."""
        answer = await self._ask()
        if answer.status_code == 403 and not self._is_url_new:
            await answer.aclose()
            self._url, self._is_url_new = await self._locate(), True
            answer = await self._ask()
        try:
            body = await self._read_headers(answer)
            if body is None:
                return True
            self._is_url_new = False
            await self._read_body(answer, body)
        finally:
            await answer.aclose()
        if body.end is None:
            return True
        if self._received < body.end:
            raise _Interrupted(ServiceUnreachableError(f"the answer ended {body.end - self._received} bytes early"))
        return self._received == self._total

    async def _ask(self) -> httpx.Response:
        """Get the headers of an answer, at the end of all redirects."""
        validator = self._condition()
        headers = _IDENTITY if validator is None else _IDENTITY | range_headers(self._received, validator)
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            answer = await self._within_limit(self._transport.open_url(url, headers))
            location = answer.headers.get("Location")
            if answer.status_code not in _REDIRECTS or location is None:
                return answer
            await answer.aclose()
            url = _joined(url, location)
        raise self._refused(f"more than {MAX_REDIRECTS} redirects, the last to {without_query(url)}")

    async def _read_headers(self, answer: httpx.Response) -> Body | None:
        """Make ready for the bytes of ``answer``; None if none are missing."""
        status, headers, validator = answer.status_code, answer.headers, self._condition()
        try:
            if status == 200:
                body = whole_body(headers)
            elif status == 206 and validator is not None:
                body = partial_body(headers, self._received, total=self._total, validator=validator)
            elif status == 416 and validator is not None:
                if is_past_end(headers, self._received):
                    return None
                self._validator = None  # the next try begins anew
                raise _Interrupted(ServiceUnreachableError(str(_failure(answer))))
            elif may_pass(error := _failure(answer)):
                raise _Interrupted(error)
            else:
                raise self._refused(str(error), status=status) from error
        except RangeError as wrong:
            raise self._refused(f"the service answers against the rules of HTTP: {wrong}") from wrong
        if (encoding := headers.get("Content-Encoding", "identity").lower()) != "identity":
            raise self._refused(f"it comes encoded as {excerpt(encoding, 40)!r} where identity was asked for")
        if body.start < self._received:
            self._received = 0
            await self._sink.restart()
        self._total, self._validator = body.total, body.validator
        return body

    async def _read_body(self, answer: httpx.Response, body: Body) -> None:
        content = answer.aiter_raw()
        try:
            while chunk := await self._within_limit(anext(content, b"")):
                self._received += len(chunk)
                if body.end is not None and self._received > body.end:
                    raise self._refused(f"more bytes came than the {body.end} that were announced")
                self._buffer += chunk
                if len(self._buffer) >= BUFFER_BYTES:
                    await self._flush()
                if self._received > self._furthest:
                    self._furthest = self._received
                    await self._report(self._received, self._total)
        except _Interrupted:
            await self._flush()
            raise
        await self._flush()

    async def _within_limit[T](self, step: Awaitable[T]) -> T:
        try:
            async with self._transport.clock.timeout(self._limit):
                return await step
        except TimeoutError as error:
            raise _Interrupted(
                ServiceUnreachableError(
                    f"{without_query(self._url)} sent nothing for {self._limit:g} s; the limit is "
                    "AdvancedConfig(request_timeout_s=...)",
                    code="request_timeout",
                )
            ) from error
        except ServiceUnreachableError as error:
            raise _Interrupted(error) from error
        except httpx.HTTPError as error:
            why = excerpt(str(error)) or type(error).__name__
            raise _Interrupted(ServiceUnreachableError(f"the connection broke: {why}")) from error

    def _condition(self) -> str | None:
        """On what a part may be asked for; None where all of the file has to come."""
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

    def _refused(self, why: str, *, status: int | None = None) -> DownloadError:
        return DownloadError(f"{self._what} could not be fetched: {why}", status=status)

    def _given_up(self, retries: int, error: OdysseyError) -> DownloadError:
        of = "" if self._total is None else f" of {self._total}"
        tries = f", and {retries} retries brought nothing more" if retries else ""
        return DownloadError(
            f"{self._what} could not be fetched whole: {self._furthest}{of} bytes came{tries}. The last time: {error}",
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
    except ValueError:  # such as half an IPv6 address
        return location
