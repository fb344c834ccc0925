"""The route `POST /telemetry`, which succeeds even for an invalid body (`protocol.md` section 2)."""

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.errors import InvalidTokenError
from odyssey_mock.core.journal import Journal, masked_name, masked_text
from odyssey_mock.core.redaction import Secrets
from odyssey_mock.core.strict_json import JSON, items_in
from odyssey_mock.core.telemetry_store import TelemetryStore
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.request_body import RequestBody, body_of

BODY_LIMIT = 1 << 20
"""Maximum bytes of a body. Clients send a few events of less than 1 KiB at a time, or what they collected offline."""

EVENT_LIMIT = 1_000
"""Maximum number of events of one request that are stored. Each of them becomes an entry of the journal."""

ITEM_LIMIT = 20_000
"""Maximum number of values in a body (`items_in`), which bounds the time of masking the secrets in its events.

A long value of random words takes longer, up to 10 us for each character; `BODY_LIMIT` bounds that.
"""

MASKED_IN_THREAD = 4 << 10
"""The events of a body of more bytes are masked in a thread, where that does not delay video frames."""

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
        take_events = self.gate.at("rest.telemetry", self.take_events, self.callers.by_access_token, is_open=True)
        return [ServiceRoute("/telemetry", {"POST": take_events}, body_limit=BODY_LIMIT)]

    async def take_events(self, request: Request) -> Response:
        """Store the events and record each in the journal; record an invalid body or event in a `note` entry."""
        account = self._sender(request)
        clears = self.journal.clears
        body = body_of(request)
        events, refused = await _split(body)
        mask = partial(_masked, secrets=self.journal.secrets.kept)
        masked = await body.process(mask, events, in_thread=MASKED_IN_THREAD)
        if clears != self.journal.clears:
            return JSONResponse({"accepted": len(events)}, 202)  # the events belong to the time before a reset
        for name, text in masked:
            self.telemetry.append(text)
            self.journal.record_text("telemetry", name, {"event": text}, account=account)
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


async def _split(body: RequestBody) -> tuple[list[dict[str, JSON]], str | None]:
    """Return the events of a body to store, and a description of the others, which is None if all are stored."""
    received = await body.read()
    if (items := items_in(received)) > ITEM_LIMIT:
        return [], f"a body with {items} commas and opening brackets; the limit is {ITEM_LIMIT}"
    try:
        parsed = await body.json()
    except ValueError:
        return [], f"{len(received)} bytes that are not JSON"
    match parsed:
        case {"events": list(events)}:
            good = [event for event in events if isinstance(event, dict)]
            refused = []
            if wrong := len(events) - len(good):
                refused.append(f"{wrong} of {len(events)} events that are not objects")
            if len(good) > EVENT_LIMIT:
                refused.append(f"{len(good) - EVENT_LIMIT} events above the limit of {EVENT_LIMIT}")
            return good[:EVENT_LIMIT], "; ".join(refused) or None
        case _:
            return [], f"a JSON {type(parsed).__name__} without a list of events"


def _masked(events: list[dict[str, JSON]], secrets: Secrets) -> list[tuple[str, str]]:
    """Return the name and the text of each event, with secrets masked."""
    return [(masked_name(_name(event), secrets), masked_text(event, secrets)) for event in events]


def _name(event: dict[str, JSON]) -> str:
    return next((value for value in map(event.get, NAMES) if isinstance(value, str)), "event")
