"""HTTP transport to the Odyssey API: JSON, access tokens, time limits, typed errors (protocol.md section 2).

This module passes requests to a transport of httpx, not to an `httpx.AsyncClient`. The client would log whole URLs and
the reason phrases of the service, and would store cookies. An error of this module never has an exception of httpx as
its cause or context. Such an exception contains the request with its headers, and bytes that were received.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal

from odyssey_client.config import ClientConfig
from odyssey_client.errors import ServiceUnreachableError, UnexpectedResponseError, excerpt
from odyssey_client.models import JSON
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.received_json import JSONLimitError, parse_json
from odyssey_client.redaction import get_logger, remember, without_query
from odyssey_client.rest.auth import AccessToken, Token, read_token
from odyssey_client.rest.error_mapping import Failure, detail_of
from odyssey_client.rest.response_body import NO_ENCODING, Answer, BodyError, read_answer, read_body
from odyssey_client.rest.retries import RetryPolicy, retry_after
from odyssey_client.tls_errors import explain, lasting_tls_error
from odyssey_client.version import client_version

if TYPE_CHECKING:  # importing httpx takes 100 ms, so the first call imports it
    import httpx

logger = get_logger("odyssey_client")

type Auth = Literal["bearer", "none", "optional"]

_NO_NAMES: Mapping[str, str] = {}


class Transport:
    """HTTP transport to one service. The first call opens the HTTP client; so does the first call after `aclose`.

    Attributes:
        config: The URL of the service, the API key and the limits.
        clock: The clock for all time limits.
        retries: The policy for retries. The transport itself does not retry; callers do (rest/retries.py).
    """

    def __init__(self, config: ClientConfig, *, clock: Clock, entropy: Entropy, network: Network) -> None:
        self.config = config
        self.clock = clock
        self.retries = RetryPolicy.of(config.advanced, entropy.uniform)
        self._entropy = entropy
        self._network = network
        self._wire: httpx.AsyncBaseTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._access = AccessToken(self._new_token, clock)

    async def authenticate(self) -> None:
        """Request an access token unless there is a valid one.

        Raises:
            OdysseyConfigError: the client has no API key.
            OdysseyAuthError: the service rejected the API key.
        """
        await self._access.get()

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JSON = None,
        params: Mapping[str, str | int | bool] | None = None,
        auth: Auth = "bearer",
        timeout: float | None = None,
        route: str = "",
        names: Mapping[str, str] = _NO_NAMES,
    ) -> JSON:
        """Send a request and return the JSON of the response; None if the body is empty.

        Args:
            method: The HTTP method.
            path: The path below the API URL, with a leading slash, percent-encoded.
            json: The JSON body; None for no body.
            params: The query parameters.
            auth: ``bearer`` sends the access token and requests one if there is none. If the service rejects the token
                (401), the call is sent once more with a new token. ``optional`` sends a token only if there is one;
                ``none`` sends no token.
            timeout: Seconds that each attempt may take; ``AdvancedConfig.request_timeout_s`` if None.
            route: The name of the call in the table of errors (service_errors.py); method and path if empty.
            names: Values for the placeholders in the texts of that table, such as ``job_id``.

        Raises:
            OdysseyConfigError: the call needs a token, and the client has no API key.
            OdysseyError: the response has an error status, or its body is not JSON or too large. `service_errors.py`
                defines the class for each status.
            ServiceUnreachableError: there was no response.
        """
        token = await self._token(auth)
        answer, request_id = await self._send(method, path, json, params, token, timeout)
        if answer.status == 401 and auth == "bearer" and token is not None:
            self._access.discard(token)
            token = await self._access.get()
            answer, request_id = await self._send(method, path, json, params, token, timeout)
        call = f"{method} {path}"
        if answer.is_success:
            return _success(answer, call, request_id)
        error = Failure(
            call=call,
            status=answer.status,
            detail=detail_of(_any_body(answer.body)),
            request_id=request_id,
            retry_after=retry_after(answer.headers),
            route=route,
            names=names,
        ).error()
        if answer.fault is not None:
            error.add_note(f"The body of the response was not read: {answer.fault}.")
        raise error

    async def ping(self, url: str) -> bool:
        """Request ``url``, on any host, without credentials; return whether the status is 2xx.

        The body is not read. The caller sets a time limit; this method has none.

        Raises:
            ServiceUnreachableError: there was no response.
        """
        response = await self._sent("GET", url, {})
        await response.aclose()
        return response.is_success

    async def fetch(self, url: str) -> JSON:
        """Request ``url``, on any host, without credentials; return the JSON of the response.

        The caller sets a time limit; this method has none.

        Raises:
            ServiceUnreachableError: there was no response.
            ValueError: the status is not 2xx, or the body is not JSON or too large.
        """
        response = await self._sent("GET", url, {})
        if not response.is_success:
            await response.aclose()
            raise ValueError(f"expected a 2xx status, got HTTP {response.status_code}")
        return parse_json(await self._read(response, read_body, "GET", url))

    async def open_url(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """Request ``url``, on any host, without credentials; return the response when its headers have arrived.

        The caller reads the body (`httpx.Response.aiter_raw`), closes the response, and sets a time limit; this method
        has none. Redirects are not followed.

        Raises:
            ServiceUnreachableError: there was no response.
        """
        return await self._sent("GET", url, {"Accept": "*/*", **headers})

    async def aclose(self) -> None:
        """Close all HTTP connections that belong to the running event loop; the next call opens new ones."""
        wire, self._wire = self._wire, None
        if wire is not None and self._loop is asyncio.get_running_loop():
            await wire.aclose()

    async def _new_token(self) -> Token:
        """Request an access token with the API key.

        Raises:
            OdysseyConfigError: the client has no API key.
            OdysseyAuthError: the key is unknown (401), has no access (403) or is malformed (422).
        """
        key = self.config.require_api_key()
        remember(key)
        return read_token(await self.request("POST", "/auth/token", json={"api_key": key}, auth="none"))

    async def _token(self, auth: Auth) -> str | None:
        if auth == "bearer":
            return await self._access.get()
        return self._access.current if auth == "optional" else None

    async def _send(
        self,
        method: str,
        path: str,
        json: JSON,
        params: Mapping[str, str | int | bool] | None,
        token: str | None,
        timeout: float | None,
    ) -> tuple[Answer, str]:
        """Send one request; return the response, of any status, and the request id."""
        url = self.config.api_url + path
        request_id = self._entropy.uuid()
        headers = {"X-Request-Id": request_id}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        limit = self.config.advanced.request_timeout_s if timeout is None else timeout
        started = self.clock.monotonic()
        try:
            async with self.clock.timeout(limit):
                response = await self._sent(method, url, headers, json=json, params=params)
                answer = await self._read(response, read_answer, method, url, request_id)
        except TimeoutError as error:
            raise ServiceUnreachableError(
                f"{method} {url} was not answered within {limit:g} s. Check that the service is running and reachable; "
                "the limit is AdvancedConfig(request_timeout_s=...).",
                code="request_timeout",
                request_id=request_id,
            ) from error
        request_id = excerpt(answer.headers.get("X-Request-Id", ""), 100) or request_id
        logger.debug(
            "%s %s: HTTP %d in %.0f ms (request %s)",
            method,
            path,
            answer.status,
            (self.clock.monotonic() - started) * 1000,
            request_id,
        )
        return answer, request_id

    async def _sent(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        json: JSON = None,
        params: Mapping[str, str | int | bool] | None = None,
    ) -> httpx.Response:
        """Send a request; return the response when its headers have arrived. The caller reads and closes it.

        Raises:
            ServiceUnreachableError: there was no response.
        """
        import httpx  # noqa: PLC0415 - slow, see TYPE_CHECKING

        common = {"User-Agent": f"odyssey-testkit/{client_version()}", "Accept": "application/json", **NO_ENCODING}
        try:
            request = httpx.Request(method, url, json=json, params=params, headers={**common, **headers})
            response = await self._open().handle_async_request(request)
        except no_answer() as error:
            failure = unreachable(method, url, error, headers.get("X-Request-Id"))
        else:
            response.request = request
            return response
        raise failure  # outside of `except`: the exception of httpx must not become the context

    async def _read[T](
        self,
        response: httpx.Response,
        read: Callable[[httpx.Response], Awaitable[T]],
        method: str,
        url: str,
        request_id: str | None = None,
    ) -> T:
        """Return the result of ``read``, which reads the body of ``response``; then close the response.

        Raises:
            ServiceUnreachableError: the body ended early.
        """
        try:
            try:
                return await read(response)
            finally:
                await response.aclose()
        except no_answer() as error:
            failure = unreachable(method, url, error, request_id)
        raise failure

    def _open(self) -> httpx.AsyncBaseTransport:
        loop = asyncio.get_running_loop()
        if self._wire is None or self._loop is not loop:
            # A transport of an event loop that has ended can be neither used nor closed in the running loop.
            self._loop = loop
            self._wire = self._network.http_transport()
        return self._wire


@functools.cache
def no_answer() -> tuple[type[Exception], ...]:
    """Return the classes of the exceptions that httpx raises when there is no response, for an ``except`` clause."""
    import httpx  # noqa: PLC0415 - slow, see TYPE_CHECKING

    # UnicodeError: a host name that httpx accepts and the resolver does not.
    # SSLError: TLS 1.3 reports a missing client certificate after the handshake, where httpx does not convert it.
    return (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ssl.SSLError)


@functools.cache
def _never_sent() -> tuple[type[Exception], ...]:
    """Return the classes of the exceptions that httpx raises for an invalid URL or header. A retry would fail again."""
    import httpx  # noqa: PLC0415 - slow, see TYPE_CHECKING

    return (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)


def unreachable(method: str, url: str, error: Exception, request_id: str | None = None) -> ServiceUnreachableError:
    """Return the error for a call without a response. The caller raises it after the ``except`` clause has ended."""
    url = without_query(url)
    if (tls := lasting_tls_error(error)) is not None:
        return ServiceUnreachableError(
            f"{method} {url} got no answer: {explain(tls)}.", code="tls_failed", request_id=request_id, retryable=False
        )
    why = excerpt(str(error)).rstrip(".") or type(error).__name__
    return ServiceUnreachableError(
        f"{method} {url} got no answer: {why}. Check the URL, the network, and that the service is running.",
        request_id=request_id,
        retryable=not isinstance(error, _never_sent()),
    )


def _success(answer: Answer, call: str, request_id: str) -> JSON:
    if answer.fault is not None:
        raise _unusable(answer, call, request_id, answer.fault)
    if not answer.body:
        return None
    try:
        return parse_json(answer.body)
    except JSONLimitError as limit:
        raise _unusable(answer, call, request_id, limit) from None
    except ValueError:
        got = excerpt(answer.headers.get("Content-Type", "") or "a body without a content type", 100)
        raise UnexpectedResponseError(
            f"{call}: HTTP {answer.status} with a body that is not JSON ({got}). "
            "Check that the API URL points to an Odyssey service.",
            expected="JSON",
            got=got,
            status=answer.status,
            request_id=request_id,
        ) from None


def _unusable(answer: Answer, call: str, request_id: str, why: BodyError | JSONLimitError) -> UnexpectedResponseError:
    return UnexpectedResponseError(
        f"{call}: HTTP {answer.status}: {why}. "
        "Check that the API URL points to an Odyssey service. If this is a list, request fewer items at once (limit).",
        expected=why.expected,
        got=why.got,
        status=answer.status,
        request_id=request_id,
    )


def _any_body(body: bytes) -> JSON:
    """Return the body of an error response, as JSON if possible, else as text; None if it is empty."""
    try:
        return parse_json(body)
    except ValueError:
        return body.decode(errors="replace").strip() or None
