"""The route `GET /regions`, and the routes of the ping URLs that it lists (`protocol.md` section 2)."""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.public_urls import base_url

REGIONS_PATH = "/regions"


@dataclass(frozen=True, kw_only=True)
class RegionRoutes:
    """Routes for the regions and their latency."""

    gate: FaultGate
    callers: Callers
    accounts: Accounts
    settings: CurrentSettings

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        at, who = self.gate.at, self.callers.by_access_token
        return [
            ServiceRoute(REGIONS_PATH, {"GET": at("rest.regions.list", self.list_regions, who)}),
            ServiceRoute("/ping/{region}", {"GET": at("rest.regions.ping", self.ping, who)}),
        ]

    async def list_regions(self, request: Request) -> Response:
        """List the regions, each with a URL that responds after the latency of the region."""
        authorized(request, self.accounts)
        base = base_url(request)
        regions = self.settings.now.regions
        return JSONResponse(
            {"regions": [{"id": region.id, "ping_url": f"{base}/ping/{region.id}"} for region in regions]}
        )

    async def ping(self, request: Request) -> Response:
        """Respond after the latency of the region, without authorization."""
        wanted = request.path_params["region"]
        region = next((region for region in self.settings.now.regions if region.id == wanted), None)
        if region is None:
            raise ApiError(404, "Region not found; GET /regions lists the regions")
        if region.latency > 0:
            await _elapse(region.latency)
        return Response(status_code=204, headers={"Cache-Control": "no-store"})


async def _elapse(seconds: float) -> None:
    """Wait `seconds` on the event loop's clock, because network latency does not depend on the server's clock."""
    loop = asyncio.get_running_loop()
    elapsed = asyncio.Event()
    timer = loop.call_later(seconds, elapsed.set)
    try:
        await elapsed.wait()
    finally:
        timer.cancel()
