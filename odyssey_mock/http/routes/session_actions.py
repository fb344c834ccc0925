"""Routes of the control API that act on a live session, as the service, its model or a network can do."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.http.ascii_json import AsciiJSONResponse
from odyssey_mock.http.errors import ApiError, parse
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.sessions.errors import SessionStateError
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.sessions.session import Session
from odyssey_mock.sessions.signaling_socket import INTERNAL_ERROR

type _Text = Annotated[str, Field(min_length=1)]


class Interaction(BaseModel):
    """Body of `POST /_mock/sessions/{session_id}/interact`."""

    model_config = ConfigDict(extra="forbid")

    prompt: _Text


class Breakage(BaseModel):
    """Body of `POST /_mock/sessions/{session_id}/break`: the values of the client's error message."""

    model_config = ConfigDict(extra="forbid")

    reason: _Text
    message: str = ""


class CloseFrame(BaseModel):
    """Body of `POST /_mock/sessions/{session_id}/close-socket`."""

    model_config = ConfigDict(extra="forbid")

    code: StrictInt = INTERNAL_ERROR
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SessionActionRoutes:
    """Routes that call the methods of a `Session`."""

    sessions: SessionRegistry

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        actions = {
            "interact": self.interact,
            "end-stream": self.end_stream,
            "end": self.end,
            "break": self.break_stream,
            "vanish": self.vanish,
            "close-socket": self.close_socket,
        }
        return [ServiceRoute(f"/sessions/{{session_id}}/{name}", {"POST": action}) for name, action in actions.items()]

    async def interact(self, request: Request) -> Response:
        """Change the picture of the running stream; see `Session.interact`."""
        session = self._session_of(request)
        applied = session.interact((await parse(Interaction, request)).prompt)
        return AsciiJSONResponse({"applied_prompt": applied})

    async def end_stream(self, request: Request) -> Response:
        """End the running stream; see `Session.end_stream`."""
        self._session_of(request).end_stream()
        return Response(status_code=204)

    async def end(self, request: Request) -> Response:
        """End the session; see `Session.shut_down`."""
        await self._session_of(request).shut_down()
        return Response(status_code=204)

    async def break_stream(self, request: Request) -> Response:
        """Fail the running stream; see `Session.break_stream`."""
        session = self._session_of(request)
        error = await parse(Breakage, request)
        session.break_stream(error.reason, error.message)
        return Response(status_code=204)

    async def vanish(self, request: Request) -> Response:
        """Make the peer stop sending and receiving; see `Session.vanish`."""
        session = self._session_of(request)
        if not session.has_socket:
            raise SessionStateError(f"session {session.id}: expected a connection to a client, got none")
        session.vanish()
        return Response(status_code=204)

    async def close_socket(self, request: Request) -> Response:
        """Close the signaling socket; see `Session.close_socket`."""
        session = self._session_of(request)
        frame = await parse(CloseFrame, request)
        await session.close_socket(frame.code, frame.reason)
        return Response(status_code=204)

    def _session_of(self, request: Request) -> Session:
        """Return the session named in the path.

        Raises:
            ApiError: 404, no such session exists.
        """
        session_id: str = request.path_params["session_id"]
        session = self.sessions.get(session_id)
        if session is None:
            raise ApiError(
                404,
                f"no session {session_id[:64]!r}: it has ended or never existed; GET /_mock/state lists the sessions",
            )
        return session
