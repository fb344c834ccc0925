"""The control API under `/_mock/`, to inspect and control the mock from other processes in any language."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.journal import Journal, Kind, to_jsonl, to_text
from odyssey_mock.http.control_access import CONTROL_PATH, parse_query
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.mock_version import mock_version
from odyssey_mock.http.paging import page_of
from odyssey_mock.http.public_urls import base_url
from odyssey_mock.http.state_view import StateView


class JournalQuery(BaseModel):
    """Query parameters of `GET /_mock/journal`. Only entries that meet all given conditions are returned."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = None
    name: str | None = None
    account: str | None = None
    session: str | None = None
    stream: str | None = None
    since: NonNegativeInt = 0
    """Entries before this index are left out."""
    limit: NonNegativeInt | None = None
    """Maximum number of entries; if more entries match, the latest are returned."""
    why: bool = False
    """Whether only entries that state a cause (`why`) are returned."""
    format: Literal["json", "jsonl", "text"] = "json"


@dataclass(frozen=True, kw_only=True)
class ControlRoutes:
    """Routes of the control API. `more` has further routes below the prefix `/_mock/`.

    `access` is the middleware that rejects requests that may not use the control API.
    """

    clock: Clock
    journal: Journal
    view: StateView
    forget: Callable[[], Awaitable[None]]
    """Ends all sessions, broadcasts and jobs, and deletes all records and the journal."""
    access: Middleware
    more: Sequence[BaseRoute]

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        routes = [
            ServiceRoute("/health", {"GET": self.health}),
            ServiceRoute("/state", {"GET": self.state}),
            ServiceRoute("/reset", {"POST": self.reset}),
            ServiceRoute("/journal", {"GET": self.show_journal}),
        ]
        # Around the routes, not around the whole application: a request then cannot reach a route without the check.
        return [Mount(CONTROL_PATH, routes=[*routes, *self.more], middleware=[self.access])]

    async def health(self, request: Request) -> Response:
        """Report that the mock is running, with its version and the URL at which the client reaches it."""
        return JSONResponse({"status": "ok", "version": mock_version(), "url": base_url(request)})

    async def state(self, _request: Request) -> Response:
        """Show sessions, streams, broadcasts, simulation jobs and the clock."""
        return Response(self.view.to_text(self.clock.time()), media_type="application/json")

    async def reset(self, _request: Request) -> Response:
        """End all sessions, broadcasts and jobs, and delete all records and the journal; see `MockOdyssey.reset`."""
        await self.forget()
        return JSONResponse({"status": "reset"})

    async def show_journal(self, request: Request) -> Response:
        """Show the matching journal entries, oldest first, and how many older entries were dropped."""
        query = parse_query(JournalQuery, request)
        where = {key: value for key in ("account", "session", "stream") if (value := getattr(query, key)) is not None}
        written = self.journal.since(query.since)
        matching = (
            entry
            for entry in reversed(written)
            if entry.matches(query.kind, query.name, where) and (entry.why or not query.why)
        )
        # From the latest backwards: with a limit, older entries are not looked at.
        limit = len(written) if query.limit is None else query.limit
        entries = page_of(matching, len(written), offset=0, limit=limit)[::-1]
        if query.format == "jsonl":
            return Response(to_jsonl(entries), media_type="application/jsonl")
        if query.format == "text":
            return PlainTextResponse(to_text(entries, self.journal.began_at))
        shown = [entry.to_json() for entry in entries]
        return JSONResponse({"entries": shown, "next": self.journal.next_index, "dropped": self.journal.dropped})
