"""Events of a client: their classes, the readers that iterate over them, and the calls of event handlers.

`EVENTS` maps each event to its handler and the handler's arguments. One task calls the handlers, one at a time, in the
order in which the events happened. A handler may be a function or a coroutine function, and may accept fewer
arguments than the event has, as in JavaScript.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from odyssey_client.errors import OdysseyConfigError, OdysseyError
from odyssey_client.event_loop import require_same_loop
from odyssey_client.media.frames import FrameReader, VideoFrame
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import BroadcastInfo, ConnectionStatus
from odyssey_client.redaction import get_logger
from odyssey_client.trace.described import error_text

if TYPE_CHECKING:
    from odyssey_client.trace.client_trace import ClientTrace

logger = get_logger(__name__)

EVENT_BUFFER = 1000
"""Maximum number of events that an `EventReader` keeps unread, and that a `Dispatcher` keeps for slow handlers."""

# A handler returns None or an awaitable. Its arguments are not typed: it may accept fewer than the event has.
type Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The connection status changed, or has a new message."""

    status: ConnectionStatus
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection is up: its video track and data channel are open."""

    media_stream: MediaStream


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection that was up has ended, for any reason."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """A stream started."""

    stream_id: str
    applied_prompt: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream was ended, by `end_stream` or by the service."""


@dataclass(frozen=True, slots=True)
class InteractAcknowledged:
    """The streamer applied an interaction; it may have rewritten ``prompt``."""

    prompt: str


