"""The telemetry events that clients sent to a server."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from odyssey_mock.core.bounded_queue import BoundedQueue

_EVENT_BYTES = 50
"""Approximate memory of an event in bytes, apart from its text."""


class TelemetryStore:
    """The latest telemetry events, bounded in number and bytes.

    The events are kept as text: decoded, a list of empty objects would need 25 times the memory of its text.
    """

    def __init__(self, limit: int, max_bytes: int) -> None:
        self._events: BoundedQueue[str] = BoundedQueue(limit, max_bytes, _memory, "the telemetry events")

    def __len__(self) -> int:
        return len(self._events)

    @property
    def dropped(self) -> int:
        """Number of events dropped since the server started or was reset."""
        return self._events.dropped

    @property
    def events(self) -> tuple[Mapping[str, Any], ...]:  # Any: JSON of any depth; the caller knows its shape
        """The events, oldest first; each access returns new copies."""
        return tuple(json.loads(event) for event in self._events.snapshot)

    def append(self, event: str) -> None:
        """Store an event, a JSON object as text with secrets masked (`odyssey_mock.core.journal.masked_text`)."""
        self._events.append(event)

    def clear(self) -> None:
        """Remove all events."""
        self._events.clear()


def _memory(event: str) -> int:
    return sys.getsizeof(event) + _EVENT_BYTES
