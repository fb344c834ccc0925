"""`GET /_mock/events`: what happens in the mock, as it happens, as server-sent events (WHATWG HTML section 9.2)."""

import asyncio
import json
from contextlib import suppress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.journal import Entry, Journal
from odyssey_mock.core.redaction import masked_json
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.control_access import parse_query
from odyssey_mock.http.errors import ApiError, unprocessable
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.journal_cursor import Gap, JournalCursor, Reset
from odyssey_mock.http.mock_version import mock_version
from odyssey_mock.http.state_view import StateView
from odyssey_mock.http.uvicorn_server import connection_of
from odyssey_mock.journal_events import event_of
from odyssey_mock.sessions.registry import SessionRegistry

READERS = 20
"""Maximum number of open event streams. Each page of the console has one, and browsers open at most six to a host."""

STATE_INTERVAL = 0.2
"""Minimum seconds between two events `state`: a page cannot show more changes than a person can see."""
STATE_SHARE = 0.1
"""Maximum share of the time that the mock spends on events `state`; with many records, they are sent less often."""
CHECK_INTERVAL = 1.0
"""Seconds after which the state is compared with the latest one: some changes have no entry, as a job's progress."""
STATISTICS_INTERVAL = 1.0
"""Seconds between two events `statistics`."""
SILENCE = 15.0
"""Seconds without an event after which a comment is sent. Proxies close a silent connection, usually after 60 s."""
UNREAD_LIMIT = 60.0
"""Seconds that a reader may read nothing while events wait. Then the connection is closed, and counts no longer."""
PAGE_ENTRIES = 200
"""Maximum number of entries that are converted at once. They take a few milliseconds, which delay the video."""
PAGE_CHARACTERS = 64 << 10
"""Number of characters above which no further entry is added to a page; an entry has up to one million."""

LAST_EVENT_ID = "Last-Event-ID"
INDEX_DIGITS = 18
"""Maximum number of digits of an index: those of numbers below 2**63."""


