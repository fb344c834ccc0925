"""`POST /telemetry` (`protocol.md` section 2): whatever comes, it never fails a client."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.http.errors import ApiError, authorized, backend_of

NAMES = ("name", "event", "type")
"""The fields an event may carry its name in, the first of them first."""


async def take_events(request: Request) -> Response:
    """Keep the events, and write each to the journal; what is no event is noted there instead."""
    backend = backend_of(request)
    account = await _sender(request)
    events, refused = _split(await request.body())
    for event in events:
        backend.telemetry.append(event)
        backend.journal.record("telemetry", _name(event), account=account, event=event)
    if refused:
        backend.journal.record(
            "note", "telemetry refused", account=account, expected='{"events": [{...}]}', came=refused
        )
    return JSONResponse({"accepted": len(events)}, 202)


async def _sender(request: Request) -> str | None:
    """Find out who sends, where the token says so: here it is optional."""
    try:
        return (await authorized(request)).id
    except ApiError:
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


routes: list[BaseRoute] = [Route("/telemetry", take_events, methods=["POST"])]
