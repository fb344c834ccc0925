"""`UsageErrorForms`, which chooses the form of usage errors (status 429): an object or a string as `detail`."""

import hashlib
from collections.abc import Callable
from typing import Literal

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from odyssey_mock.http.public_urls import service_path
from odyssey_mock.http.raw_headers import header
from odyssey_mock.settings import UsageErrorForm

type DetailForm = Literal["object", "string"]
"""The form of `detail` in one response."""

REMEMBERED = 1000
"""Maximum number of access tokens whose use is remembered; the oldest are forgotten first."""


class UsageErrorForms:
    """Chooses the form of usage errors with the setting `usage_error_form`.

    With `auto`, the npm package 1.0 gets a string as `detail`, and every other client gets an object. The package sends
    no version number, but is recognized by its requests. They have an `Origin` header, because it runs in a browser.
    It does not list the regions, and requests sessions without `region_latencies`. Later versions always list the
    regions first, with the same access token.
    """

    def __init__(self, setting: Callable[[], UsageErrorForm]) -> None:
        """Create the object; `setting()` returns the value of the setting `usage_error_form`."""
        self._setting = setting
        self._listed: dict[str, bool] = {}
        """For each access token, by digest: whether its client has listed the regions. Oldest first."""
        self._is_1_0: dict[str, bool] = {}
        """For each access token, by digest: whether its latest session request is one of the npm package 1.0."""

    def regions_listed(self, scope: Scope) -> None:
        """Note that the client of this request has asked for the list of regions, even if the response is an error."""
        _remember(self._listed, _client_of(HTTPConnection(scope)), True)

    def session_requested(self, request: HTTPConnection, *, has_latencies: bool) -> None:
        """Note a session request; `has_latencies` is whether its body has `region_latencies`."""
        client = _client_of(request)
        is_bare = "origin" in request.headers and not has_latencies
        _remember(self._is_1_0, client, is_bare and client not in self._listed)

    def form_for(self, request: HTTPConnection) -> DetailForm:
        """Return the form of a usage error that responds to `request`."""
        setting = self._setting()
        if setting != "auto":
            return setting
        return "string" if self._is_1_0.get(_client_of(request), False) else "object"


class RegionsNoted:
    """Middleware that notes each request for the list of regions, before a fault can answer it."""

    def __init__(self, app: ASGIApp, forms: UsageErrorForms, path: str) -> None:
        self._app = app
        self._forms = forms
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"], service_path(scope)) == ("GET", self._path):
            self._forms.regions_listed(scope)
        await self._app(scope, receive, send)


def _client_of(connection: HTTPConnection) -> str:
    """Return a digest of the access token of a request, which identifies one client."""
    authorization = header(connection.scope["headers"], b"authorization") or ""
    return hashlib.sha256(authorization.encode()).hexdigest()


def _remember(noted: dict[str, bool], client: str, value: bool) -> None:
    noted.pop(client, None)
    noted[client] = value
    if len(noted) > REMEMBERED:
        del noted[next(iter(noted))]
