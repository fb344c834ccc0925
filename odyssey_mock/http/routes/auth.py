"""`POST /auth/token` (`protocol.md` section 2)."""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.http.errors import backend_of, parse


class TokenRequest(BaseModel):
    """The key of whoever asks."""

    api_key: str


async def issue_token(request: Request) -> Response:
    """Exchange an API key for an access token."""
    accounts = backend_of(request).accounts
    account = accounts.authenticate((await parse(TokenRequest, request)).api_key)
    request.state.account = account.id
    token = accounts.issue_token(account)
    return JSONResponse(
        {"access_token": token.value, "token_type": "bearer", "expires_in": round(token.expires_in)},
        headers={"Cache-Control": "no-store"},  # RFC 6749 section 5.1
    )


routes: list[BaseRoute] = [Route("/auth/token", issue_token, methods=["POST"])]
