"""An HTTP server for one file. A test's plan makes it truncate, stall or falsify responses."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.support.peer_closing import closing_of_peer

FILE = b"".join(number.to_bytes(4) for number in range(75 * 1024))
"""The content of the file: 300 KiB in which no aligned four-byte word occurs twice."""


@dataclass(frozen=True)
class Turn:
    """The plan for one response. Without arguments, the response is correct according to RFC 9110."""

    cut: int | None = None
    """Close the connection after this many bytes of the body."""
    stall: int | None = None
    """Stop sending after this many bytes of the body, and wait until the client closes the connection."""
    drip: float | None = None
    """Send the body byte by byte, with this many seconds between two bytes, until the client closes the connection."""
    status: int | None = None
    """Respond with this status and no body."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Headers that replace those of a correct response. The value None removes a header."""
    extra: bytes = b""
    """Bytes to send after the body. With `chunked`, they are a part of the body."""
    at_most: int | None = None
    """Respond to a range request with at most this many bytes, and a matching `Content-Range`."""
    refuse: bool = False
    """Close the connection without a response."""
    ignore_range: bool = False
    chunked: bool = False
    raw: bytes | None = None
    """Send exactly these bytes instead of an HTTP response, and close the connection."""


@dataclass
class FileServer:
    """An HTTP server that responds to each request according to the next entry of `plan`.

    After the last entry, all responses are correct.
    """

    content: bytes = FILE
    etag: str | None = '"v1"'
    plan: list[Turn] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    """For each request, its headers with names in lower case, and its path under the key `path`."""
    got: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    """The connections that are open."""
    url: str = ""

    @property
    def ranges(self) -> list[str | None]:
        """The `Range` header of each request, or None for a request without one."""
        return [asked.get("range") for asked in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(await _read_head(reader), reader, writer):
                    pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def _answer(self, asked: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays open afterward."""
        self.asked.append(asked)
        self.got.set()
        turn = self.plan.pop(0) if self.plan else Turn()
        if turn.refuse:
            return False
        if turn.raw is not None:
            writer.write(turn.raw)
            await writer.drain()
            return False
        status, headers, body = self._right_answer(asked, turn)
        if turn.status is not None:
            status, headers, body = turn.status, {"Content-Length": "0"}, b""
        if turn.chunked:
            del headers["Content-Length"]
            headers["Transfer-Encoding"] = "chunked"
        headers |= turn.headers
        lines = [f"HTTP/1.1 {status} Some Reason", *(f"{name}: {value}" for name, value in headers.items() if value)]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        stop = turn.cut if turn.cut is not None else turn.stall
        sent = (body if stop is None else body[:stop]) + turn.extra
        if turn.drip is not None:
            self.stalled.set()
            return await _drip(sent, turn.drip, reader, writer)
        writer.write(b"%x\r\n%b\r\n" % (len(sent), sent) if turn.chunked and sent else sent)
        if turn.chunked and stop is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        if turn.stall is not None:
            self.stalled.set()
            await reader.read()
        return stop is None and bool(headers.get("Content-Length") or turn.chunked)

    def _right_answer(self, asked: Mapping[str, str], turn: Turn) -> tuple[int, dict[str, str | None], bytes]:
        size = len(self.content)
        headers: dict[str, str | None] = {"Content-Type": "video/mp4", "Accept-Ranges": "bytes", "ETag": self.etag}
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.get("range", ""))
        condition = asked.get("if-range")
        if wanted is None or turn.ignore_range or (condition is not None and condition != self.etag):
            return 200, headers | {"Content-Length": str(size)}, self.content
        first = int(wanted[1])
        if first >= size:
            return 416, headers | {"Content-Range": f"bytes */{size}", "Content-Length": "0"}, b""
        body = self.content[first:][: turn.at_most]
        content_range = f"bytes {first}-{first + len(body) - 1}/{size}"
        return 206, headers | {"Content-Range": content_range, "Content-Length": str(len(body))}, body


async def _read_head(reader: asyncio.StreamReader) -> dict[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    request, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return {name.lower(): value for name, value in headers.items()} | {"path": request.split(" ")[1]}


async def _drip(
    content: bytes, pause: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Literal[False]:
    async with closing_of_peer(reader) as closing:
        for byte in content:
            writer.write(bytes([byte]))
            if (await asyncio.wait({closing}, timeout=pause))[0]:
                break
    return False


@contextlib.asynccontextmanager
async def file_server(content: bytes = FILE, *plan: Turn) -> AsyncIterator[FileServer]:
    """Run and yield a server for a file with ``content``, on a free port. ``plan`` applies to its first responses."""
    server = FileServer(content, plan=list(plan))
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/artifacts/video.mp4?signature=s3cret"
        yield server
        for writer in set(server.open):
            writer.transport.abort()
