"""The routes `GET {signalling_url}/config` and `WS {signalling_url}/client/{session_id}` (`protocol.md` section 3)."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import override

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from odyssey_mock import latency
from odyssey_mock.accounts.session_tokens import SessionTokens, TokenError
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.shortages import refusal_of
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.faults.registry import Faults
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.pacing import Pace
from odyssey_mock.http.public_urls import base_url, ice_servers
from odyssey_mock.http.uvicorn_server import TcpConnection, connection_of
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.sessions.signaling_socket import (
    CLEAN_CLOSE_CODES,
    POLICY_VIOLATION,
    SEND_LIMIT,
    TRY_AGAIN_LATER,
    SignalingSocket,
)

NO_CODE = 1005
"""Stands for the close code of a connection that was closed without one (RFC 6455 section 7.4.1)."""
BROKEN = 1006
"""The close code of a connection that was lost without a close frame (RFC 6455 section 7.4.1)."""


class AcceptedSocket(SignalingSocket):
    """A `SignalingSocket` that wraps a Starlette WebSocket, and records its opening and closing in the journal."""

    def __init__(self, websocket: WebSocket, note: Callable[[Mapping[str, JSON]], object]) -> None:
        """Wrap an accepted WebSocket. `note` is called with each state change."""
        self._websocket = websocket
        self._connection = connection_of(websocket.scope)
        self._note = note
        self._close_code: int | None = None
        self._is_over = False
        note({"to": "open"})

    @property
    @override
    def base_url(self) -> str:
        return base_url(self._websocket)

    @property
    @override
    def close_code(self) -> int | None:
        return self._close_code

    @override
    async def receive(self) -> str | bytes | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self._close_code = message.get("code", BROKEN)
            if violation := self._connection.violation:
                why = f"the client violated the WebSocket protocol: {violation}"
                self._over({"code": self._close_code, "by": "server", "why": why})
            elif self._close_code in CLEAN_CLOSE_CODES:
                self._over({"code": self._close_code, "by": "client"})
            else:
                self._over({"code": self._close_code, "by": "client", "why": _why_lost(self._close_code)})
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
            # `receive` detects the same loss and reports it.
            return

    @override
    async def close(self, code: int, reason: str = "", *, why: str = "") -> None:
        if not self._is_open():
            return
        self._over({"code": code, "by": "server", **({"why": why} if why else {})})
        try:
            async with asyncio.timeout(SEND_LIMIT):
                await self._websocket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect):
            return

    def _over(self, how: Mapping[str, JSON]) -> None:
        if not self._is_over:
            self._is_over = True
            self._note({"to": "closed", **how})

    def _is_open(self) -> bool:
        states = (self._websocket.client_state, self._websocket.application_state)
        return states == (WebSocketState.CONNECTED, WebSocketState.CONNECTED)


@dataclass(frozen=True, kw_only=True)
class SignalingRoutes:
    """Routes for the signaling sockets of clients."""

    gate: FaultGate
    callers: Callers
    clock: Clock
    journal: Journal
    faults: Faults
    tokens: SessionTokens
    sessions: SessionRegistry
    settings: CurrentSettings

    def routes(self) -> list[BaseRoute]:
        """Create the routes. The route of sockets has its own fault point, because its fault actions are different."""
        config = self.gate.at("signaling.config", self.config, self.callers.by_streamer)
        return [
            ServiceRoute("/signaling/{streamer_id}/config", {"GET": config}),
            WebSocketRoute("/signaling/{streamer_id}/client/{session_id}", self.client),
        ]

    async def config(self, request: Request) -> Response:
        """Return the mock's own ICE servers, so that clients query no server on the internet."""
        return config_of(request)

    async def client(self, websocket: WebSocket) -> None:
        """Serve the signaling socket of a client.

        An invalid token or session is reported in an `error` message after the upgrade. If the upgrade were rejected,
        the client would not get the reason, and would retry for 9 s.
        """
        session_id = websocket.path_params["session_id"]
        if not await self._upgraded(websocket):
            return
        refusal = self._refusal(websocket)
        session = self.sessions.get(session_id)
        account = session.account_id if session is not None else None
        socket = AcceptedSocket(
            websocket, partial(self.journal.record, "state", "socket", account=account, session=session_id)
        )
        if refusal is None and session is None:
            refusal = f"no session {session_id[:64]!r}: it has ended or never existed; request a new one"
        if refusal is not None or session is None:
            error = {"type": "error", "reason": refusal}
            data: dict[str, JSON] = {"from": "server", "message": error, "why": refusal}
            self.journal.record("signaling", "error", data, session=session_id)
            await socket.send(json.dumps(error))
            await socket.close(POLICY_VIOLATION, why=refusal or "")
            return
        # Only browsers send an Origin (RFC 6454). In a browser, the data channels may open before the page is notified
        # of the peer connection, and a stream started at that moment is rejected or lost. So the channels open later.
        is_browser = "origin" in websocket.headers
        try:
            await session.serve(socket, channel_delay=self.settings.now.channel_delay if is_browser else 0.0)
        except Exception as error:
            if (refusal := refusal_of(error)) is not None:
                # The peer could not be created. The journal gets the reason, the client only that no streamer is
                # available; it may connect again.
                await socket.send(json.dumps({"type": "error", "reason": "streamer_not_available"}))
                await socket.close(TRY_AGAIN_LATER, why=refusal)
            raise

    async def _upgraded(self, websocket: WebSocket) -> bool:
        """Accept the WebSocket upgrade, or carry out a fault that fires; return whether the upgrade was accepted."""
        session = self.sessions.get(websocket.path_params["session_id"])
        fault = self.faults.fire(
            "signaling.upgrade",
            account=session.account_id if session is not None else None,
            session=websocket.path_params["session_id"],
        )
        connection = connection_of(websocket.scope)
        point = "signaling.upgrade"
        if seconds := latency.seconds(self.settings.now.latency, point):
            with Pace(self.clock, connection, f"latency: {point}") as pace:
                await pace.pause(seconds)
        match fault.do if fault is not None else "accept":
            case "refuse" if fault is not None:
                detail = {"detail": "upgrade rejected: injected fault"}
                await websocket.send_denial_response(JSONResponse(detail, int(fault.number("status"))))
                # Wait until the connection is closed; otherwise uvicorn would log an incomplete handshake as an error.
                await connection.lost
                return False
            case "no_answer":
                with connection.held():
                    await connection.lost
                return False
            case "delay" if fault is not None:
                with Pace(self.clock, connection, "fault: a late upgrade") as pace:
                    await pace.pause(fault.number("seconds"))
                    return await _accepted(websocket, connection)
            case _:
                return await _accepted(websocket, connection)

    def _refusal(self, websocket: WebSocket) -> str | None:
        """Return the reason why the token in the URL does not authorize this socket; None if it does."""
        token = websocket.query_params.get("token")
        if not token:
            return "expected ?token= with the session token of POST /sessions/token, got none"
        try:
            claims = self.tokens.verify(token)
        except TokenError as error:
            return f"{error}; get a new one from POST /sessions/token"
        if claims.session_id != websocket.path_params["session_id"]:
            return "expected a token of this session, got one of another session; get one from POST /sessions/token"
        return None


def _why_lost(code: int) -> str:
    """Return the cause of the loss of a socket that the client closed with a code other than 1000 and 1001."""
    if code in {NO_CODE, BROKEN}:
        return "the socket broke, or the client closed it without a code"
    return f"the client closed it with {code}"


def config_of(request: Request) -> Response:
    """Return a response with the ICE servers for peers."""
    return JSONResponse({"iceServers": list(ice_servers(request))})


async def _accepted(websocket: WebSocket, connection: TcpConnection) -> bool:
    """Accept the WebSocket upgrade and return True, or return False if the client has already disconnected."""
    if connection.lost.done():
        return False
    await websocket.accept()
    return True
