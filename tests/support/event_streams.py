"""A reader of `GET /_mock/events`, which parses server-sent events as the WHATWG describes them."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    """One event: its name, its data, and its id if it has one."""

    name: str
    data: Any  # Any: JSON
    id: str | None = None


class Reader:
    """An open event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self._lines = response.aiter_lines()

    async def next(self, *names: str) -> Event:
        """Return the next event; with `names`, the next one with one of these names.

        Raises:
            EOFError: the stream has ended.
        """
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                self.comments += 1
            elif line:
                field, _, value = line.partition(":")
                assert field in {"event", "data", "id"}, f"expected a field of an event, got {line!r}"
                fields[field] = value.removeprefix(" ")
            elif fields:
                event = Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
                if not names or event.name in names:
                    return event
                fields = {}
        raise EOFError

    async def entries(self, number: int) -> list[Event]:
        """Return the next entries."""
        return [await self.next("entry") for _ in range(number)]


@asynccontextmanager
async def event_stream(
    http: httpx.AsyncClient, *, since: int | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Reader]:
    """Open an event stream, which must succeed."""
    params = {} if since is None else {"since": since}
    async with http.stream("GET", "/_mock/events", params=params, headers=headers, timeout=20) as response:
        assert response.status_code == 200, (
            f"expected status 200, got {response.status_code}: {await response.aread()!r}"
        )
        yield Reader(response)
