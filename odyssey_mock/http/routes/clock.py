"""The clock in the control API (`/_mock/clock`)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.core.clock import FASTEST, Clock
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.errors import parse, unprocessable
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.state_view import clock_json


class Advance(BaseModel):
    """Body of `POST /_mock/clock/advance`."""

    model_config = ConfigDict(extra="forbid")

    seconds: Annotated[FiniteFloat, Field(ge=0, strict=True)]


class Speed(BaseModel):
    """Body of `PUT /_mock/clock/speed`."""

    model_config = ConfigDict(extra="forbid")

    speed: Annotated[FiniteFloat, Field(gt=0, le=FASTEST, strict=True)]
    """Seconds of the clock per real second."""


@dataclass(frozen=True)
class ClockRoutes:
    """Routes that show the clock and move it. Each responds with the clock, as it is then.

    If the clock is manual, the requests that change its pace get status 409, because of `ClockKindError`.
    """

    clock: Clock

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [
            ServiceRoute("/clock", {"GET": self.show}),
            ServiceRoute("/clock/advance", {"POST": self.advance}),
            ServiceRoute("/clock/next", {"POST": self.advance_to_next}),
            ServiceRoute("/clock/pause", {"POST": self.pause}),
            ServiceRoute("/clock/resume", {"POST": self.resume}),
            ServiceRoute("/clock/speed", {"PUT": self.set_speed}),
        ]

    async def show(self, _request: Request) -> Response:
        """Show the time of the server's clock, its pace and the pending deadlines."""
        return self._shown()

    async def advance(self, request: Request) -> Response:
        """Advance the clock, and respond once all callbacks that became due have finished."""
        seconds = (await parse(Advance, request)).seconds
        if seconds > self.clock.left:
            raise unprocessable(
                ["body", "seconds"], f"Input should be at most {self.clock.left:.0f}", "less_than_equal"
            )
        await self.clock.advance(seconds)
        return self._shown()

    async def advance_to_next(self, _request: Request) -> Response:
        """Advance the clock to the next deadline, and respond once its callback has finished."""
        reached = await self.clock.advance_to_next()
        return self._shown({"reached": None if reached is None else reached.name})

    async def pause(self, _request: Request) -> Response:
        """Let the clock stand still."""
        self.clock.pause()
        return self._shown()

    async def resume(self, _request: Request) -> Response:
        """Let the clock continue."""
        self.clock.resume()
        return self._shown()

    async def set_speed(self, request: Request) -> Response:
        """Change the speed of the clock."""
        self.clock.set_speed((await parse(Speed, request)).speed)
        return self._shown()

    def _shown(self, more: dict[str, JSON] | None = None) -> Response:
        return JSONResponse({**clock_json(self.clock, self.clock.time()), **(more or {})})
