"""Reads of a connection in slices, for TLS: asyncio reads up to 256 KiB at once there, and has no setting for it."""

import asyncio
from collections.abc import Callable
from typing import Any, override


class SlicingProtocol(asyncio.Protocol):
    """A protocol that passes what it receives to another one in slices, each in its own iteration of the event loop.

    While slices wait, nothing more is read, so that at most one read waits. If the client closes the connection
    meanwhile, the inner protocol learns it after the last slice. Slices are dropped if the connection fails, if the
    inner protocol closes it, or if the inner protocol has paused reading when the connection is lost.
    """

    def __init__(self, inner: asyncio.Protocol, size: int) -> None:
        """Pass slices of at most `size` bytes to `inner`, or to the protocol that replaces it (`set_protocol`)."""
        self.inner: asyncio.BaseProtocol = inner
        self._size = size
        self._waiting = bytearray()
        self._is_paused = False
        """Whether the inner protocol has paused reading."""
        self._turn: asyncio.Handle | None = None
        self._is_closed = False
        """Whether the inner protocol has closed the connection."""
        self._is_lost = False
        self._endings: list[Callable[[], object]] = []
        """Calls of the inner protocol that follow the last slice."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self.inner.connection_made(_SlicedTransport(transport, self))

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_closed:
            return
        self._waiting += data
        if self._turn is None:
            self._pass_on()

    @override
    def eof_received(self) -> None:
        """Let the transport close itself. With TLS, no other result has an effect."""
        self._follow(self._pass_on_eof)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if exc is not None:
            self._waiting.clear()
        self._follow(lambda: self.inner.connection_lost(exc))

    @override
    def pause_writing(self) -> None:
        self.inner.pause_writing()

    @override
    def resume_writing(self) -> None:
        self.inner.resume_writing()

    @property
    def is_reading(self) -> bool:
        """Whether the inner protocol receives data."""
        return not self._is_paused

    def pause_reading(self) -> None:
        """Pass on nothing until `resume_reading`."""
        self._is_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Pass on what waits, and read more."""
        self._is_paused = False
        self._continue()

    def drop(self) -> None:
        """Pass on nothing more, because the inner protocol closes the connection."""
        self._is_closed = True
        self._waiting.clear()

    def _follow(self, ending: Callable[[], object]) -> None:
        """Call `ending` after the last slice."""
        self._endings.append(ending)
        if self._turn is None:
            self._pass_on()

    def _pass_on(self) -> None:
        """Pass on a slice, or else the end of the connection."""
        self._turn = None
        if self._is_lost and self._is_paused:
            self._waiting.clear()  # nothing guarantees that the inner protocol resumes reading
        if not self._waiting:
            endings, self._endings = self._endings, []
            for end in endings:
                end()
        elif not self._is_paused:
            data = bytes(self._waiting[: self._size])
            del self._waiting[: self._size]
            if self._waiting:
                self._transport.pause_reading()
            assert isinstance(self.inner, asyncio.Protocol)
            self.inner.data_received(data)
        self._continue()

    def _continue(self) -> None:
        """Pass on what follows in the next iteration; if nothing follows, read more.

        The end has its own iteration, so that the application takes the last slice before it learns the end.
        """
        is_next = (self._is_lost or not self._is_paused) if self._waiting else bool(self._endings)
        if is_next:
            self._turn = self._turn or self._loop.call_soon(self._pass_on)
        elif not (self._waiting or self._is_paused or self._is_lost):
            self._transport.resume_reading()

    def _pass_on_eof(self) -> None:
        assert isinstance(self.inner, asyncio.Protocol)
        self.inner.eof_received()


class _SlicedTransport(asyncio.Transport):
    """The transport of the inner protocol, which pauses and resumes the `SlicingProtocol`."""

    def __init__(self, transport: asyncio.Transport, slicing: SlicingProtocol) -> None:
        super().__init__()
        self._transport = transport
        self._slicing = slicing

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    @override
    def close(self) -> None:
        self._slicing.drop()
        # With TLS, a second call would make `abort` of asyncio's transport ineffective.
        if not self._transport.is_closing():
            self._transport.close()

    @override
    def abort(self) -> None:
        self._slicing.drop()
        self._transport.abort()

    @override
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:  # Any: as in asyncio
        return self._transport.get_extra_info(name, default)

    @override
    def is_reading(self) -> bool:
        return self._slicing.is_reading

    @override
    def pause_reading(self) -> None:
        self._slicing.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._slicing.resume_reading()

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._slicing.inner = protocol

    @override
    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._slicing.inner
