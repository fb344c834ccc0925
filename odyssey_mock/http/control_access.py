"""Access to the control API: which requests below `/_mock` the mock accepts.

A browser sends requests of any web page to the mock of its user. The control API must not obey such a page. So it
accepts only requests of its own origin, to a host that is known to be the mock:

- `Host` must be a known name or address. A page can otherwise reach the mock under a name of its own, which resolves to
  the address of the mock (DNS rebinding). Browser and mock then take the page for one of the mock.
- `Origin` and `Sec-Fetch-Site`, which only browsers send, must not state another origin.

If other machines can reach the mock, a request also needs the control token. `needs_token` has the rule.

`refusal` and `needs_token` are pure functions. The middleware `ControlAccess` applies them before it reads a body.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from odyssey_mock.core.url_parts import Authority, BaseUrl, canonical_host, is_loopback, read_ip
from odyssey_mock.http.control_api import CONTROL_PATH, HEALTH_PATH, UNKNOWN_HOST
from odyssey_mock.http.errors import ApiError, validate
from odyssey_mock.http.public_urls import received, service_path

if TYPE_CHECKING:
    from pydantic import BaseModel

PAGE_NAMES = ("console", "watch")
"""The web pages of the mock. The pages need no token, because they contain no secrets. Their requests do."""

CONSOLE_PATH = f"{CONTROL_PATH}/console"
"""Path of the console. Its URL has a slash at the end."""

QUERY_PARAMETER = "token"
"""Query parameter for the control token, for browsers, which cannot send a header with a typed address."""

OWN_SITES = ("same-origin", "none")
"""Accepted values of `Sec-Fetch-Site`: a request of the mock's own page, or of the user, such as a typed address."""

SHOWN = 100
"""Number of characters of a received value that an error shows."""


@dataclass(frozen=True, kw_only=True)
class ControlRequest:
    """The parts of a request that decide about access to the control API.

    Attributes:
        host: the header `Host`; None if the request has none.
        url: the base URL to which the request was sent.
        stated: the base URL that trusted proxies state; `url` if they state none.
        origins: the values of all headers `Origin`.
        sites: the values of all headers `Sec-Fetch-Site`.
        senders: the addresses of the senders that proxies state.
        peer: the address from which the connection comes; None if unknown.
        server: the address of the mock at which the connection arrived; None if unknown.
        opens_page: whether the user opens a page of the mock in a tab of a browser, such as with a link.
    """

    host: str | None
    url: BaseUrl
    stated: BaseUrl
    origins: Sequence[str] = ()
    sites: Sequence[str] = ()
    senders: Sequence[str] = ()
    peer: str | None = None
    server: str | None = None
    opens_page: bool = False


@dataclass(frozen=True, kw_only=True)
class ControlPolicy:
    """The settings that decide about access to the control API.

    Attributes:
        names: hosts at which the control API may be used, in addition to those of this machine.
        public_url: the setting `public_url`, parsed.
        listens_on_loopback: whether the mock listens only on a loopback address.
    """

    names: Sequence[str] = ()
    public_url: BaseUrl | None = None
    listens_on_loopback: bool = True


def refusal(request: ControlRequest, policy: ControlPolicy) -> str | None:
    """Return why the control API rejects a request because of its host or origin; None if it accepts both."""
    authority = None if request.host is None else Authority.read(request.host)
    if authority is None or not _is_known(authority, request, policy):
        return _unknown_host("the header Host", request.host)
    # The host of the request itself must be known too: with DNS rebinding, a page can set the headers of a proxy.
    if not _is_known(request.stated.authority, request, policy):
        return _unknown_host("the host that the proxy states", request.stated.authority.host)
    own = [_origin(url) for url in (request.stated, request.url, policy.public_url) if url is not None]
    for origin in request.origins:
        if origin.lower() not in own:
            return (
                f"the control API accepts only requests of its own origin: expected no Origin, or {own[0]}, got "
                f"{_shown(origin)}. Send the request from a program, or from a page of this origin. If a proxy serves "
                "the mock at the origin that was received, set public_url"
            )
    # A link on another page, such as a chat, may open a page of the mock: that page then acts for its user only.
    for site in () if request.opens_page else request.sites:
        if site.lower() not in OWN_SITES:
            return (
                "the control API accepts no requests of pages of other origins: expected Sec-Fetch-Site: "
                f"{' or '.join(OWN_SITES)}, got {_shown(site)}. Type the address into the address bar of the browser, "
                "or send the request from a program"
            )
    return None


def needs_token(request: ControlRequest, policy: ControlPolicy) -> bool:
    """Return whether a request may come from another machine, so that it needs the control token.

    It needs none only if every known address is a loopback address. These are the addresses on which the mock listens,
    of the connection, in `Host`, in the public URL, and those that proxies state. The address of the connection alone
    is not enough. It is a loopback address too if a proxy or a sidecar on this machine forwards the request of another
    machine. In a container, it is that of the container's gateway even for a request of the same machine.
    """
    urls = [url for url in (request.url, request.stated, policy.public_url) if url is not None]
    senders = [request.peer or "", *request.senders]
    is_local = all(url.authority.is_local for url in urls) and all(map(is_loopback, senders))
    return not (policy.listens_on_loopback and is_local)


