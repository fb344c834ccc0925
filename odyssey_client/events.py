"""What a client tells its user: events, as values to iterate over and as calls of handlers.

`EVENTS` is the list: each event, the handler it calls and what the handler is offered. Handlers are called in the
order things came over the wire, by one task, one at a time. A handler may be a function or a coroutine function, and
may take fewer arguments than it is offered, as in JavaScript.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Self

from odyssey_client.errors import OdysseyConfigError, OdysseyError
from odyssey_client.media.frames import FrameReader, VideoFrame
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import BroadcastInfo, ConnectionStatus

logger = logging.getLogger(__name__)

EVENT_BUFFER = 1000
"""Events an `EventReader` may lag behind."""

# Handlers return nothing, or an awaitable; their arguments are not checked, since they may take fewer than offered.
type Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The status changed, or there is something new to say about it."""

    status: ConnectionStatus
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """Video and data channel are there."""

    media_stream: MediaStream


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection that was up is over, for whichever reason."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """A stream runs."""

    stream_id: str
    applied_prompt: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream ended, by `end_stream` or by the service."""


@dataclass(frozen=True, slots=True)
class InteractAcknowledged:
    """An interaction was applied; ``prompt`` may have been rewritten."""

    prompt: str


@dataclass(frozen=True, slots=True)
class BroadcastReady:
    """Spectators can watch."""

    info: BroadcastInfo


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """The streamer refused something, or the stream broke."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorOccurred:
    """Something went wrong; ``fatal`` when the connection is over with it."""

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
    """What is called when; every handler may be sync or async, and may take fewer arguments than it is offered.

    Raises:
        OdysseyConfigError: a handler cannot be called.
    """

    on_connected: Handler | None = None
    """``(media_stream: MediaStream)``: video and data channel are there."""
    on_disconnected: Handler | None = None
    """``()``: a connection that was up is over."""
    on_stream_started: Handler | None = None
    """``(stream_id: str, applied_prompt: str)``: a stream runs."""
    on_stream_ended: Handler | None = None
    """``()``: the stream ended, by either side."""
    on_interact_acknowledged: Handler | None = None
    """``(prompt: str)``: an interaction was applied, perhaps rewritten."""
    on_stream_error: Handler | None = None
    """``(reason: str, message: str)``: the streamer refused something, or the stream broke."""
    on_error: Handler | None = None
    """``(error: Exception, fatal: bool)``: anything that went wrong; fatal when the connection is over with it."""
    on_status_change: Handler | None = None
    """``(status: ConnectionStatus, message: str | None)``."""
    on_broadcast_ready: Handler | None = None
    """``(info: BroadcastInfo)``: spectators can watch."""
    on_video_frame: Handler | None = None
    """``(frame: VideoFrame)``: every frame; while a call is not done, all but the newest are passed over."""

    def __post_init__(self) -> None:
        for handler in fields(self):
            value = getattr(self, handler.name)
            if value is not None and not callable(value):
                raise OdysseyConfigError(f"{handler.name} must be a function or None, got {type(value).__name__}")

    @classmethod
    def of(cls, handlers: OdysseyEventHandlers | None, keywords: Mapping[str, Handler | None]) -> Self:
        """Put together what `connect` was given; keywords win.

        Raises:
            OdysseyConfigError: there is no such handler, or it cannot be called.
        """
        if handlers is not None and not isinstance(handlers, OdysseyEventHandlers):
            raise OdysseyConfigError(f"handlers must be OdysseyEventHandlers or None, got {type(handlers).__name__}")
        names = [handler.name for handler in fields(cls)]
        unknown = sorted(set(keywords) - set(names))
        if unknown:
            raise OdysseyConfigError(f"there is no handler {', '.join(unknown)}; there are {', '.join(names)}")
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
"""Each event's handler, and what the handler is offered."""


class EventReader(AsyncIterator[Event]):
    """The events from its making to the connection's end; the oldest go when it lags `EVENT_BUFFER` behind."""

    def __init__(self) -> None:
        self.dropped = 0
        """How many events this reader was too slow for."""
        self._events: deque[Event] = deque(maxlen=EVENT_BUFFER)
        self._ended = False
        self._wake = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def push(self, event: Event) -> None:
        if len(self._events) == self._events.maxlen:
            self.dropped += 1
        self._events.append(event)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()


class EventBus:
    """Hands the events of a client to its readers."""

    def __init__(self, observe: Callable[[Event], None]) -> None:
        """``observe`` hears every event before the readers do."""
        self._observe = observe
        # Readers that nobody holds any more, such as after a `break`, go by themselves.
        # By number and not in a set: in the same order in every process.
        self._readers: weakref.WeakValueDictionary[int, EventReader] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()

    def reader(self) -> EventReader:
        reader = EventReader()
        self._readers[next(self._numbers)] = reader
        return reader

    def put(self, event: Event) -> None:
        self._observe(event)
        for reader in list(self._readers.values()):
            reader.push(event)

    def end(self) -> None:
        """End the readers there are; those made later are for the next connection."""
        for reader in list(self._readers.values()):
            reader.end()
        self._readers.clear()


# Set while a handler runs, and in the tasks it starts: who waits there must not wait for the dispatcher.
_in_handler: contextvars.ContextVar[bool] = contextvars.ContextVar("odyssey_in_handler", default=False)


def handler_context() -> contextvars.Context:
    """Make a context for handlers to run in, and the tasks they start: `in_handler` is true there."""
    context = contextvars.copy_context()
    context.run(_in_handler.set, True)
    return context


def in_handler() -> bool:
    """Whether the caller runs in a handler, or in a task that one has started."""
    return _in_handler.get()


class Dispatcher:
    """Calls the handlers of one connection. What a handler raises is logged and reported, and changes nothing else."""

    def __init__(self, handlers: OdysseyEventHandlers) -> None:
        self._handlers = handlers
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event) -> None:
        """Have ``event`` handled after those before it."""
        self._queue.put_nowait(event)

    def close(self) -> None:
        """Let `run` return once everything before is handled."""
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Call handlers until `close`."""
        _in_handler.set(True)
        while (event := await self._queue.get()) is not None:
            name, arguments = EVENTS[type(event)]
            error = await self._call(name, arguments(event))
            if error is not None and not isinstance(event, ErrorOccurred):
                await self._call("on_error", (error, False))

    async def run_frames(self, reader: FrameReader) -> None:
        """Call `on_video_frame` with the frames of ``reader`` until it ends."""
        _in_handler.set(True)
        while (frame := await _next_frame(reader)) is not None:
            error = await self._call("on_video_frame", (frame,))
            if error is not None:
                self.put(ErrorOccurred(error, fatal=False))

    async def _call(self, name: str, arguments: tuple[object, ...]) -> Exception | None:
        handler: Handler | None = getattr(self._handlers, name)
        if handler is None:
            return None
        try:
            result = handler(*arguments[: capacity(handler)])
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # a user's function may raise anything; it is logged here and reported by the caller
            logger.exception("the handler %s raised", name)
            return error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # it is this dispatcher that is to end
            # Something that the handler waited for was cancelled; those after it are called all the same.
            logger.exception("the handler %s was cancelled", name)
            return OdysseyError(f"{name} waited for something that was cancelled.", code="handler_cancelled")
        return None


async def _next_frame(reader: FrameReader) -> VideoFrame | None:
    try:
        return await anext(reader)
    except (StopAsyncIteration, OdysseyError):  # a fatal error is reported where it happened
        return None


def capacity(handler: Handler) -> int | None:
    """How many positional arguments ``handler`` takes; None for any number, or when it cannot be told."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD} for p in parameters)