class EventsQuery(BaseModel):
    """Query parameters of `GET /_mock/events`."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[int, Field(ge=0, lt=10**INDEX_DIGITS)] = 0
    """Entries before this index are left out."""


class EventRoutes:
    """The route of the event stream.

    All streams share one copy of the state and of the statistics. Their journal entries are not queued: each stream
    keeps its position in the journal.
    """

    def __init__(self, *, clock: Clock, journal: Journal, sessions: SessionRegistry, view: StateView) -> None:
        self._journal = journal
        self._streams: dict[_EventStream, None] = {}  # used as an ordered set
        self._clock = clock
        self._observes = False
        self.state = _State(clock, view)
        self.statistics = _Statistics(clock, journal, sessions)

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        return [ServiceRoute("/events", {"GET": self.events})]

    async def events(self, request: Request) -> Response:
        """Open an event stream that begins after the entry `Last-Event-ID`, or with the entry `since`."""
        since = parse_query(EventsQuery, request).since
        if (last := request.headers.get(LAST_EVENT_ID)) is not None:
            # A browser that connects again sends the header with the URL of the first request.
            since = _index(last) + 1
        if len(self._streams) >= READERS:
            raise ApiError(
                503,
                f"expected at most {READERS} open event streams, got another one; close a page of the console, or "
                "another program that reads GET /_mock/events",
                {"Retry-After": "5"},
            )
        return _EventStream(self, self._journal, since, is_head=request.method == "HEAD")

    def open(self, stream: "_EventStream") -> None:
        """Count a stream, and wake it up when something changes."""
        if not self._observes:
            # Not earlier: the routes can be created in another thread, and most mocks have no event stream.
            self._observes = True
            self._journal.observe(lambda _entry: self._changed())
            self._journal.observe_clear(self._changed)
            self._clock.observe_advances(lambda _before, _after: self._changed())
        self._streams[stream] = None
        self.state.is_changed = True

    def close(self, stream: "_EventStream") -> None:
        """Forget a stream that has ended."""
        self._streams.pop(stream, None)

    def _changed(self) -> None:
        self.state.is_changed = True
        for stream in self._streams:
            stream.wake()


class _State:
    """The latest state of the mock as text, which is the same for all streams.

    Attributes:
        text: the state as JSON.
        version: counts the states; 0 before the first one.
        is_changed: whether something has happened that may have changed the state.
        due: the time of the event loop at which `refresh` may return another state.
    """

    def __init__(self, clock: Clock, view: StateView) -> None:
        self._clock = clock
        self._view = view
        self._taken_at = -CHECK_INTERVAL
        self._shown_at = 0.0
        self._interval = STATE_INTERVAL
        self.text = ""
        self.version = 0
        self.is_changed = True

    @property
    def due(self) -> float:
        return self._taken_at + (self._interval if self.is_changed else max(CHECK_INTERVAL, self._interval))

    def refresh(self) -> None:
        """Take the state again, if it is due."""
        now = asyncio.get_running_loop().time
        begun = now()
        if begun < self.due:
            return
        # At the same time of the clock, an unchanged state has the same text.
        if self.is_changed or self._view.to_text(self._shown_at) != self.text:
            self._shown_at = self._clock.time()
            self.text = self._view.to_text(self._shown_at)
            self.version += 1
        self.is_changed = False
        self._taken_at = now()
        self._interval = max(STATE_INTERVAL, (self._taken_at - begun) / STATE_SHARE)


class _Statistics:
    """The latest statistics of all peers as text, which are the same for all streams.

    Attributes:
        text: the statistics as JSON; empty if no session has a peer.
        version: counts the statistics; 0 before the first ones.
    """

    def __init__(self, clock: Clock, journal: Journal, sessions: SessionRegistry) -> None:
        self._clock = clock
        self._journal = journal
        self._sessions = sessions
        self._zero: float | None = None
        """The time of the event loop that is shown as 0."""
        self._taken_at = -STATISTICS_INTERVAL
        self._taking = asyncio.Lock()
        self.text = ""
        self.version = 0

    @property
    def due(self) -> float:
        """The time of the event loop at which `refresh` takes the statistics again."""
        return self._taken_at + STATISTICS_INTERVAL

    async def refresh(self) -> None:
        """Take the statistics again, if they are due."""
        loop = asyncio.get_running_loop()
        async with self._taking:
            if loop.time() < self.due:
                return
            self._taken_at = loop.time()
            if self._zero is None:
                self._zero = loop.time() - (self._clock.time() - self._journal.began_at)
            shown: dict[str, JSON] = {}
            for session in [*self._sessions.sessions.values()]:
                if reports := await session.statistics():
                    shown[session.id] = {"at": round(loop.time() - self._zero, 3), "reports": reports}
            self.text = _json(masked_json(shown, self._journal.secrets)) if shown else ""
            self.version += 1


class _EventStream(Response):
    """The response with the events, which ends when the client disconnects or the mock stops."""

    media_type = "text/event-stream"

    def __init__(self, routes: EventRoutes, journal: Journal, since: int, *, is_head: bool) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second is for nginx
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._routes = routes
        self._journal = journal
        self._cursor = JournalCursor(journal, since)
        self._is_head = is_head
        self._wake = asyncio.Event()
        self._state_sent = self._statistics_sent = 0

    def wake(self, _lost: object = None) -> None:
        """Look for new events."""
        self._wake.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as in ASGI
        connection = connection_of(scope)
        loop = asyncio.get_running_loop()
        sent_at = loop.time()

        async def write(text: str) -> None:
            nonlocal sent_at
            try:
                async with asyncio.timeout(UNREAD_LIMIT):
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            except TimeoutError:
                connection.abort()
            sent_at = loop.time()

        connection.lost.add_done_callback(self.wake)
        connection.on_ending = self.wake
        self._routes.open(self)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if not self._is_head:
                await write(self._hello())
            while not (self._is_head or connection.lost.done() or connection.is_spoilt or connection.is_ending):
                self._wake.clear()
                if text := self._next_entries() + self._next_state() + await self._next_statistics():
                    await write(text)
                elif loop.time() >= sent_at + SILENCE:
                    await write(":\n\n")
                if self._cursor.has_more:
                    await asyncio.sleep(0)  # noqa: TID251 - other tasks run; no time passes
                    continue
                due = min(self._routes.state.due, self._routes.statistics.due, sent_at + SILENCE)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
            await send({"type": "http.response.body", "body": b""})
        finally:
            connection.lost.remove_done_callback(self.wake)
            connection.on_ending = lambda: None
            self._routes.close(self)

    def _hello(self) -> str:
        journal = self._journal
        hello = {
            "version": mock_version(),
            "began_at": journal.began_at,
            "next": journal.next_index,
            "dropped": journal.dropped,
        }
        return _event("hello", _json(hello))

    def _next_entries(self) -> str:
        """Return the next page of entries as events, or the reset or gap before it."""
        match self._cursor.read(PAGE_ENTRIES, PAGE_CHARACTERS):
            case Reset():
                return _event("reset", _json({"next": self._cursor.index}))
            case Gap(start, end):
                return _event("gap", _json({"from": start, "to": end}))
            case entries:
                return "".join(_entry_event(entry, self._journal.began_at) for entry in entries)

    def _next_state(self) -> str:
        state = self._routes.state
        state.refresh()
        if state.version == self._state_sent:
            return ""
        self._state_sent = state.version
        return _event("state", state.text)

    async def _next_statistics(self) -> str:
        statistics = self._routes.statistics
        await statistics.refresh()
        if statistics.version == self._statistics_sent:
            return ""
        self._statistics_sent = statistics.version
        return _event("statistics", statistics.text) if statistics.text else ""


def _entry_event(entry: Entry, began_at: float) -> str:
    shown = event_of(entry).to_json(entry.index, entry.time - began_at)
    return f"id: {entry.index}\n{_event('entry', _json(shown))}"


def _event(name: str, data: str) -> str:
    """Return an event of the stream; `data` is JSON, which contains no line breaks."""
    return f"event: {name}\ndata: {data}\n\n"


def _index(text: str) -> int:
    """Return the index of the entry that the header `Last-Event-ID` names.

    Raises:
        ApiError: the header is no index.
    """
    if text.isascii() and text.isdecimal() and len(text) <= INDEX_DIGITS:
        return int(text)
    raise unprocessable(["header", LAST_EVENT_ID], "Input should be the index of a journal entry", "int_parsing")


def _json(value: object) -> str:
    # ASCII only: many readers take U+2028 for a line break.
    return json.dumps(value, separators=(",", ":"))
