"""WHEP, by which spectators watch a broadcast over WebRTC (`protocol.md` section 5)."""

import asyncio
from collections.abc import Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.spectator import Spectator, SpectatorGoneError
from odyssey_mock.http.broadcast_errors import BroadcastError, Methods, authorize, broadcast_of
from odyssey_mock.http.errors import backend_of
from odyssey_mock.http.routes.signaling import config
from odyssey_mock.rtc.peer_connection import DescriptionError
from odyssey_mock.rtc.sdp_fragment import MEDIA_TYPE as FRAGMENT
from odyssey_mock.rtc.sdp_fragment import FragmentError, parse_fragment

SDP = "application/sdp"

BODY_LIMIT = 256 << 10
"""Bytes of a description; browsers' have some 10,000."""


async def _options(request: Request) -> Response:
    return Response(status_code=204, headers={"Accept-Post": SDP, "Link": _link(request)})


async def _create(request: Request) -> Response:
    broadcast = broadcast_of(request)
    _check_is_on(broadcast)
    authorize(request, broadcast)
    _check_type(request, SDP, "Accept-Post")
    if not _accepts(request.headers.getlist("accept"), SDP):
        raise BroadcastError(406, f"expected an Accept that leaves room for {SDP}, came one that does not")
    offer = await _text(request)
    _check_is_on(broadcast)
    spectator = backend_of(request).broadcasts.admit(broadcast, offer)
    try:
        answer = await spectator.answer()
    except DescriptionError as error:
        raise BroadcastError(400, f"{error}; send a complete offer that receives video") from error
    except SpectatorGoneError as error:
        raise BroadcastError(404, f"the spectator was ended before it was answered: {error}") from error
    except asyncio.CancelledError:
        spectator.leave("its request was cut off")
        raise
    headers = {
        "Location": f"/broadcast/{broadcast.stream_id}/whep/{spectator.resource}",
        "ETag": spectator.etag,
        "ID": f"{broadcast.stream_id}-{spectator.number}",
        "Accept-Patch": FRAGMENT,
        "Link": _link(request),
    }
    return Response(answer, 201, headers, media_type=SDP)


async def _resource_options(request: Request) -> Response:
    return Response(status_code=204, headers={"Accept-Patch": FRAGMENT, "Link": _link(request)})


async def _trickle(request: Request) -> Response:
    spectator = _spectator_of(request)
    _check_type(request, FRAGMENT, "Accept-Patch")
    tags = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
    if not tags & {spectator.etag, "*"}:
        raise BroadcastError(412, f"expected If-Match: {spectator.etag}, or none, came another tag")
    text = await _text(request)
    try:
        fragment = parse_fragment(text)
    except FragmentError as error:
        raise BroadcastError(400, f"expected {FRAGMENT} (RFC 8840): {error}") from error
    if not fragment.ufrags <= spectator.ufrags:
        raise BroadcastError(
            422, "expected candidates for the ICE credentials of the offer, came others; ICE is not restarted here"
        )
    try:
        for candidate, mid in fragment.candidates:
            await spectator.add_candidate(candidate, mid)
    except DescriptionError as error:
        raise BroadcastError(400, str(error)) from error
    return Response(status_code=204, headers={"ETag": spectator.etag})


async def _delete(request: Request) -> Response:
    _spectator_of(request).leave("it was deleted")
    return Response(status_code=200)


def _check_is_on(broadcast: Broadcast) -> None:
    if broadcast.is_over:
        raise BroadcastError(404, f"the stream {broadcast.stream_id} has ended")


def _spectator_of(request: Request) -> Spectator:
    """Find the spectator whose resource the path names. Knowing that is all the permission it takes.

    Raises:
        BroadcastError: 404, there is none.
    """
    broadcast = broadcast_of(request)
    spectator = broadcast.spectators.get(request.path_params["resource"])
    if spectator is None or spectator.is_leaving:
        raise BroadcastError(404, "no such spectator: it has left, or never was")
    return spectator


def _check_type(request: Request, expected: str, header: str) -> None:
    came = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if came != expected:
        raise BroadcastError(415, f"expected Content-Type: {expected}, came {came[:60] or 'none'}", {header: expected})


def _accepts(accept: Sequence[str], media_type: str) -> bool:
    """Whether the field leaves room for `media_type` (RFC 9110 section 12.5.1): the most specific range counts."""
    weights: dict[str, bool] = {}
    for each in ",".join(accept).split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        if name:
            weights[name] = not any(parameter.replace(" ", "") in _NONE for parameter in parameters)
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((weights[name] for name in ranges if name in weights), not weights)


_NONE = frozenset({"q=0", "q=0.", "q=0.0", "q=0.00", "q=0.000"})
"""The weight that says "not acceptable", in all its forms."""


async def _text(request: Request) -> str:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT:
                raise BroadcastError(413, f"expected a body of {BODY_LIMIT} bytes at most")
    except ClientDisconnect as error:
        # Nobody reads it; the journal has it.
        raise BroadcastError(400, "the request was cut off in its body") from error
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BroadcastError(400, f"expected text in UTF-8: {error.reason} at byte {error.start}") from error


def _link(request: Request) -> str:
    return f'<{backend_of(request).stun_url}>; rel="ice-server"'


routes: list[BaseRoute] = [
    Route("/config", config, methods=["GET"]),
    Route("/broadcast/{stream_id}/whep", Methods({"OPTIONS": _options, "POST": _create})),
    Route(
        "/broadcast/{stream_id}/whep/{resource}",
        Methods({"DELETE": _delete, "OPTIONS": _resource_options, "PATCH": _trickle}),
    ),
]