@dataclass(frozen=True, slots=True)
class BroadcastReady:
    """Spectators can watch the stream."""

    info: BroadcastInfo


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """The streamer rejected a request, or the stream failed."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorOccurred:
    """An error occurred; ``fatal`` is True if it ended the connection."""

    error: Exception
    fatal: bool


type Event = (
    StatusChanged
    | Connected
    | Disconnected
    | StreamStarted
    | StreamEnded
    | InteractAcknowledged
    | BroadcastReady
    | StreamFailed
    | ErrorOccurred
)


@dataclass(slots=True, kw_only=True)
class OdysseyEventHandlers:
    """The handlers of events. A handler may be sync or async, and may accept fewer arguments than its event has.

    Raises:
        OdysseyConfigError: a handler is not callable.
    """

    on_connected: Handler | None = None
    """``(media_stream: MediaStream)``: the video track and the data channel are open."""
    on_disconnected: Handler | None = None
    """``()``: a connection that was up has ended."""
    on_stream_started: Handler | None = None
    """``(stream_id: str, applied_prompt: str)``: a stream started."""
    on_stream_ended: Handler | None = None
    """``()``: the stream was ended, by the client or by the service."""
    on_interact_acknowledged: Handler | None = None
    """``(prompt: str)``: the streamer applied an interaction, and may have rewritten its prompt."""
    on_stream_error: Handler | None = None
    """``(reason: str, message: str)``: the streamer rejected a request, or the stream failed."""
    on_error: Handler | None = None
    """``(error: Exception, fatal: bool)``: an error occurred; ``fatal`` is True if it ended the connection."""
    on_status_change: Handler | None = None
    """``(status: ConnectionStatus, message: str | None)``: the status changed, or has a new message."""
    on_broadcast_ready: Handler | None = None
    """``(info: BroadcastInfo)``: spectators can watch the stream."""
    on_video_frame: Handler | None = None
    """``(frame: VideoFrame)``: a frame arrived. While the handler runs, all frames but the newest are skipped."""

    def __post_init__(self) -> None:
        for handler in fields(self):
            value = getattr(self, handler.name)
            if value is not None and not callable(value):
                raise OdysseyConfigError(f"{handler.name} must be a function or None, got {type(value).__name__}")

    @classmethod
    def of(cls, handlers: OdysseyEventHandlers | None, keywords: Mapping[str, Handler | None]) -> Self:
        """Combine the handlers given to `connect`; ``keywords`` override ``handlers``.

        Raises:
            OdysseyConfigError: a handler name is unknown, or a handler is not callable.
        """
        if handlers is not None and not isinstance(handlers, OdysseyEventHandlers):
            raise OdysseyConfigError(f"handlers must be OdysseyEventHandlers or None, got {type(handlers).__name__}")
        names = [handler.name for handler in fields(cls)]
        unknown = sorted(set(keywords) - set(names))
        if unknown:
            raise OdysseyConfigError(f"unknown handler {', '.join(unknown)}; the handlers are {', '.join(names)}")
        given = {} if handlers is None else {name: getattr(handlers, name) for name in names}
        return cls(**{**given, **keywords})


EVENTS: Mapping[type[object], tuple[str, Callable[[Any], tuple[object, ...]]]] = MappingProxyType(
    {
        StatusChanged: ("on_status_change", lambda e: (e.status, e.message)),
        Connected: ("on_connected", lambda e: (e.media_stream,)),
        Disconnected: ("on_disconnected", lambda _: ()),
        StreamStarted: ("on_stream_started", lambda e: (e.stream_id, e.applied_prompt)),
        StreamEnded: ("on_stream_ended", lambda _: ()),
        InteractAcknowledged: ("on_interact_acknowledged", lambda e: (e.prompt,)),
        BroadcastReady: ("on_broadcast_ready", lambda e: (e.info,)),
        StreamFailed: ("on_stream_error", lambda e: (e.reason, e.message)),
        ErrorOccurred: ("on_error", lambda e: (e.error, e.fatal)),
    }
)
"""Each event's handler, and a function that returns the handler's arguments."""


class EventReader(AsyncIterator[Event]):
    """An async iterator over the events that happen from its creation to the end of the connection.

    A slow reader keeps the newest `EVENT_BUFFER` unread events; older events are dropped.
    """

    def __init__(self, bus: EventBus) -> None:
        self.dropped = 0
        """Number of events that were dropped because this reader was too slow."""
        self._bus = bus
        self._events: deque[Event] = deque(maxlen=EVENT_BUFFER)
        self._ended = False
        self._wake = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            require_same_loop("events", self._bus.loop)
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def close(self) -> None:
        """End the reader as if the connection had ended; unread events can still be read."""
        self.end()

    def push(self, event: Event) -> None:
        if self._ended:
            return
        if len(self._events) == self._events.maxlen:
            self.dropped += 1
        self._events.append(event)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()


class EventBus:
    """Passes the events of a client to its event readers."""

    def __init__(self, observe: Callable[[Event], None]) -> None:
        """Create a bus without readers. ``observe`` is called with every event before the readers receive it."""
        self._observe = observe
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop of the current connection; None if there is none."""
        # Weak references: a reader that is no longer used, such as after a `break`, disappears.
        # A mapping by number, not a set: its order is the same in every process.
        self._readers: weakref.WeakValueDictionary[int, EventReader] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()

    def reader(self) -> EventReader:
        reader = EventReader(self)
        self._readers[next(self._numbers)] = reader
        return reader

    def put(self, event: Event) -> None:
        self._observe(event)
        for reader in list(self._readers.values()):
            reader.push(event)

    def end(self) -> None:
        """End the current readers. Readers created later belong to the next connection."""
        self.loop = None
        for reader in list(self._readers.values()):
            reader.end()
        self._readers.clear()


# True while a handler runs, and in tasks that it starts: such code must not wait for the dispatcher.
_in_handler: contextvars.ContextVar[bool] = contextvars.ContextVar("odyssey_in_handler", default=False)


def handler_context() -> contextvars.Context:
    """Return a context for handlers and the tasks that they start; `in_handler` returns True in it."""
    context = contextvars.copy_context()
    context.run(_in_handler.set, True)
    return context


def in_handler() -> bool:
    """Return whether the caller runs in a handler, or in a task that a handler started."""
    return _in_handler.get()


