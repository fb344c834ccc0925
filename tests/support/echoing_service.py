"""A hostile service on real sockets, which repeats a text in a chosen place of its HTTP responses and on its socket."""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HTTP_PLACES = (
    "status line",
    "no status line",
    "header name",
    "request id",
    "location",
    "cookie",
    "content type",
    "content encoding",
    "chunk",
    "text body",
    "detail",
    "detail key",
    "usage error",
    "validation error",
    "unexpected field",
    "binary",
)
SOCKET_PLACES = (
    "status line",
    "no status line",
    "header name",
    "location",
    "accept header",
    "error reason",
    "no JSON",
    "message type",
    "offer",
    "candidate",
    "close reason",
    "bad close frame",
    "bad frame",
)


@dataclass(eq=False)
class EchoingService:
    """The service. `call` is the path of the hostile response, and `place` the place in it where `echo` appears.

    Attributes:
        good: The JSON bodies of all other responses, by path.
        seen: The request lines that were received.
    """

    call: str
    place: str
    echo: str
    good: Mapping[str, object]
    location: str = ""
    """The target of redirects; if empty, a URL of this service that contains `echo`."""
    port: int = 0
    seen: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.seen.append(head.partition("\r\n")[0])
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(headers.get("content-length", "0")))
            path = head.split()[1].partition("?")[0]
            if "upgrade" in headers and path.startswith(self.call):
                await self._socket(reader, writer, head)
            elif path.startswith(self.call):
                writer.write(self._response())
            elif path in self.good:
                body = json.dumps(self.good[path]).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    def _response(self) -> bytes:
        echo, status, headers, body = self.echo, "400 Bad Request", "", ""
        match self.place:
            case "status line":
                status = f"400 {echo}"
            case "no status line":
                return f"{echo}\r\n\r\n".encode()
            case "header name":
                return f"HTTP/1.1 400 No\r\n{echo}\r\n\r\n".encode()
            case "request id":
                headers = f"X-Request-Id: {echo}\r\n"
            case "location":
                target = self.location or f"http://127.0.0.1:{self.port}/elsewhere/{echo}?token={echo}"
                status, headers = "302 Found", f"Location: {target}\r\n"
            case "cookie":
                headers = f"Set-Cookie: a={echo}\r\n"
            case "content type":
                status, headers, body = "200 OK", f"Content-Type: text/{echo}\r\n", "<html>"
            case "content encoding":
                status, headers, body = "200 OK", "Content-Encoding: gzip\r\n", echo
            case "chunk":
                return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{echo}\r\n".encode()
            case "text body":
                body = f"<html>{echo}"
            case "detail":
                body = json.dumps({"detail": f"no such key {echo}, sorry"})
            case "detail key":
                body = json.dumps({"detail": {echo: {"message": [echo]}}})
            case "usage error":
                status = "429 Too Many Requests"
                usage = dict.fromkeys(("error", "message", "action", "action_url"), echo)
                body = json.dumps({"detail": {**usage, "details": {"reason": echo, echo: 1}}})
            case "validation error":
                status = "422 Unprocessable"
                body = json.dumps({"detail": [{"loc": ["body", echo], "msg": echo, "type": echo}]})
            case "unexpected field":
                status, body = "200 OK", json.dumps({echo: echo, "regions": [{"id": echo, "ping_url": echo}]})
            case "binary":
                status, body = "500 No", f"\x00\x01{echo}\x02"
        content = body.encode()
        return (
            f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
            + content
        )

    async def _socket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        if self.place in {"status line", "no status line", "header name", "location"}:
            writer.write(self._response())
            return
        key = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")).split(": ")[1]
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        shown = self.echo if self.place == "accept header" else accept.decode()
        writer.write(
            f"HTTP/1.1 101 {self.echo}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Echo: {self.echo}\r\n"
            f"Sec-WebSocket-Accept: {shown}\r\n\r\n".encode()
        )
        for opcode, content in self._frames():
            size = len(content)
            length = bytes([size]) if size < 126 else bytes([126, size >> 8, size & 255])
            writer.write(bytes([0x80 | opcode]) + length + content)
        await writer.drain()
        await reader.read(1)  # the client's first message, such as its close frame

    def _frames(self) -> list[tuple[int, bytes]]:
        def text(**message: object) -> tuple[int, bytes]:
            return 1, json.dumps(message).encode()

        echo = self.echo
        close = 8, (1011).to_bytes(2) + f"lost {echo}".encode()[:120]
        match self.place:
            case "error reason":
                return [text(type="error", reason=f"no session for {echo}")]
            case "no JSON":
                return [(1, f"{{ {echo}".encode()), (2, echo.encode()), close]
            case "message type":
                return [text(type=echo), text(type="offer", sdp={echo: 1}), text(type=[echo]), close]
            case "offer":
                return [text(type="offer", sdp=f"v=0\r\na=group:{echo}\r\na={echo}:1\r\nm=video {echo}\r\n"), close]
            case "candidate":
                return [text(type="ice_candidate", candidate=f"candidate:{echo}"), close]
            case "bad close frame":
                return [(8, b"\x00\x01" + echo.encode()[:100])]
            case "bad frame":
                return [(1, f"\xff{echo}".encode("latin-1")), (11, echo.encode()[:100])]
            case _:
                return [close]


@asynccontextmanager
async def echoing(call: str, place: str, echo: str, good: Mapping[str, object]) -> AsyncIterator[EchoingService]:
    """Run the service. If ``echo`` has lines, they are joined, so that HTTP headers stay valid."""
    service = EchoingService(call, place, echo.replace("\r", "").replace("\n", ""), good)
    async with await asyncio.start_server(service.serve, "127.0.0.1", 0) as server:
        service.port = server.sockets[0].getsockname()[1]
        yield service
