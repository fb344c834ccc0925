"""WHEP routes of the control API, with which the console shows every running stream, broadcast or not."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.broadcasts.monitors import Monitors
from odyssey_mock.broadcasts.spectator import LateAnswerError, SpectatorGoneError
from odyssey_mock.http.control_api import CONTROL_PATH
from odyssey_mock.http.errors import ApiError, BroadcastError, answer_to
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.whep_messages import DESCRIPTION_LIMIT, SDP, answer_of, ice_link, offer_of
from odyssey_mock.rtc.remote_description import DescriptionError


@dataclass(frozen=True, kw_only=True)
class MonitorRoutes:
    """Routes where monitors connect to a stream and leave it. The offer has all candidates of the monitor."""

    monitors: Monitors

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        return [
            ServiceRoute(
                "/streams/{stream_id}/whep",
                {"OPTIONS": self.options, "POST": self.watch},
                body_limit=DESCRIPTION_LIMIT,
            ),
            ServiceRoute("/streams/{stream_id}/whep/{resource}", {"DELETE": self.leave}),
        ]

    async def options(self, request: Request) -> Response:
        """Name the ICE servers, which a monitor needs before it makes its offer."""
        return Response(status_code=204, headers={"Accept-Post": SDP, "Link": ice_link(request)})

    async def watch(self, request: Request) -> Response:
        """Create a monitor from its SDP offer, and respond with the SDP answer."""
        stream_id: str = request.path_params["stream_id"]
        try:
            monitor = await self.monitors.admit(stream_id, await offer_of(request))
            answer = await answer_of(monitor)
        except (BroadcastError, SpectatorGoneError, LateAnswerError) as error:
            refusal = answer_to(error)
            raise ApiError(refusal.status, refusal.detail, refusal.headers) from error  # in the form of the control API
        except DescriptionError as error:
            raise ApiError(400, f"{error}; send a complete offer that receives video") from error
        path = f"{request.base_url.path}{CONTROL_PATH[1:]}/streams/{stream_id}/whep/{monitor.resource}"
        return Response(answer, 201, {"Location": path, "Link": ice_link(request)}, media_type=SDP)

    async def leave(self, request: Request) -> Response:
        """End a monitor."""
        stream_id, resource = request.path_params["stream_id"], request.path_params["resource"]
        if not self.monitors.delete(stream_id, resource):
            raise ApiError(404, "no such video: it was closed already or never existed")
        return Response(status_code=204)
