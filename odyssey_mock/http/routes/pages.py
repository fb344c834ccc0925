"""The web pages of the mock: the console, the page of a broadcast, and the redirect from `/` to the console."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import override

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from odyssey_mock.core.url_parts import BaseUrl
from odyssey_mock.http.control_access import CONSOLE_PATH, PAGE_NAMES
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.public_urls import base_url, received, service_path
from odyssey_mock.http.ranges import is_known
from odyssey_mock.pages.served_page import PageFile, ServedPage, content_policy

ROOT = "/"
"""The path at which a browser is redirected to the console."""

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",  # browsers ask whether the file has changed
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def opens_console(scope: Scope) -> bool:
    """Return whether a browser opens the URL of the mock. Clients of the service do not accept HTML."""
    return (
        scope["type"] == "http"
        and service_path(scope) == ROOT
        and scope["method"] in {"GET", "HEAD"}
        and "text/html" in (each.partition(";")[0].strip() for each in _accepted(scope))
    )


def _accepted(scope: Scope) -> list[str]:
    return ",".join(Headers(scope=scope).getlist("accept")).lower().split(",")


class ConsoleLink(ServiceRoute):
    """The route of `/`, which only browsers have. The service has no such path, so other requests get a 404."""

    def __init__(self) -> None:
        super().__init__(ROOT, {"GET": self._redirect})

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if opens_console(scope) else (Match.NONE, {})

    async def _redirect(self, _request: Request) -> Response:
        # A relative URL is also right behind a proxy that removes a prefix without stating it.
        return RedirectResponse(f"{CONSOLE_PATH[1:]}/", headers={"Vary": "Accept"})


@dataclass(frozen=True)
class PageRoutes:
    """Routes of the pages and their files."""

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [route for name in PAGE_NAMES for route in _OnePage(ServedPage(name)).routes()]


@dataclass(frozen=True)
class _OnePage:
    page: ServedPage

    def routes(self) -> list[BaseRoute]:
        """Create the routes of the page."""
        name = self.page.name
        return [
            ServiceRoute(f"/{name}", {"GET": self.slash}),
            ServiceRoute(f"/{name}/", {"GET": self.show}),
            ServiceRoute(f"/{name}/files/{{name:path}}", {"GET": self.file}, template=f"/{name}/files/{{name}}"),
        ]

    async def slash(self, _request: Request) -> Response:
        """Redirect to the URL with a slash at its end, to which the URLs in the page are relative."""
        return RedirectResponse(f"{self.page.name}/")

    async def show(self, request: Request) -> Response:
        """Send the page."""
        html, import_map = await asyncio.to_thread(self.page.html)
        policy = content_policy(import_map, _other_origins(request))
        return _answer(request, html, {"Content-Security-Policy": policy})

    async def file(self, request: Request) -> Response:
        """Send a file of the page."""
        name = request.path_params["name"]
        file = await asyncio.to_thread(self.page.file, name)
        if file is None:
            raise ApiError(404, f"The page {self.page.name} has no file {name[:64]!r}")
        return _answer(request, file, {})


def _answer(request: Request, file: PageFile, headers: Mapping[str, str]) -> Response:
    sent = {**HEADERS, **headers, "ETag": file.etag}
    if is_known(request.headers, file.etag):
        return Response(None, 304, sent)
    return Response(file.content, headers=sent, media_type=file.media_type)


def _other_origins(request: Request) -> list[str]:
    """Return the origins of the URLs in the responses of the service, if they are not those of the page.

    They differ if the user opens the page at the address on which the mock listens, and not at the public URL.
    """
    page, service = received(request.scope).url, BaseUrl.read(base_url(request))
    if service is None or (page.scheme, page.authority) == (service.scheme, service.authority):
        return []
    origin = f"{service.scheme}://{service.authority.under(service.scheme)}"
    return [origin, origin.replace("http", "ws", 1)]
