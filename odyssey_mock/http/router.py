"""`FreeRouter`, a router of Starlette that reference counts can free."""

from collections.abc import Sequence
from typing import override

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose


class FreeRouter(Router):
    """A router without references to itself; see `Backend.let_go`."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        # `Router.__init__` would keep bound methods of the router in its attributes.
        self.routes = list(routes)
        self.redirect_slashes = True
        self.default = _not_found

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a request that no route matches, as `Router.not_found` does."""
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    raise HTTPException(404)
