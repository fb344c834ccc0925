"""HLS, by which players watch a broadcast over HTTP (`protocol.md` section 5)."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.broadcast.hls import HlsStream, NoPlaylistError
from odyssey_mock.broadcast.playlist import MEDIA_TYPE
from odyssey_mock.routes.broadcast_errors import BroadcastError, Methods, authorized_broadcast_of

PLAYLIST = "index.m3u8"


async def _file(request: Request) -> Response:
    broadcast = authorized_broadcast_of(request)
    if broadcast.hls is None:
        raise BroadcastError(404, "HLS is switched off (the setting `hls`)")
    name: str = request.path_params["file"]
    if name == PLAYLIST:
        return await _playlist(broadcast.hls, f"?token={quote(broadcast.token)}")
    data = broadcast.hls.file(name)
    if data is None:
        raise BroadcastError(404, f"no file {name[:64]!r}: it was deleted, or never was")
    return Response(data, media_type="video/mp4", headers={"Cache-Control": "max-age=60"})


async def _playlist(hls: HlsStream, query: str) -> Response:
    try:
        text = await hls.playlist(query)
    except NoPlaylistError as error:
        raise BroadcastError(404, f"there is no playlist: {error}") from error
    return Response(text, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-cache"})


routes: list[BaseRoute] = [
    Route("/broadcast/{stream_id}/hls/{file}", Methods({"GET": _file, "HEAD": _file})),
]
