"""WHEP routes, with which spectators watch a broadcast over WebRTC (`protocol.md` section 5)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.core.file_descriptors import RETRY_AFTER
from odyssey_mock.core.shortages import refusal_of
from odyssey_mock.http.broadcast_access import BroadcastRoute, authorize, broadcast_of
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.errors import BroadcastError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.routes.signaling import config_of
from odyssey_mock.http.whep_messages import DESCRIPTION_LIMIT, SDP, answer_of, check_type, ice_link, offer_of, text_of
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.rtc.sdp_fragment import MEDIA_TYPE as FRAGMENT
from odyssey_mock.rtc.sdp_fragment import parse_fragment


@dataclass(frozen=True, kw_only=True)
class WhepRoutes:
    """Routes where spectators connect, trickle ICE candidates, and leave."""

    gate: FaultGate
    callers: Callers
    broadcasts: Broadcasts

    def routes(self) -> list[BaseRoute]:
        """Create the routes. OPTIONS requests have no effect and no fault point."""
        at, who = self.gate.at, self.callers.by_stream
        return [
            ServiceRoute("/config", {"GET": at("whep.config", self.config, who)}),
            BroadcastRoute(
                "/broadcast/{stream_id}/whep",
                {"OPTIONS": self.options, "POST": at("whep.offer", self.watch, who)},
                body_limit=DESCRIPTION_LIMIT,
            ),
            BroadcastRoute(
                "/broadcast/{stream_id}/whep/{resource}",
                {
                    "DELETE": at("whep.leave", self.leave, who),
                    "OPTIONS": self.resource_options,
                    "PATCH": at("whep.candidates", self.trickle, who),
                },
                body_limit=DESCRIPTION_LIMIT,
            ),
        ]

    async def config(self, request: Request) -> Response:
        """Return the ICE servers, in the same form as `/config` of the signaling server."""
        return config_of(request)

    async def options(self, request: Request) -> Response:
        return Response(status_code=204, headers={"Accept-Post": SDP, "Link": ice_link(request)})

    async def watch(self, request: Request) -> Response:
        broadcast = broadcast_of(request, self.broadcasts)
        _check_is_on(broadcast)
        authorize(request, broadcast)
        offer = await offer_of(request)
        _check_is_on(broadcast)
        try:
            spectator = self.broadcasts.admit(broadcast, offer)
            answer = await answer_of(spectator)
        except OSError as error:
            if (refusal := refusal_of(error)) is None:
                raise
            raise BroadcastError(503, refusal, {"Retry-After": RETRY_AFTER}) from error
        except DescriptionError as error:
            raise BroadcastError(400, f"{error}; send a complete offer that receives video") from error
        headers = {
            "Location": f"{request.base_url.path}broadcast/{broadcast.stream_id}/whep/{spectator.resource}",
            "ETag": spectator.etag,
            "ID": f"{broadcast.stream_id}-{spectator.number}",
            "Accept-Patch": FRAGMENT,
            "Link": ice_link(request),
        }
        return Response(answer, 201, headers, media_type=SDP)

    async def resource_options(self, request: Request) -> Response:
        return Response(status_code=204, headers={"Accept-Patch": FRAGMENT, "Link": ice_link(request)})

    async def trickle(self, request: Request) -> Response:
        spectator = self._spectator_of(request)
        check_type(request, FRAGMENT, "Accept-Patch")
        tags = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
        if not tags & {spectator.etag, "*"}:
            raise BroadcastError(412, f"expected If-Match: {spectator.etag} or no If-Match, got another ETag")
        fragment = parse_fragment(await text_of(request))
        if not fragment.ufrags <= spectator.ufrags:
            raise BroadcastError(
                422,
                "expected candidates for the ICE credentials of the offer, got candidates for other credentials; "
                "ICE restart is not supported",
            )
        try:
            for candidate, mid in fragment.candidates:
                await spectator.add_candidate(candidate, mid)
        except DescriptionError as error:
            raise BroadcastError(400, str(error)) from error
        return Response(status_code=204, headers={"ETag": spectator.etag})

    async def leave(self, request: Request) -> Response:
        if not broadcast_of(request, self.broadcasts).delete(request.path_params["resource"]):
            raise _no_spectator()
        return Response(status_code=200)

    def _spectator_of(self, request: Request) -> Spectator:
        """Return the spectator named in the path. The resource name is secret, so it authorizes the request.

        Raises:
            BroadcastError: 404, no such spectator exists.
        """
        broadcast = broadcast_of(request, self.broadcasts)
        spectator = broadcast.spectators.get(request.path_params["resource"])
        if spectator is None or spectator.is_leaving:
            raise _no_spectator()
        return spectator


def _no_spectator() -> BroadcastError:
    return BroadcastError(404, "no such spectator: it has left or never existed")


def _check_is_on(broadcast: Broadcast) -> None:
    if broadcast.is_over:
        raise BroadcastError(404, f"the stream {broadcast.stream_id} has ended")
