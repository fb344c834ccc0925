"""The route `GET /openapi.json`, which describes all other routes."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.openapi import document
from odyssey_mock.http.public_urls import base_url

OPENAPI_PATH = "/openapi.json"


class OpenApiRoutes:
    """Route of the OpenAPI document."""

    def routes(self) -> list[BaseRoute]:
        """Create the route. It has no fault point and no journal entries, because the service does not have it."""
        return [ServiceRoute(OPENAPI_PATH, {"GET": self.show})]

    async def show(self, request: Request) -> Response:
        """Send the document, in which all URLs begin with the URL at which the client reaches the mock."""
        return JSONResponse(await asyncio.to_thread(document, base_url(request)))  # reads the contract the first time
