"""Faults and outages in the control API (`/_mock/faults`, `/_mock/server`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import LONGEST, POINTS, WHERE, Parameter
from odyssey_mock.faults.fault import HOW_OFTEN, FaultError
from odyssey_mock.faults.presets import PRESETS
from odyssey_mock.faults.registry import ActiveFault, Faults
from odyssey_mock.http.ascii_json import AsciiJSONResponse
from odyssey_mock.http.errors import ApiError, parse, read_body
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.outage import GoAway


class Absence(BaseModel):
    """Body of `POST /_mock/server/away`: the length of the outage."""

    model_config = ConfigDict(extra="forbid")

    seconds: Annotated[FiniteFloat, Field(ge=0, le=LONGEST, strict=True)]


@dataclass(frozen=True, kw_only=True)
class FaultRoutes:
    """Routes for faults and outages. `leave` is the function that takes the server offline."""

    clock: Clock
    faults: Faults
    leave: GoAway

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [
            ServiceRoute("/faults", {"GET": self.listed, "POST": self.add, "DELETE": self.clear}),
            ServiceRoute("/faults/catalog", {"GET": self.catalog}),
            ServiceRoute("/faults/{fault_id}", {"DELETE": self.remove}),
            ServiceRoute("/server/away", {"POST": self.go_away}),
        ]

    async def listed(self, _request: Request) -> Response:
        """List the faults in order, each with its number of matching requests and events, and how often it fired."""
        return _listed(self.faults)

    async def add(self, request: Request) -> Response:
        """Append one or several faults to the list. If one of the faults is invalid, none is appended."""
        body = await read_body(request, unique=True)
        described: Sequence[Any] = body if isinstance(body, list) else [body]  # Any: `extend` validates each
        try:
            return _listed(self.faults.extend(described), 201)
        except FaultError as error:
            if not isinstance(body, list):
                error.loc = error.loc[1:]
            raise

    async def clear(self, _request: Request) -> Response:
        """Remove all faults."""
        self.faults.clear()
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        """Remove one fault."""
        fault_id = request.path_params["fault_id"]
        try:
            self.faults.remove(fault_id)
        except KeyError:
            raise ApiError(404, f"Unknown fault {fault_id[:64]!r}; GET /_mock/faults lists all faults") from None
        return Response(status_code=204)

    async def catalog(self, _request: Request) -> Response:
        """List all fault points, with their actions, `match` conditions and trace events, and all presets."""
        points: dict[str, JSON] = {
            name: {
                "means": point.means,
                "actions": {
                    do: {"means": action.means, "parameters": _shown(action.parameters)}
                    for do, action in point.actions.items()
                },
                "match": sorted({*point.matches, "account"}),
                "events": [*point.events],
            }
            for name, point in POINTS.items()
        }
        presets: list[JSON] = [
            {"name": each.name, "means": each.means, "faults": [dict(fault) for fault in each.faults]}
            for each in PRESETS
        ]
        return JSONResponse(
            {"points": points, "parameters": _shown(HOW_OFTEN), "match": _shown(WHERE), "presets": presets}
        )

    async def go_away(self, request: Request) -> Response:
        """Take the server offline after this response, for the requested time."""
        if self.clock.speed is None:
            raise ApiError(
                409,
                "expected a mock with a real clock, got a manual clock, which cannot be advanced over HTTP to end the "
                "outage; use mock.go_away() and mock.come_back() in Python",
            )
        if self.clock.is_paused:
            raise ApiError(
                409,
                "expected a clock that runs, got a paused clock, which cannot be resumed over HTTP to end the outage; "
                "resume it before, with POST /_mock/clock/resume",
            )
        seconds = (await parse(Absence, request)).seconds
        return JSONResponse(
            {"status": "going away", "seconds": seconds}, 202, background=BackgroundTask(self.leave, seconds)
        )


def _listed(faults: Iterable[ActiveFault], status: int = 200) -> Response:
    return AsciiJSONResponse({"faults": [each.to_json() for each in faults]}, status)


def _shown(parameters: Mapping[str, Parameter]) -> dict[str, JSON]:
    return {
        name: {
            "expected": each.expected,
            "required": each.required,
            "default": each.default,
            "schema": each.values.schema,
        }
        for name, each in parameters.items()
    }
