"""`GET /_mock/machines`: the states and transitions of the mock's state machines, from their tables."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.sessions import session_machine, stream_machine
from odyssey_mock.simulations import job_machine


class MachineRoutes:
    """The route with the state machines of session, stream and job."""

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        return [ServiceRoute("/machines", {"GET": self.machines})]

    async def machines(self, _request: Request) -> Response:
        """Show the state machines."""
        return JSONResponse(_machines())


@cache
def _machines() -> Mapping[str, JSON]:
    return {
        "session": _machine(session_machine.TRANSITIONS, session_machine.INITIAL),
        "stream": _machine(stream_machine.TRANSITIONS, stream_machine.INITIAL),
        "job": _machine(job_machine.TRANSITIONS, job_machine.INITIAL),
    }


def _machine[State: StrEnum, Event: StrEnum](
    table: Mapping[State, Mapping[Event, tuple[State, object]]], initial: State
) -> JSON:
    """Return a machine as JSON. Events that change nothing are left out."""
    return {
        "states": [state.value for state in type(initial)],
        "initial": initial.value,
        "transitions": [
            {"from": state.value, "event": event.value, "to": after.value}
            for state, row in table.items()
            for event, (after, _effects) in row.items()
            if after is not state
        ],
    }
