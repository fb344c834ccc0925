"""The control API under `/_mock/`, to inspect and control the mock from other processes in any language."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount

from odyssey_mock.core.clock import Clock
from odyssey_mock.http.control_api import CONTROL_PATH
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.lazy_routes import RemainingRoutes
from odyssey_mock.http.mock_version import mock_version
from odyssey_mock.http.public_urls import base_url
from odyssey_mock.http.router import FreeRouter
from odyssey_mock.http.state_view import StateView


@dataclass(frozen=True, kw_only=True)
class ControlRoutes:
    """Routes of the control API. `more()` creates the further routes below the prefix `/_mock/`.

    It is called with the first request for one of them. Programs that wait for the mock need none of them.

    `access` is the middleware that rejects requests that may not use the control API.
    """

    clock: Clock
    view: StateView
    forget: Callable[[], Awaitable[None]]
    """Ends all sessions, broadcasts and jobs, and deletes all records and the journal."""
    access: Middleware
    more: Callable[[], Sequence[BaseRoute]]

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        routes = [
            ServiceRoute("/health", {"GET": self.health}),
            ServiceRoute("/state", {"GET": self.state}),
            ServiceRoute("/reset", {"POST": self.reset}),
        ]
        # Around the routes, not around the whole application: a request then cannot reach a route without the check.
        router = FreeRouter([*routes, RemainingRoutes(self.more)])
        return [Mount(CONTROL_PATH, app=router, middleware=[self.access])]

    async def health(self, request: Request) -> Response:
        """Report that the mock is running, with its version and the URL at which the client reaches it."""
        return JSONResponse({"status": "ok", "version": mock_version(), "url": base_url(request)})

    async def state(self, _request: Request) -> Response:
        """Show sessions, streams, broadcasts, simulation jobs and the clock."""
        return Response(self.view.to_text(self.clock.time()), media_type="application/json")

    async def reset(self, _request: Request) -> Response:
        """End all sessions, broadcasts and jobs, and delete all records and the journal; see `MockOdyssey.reset`."""
        await self.forget()
        return JSONResponse({"status": "reset"})
