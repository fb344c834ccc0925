"""`GET /regions`, and the ping URLs it lists (`protocol.md` section 2)."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.http.errors import ApiError, authorized, backend_of


async def list_regions(request: Request) -> Response:
    """List the regions, each with a URL whose answer takes as long as the way there."""
    await authorized(request)
    # Under the name the client used: the mock may be behind a port mapping.
    origin = str(request.base_url).rstrip("/")
    regions = backend_of(request).settings.regions
    return JSONResponse(
        {"regions": [{"id": region.id, "ping_url": f"{origin}/ping/{region.id}"} for region in regions]}
    )


async def ping(request: Request) -> Response:
    """Answer after the latency of the region; no authorization."""
    wanted = request.path_params["region"]
    region = next((region for region in backend_of(request).settings.regions if region.id == wanted), None)
    if region is None:
        raise ApiError(404, "Region not found; GET /regions lists them")
    if region.latency > 0:
        await _elapse(region.latency)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


async def _elapse(seconds: float) -> None:
    """Let `seconds` of the event loop's time pass: a way through the network does not follow the server's clock."""
    loop = asyncio.get_running_loop()
    elapsed = asyncio.Event()
    timer = loop.call_later(seconds, elapsed.set)
    try:
        await elapsed.wait()
    finally:
        timer.cancel()


routes: list[BaseRoute] = [
    Route("/regions", list_regions, methods=["GET"]),
    Route("/ping/{region}", ping, methods=["GET"]),
]
