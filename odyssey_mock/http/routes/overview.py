"""`GET /_mock/overview`: what a person needs to know first about a running mock."""

from collections.abc import Callable, Sized
from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.mock_version import mock_version
from odyssey_mock.http.public_urls import base_url
from odyssey_mock.http.state_view import clock_json
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.settings import plan_of
from odyssey_mock.simulations.jobs import Jobs


@dataclass(frozen=True, kw_only=True)
class OverviewRoutes:
    """The route of the overview."""

    api_key: Callable[[], str]
    """Returns an API key that the mock accepts: the mock's own key, never one that a client has brought."""
    listening_url: str
    clock: Clock
    settings: CurrentSettings
    journal: Journal
    sessions: SessionRegistry
    streams: StreamStore
    broadcasts: Broadcasts
    jobs: Jobs
    faults: Sized

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [ServiceRoute("/overview", {"GET": self.show})]

    async def show(self, request: Request) -> Response:
        """Show addresses, key, version, plan, clock and counts."""
        settings = self.settings.now
        running = len(self.streams.running)
        counts: dict[str, JSON] = {
            "sessions": len(self.sessions.sessions),
            "streams": running,
            "ended_streams": len(self.streams.records) - running,
            "broadcasts": len(self.broadcasts),
            "jobs": len(self.jobs),
            "faults": len(self.faults),
            "journal_entries": self.journal.next_index,
        }
        shown: dict[str, JSON] = {
            "url": base_url(request),
            "listening_url": self.listening_url,
            "api_key": self.api_key(),
            "version": mock_version(),
            "plan": plan_of(settings.limits) or "custom",
            "limits": asdict(settings.limits),
            "seed": settings.seed,
            "began_at": self.journal.began_at,
            "clock": clock_json(self.clock, self.clock.time()),
            "counts": counts,
        }
        return JSONResponse(shown, headers={"Cache-Control": "no-store"})  # it contains a key
