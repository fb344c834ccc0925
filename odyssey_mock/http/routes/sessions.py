"""`POST /sessions/request` and `POST /sessions/token` (`protocol.md` section 2)."""

from pydantic import BaseModel, ConfigDict, NonNegativeFloat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.http.errors import ApiError, authorized, backend_of, parse, usage_error
from odyssey_mock.sessions.registry import ConcurrentLimitError, NoStreamerError

MODEL = "odyssey-mock"
"""What `model` says of every session: the frames are synthetic."""


class SessionRequest(BaseModel):
    """`region_latencies`: milliseconds by region id; 9999 where a region did not answer."""

    model_config = ConfigDict(extra="ignore")

    region_latencies: dict[str, NonNegativeFloat] = {}


class TokenRequest(BaseModel):
    """Which session the token is for."""

    model_config = ConfigDict(extra="ignore")

    session_id: str


async def request_session(request: Request) -> Response:
    """A session on a streamer, or why there is none."""
    backend = backend_of(request)
    account = await authorized(request)
    wanted = await parse(SessionRequest, request)
    backend.accounts.check_session_request(account)
    backend.usage.check(account.id)
    try:
        session = backend.sessions.request(account, wanted.region_latencies)
    except ConcurrentLimitError as limit:
        raise usage_error(
            "CONCURRENT_LIMIT_REACHED",
            form=backend.settings.usage_error_form,
            active_count=limit.active,
            limit=limit.limit,
        ) from None
    except NoStreamerError:
        raise ApiError(503, "No streamer is free; ask again in a second") from None
    signalling = request.url.replace(
        scheme="wss" if request.url.scheme == "https" else "ws", path=f"/signaling/{session.streamer_id}", query=""
    )
    return JSONResponse(
        {
            "session_id": session.id,
            "signalling_url": str(signalling),
            "streamer_id": session.streamer_id,
            "model": MODEL,
            "region": session.region,
            "capabilities": {"image_to_video": backend.settings.image_to_video},
        }
    )


async def session_token(request: Request) -> Response:
    """The token with which a client opens the session's socket."""
    backend = backend_of(request)
    account = await authorized(request)
    wanted = await parse(TokenRequest, request)
    session = backend.sessions.get(wanted.session_id)
    if session is None or session.account_id != account.id:
        raise ApiError(404, "Session not found: it is over, or another account's; request a new one")
    return JSONResponse(
        {
            "session_token": backend.sessions.token_for(session),
            "expires_in": int(backend.settings.session_token_lifetime),
        }
    )


routes: list[BaseRoute] = [
    Route("/sessions/request", request_session, methods=["POST"]),
    Route("/sessions/token", session_token, methods=["POST"]),
]
