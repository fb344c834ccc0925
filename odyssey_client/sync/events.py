"""Events of the sync client: `Connected` with a sync `MediaStream`, and the iterator over events."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from odyssey_client import events
from odyssey_client.events import (
    BroadcastReady,
    Disconnected,
    ErrorOccurred,
    Handler,
    InteractAcknowledged,
    StatusChanged,
    StreamEnded,
    StreamFailed,
    StreamStarted,
)
from odyssey_client.media.stream import MediaStream as AsyncMediaStream
from odyssey_client.sync.background import BackgroundLoop
from odyssey_client.sync.media import MediaStream
from odyssey_client.sync.readers import Reader

type ToSync = Callable[[AsyncMediaStream], MediaStream]
"""Function that converts an async `MediaStream` to a sync `MediaStream`."""


@dataclass(frozen=True, slots=True)
class Connected(events.Connected):
    """The connection is up: its video track and data channel are open."""

    # A subclass, so that `isinstance(event, odyssey_client.Connected)` is True. The two streams have no common class.
    media_stream: MediaStream  # type: ignore[assignment]


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


class EventReader(Reader[Event]):
    """An iterator over the events that happen from its creation to the end of the connection.

    A slow reader keeps the newest `EVENT_BUFFER` unread events; older events are dropped.
    """

    _noun = "event"

    def __init__(
        self,
        reader: events.EventReader,
        loop: BackgroundLoop,
        timeout_s: float | None,
        source: object,
        to_sync: ToSync,
    ) -> None:
        """Wrap the async ``reader``; called by `Odyssey.events`."""
        super().__init__(reader, loop, timeout_s, source)
        self._reader = reader
        self._to_sync = to_sync

    @override
    def close(self) -> None:
        """End the reader as if the connection had ended; unread events can still be read."""
        super().close()

    @override
    async def _receive(self) -> Event | None:
        event = await anext(self._reader, None)
        return Connected(self._to_sync(event.media_stream)) if isinstance(event, events.Connected) else event


def with_sync_stream(handler: Handler, to_sync: ToSync) -> Handler:
    """Return a handler that calls ``handler`` with a sync `MediaStream` in place of an async `MediaStream`."""

    @functools.wraps(handler)  # its signature, because a handler may accept fewer arguments than the event has
    def call(*arguments: object) -> object:
        return handler(*(to_sync(each) if isinstance(each, AsyncMediaStream) else each for each in arguments))

    return call
