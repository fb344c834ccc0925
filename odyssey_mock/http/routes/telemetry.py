"""`POST /telemetry` (`protocol.md` section 2): whatever comes, it never fails a client."""

from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.errors import InvalidTokenError
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute

NAMES = ("name", "event", "type")
"""The fields an event may carry its name in, the first of them first."""


@dataclass(frozen=True, kw_only=True)
class TelemetryRoutes:
    """Where clients send what they have seen; `telemetry` keeps it."""

    gate: FaultGate
    callers: Callers
    accounts: Accounts
    journal: Journal
    telemetry: MutableSequence[Mapping[str, JSON]]

    def routes(self) -> list[BaseRoute]:
        """Make the routes."""
        take_events = self.gate.at("rest.telemetry", self.take_events, self.callers.by_access_token)
        return [ServiceRoute("/telemetry", {"POST": take_events})]

    async def take_events(self, request: Request) -> Response:
        """Keep the events, and write each to the journal; what is no event is noted there instead."""
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
        """Find out who sends, where the token says so: here it is optional."""
        try:
            return authorized(request, self.accounts).id
        except (ApiError, InvalidTokenError):
            return None


def _split(body: bytes) -> tuple[list[dict[str, JSON]], str | None]:
    """Take a body apart: the events in it, and what was wrong with the rest."""
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
