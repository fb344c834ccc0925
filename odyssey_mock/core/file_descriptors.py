"""What the mock does when its process has no file descriptors left: it refuses work, says why, and recovers."""

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any, override

from odyssey_mock.core.redaction import get_logger

logger = get_logger("odyssey_mock.http")

REPORT_INTERVAL = 60.0
"""Minimum real seconds between two log lines about the shortage, which may last long and refuse many connections."""

SPARES = 2
"""Number of descriptors that a listening socket holds back, to be able to accept and refuse a connection."""

RETRY_AFTER = "1"
"""The `Retry-After` of a refusal in seconds: descriptors become free as soon as a connection closes."""

DETAIL = (
    "the mock has no file descriptors left; close connections, raise the limit of its process (ulimit -n), or try "
    "again later"
)
"""The text of the response to a request that is refused."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE})

_BODY = f'{{"detail":"{DETAIL}"}}'.encode()
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Retry-After: %b\r\nContent-Length: %d\r\n\r\n%b" % (RETRY_AFTER.encode(), len(_BODY), _BODY)
)


def is_shortage(error: BaseException) -> bool:
    """Return whether `error`, or one of the errors of a group, means that no file descriptors are left."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_shortage(each) for each in error.exceptions)
    return isinstance(error, OSError) and error.errno in _SHORTAGES


class ShortageLog:
    """Logs a shortage of file descriptors, at most once in `REPORT_INTERVAL`. Call it on the event loop."""

    def __init__(self) -> None:
        self._next = float("-inf")

    def note(self) -> None:
        """Log a warning that says what the mock does, and what to do."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + REPORT_INTERVAL
        limit = f"{os.sysconf('SC_OPEN_MAX')}" if hasattr(os, "sysconf") else "unknown"
        logger.warning(
            "no file descriptors are left (limit: %s): connections and requests are refused with status 503 until "
            "others are closed; close connections, or raise the limit (ulimit -n)",
            limit,
        )


class ListeningSocket(socket.socket):
    """A listening socket for an event loop, which refuses connections while no file descriptors are left.

    asyncio would log a traceback for each failed attempt to accept a connection, thousands in a second. This socket
    accepts the connection on a spare descriptor instead, sends a response with status 503, and closes it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on unchanged
        super().__init__(*args, **kwargs)
        self._shortage = ShortageLog()
        self._spares: list[int] = []
        self._refill()

    @override
    def accept(self) -> tuple[socket.socket, Any]:  # Any: as in `socket`
        try:
            accepted = super().accept()
        except OSError as error:
            if not is_shortage(error):
                raise
        else:
            self._refill()
            return accepted
        self._shortage.note()
        self._refill()
        if self._spares:
            os.close(self._spares.pop())
            try:
                self._refuse(super().accept()[0])
            finally:
                self._refill()
        raise BlockingIOError(errno.EAGAIN, "the waiting connection was refused: no file descriptors are left")

    @override
    def close(self) -> None:
        while self._spares:
            os.close(self._spares.pop())
        super().close()

    @staticmethod
    def _refuse(connection: socket.socket) -> None:
        """Send the refusal and close the connection. The client may lose the response if it is still sending."""
        with connection, contextlib.suppress(OSError):
            connection.setblocking(False)
            connection.send(_REFUSAL)
            connection.shutdown(socket.SHUT_WR)
            # Unread data would make the kernel reset the connection, and the client could lose the response.
            connection.recv(64 << 10)

    def _refill(self) -> None:
        with contextlib.suppress(OSError):  # still short of descriptors: the next connection tries again
            while len(self._spares) < SPARES:
                self._spares.append(os.open(os.devnull, os.O_RDONLY))
