"""`GatheringTransport`, which sends the parts of an HTTP response that are written together in one packet."""

import asyncio
from typing import Any, override

GATHERED_BYTES = 64 << 10
"""Maximum number of bytes that are held until the end of the event loop's iteration; more are sent at once."""


class GatheringTransport(asyncio.Transport):
    """A transport that holds what is written until `flush`, or until the current iteration of the event loop ends.

    uvicorn writes the head and the body of a response separately, each with a system call and in a packet. A client in
    another thread of this process would then wake up for the head, and wait again for the body.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Wrap `transport`, whose protocol stays the same."""
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes | bytearray | memoryview] = []
        self._size = 0
        self._timer: asyncio.Handle | None = None

    @property
    def wrapped(self) -> asyncio.Transport:
        """The transport that was passed to the constructor."""
        return self._transport

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data:
            return
        self._held.append(data)
        self._size += len(data)
        if self._size > GATHERED_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send everything that is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held, self._size = self._held, [], 0
        if held:
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    @override
    def close(self) -> None:
        self.flush()
        self._transport.close()

    @override
    def abort(self) -> None:
        self._held, self._size = [], 0
        self._transport.abort()

    @override
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:  # Any: as in asyncio
        return self._transport.get_extra_info(name, default)

    @override
    def is_reading(self) -> bool:
        return self._transport.is_reading()

    @override
    def pause_reading(self) -> None:
        self._transport.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._transport.resume_reading()

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    @override
    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()
