"""The HTTP messages of WHEP (RFC 9725): the SDP offer in a request, and the headers of responses."""

import asyncio
from collections.abc import Iterator, Sequence

from starlette.requests import ClientDisconnect, Request

from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.http.errors import BroadcastError
from odyssey_mock.http.public_urls import ice_servers
from odyssey_mock.http.request_body import body_of
from odyssey_mock.settings import IceServer

SDP = "application/sdp"

DESCRIPTION_LIMIT = 256 << 10
"""Maximum size of a session description in bytes. A browser sends about 10,000 bytes."""


async def offer_of(request: Request) -> str:
    """Return the SDP offer in a request.

    Raises:
        BroadcastError: 415 or 406, the request has another type, or accepts no SDP; 400, the body is no text.
    """
    check_type(request, SDP, "Accept-Post")
    accept = request.headers.getlist("accept")
    if not _accepts(accept, SDP):
        raise BroadcastError(406, f"expected an Accept header that allows {SDP}, got {', '.join(accept)[:60]!r}")
    return await text_of(request)


async def answer_of(spectator: Spectator) -> str:
    """Return the SDP answer to a spectator, or end the spectator if its request is cut off meanwhile."""
    try:
        return await spectator.answer()
    except asyncio.CancelledError:
        spectator.leave("its request was cut off")
        raise


def ice_link(request: Request) -> str:
    """Return the value of the header `Link`, which names the ICE servers (RFC 9725 section 4.6)."""
    return ", ".join(link for server in ice_servers(request) for link in _links(server))


def _links(server: IceServer) -> Iterator[str]:
    access = ""
    if "credential" in server:
        access = f'; username="{server["username"]}"; credential="{server["credential"]}"; credential-type="password"'
    urls = server["urls"]
    for url in [urls] if isinstance(urls, str) else urls:
        yield f'<{url}>; rel="ice-server"{access}'


def check_type(request: Request, expected: str, header: str) -> None:
    """Check that a request has the media type `expected`; `header` names it in the response otherwise.

    Raises:
        BroadcastError: 415, it has another one.
    """
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


async def text_of(request: Request) -> str:
    """Return the body of a request as text.

    Raises:
        BroadcastError: 400, the body is incomplete or not UTF-8.
    """
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
