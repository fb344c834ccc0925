"""`GET {signalling_url}/config` and `WS {signalling_url}/client/{session_id}` (`protocol.md` section 3)."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import override

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from odyssey_mock.accounts.session_tokens import TokenError
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.errors import backend_of
from odyssey_mock.http.pacing import Pace
from odyssey_mock.http.uvicorn_server import Connection, connection_of
from odyssey_mock.sessions.signaling_socket import POLICY_VIOLATION, SignalingSocket

SEND_LIMIT = 5.0
"""Seconds a client may take to read what is sent to it before its socket counts as lost."""
BROKEN = 1006
"""The close code of a socket that was not closed at all (RFC 6455 section 7.4.1)."""


class AcceptedSocket(SignalingSocket):
    """A Starlette WebSocket in the form a session takes it; the journal has when it was opened and closed, and how."""

    def __init__(self, websocket: WebSocket, note: Callable[[Mapping[str, JSON]], object]) -> None:
        """`note` writes a change of its state down."""
        self._websocket = websocket
        self._note = note
        self._close_code: int | None = None
        self._is_over = False
        note({"to": "open"})

    @property
    @override
    def close_code(self) -> int | None:
        return self._close_code

    @override
    async def receive(self) -> str | bytes | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self._close_code = message.get("code", BROKEN)
            self._over(self._close_code, "client")
            return None
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else (data or b"")

    @override
    async def send(self, data: str | bytes) -> None:
        if not self._is_open():
            return
        try:
            async with asyncio.timeout(SEND_LIMIT):
                await (self._websocket.send_text(data) if isinstance(data, str) else self._websocket.send_bytes(data))
        except (TimeoutError, WebSocketDisconnect):
            # The reader sees the same loss, and reports it in its turn.
            return

    @override
    async def close(self, code: int, reason: str = "") -> None:
        if not self._is_open():
            return
        self._over(code, "server")
        try:
            async with asyncio.timeout(SEND_LIMIT):
                await self._websocket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect):
            return

    def _over(self, code: int | None, by: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._note({"to": "closed", "code": code, "by": by})

    def _is_open(self) -> bool:
        states = (self._websocket.client_state, self._websocket.application_state)
        return states == (WebSocketState.CONNECTED, WebSocketState.CONNECTED)


async def config(request: Request) -> Response:
    """ICE servers: our own STUN responder, so that no client goes looking on the internet."""
    return JSONResponse({"iceServers": [{"urls": backend_of(request).stun_url}]})


async def client(websocket: WebSocket) -> None:
    """A client's socket. Accepted in any case: a refused upgrade says nothing, and clients go on trying for 9 s."""
    backend = backend_of(websocket)
    session_id = websocket.path_params["session_id"]
    if not await _upgraded(websocket):
        return
    refusal = _refusal(websocket)
    session = backend.sessions.get(session_id)
    account = session.account_id if session is not None else None
    socket = AcceptedSocket(
        websocket, partial(backend.journal.record, "state", "socket", account=account, session=session_id)
    )
    if refusal is None and session is None:
        refusal = f"no session {session_id[:64]!r}: it is over, or never was; request a new one"
    if refusal is not None or session is None:
        error = {"type": "error", "reason": refusal}
        backend.journal.record("signaling", "error", {"from": "server", "message": error}, session=session_id)
        await socket.send(json.dumps(error))
        await socket.close(POLICY_VIOLATION)
        return
    # Only browsers send an Origin (RFC 6454). Their data channels may open before the page has heard that it is
    # connected, and a start in that moment is refused or lost; a short wait cures it. Other clients need none.
    is_browser = "origin" in websocket.headers
    await session.serve(socket, channel_delay=backend.settings.channel_delay if is_browser else 0.0)


async def _upgraded(websocket: WebSocket) -> bool:
    """Accept the upgrade, unless something else is wanted; False where it was not accepted."""
    backend = backend_of(websocket)
    session = backend.sessions.get(websocket.path_params["session_id"])
    fault = backend.faults.fire(
        "signaling.upgrade",
        account=session.account_id if session is not None else None,
        session=websocket.path_params["session_id"],
    )
    connection = connection_of(websocket.scope)
    match fault.do if fault is not None else "accept":
        case "refuse" if fault is not None:
            detail = {"detail": "the upgrade is refused: a fault that was asked for"}
            await websocket.send_denial_response(JSONResponse(detail, int(fault.number("status"))))
            # Only then uvicorn takes the handshake for done, and does not complain.
            await connection.lost
            return False
        case "no_answer":
            with connection.held():
                await connection.lost
            return False
        case "delay" if fault is not None:
            with Pace(backend.clock, connection, "fault: a late upgrade") as pace:
                await pace.pause(fault.number("seconds"))
                return await _accepted(websocket, connection)
        case _:
            return await _accepted(websocket, connection)


async def _accepted(websocket: WebSocket, connection: Connection) -> bool:
    """Accept the upgrade; False where the client has gone before that."""
    if connection.lost.done():
        return False
    await websocket.accept()
    return True


def _refusal(websocket: WebSocket) -> str | None:
    """Why the token in the URL does not open this socket, if it does not."""
    token = websocket.query_params.get("token")
    if not token:
        return "expected ?token= with the session token of POST /sessions/token, came none"
    try:
        claims = backend_of(websocket).tokens.verify(token)
    except TokenError as error:
        return f"the session token is not valid: {error}; fetch a new one from POST /sessions/token"
    if claims.session_id != websocket.path_params["session_id"]:
        return "the session token is another session's; fetch one for this session from POST /sessions/token"
    return None


routes: list[BaseRoute] = [
    Route("/signaling/{streamer_id}/config", config, methods=["GET"]),
    WebSocketRoute("/signaling/{streamer_id}/client/{session_id}", client),
]