def _is_known(authority: Authority, request: ControlRequest, policy: ControlPolicy) -> bool:
    """Return whether the host is this machine, the address at which the request arrived, or a configured host."""
    if authority.is_local:
        return True
    names = [*policy.names, *([policy.public_url.authority.host] if policy.public_url else [])]
    if canonical_host(authority.host) in map(canonical_host, names):
        return True
    address = read_ip(authority.host)
    at, _, _zone = (request.server or "").partition("%")  # the zone of a link-local address is not part of `Host`
    return address is not None and address == read_ip(at)


def _origin(url: BaseUrl) -> str:
    """Return the origin of a URL as browsers write it (RFC 6454 section 6.2)."""
    return f"{url.scheme}://{url.authority.under(url.scheme)}".lower()


def _unknown_host(what: str, host: str | None) -> str:
    got = "none" if host is None else _shown(host)
    return (
        f"{UNKNOWN_HOST}: expected {what} to be localhost, an "
        "address on which the mock listens, the host of public_url, or a name in control_hosts, got "
        f"{got}. To allow another name, start the mock with it in control_hosts (--control-host NAME)"
    )


def _shown(value: str) -> str:
    return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}...")


def is_control(path: str) -> bool:
    """Return whether a path, without the prefix of the public URL, is one of the control API."""
    return path == CONTROL_PATH or path.startswith(f"{CONTROL_PATH}/")


def is_page(path: str) -> bool:
    """Return whether a path, without the prefix of the public URL, is that of a web page of the mock or its files."""
    below = path.removeprefix(f"{CONTROL_PATH}/")
    return is_control(path) and below.partition("/")[0] in PAGE_NAMES


def is_free(path: str) -> bool:
    """Return whether requests for a path of the control API never need the control token."""
    return path == HEALTH_PATH or is_page(path)


def control_request(scope: Scope) -> ControlRequest:
    """Return the parts of a request that decide about access to the control API."""
    arrived = received(scope)
    headers = Headers(scope=scope)
    peer, server = scope.get("client"), scope.get("server")
    return ControlRequest(
        host=arrived.host,
        url=arrived.url,
        stated=arrived.stated,
        origins=headers.getlist("origin"),
        sites=headers.getlist("sec-fetch-site"),
        senders=arrived.senders,
        peer=None if peer is None else str(peer[0]),
        server=None if server is None else str(server[0]),
        opens_page=(
            is_page(service_path(scope))
            and scope.get("method") in {"GET", "HEAD"}
            and headers.getlist("sec-fetch-mode") == ["navigate"]
            and headers.getlist("sec-fetch-dest") == ["document"]
        ),
    )


def is_foreign(scope: Scope, policy: ControlPolicy) -> bool:
    """Return whether a web page of another origin sent a request. Only browsers send the header `Origin`."""
    request = control_request(scope)
    return bool(request.origins) and refusal(request, policy) is not None


class ControlAccess:
    """ASGI middleware that passes on only those requests that may use the control API.

    Other requests get status 403 because of their host or origin, or 401 without the control token.
    """

    def __init__(self, app: ASGIApp, *, policy: ControlPolicy, token: Callable[[], str]) -> None:
        """Wrap `app`. `token` returns the control token. It is called only for requests that need the token."""
        self._app = app
        self._policy = policy
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._error(scope)
        if error is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(error.response())
        else:
            await error.response()(scope, receive, send)

    def _error(self, scope: Scope) -> ApiError | None:
        """Return the error response to a request that may not use the control API; None if it may."""
        request = control_request(scope)
        why = refusal(request, self._policy)
        if why is not None:
            return ApiError(403, why)
        if is_free(service_path(scope)) or not needs_token(request, self._policy):
            return None
        given = _tokens(scope)
        if any(hmac.compare_digest(each.encode(), self._token().encode()) for each in given):
            return None
        return ApiError(
            401,
            "the control API needs the control token, because other machines may reach the mock: expected it in the "
            f"header `Authorization: Bearer` or in the query parameter `token`, got {'another' if given else 'none'}. "
            "`odyssey-mock serve --host 0.0.0.0` prints the token, and the setting control_token sets it",
            {"WWW-Authenticate": "Bearer"},
        )


def _tokens(scope: Scope) -> Sequence[str]:
    """Return the control tokens that a request states, in the header `Authorization` and in its query."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    in_header = [token.strip()] if scheme.lower() == "bearer" else []
    return [each for each in [*in_header, *QueryParams(scope["query_string"]).getlist(QUERY_PARAMETER)] if each]


def parse_query[M: BaseModel](model: type[M], request: Request) -> M:
    """Parse the query parameters of a request as a `model`. The control token is not one of them.

    Raises:
        ApiError: 422, with one entry for each invalid value.
    """
    given = {name: value for name, value in request.query_params.items() if name != QUERY_PARAMETER}
    return validate(model, given, "query")
