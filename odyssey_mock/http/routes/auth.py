"""The route `POST /auth/token`, which issues access tokens (`protocol.md` section 2)."""

from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.errors import parse
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute


class TokenRequest(BaseModel):
    """Body of `POST /auth/token`."""

    api_key: str


@dataclass(frozen=True, kw_only=True)
class AuthRoutes:
    """Route that issues access tokens."""

    gate: FaultGate
    callers: Callers
    accounts: Accounts

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        issue_token = self.gate.at("rest.auth.token", self.issue_token, self.callers.by_api_key)
        return [ServiceRoute("/auth/token", {"POST": issue_token})]

    async def issue_token(self, request: Request) -> Response:
        """Exchange an API key for an access token."""
        account = self.accounts.authenticate((await parse(TokenRequest, request)).api_key)
        request.state.account = account.id
        token = self.accounts.issue_token(account)
        return JSONResponse(
            {"access_token": token.value, "token_type": "bearer", "expires_in": round(token.expires_in)},
            headers={"Cache-Control": "no-store"},  # RFC 6749 section 5.1
        )
