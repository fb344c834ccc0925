"""The route of the control API that shows the journal."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.core.journal import Journal, Kind, to_jsonl, to_text
from odyssey_mock.http.control_access import parse_query
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.paging import page_of


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


@dataclass(frozen=True)
class JournalRoutes:
    """The route that shows the journal."""

    journal: Journal

    def routes(self) -> list[BaseRoute]:
        """Create the route."""
        return [ServiceRoute("/journal", {"GET": self.show_journal})]

    async def show_journal(self, request: Request) -> Response:
        """Show the matching journal entries, oldest first, and how many older entries were dropped."""
        query = parse_query(JournalQuery, request)
        where = {key: value for key in ("account", "session", "stream") if (value := getattr(query, key)) is not None}
        # From the newest backwards: with a limit, older entries are not looked at.
        matching = (
            entry
            for entry in self.journal.newest_first(query.since)
            if entry.matches(query.kind, query.name, where) and (entry.why or not query.why)
        )
        most = self.journal.next_index
        entries = page_of(matching, most, offset=0, limit=most if query.limit is None else query.limit)[::-1]
        if query.format == "jsonl":
            return Response(to_jsonl(entries), media_type="application/jsonl")
        if query.format == "text":
            return PlainTextResponse(to_text(entries, self.journal.began_at))
        shown = [entry.to_json() for entry in entries]
        return JSONResponse({"entries": shown, "next": self.journal.next_index, "dropped": self.journal.dropped})
