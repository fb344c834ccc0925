"""The control API under `/_mock/`: see into the mock and steer it from another process, in any language."""

import datetime
import json
from importlib.metadata import version
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from odyssey_mock.backend import Backend
from odyssey_mock.core.clock import ManualClock, RealClock
from odyssey_mock.core.journal import Kind, to_jsonl
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.errors import ApiError, backend_of, parse, unprocessable, validate
from odyssey_mock.http.routes import faults


class Advance(BaseModel):
    """How far to move a manual clock."""

    model_config = ConfigDict(extra="forbid")

    seconds: Annotated[FiniteFloat, Field(ge=0)]


class JournalQuery(BaseModel):
    """Which entries of the journal are wanted; all conditions hold at once."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = None
    name: str | None = None
    account: str | None = None
    session: str | None = None
    stream: str | None = None
    since: NonNegativeInt = 0
    """Index of the first entry."""
    limit: NonNegativeInt | None = None
    """At most so many, the latest of them."""
    format: Literal["json", "jsonl"] = "json"


async def health(request: Request) -> Response:
    """Say that the mock runs, and which."""
    return JSONResponse({"status": "ok", "version": version("odyssey-testkit"), "url": backend_of(request).base_url})


async def state(request: Request) -> Response:
    """Show sessions, streams, simulation jobs and clock."""
    backend = backend_of(request)
    shown: dict[str, JSON] = {
        "sessions": backend.sessions.snapshot(),
        "streams": [stream.snapshot() for stream in backend.streams.records.values()],
        "broadcasts": [broadcast.snapshot() for broadcast in backend.broadcasts.values()],
        "jobs": backend.jobs.snapshot(),
        "clock": _clock(backend),
        "telemetry": len(backend.telemetry),
    }
    # In ASCII: a prompt may have lone surrogates in it, which JSON can escape and UTF-8 cannot encode.
    return Response(json.dumps(shown), media_type="application/json")


async def reset(request: Request) -> Response:
    """End every session and forget what has happened."""
    await backend_of(request).reset()
    return JSONResponse({"status": "reset"})


async def show_clock(request: Request) -> Response:
    """Show the server's time and what is due."""
    return JSONResponse(_clock(backend_of(request)))


async def advance(request: Request) -> Response:
    """Move a manual clock, and answer once all that it brought about is done."""
    backend = backend_of(request)
    if not isinstance(backend.clock, ManualClock):
        raise ApiError(
            409, "the clock of this mock goes by itself: only a manual one can be advanced (serve --clock manual)"
        )
    seconds = (await parse(Advance, request)).seconds
    if seconds > backend.clock.left:
        raise unprocessable(["body", "seconds"], f"Input should be at most {backend.clock.left:.0f}", "less_than_equal")
    await backend.clock.advance(seconds)
    return JSONResponse(_clock(backend))


async def journal(request: Request) -> Response:
    """Show what happened, oldest first."""
    query = validate(JournalQuery, dict(request.query_params), "query")
    written = backend_of(request).journal
    where = {key: value for key in ("account", "session", "stream") if (value := getattr(query, key)) is not None}
    entries = written.find(query.kind, query.name, since=query.since, **where)
    if query.limit is not None:
        entries = entries[max(0, len(entries) - query.limit) :]
    if query.format == "jsonl":
        return Response(to_jsonl(entries), media_type="application/jsonl")
    return JSONResponse({"entries": [entry.to_json() for entry in entries], "next": written.next_index})


def _clock(backend: Backend) -> dict[str, JSON]:
    now = backend.clock.time()
    speed = backend.clock.speed if isinstance(backend.clock, RealClock) else None
    passes = "real" if speed in (None, 1) else "scaled"
    return {
        "kind": "manual" if isinstance(backend.clock, ManualClock) else passes,
        "speed": speed,
        "time": now,
        "iso": datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(),
        "deadlines": [
            {"name": deadline.name, "in_seconds": round(deadline.when - now, 6)} for deadline in backend.clock.pending
        ],
    }


routes: list[BaseRoute] = [
    Mount(
        "/_mock",
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/state", state, methods=["GET"]),
            Route("/reset", reset, methods=["POST"]),
            Route("/clock", show_clock, methods=["GET"]),
            Route("/clock/advance", advance, methods=["POST"]),
            Route("/journal", journal, methods=["GET"]),
            *faults.routes,
        ],
    )
]
