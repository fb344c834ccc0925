"""The routes `POST /sessions/request` and `POST /sessions/token` (`protocol.md` section 2)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError, parse
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.public_urls import base_url
from odyssey_mock.http.usage_error_forms import UsageErrorForms
from odyssey_mock.sessions.registry import SessionRegistry

MODEL = "odyssey-mock"
"""The value of `model` in every response, which tells clients that the frames come from the mock."""


class SessionRequest(BaseModel):
    """Body of `POST /sessions/request`.

    `region_latencies` are milliseconds by region id; 9999 means that the region did not respond.
    """

    model_config = ConfigDict(extra="ignore")

    region_latencies: dict[str, Annotated[FiniteFloat, Field(ge=0, strict=True)]] = {}


class TokenRequest(BaseModel):
    """Body of `POST /sessions/token`."""

    model_config = ConfigDict(extra="ignore")

    session_id: str


@dataclass(frozen=True, kw_only=True)
class SessionRoutes:
    """Routes that create sessions and issue session tokens."""

    gate: FaultGate
    callers: Callers
    settings: CurrentSettings
    accounts: Accounts
    usage: Usage
    sessions: SessionRegistry
    forms: UsageErrorForms

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        at, callers = self.gate.at, self.callers
        request_session = at("rest.sessions.request", self.request_session, callers.by_access_token)
        session_token = at("rest.sessions.token", self.session_token, callers.by_session)
        return [
            ServiceRoute("/sessions/request", {"POST": request_session}),
            ServiceRoute("/sessions/token", {"POST": session_token}),
        ]

    async def request_session(self, request: Request) -> Response:
        """Create a session on a free streamer."""
        account = authorized(request, self.accounts)
        wanted = await parse(SessionRequest, request)
        self.forms.session_requested(request, has_latencies="region_latencies" in wanted.model_fields_set)
        self.accounts.check_session_request(account)
        self.usage.check(account.id)
        session = self.sessions.request(account, wanted.region_latencies)
        signaling_origin = base_url(request).replace("http", "ws", 1)
        return JSONResponse(
            {
                "session_id": session.id,
                "signalling_url": f"{signaling_origin}/signaling/{session.streamer_id}",
                "streamer_id": session.streamer_id,
                "model": MODEL,
                "region": session.region,
                "capabilities": {"image_to_video": self.settings.now.image_to_video},
            }
        )

    async def session_token(self, request: Request) -> Response:
        """Issue the token that authorizes the session's signaling socket."""
        account = authorized(request, self.accounts)
        wanted = await parse(TokenRequest, request)
        session = self.sessions.get(wanted.session_id)
        if session is None or session.is_over or session.account_id != account.id:
            raise ApiError(404, "Session not found: it has ended or belongs to another account; request a new one")
        return JSONResponse(
            {
                "session_token": self.sessions.token_for(session),
                "expires_in": int(self.settings.now.session_token_lifetime),
            }
        )