class Dispatcher:
    """Calls the handlers of one connection.

    An exception in a handler is logged and passed to `on_error`. It has no other effect. While a handler runs, at most
    `EVENT_BUFFER` events wait. Then the oldest message or error that arrived is dropped; changes of the connection are
    kept.
    """

    def __init__(self, handlers: OdysseyEventHandlers, trace: ClientTrace | None = None) -> None:
        """Create a dispatcher without events. ``trace`` records the calls of the handlers."""
        self._handlers = handlers
        self._trace = trace
        self.dropped = 0
        """Number of events that were dropped because the handlers were too slow."""
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._is_closed = False
        # Inspecting a signature takes longer than calling a handler, which happens for every frame.
        self._capacities: dict[str, tuple[Handler, int | None]] = {}

    def put(self, event: Event) -> None:
        """Add ``event`` to the queue of events to handle. After `close`, do nothing."""
        if self._is_closed:
            return
        if len(self._events) == EVENT_BUFFER:
            self._drop_one()
        self._events.append(event)
        self._wake.set()

    def close(self) -> None:
        """Make `run` return once all events in the queue are handled."""
        self._is_closed = True
        self._wake.set()

    async def run(self) -> None:
        """Call the handlers of the queued events, until `close` was called and the queue is empty."""
        _in_handler.set(True)
        while (event := await self._next()) is not None:
            name, arguments = EVENTS[type(event)]
            error = await self._call(name, arguments(event))
            if error is not None and not isinstance(event, ErrorOccurred):
                await self._call("on_error", (error, False))

    async def _next(self) -> Event | None:
        while not self._events:
            if self._is_closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def _drop_one(self) -> None:
        if not self.dropped:
            logger.warning("more than %d events wait for a handler that is still running; dropping some", EVENT_BUFFER)
        self.dropped += 1
        oldest = next((index for index, event in enumerate(self._events) if not _is_change(event)), 0)
        del self._events[oldest]

    async def run_frames(self, reader: FrameReader) -> None:
        """Call `on_video_frame` with the frames of ``reader`` until the reader ends."""
        _in_handler.set(True)
        while (frame := await _next_frame(reader)) is not None:
            error = await self._call("on_video_frame", (frame,))
            if error is not None:
                self.put(ErrorOccurred(error, fatal=False))

    async def _call(self, name: str, arguments: tuple[object, ...]) -> Exception | None:
        handler: Handler | None = getattr(self._handlers, name)
        if handler is None:
            return None
        if self._trace is None or name == "on_video_frame":  # called too often
            return await self._answer(name, handler, arguments)
        span = self._trace.begin_callback(name, arguments)
        error: BaseException | None = None
        try:
            error = answer = await self._answer(name, handler, arguments)
        except BaseException as cancelled:
            error = cancelled
            raise
        finally:
            span.end(error=None if error is None else error_text(error))
        return answer

    async def _answer(self, name: str, handler: Handler, arguments: tuple[object, ...]) -> Exception | None:
        try:
            result = handler(*arguments[: self._capacity_of(name, handler)])
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # a handler may raise anything; it is logged here, and the caller reports it
            logger.exception("the handler %s raised an exception", name)
            return error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the dispatcher itself was cancelled
            # A task or future that the handler awaited was cancelled. Later handlers are still called.
            logger.exception("the handler %s was cancelled", name)
            return OdysseyError(f"{name} awaited a task or future that was cancelled.", code="handler_cancelled")
        return None

    def _capacity_of(self, name: str, handler: Handler) -> int | None:
        known = self._capacities.get(name)
        if known is None or known[0] is not handler:
            known = self._capacities[name] = handler, capacity(handler)
        return known[1]


def _is_change(event: Event) -> bool:
    """Return whether ``event`` is a change of the connection. The service cannot cause many of them in a short time."""
    return isinstance(event, StatusChanged | Connected | Disconnected) or (
        isinstance(event, ErrorOccurred) and event.fatal
    )


async def _next_frame(reader: FrameReader) -> VideoFrame | None:
    try:
        return await anext(reader)
    except (StopAsyncIteration, OdysseyError):  # a fatal error was already reported
        return None


def capacity(handler: Handler) -> int | None:
    """Return how many positional arguments ``handler`` accepts.

    Return None if it accepts any number (``*args``) or its signature is unknown.
    """
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD} for p in parameters)
