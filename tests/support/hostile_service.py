"""A service that sends arbitrary bytes in response to each request, over real sockets, from threads of its own."""

import base64
import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

type Respond = Callable[["Asked"], Iterable[bytes]]
"""Returns the bytes of the response to a request, in pieces. The pieces may be endless."""

_HEAD_LIMIT = 2**16


@dataclass(frozen=True)
class Asked:
    """The head of a request that the service received.

    Attributes:
        call: the method and the path without its query, such as `GET /regions`.
        head: the request line and the headers, as received.
    """

    call: str
    head: str

    def header(self, name: str) -> str | None:
        """Return the value of a header; None if the request does not have it."""
        found = re.search(rf"^{name}: *(.*?)\r$", self.head, re.IGNORECASE | re.MULTILINE)
        return None if found is None else found[1]


@dataclass
class HostileService:
    """A service that passes each request to `respond`, sends the bytes that it returns, and closes the connection.

    Each connection has a thread, so that the service neither uses the event loop of the client nor waits for it.
    """

    respond: Respond
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    """Number of bytes sent in all responses."""
    _open: set[socket.socket] = field(default_factory=set)

    def serve(self, listener: socket.socket) -> None:
        """Serve connections until the listener is shut down."""
        threads = []
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=self._answer, args=(connection,), daemon=True))
                threads[-1].start()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _answer(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with connection, contextlib.suppress(OSError):
            asked = _received(connection)
            if asked is not None:
                self.asked.append(asked)
                for piece in self.respond(asked):
                    connection.sendall(piece)
                    self.sent += len(piece)
                connection.shutdown(socket.SHUT_WR)
        self._open.discard(connection)


def _received(connection: socket.socket) -> Asked | None:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = connection.recv(_HEAD_LIMIT)
        if not more or len(data) > _HEAD_LIMIT:
            return None
        data += more
    head = data[: end + 2].decode("latin-1")
    method, target, _ = head.split(" ", 2)
    asked = Asked(f"{method} {target.partition('?')[0]}", head)
    missing = int(asked.header("Content-Length") or 0) - (len(data) - end - 4)
    while missing > 0 and (more := connection.recv(_HEAD_LIMIT)):
        missing -= len(more)  # a connection that is closed with unread data is reset, and the response may be lost
    return asked


@contextlib.contextmanager
def hostile_service(respond: Respond) -> Iterator[HostileService]:
    """Run and yield a service on a free port of 127.0.0.1."""
    service = HostileService(respond)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=service.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """Return an HTTP response with a JSON content type and a Content-Length."""
    return head(f"Content-Length: {len(body)}", *headers, status=status) + body


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Return the head of an HTTP response. Without a header for its length, the body ends with the connection."""
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode()


def websocket_accepted(asked: Asked, *headers: str) -> bytes:
    """Return the response that accepts the WebSocket handshake ``asked`` (RFC 6455 section 4.2.2)."""
    key = (asked.header("Sec-WebSocket-Key") or "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    lines = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}", *headers, "", "")
    return "\r\n".join(("HTTP/1.1 101 Switching Protocols", *lines)).encode()


def frame(payload: bytes, *, opcode: int = 1, final: bool = True) -> bytes:
    """Return an unmasked WebSocket frame, as a server sends it (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 2**16:
        length = b"\x7e" + size.to_bytes(2)
    else:
        length = b"\x7f" + size.to_bytes(8)
    return bytes([final << 7 | opcode]) + length + payload
