"""HLS routes, with which players watch a broadcast over HTTP (`protocol.md` section 5)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import override
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.hls import MEDIA_TYPE, HlsStream
from odyssey_mock.http.broadcast_access import BroadcastRoute, authorized_broadcast_of
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.errors import BroadcastError
from odyssey_mock.http.fault_points import FaultGate

PLAYLIST = "index.m3u8"


@dataclass(frozen=True, kw_only=True)
class HlsRoutes:
    """Routes for playlists and segments of broadcasts."""

    gate: FaultGate
    callers: Callers
    broadcasts: Mapping[str, Broadcast]

    def routes(self) -> list[BaseRoute]:
        """Create the routes. The journal shows playlists and segments under one route name."""
        at, who, template = self.gate.at, self.callers.by_stream, "/broadcast/{stream_id}/hls/{file}"
        playlist = {"GET": at("hls.playlist", self.playlist, who)}
        return [
            BroadcastRoute(f"/broadcast/{{stream_id}}/hls/{PLAYLIST}", playlist, template=template),
            BroadcastRoute(template, {"GET": at("hls.segment", self.segment, who)}),
        ]

    async def playlist(self, request: Request) -> Response:
        """Send the playlist, with the token in each of its URLs."""
        broadcast, hls = self._find(request)
        return await _playlist(request, hls, f"?token={quote(broadcast.token)}")

    async def segment(self, request: Request) -> Response:
        """Send a segment or the initialization segment."""
        _, hls = self._find(request)
        name: str = request.path_params["file"]
        data = hls.file(name)
        if data is None:
            raise BroadcastError(404, f"no file {name[:64]!r}: it was deleted or never existed")
        return Response(data, media_type="video/mp4", headers={"Cache-Control": "max-age=60"})

    def _find(self, request: Request) -> tuple[Broadcast, HlsStream]:
        """Return the broadcast named in the path and its HLS stream, after checking the token.

        Raises:
            BroadcastError: 404, the broadcast does not exist or has no HLS; 401, the token is missing or invalid.
        """
        broadcast = authorized_broadcast_of(request, self.broadcasts)
        if broadcast.hls is None:
            raise BroadcastError(404, "this broadcast has no HLS, because the setting `hls` is off")
        return broadcast, broadcast.hls


async def _playlist(request: Request, hls: HlsStream, query: str) -> Response:
    """Wait for the playlist, and return a response that contains it.

    If the client disconnects first, return a response that sends nothing.

    Raises:
        NoPlaylistError: the broadcast has no playlist.
    """
    writing = asyncio.create_task(hls.playlist(query), name="playlist")
    hanging_up = asyncio.create_task(_hung_up(request), name="client of a playlist")
    try:
        await asyncio.wait([writing, hanging_up], return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            return _Nothing()
        text = writing.result()
    finally:
        writing.cancel()
        hanging_up.cancel()
        await asyncio.gather(writing, hanging_up, return_exceptions=True)
    return Response(text, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def _hung_up(request: Request) -> None:
    """Wait until the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Nothing(Response):
    """A response to a client that has disconnected: it sends nothing, and the journal records no status."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass
