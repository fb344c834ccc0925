"""HLS, by which players watch a broadcast over HTTP (`protocol.md` section 5)."""

import asyncio
from typing import override
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from odyssey_mock.broadcasts.hls import MEDIA_TYPE, HlsStream, NoPlaylistError
from odyssey_mock.http.broadcast_errors import BroadcastError, Methods, authorized_broadcast_of

PLAYLIST = "index.m3u8"


async def _file(request: Request) -> Response:
    broadcast = authorized_broadcast_of(request)
    if broadcast.hls is None:
        raise BroadcastError(404, "HLS is switched off (the setting `hls`)")
    name: str = request.path_params["file"]
    if name == PLAYLIST:
        return await _playlist(request, broadcast.hls, f"?token={quote(broadcast.token)}")
    data = broadcast.hls.file(name)
    if data is None:
        raise BroadcastError(404, f"no file {name[:64]!r}: it was deleted, or never was")
    return Response(data, media_type="video/mp4", headers={"Cache-Control": "max-age=60"})


async def _playlist(request: Request, hls: HlsStream, query: str) -> Response:
    """The playlist, which may have to be waited for: no longer than the client does."""
    writing = asyncio.create_task(hls.playlist(query), name="playlist")
    hanging_up = asyncio.create_task(_hung_up(request), name="client of a playlist")
    try:
        await asyncio.wait([writing, hanging_up], return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            return _Nothing()
        text = writing.result()
    except NoPlaylistError as error:
        raise BroadcastError(404, f"there is no playlist: {error}") from error
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
    """No answer, as there is nobody to read one; the journal then has a request without a status."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass


routes: list[BaseRoute] = [
    Route("/broadcast/{stream_id}/hls/{file}", Methods({"GET": _file, "HEAD": _file})),
]
