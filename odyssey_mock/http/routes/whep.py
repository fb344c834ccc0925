"""WHEP routes, with which spectators watch a broadcast over WebRTC (`protocol.md` section 5)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.core.file_descriptors import DETAIL, RETRY_AFTER, is_shortage
from odyssey_mock.http.broadcast_access import BroadcastRoute, authorize, broadcast_of
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.errors import BroadcastError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.public_urls import stun_url
from odyssey_mock.http.request_body import body_of
from odyssey_mock.http.routes.signaling import ice_servers
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.rtc.sdp_fragment import MEDIA_TYPE as FRAGMENT
from odyssey_mock.rtc.sdp_fragment import parse_fragment

SDP = "application/sdp"

DESCRIPTION_LIMIT = 256 << 10
"""Maximum size of a session description in bytes. A browser sends about 10,000 bytes."""


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
        return ice_servers(request)

    async def options(self, request: Request) -> Response:
        return Response(status_code=204, headers={"Accept-Post": SDP, "Link": _link(request)})

    async def watch(self, request: Request) -> Response:
        broadcast = broadcast_of(request, self.broadcasts)
        _check_is_on(broadcast)
        authorize(request, broadcast)
        _check_type(request, SDP, "Accept-Post")
        accept = request.headers.getlist("accept")
        if not _accepts(accept, SDP):
            raise BroadcastError(406, f"expected an Accept header that allows {SDP}, got {', '.join(accept)[:60]!r}")
        offer = await _text(request)
        _check_is_on(broadcast)
        try:
            spectator = self.broadcasts.admit(broadcast, offer)
            answer = await _answer_of(spectator)
        except OSError as error:
            if not is_shortage(error):
                raise
            raise BroadcastError(503, DETAIL, {"Retry-After": RETRY_AFTER}) from error
        except DescriptionError as error:
            raise BroadcastError(400, f"{error}; send a complete offer that receives video") from error
        headers = {
            "Location": f"{request.base_url.path}broadcast/{broadcast.stream_id}/whep/{spectator.resource}",
            "ETag": spectator.etag,
            "ID": f"{broadcast.stream_id}-{spectator.number}",
            "Accept-Patch": FRAGMENT,
            "Link": _link(request),
        }
        return Response(answer, 201, headers, media_type=SDP)

    async def resource_options(self, request: Request) -> Response:
        return Response(status_code=204, headers={"Accept-Patch": FRAGMENT, "Link": _link(request)})

    async def trickle(self, request: Request) -> Response:
        spectator = self._spectator_of(request)
        _check_type(request, FRAGMENT, "Accept-Patch")
        tags = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
        if not tags & {spectator.etag, "*"}:
            raise BroadcastError(412, f"expected If-Match: {spectator.etag} or no If-Match, got another ETag")
        fragment = parse_fragment(await _text(request))
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


async def _answer_of(spectator: Spectator) -> str:
    """Return the answer, or end the spectator if its request is cut off meanwhile."""
    try:
        return await spectator.answer()
    except asyncio.CancelledError:
        spectator.leave("its request was cut off")
        raise


def _link(request: Request) -> str:
    return f'<{stun_url(request)}>; rel="ice-server"'


def _no_spectator() -> BroadcastError:
    return BroadcastError(404, "no such spectator: it has left or never existed")


def _check_is_on(broadcast: Broadcast) -> None:
    if broadcast.is_over:
        raise BroadcastError(404, f"the stream {broadcast.stream_id} has ended")


def _check_type(request: Request, expected: str, header: str) -> None:
    got = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if got != expected:
        raise BroadcastError(415, f"expected Content-Type: {expected}, got {got[:60] or 'none'}", {header: expected})


def _accepts(accept: Sequence[str], media_type: str) -> bool:
    """Return whether the `Accept` header allows `media_type`; its most specific entry decides (RFC 9110 12.5.1)."""
    weights: dict[str, bool] = {}
    for each in ",".join(accept).split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        if name:
            weights[name] = not any(parameter.replace(" ", "") in _NONE for parameter in parameters)
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((weights[name] for name in ranges if name in weights), not weights)


_NONE = frozenset({"q=0", "q=0.", "q=0.0", "q=0.00", "q=0.000"})
"""All spellings of the weight 0, which means "not acceptable" in an `Accept` header."""


async def _text(request: Request) -> str:
    try:
        body = await body_of(request).read()
    except ClientDisconnect as error:
        # The client cannot receive this response, but the journal records it.
        raise BroadcastError(400, "the client disconnected before the end of the body") from error
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BroadcastError(
            400, f"expected text in UTF-8, got an error at byte {error.start}: {error.reason}"
        ) from error
