"""The route `POST /telemetry`, which succeeds even for an invalid body (`protocol.md` section 2)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.errors import InvalidTokenError
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.core.telemetry_store import TelemetryStore
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute

NAMES = ("name", "event", "type")
"""Fields that may contain the name of an event, in order of precedence."""


@dataclass(frozen=True, kw_only=True)
class TelemetryRoutes:
    """Route that receives telemetry events of clients and stores them in `telemetry`."""

    gate: FaultGate
    callers: Callers
    accounts: Accounts
    journal: Journal
    telemetry: TelemetryStore

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        take_events = self.gate.at("rest.telemetry", self.take_events, self.callers.by_access_token)
        return [ServiceRoute("/telemetry", {"POST": take_events})]

    async def take_events(self, request: Request) -> Response:
        """Store the events and record each in the journal; record an invalid body or event in a `note` entry."""
        account = self._sender(request)
        events, refused = _split(await request.body())
        for event in events:
            self.telemetry.append(event)
            self.journal.record("telemetry", _name(event), account=account, event=event)
        if refused:
            self.journal.record(
                "note", "telemetry refused", account=account, expected='{"events": [{...}]}', got=refused
            )
        return JSONResponse({"accepted": len(events)}, 202)

    def _sender(self, request: Request) -> str | None:
        """Return the account id of the sender; None without a valid token, which this route does not require."""
        try:
            return authorized(request, self.accounts).id
        except (ApiError, InvalidTokenError):
            return None


def _split(body: bytes) -> tuple[list[dict[str, JSON]], str | None]:
    """Return the valid events of a body, and a description of the invalid part, which is None if all is valid."""
    try:
        parsed = read_json(body)
    except ValueError:
        return [], f"{len(body)} bytes that are not JSON"
    match parsed:
        case {"events": list(events)}:
            good = [event for event in events if isinstance(event, dict)]
            wrong = len(events) - len(good)
            return good, f"{wrong} of {len(events)} events that are not objects" if wrong else None
        case _:
            return [], f"a JSON {type(parsed).__name__} without a list of events"


def _name(event: dict[str, JSON]) -> str:
    return next((value for value in map(event.get, NAMES) if isinstance(value, str)), "event")
