"""HTTP with the Odyssey API: JSON both ways, the access token, time limits, typed errors (protocol.md section 2)."""

from __future__ import annotations

import asyncio
import functools
import json as jsonlib
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from odyssey_client.config import ClientConfig
from odyssey_client.errors import ServiceUnreachableError, UnexpectedResponseError, excerpt
from odyssey_client.models import JSON
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.rest.auth import AccessToken, Token, read_token
from odyssey_client.rest.error_mapping import Failure, detail_of
from odyssey_client.rest.retries import RetryPolicy, retry_after
from odyssey_client.version import client_version

if TYPE_CHECKING:  # httpx takes 100 ms to import: not before the first call
    import httpx

logger = logging.getLogger("odyssey_client")

type Auth = Literal["bearer", "none", "optional"]

_NO_NAMES: Mapping[str, str] = {}


class Transport:
    """The way to one service. It opens its HTTP client with the first call and anew after `aclose`.

    Attributes:
        config: Whose service, which key, what limits.
        clock: The clock that all limits run on.
        retries: When a call that may be made twice is made again, which is for the caller to do (rest/retries.py).
    """

    def __init__(self, config: ClientConfig, *, clock: Clock, entropy: Entropy, network: Network) -> None:
        self.config = config
        self.clock = clock
        self.retries = RetryPolicy.of(config.advanced, entropy.uniform)
        self._entropy = entropy
        self._network = network
        self._client: httpx.AsyncClient | None = None
        self._wire: httpx.AsyncBaseTransport
        """What the client sends with, and closes."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._access = AccessToken(self._new_token, clock)

    async def authenticate(self) -> None:
        """Make sure there is a good access token.

        Raises:
            OdysseyConfigError: this client has no API key.
            OdysseyAuthError: the service does not accept it.
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
        """Call the service and return the JSON it answers; None for an empty body.

        Args:
            method: The HTTP method.
            path: The path below the API URL, with a slash in front, already quoted.
            json: The body; None for none.
            params: The query.
            auth: ``bearer`` sends the access token, gets one first if need be and a new one, once, when it is refused;
                ``optional`` sends it only if there is one; ``none`` never.
            timeout: Seconds that each attempt may take; ``AdvancedConfig.request_timeout_s`` if None.
            route: The call in the table of errors (service_errors.py), where its path has names in it or it has
                a variant.
            names: What those names stand for.

        Raises:
            OdysseyConfigError: a token is needed and this client has no API key.
            OdysseyError: what the service answered, by class (service_errors.py).
            ServiceUnreachableError: there was no answer.
        """
        token = await self._token(auth)
        response, request_id = await self._send(method, path, json, params, token, timeout)
        if response.status_code == 401 and auth == "bearer" and token is not None:
            self._access.discard(token)
            token = await self._access.get()
            response, request_id = await self._send(method, path, json, params, token, timeout)
        call = f"{method} {path}"
        if response.is_success:
            return _success(response, call, request_id)
        raise Failure(
            call=call,
            status=response.status_code,
            detail=detail_of(_any_body(response), {self.config.api_key or "", token or ""}),
            request_id=request_id,
            retry_after=retry_after(response.headers),
            route=route,
            names=names,
        ).error()

    async def ping(self, url: str) -> bool:
        """Ask for ``url``, whose host may be any, without credentials; tell whether a 2xx came, and read no body.

        Raises:
            ServiceUnreachableError: there was no answer. There is no time limit: the caller has one.
        """
        try:
            async with self._open().stream("GET", url) as response:
                return response.is_success
        except no_answer() as error:
            raise unreachable("GET", url, error) from error

    async def fetch(self, url: str) -> JSON:
        """Get ``url``, whose host may be any, without credentials; return the JSON that a 2xx brings.

        Raises:
            ServiceUnreachableError: there was no answer. There is no time limit: the caller has one.
            ValueError: another status, or no JSON.
        """
        try:
            response = await self._open().get(url)
        except no_answer() as error:
            raise unreachable("GET", url, error) from error
        if not response.is_success:
            raise ValueError(f"HTTP {response.status_code}")
        return parse_json(response.content)

    async def open_url(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """Get ``url``, whose host may be any, without credentials; return the answer once its headers are there.

        The caller reads the body (`httpx.Response.aiter_raw`) and closes the answer. Redirects are not followed. No
        log and no message has the query, which may be a signature.

        Raises:
            ServiceUnreachableError: there was no answer. There is no time limit: the caller has one.
        """
        import httpx  # noqa: PLC0415 - see above

        agent = self._open().headers["User-Agent"]
        try:
            # Not by the client, which logs URLs whole.
            request = httpx.Request("GET", url, headers={"User-Agent": agent, "Accept": "*/*", **headers})
            answer = await self._wire.handle_async_request(request)
        except no_answer() as error:
            raise unreachable("GET", without_query(url), error) from error
        answer.request = request
        return answer

    async def aclose(self) -> None:
        """Close all HTTP connections, but for those of an event loop that is gone; the next call opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def _new_token(self) -> Token:
        """Ask for an access token with the API key.

        Raises:
            OdysseyConfigError: there is no API key.
            OdysseyAuthError: with the vendor's words: the key is wrong (401), without access (403) or malformed (422).
        """
        key = self.config.require_api_key()
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
    ) -> tuple[httpx.Response, str]:
        """Make one attempt; return the answer, whatever its status, and the request id."""
        url = self.config.api_url + path
        request_id = self._entropy.uuid()
        headers = {"X-Request-Id": request_id}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        limit = self.config.advanced.request_timeout_s if timeout is None else timeout
        started = self.clock.monotonic()
        try:
            async with self.clock.timeout(limit):
                response = await self._open().request(method, url, json=json, params=params, headers=headers)
        except TimeoutError as error:
            raise ServiceUnreachableError(
                f"{method} {url} was not answered within {limit:g} s. Check that the service runs and can be reached; "
                "the limit is AdvancedConfig(request_timeout_s=...).",
                code="request_timeout",
                request_id=request_id,
            ) from error
        except no_answer() as error:
            raise unreachable(method, url, error, request_id) from error
        request_id = excerpt(response.headers.get("X-Request-Id", ""), 100) or request_id
        logger.debug(
            "%s %s: HTTP %d in %.0f ms (request %s)",
            method,
            path,
            response.status_code,
            (self.clock.monotonic() - started) * 1000,
            request_id,
        )
        return response, request_id

    def _open(self) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415 - see above

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # One left over from an `asyncio.run` that is gone cannot be used, nor closed, in this one.
            self._loop = loop
            self._wire = self._network.http_transport()
            self._client = httpx.AsyncClient(
                transport=self._wire,
                timeout=None,  # noqa: S113 - every call is limited on the clock
                headers={"User-Agent": f"odyssey-testkit/{client_version()}", "Accept": "application/json"},
            )
        return self._client


@functools.cache
def no_answer() -> tuple[type[Exception], ...]:
    """Return what httpx raises where no answer came."""
    import httpx  # noqa: PLC0415 - see above

    # UnicodeError: a host name that httpx lets pass and no resolver takes.
    return (httpx.HTTPError, httpx.InvalidURL, UnicodeError)


@functools.cache
def _never_sent() -> tuple[type[Exception], ...]:
    """What another try cannot change: a URL or a header that is none."""
    import httpx  # noqa: PLC0415 - see above

    return (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)


def without_query(url: str) -> str:
    """Return ``url`` as it may be shown: without query and fragment, user and password."""
    head, _, rest = url.partition("://")
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return excerpt(f"{head}://{host.rpartition('@')[2]}{slash}{path}")


def unreachable(method: str, url: str, error: Exception, request_id: str | None = None) -> ServiceUnreachableError:
    """Make the error for a call that got no answer; ``url`` is shown as it is."""
    why = excerpt(str(error)).rstrip(".") or type(error).__name__
    return ServiceUnreachableError(
        f"{method} {url} got no answer: {why}. Check the URL, that the service runs, and the network.",
        request_id=request_id,
        retryable=not isinstance(error, _never_sent()),
    )


def _success(response: httpx.Response, call: str, request_id: str) -> JSON:
    if not response.content:
        return None
    try:
        return parse_json(response.content)
    except ValueError:
        got = excerpt(response.headers.get("Content-Type", "") or "a body without a content type", 100)
        raise UnexpectedResponseError(
            f"{call}: HTTP {response.status_code} with a body that is not JSON ({got}). "
            "Check that the API URL is that of an Odyssey service.",
            expected="JSON",
            got=got,
            status=response.status_code,
            request_id=request_id,
        ) from None


def _any_body(response: httpx.Response) -> JSON:
    """Return the body of an error as JSON if it is some, else as text; None if there is none."""
    try:
        return parse_json(response.content)
    except ValueError:
        return response.content.decode(errors="replace").strip() or None


def parse_json(content: bytes) -> JSON:
    """Read JSON from outside.

    Raises:
        ValueError: it is none.
    """
    try:
        value: JSON = jsonlib.loads(content)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value
