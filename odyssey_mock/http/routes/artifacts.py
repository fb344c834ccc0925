"""`GET /artifacts/{stream_id}/{artifact}`: the files behind presigned URLs (`protocol.md` section 6)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import override

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from odyssey_mock.http.callers import Callers
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.ranges import UnsatisfiableError, is_known, is_other, wanted_parts
from odyssey_mock.recordings.artifacts import ARTIFACTS
from odyssey_mock.recordings.file_store import StoredFile
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamStore

CHUNK = 256 * 1024
"""Bytes read and sent at once."""

type Piece = bytes | range
"""Bytes to be sent as they are, or a part of the file."""


@dataclass(frozen=True, kw_only=True)
class ArtifactRoutes:
    """The files of recordings."""

    gate: FaultGate
    callers: Callers
    streams: StreamStore
    recordings: Recordings

    def routes(self) -> list[BaseRoute]:
        """Make the routes."""
        fetch = self.gate.at("artifact", self.fetch, self.callers.by_stream)
        return [
            ServiceRoute("/artifacts/{stream_id}/{artifact}", {"GET": fetch}),
            ServiceRoute("/artifacts/{rest:path}", {"GET": self.refuse}),
            # Not redirected to the one with a slash: it is a changed URL, too.
            ServiceRoute("/artifacts", {"GET": self.refuse}),
        ]

    async def fetch(self, request: Request) -> Response:
        """A file of a recording, or the parts of it that are asked for; whoever has the URL may have it."""
        stored, media_type = await self._find(request)
        etag = f'"{stored.digest}"'
        # Kept by a browser it may be, but not used without asking: the URL expires, and the answer is then another.
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
        if is_other(request.headers, etag):
            raise ApiError(412, f"If-Match names another file than this one, whose ETag is {etag}", headers)
        if is_known(request.headers, etag):
            return Response(None, 304, headers)
        try:
            # Ranges are for GET alone (RFC 9110 section 14.2).
            parts = wanted_parts(request.headers, etag, stored.size) if request.method == "GET" else None
        except UnsatisfiableError:
            return Response(None, 416, headers | {"Content-Range": f"bytes */{stored.size}"})
        match parts:
            case None:
                return _FileResponse(stored.path, [range(stored.size)], 200, headers | {"Content-Type": media_type})
            case [part]:
                headers |= {"Content-Type": media_type, "Content-Range": _content_range(part, stored.size)}
                return _FileResponse(stored.path, parts, 206, headers)
            case _:
                # The digest of the file is not in the file.
                headers["Content-Type"] = f"multipart/byteranges; boundary={stored.digest}"
                return _FileResponse(stored.path, _multipart(parts, stored, media_type), 206, headers)

    async def refuse(self, request: Request) -> Response:
        """What is at or below `/artifacts` and looks like no file of a recording: no URL that was handed out."""
        self._check_url(request)
        raise ApiError(404, "Artifact not found")

    async def _find(self, request: Request) -> tuple[StoredFile, str]:
        """The file that the URL names, and its media type.

        Raises:
            UrlError: the URL is not as it was handed out, or has expired.
            NoArtifactError: there is no such file any more.
        """
        self._check_url(request)
        stream_id, name = request.path_params["stream_id"], request.path_params["artifact"]
        record = self.streams.records.get(stream_id)
        if record is not None:
            request.state.account, request.state.stream = record.account_id, record.id
        return await self.recordings.stored(stream_id, name), ARTIFACTS[name].media_type

    def _check_url(self, request: Request) -> None:
        """Let pass what was handed out.

        Raises:
            UrlError: it was not, or has expired.
        """
        self.recordings.urls.check(request.scope["raw_path"], request.scope["query_string"])


def _content_range(part: range, size: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def _multipart(parts: Sequence[range], stored: StoredFile, media_type: str) -> list[Piece]:
    """Several parts as one body (RFC 9110 section 14.6)."""
    pieces: list[Piece] = []
    for part in parts:
        head = f"--{stored.digest}\r\nContent-Type: {media_type}\r\nContent-Range: {_content_range(part, stored.size)}"
        pieces += [f"{head}\r\n\r\n".encode(), part, b"\r\n"]
    return [*pieces, f"--{stored.digest}--\r\n".encode()]


class _FileResponse(Response):
    """Pieces of a file as a body.

    The file is opened before the first `await`, while it is certain to be there: it may be removed while it is read.
    """

    def __init__(self, path: Path, pieces: Sequence[Piece], status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers | {"Content-Length": str(sum(map(len, pieces)))})
        self._path = path
        self._pieces = pieces

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        with self._path.open("rb") as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for piece in () if scope["method"] == "HEAD" else self._pieces:
                if isinstance(piece, bytes):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    continue
                file.seek(piece.start)
                for start in range(piece.start, piece.stop, CHUNK):
                    chunk = await loop.run_in_executor(None, partial(file.read, min(CHUNK, piece.stop - start)))
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
