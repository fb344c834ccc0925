"""Responses with a file of a recording: whole, in parts (ranges), or none if the client has it already."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import override

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.ranges import UnsatisfiableError, is_known, is_other, wanted_parts
from odyssey_mock.recordings.file_store import StoredFile
from odyssey_mock.recordings.recordings import NoArtifactError

CHUNK = 256 * 1024
"""Number of bytes read and sent at a time."""

type Piece = bytes | range
"""A piece of a response body: literal bytes, or a range of bytes of the file."""


def file_response(request: Request, stored: StoredFile, media_type: str) -> Response:
    """Create the response to a request for a file, which may have conditions and ranges (RFC 9110).

    Raises:
        ApiError: 412, the client expects another version of the file.
    """
    etag = f'"{stored.digest}"'
    # Browsers may cache the file but must revalidate it: once the URL expires, the response is a 403.
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if is_other(request.headers, etag):
        raise ApiError(412, f"expected If-Match: {etag} or no If-Match, got another ETag", headers)
    if is_known(request.headers, etag):
        return Response(None, 304, headers)
    try:
        # Only GET supports ranges (RFC 9110 section 14.2).
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
            # The boundary must not occur in the file, and a file does not contain its own digest.
            headers["Content-Type"] = f"multipart/byteranges; boundary={stored.digest}"
            return _FileResponse(stored.path, _multipart(parts, stored, media_type), 206, headers)


def _content_range(part: range, size: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def _multipart(parts: Sequence[range], stored: StoredFile, media_type: str) -> list[Piece]:
    """Return the pieces of a multipart body: text as bytes, and ranges of the file (RFC 9110 section 14.6)."""
    pieces: list[Piece] = []
    for part in parts:
        head = f"--{stored.digest}\r\nContent-Type: {media_type}\r\nContent-Range: {_content_range(part, stored.size)}"
        pieces += [f"{head}\r\n\r\n".encode(), part, b"\r\n"]
    return [*pieces, f"--{stored.digest}--\r\n".encode()]


class _FileResponse(Response):
    """A response with pieces of a file as its body.

    The file is opened before the response starts. It may be deleted before, and during the response.

    Raises:
        NoArtifactError: the file was deleted before the response started.
    """

    def __init__(self, path: Path, pieces: Sequence[Piece], status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers | {"Content-Length": str(sum(map(len, pieces)))})
        self._path = path
        self._pieces = pieces

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        try:
            opened = await loop.run_in_executor(None, self._path.open, "rb")
        except FileNotFoundError:
            raise NoArtifactError(f"{self._path.name} was deleted before it was sent") from None
        with opened as file:
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
