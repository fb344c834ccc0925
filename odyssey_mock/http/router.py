"""`FreeRouter`, a router of Starlette that reference counts can free."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import override

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose


class FreeRouter(Router):
    """A router without references to itself; see `Backend.let_go`."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        # By default, `default` and `lifespan` refer to the router, and `middleware_stack` is one of its methods.
        super().__init__(routes, default=_not_found, lifespan=_no_lifespan)
        del self.middleware_stack

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def _no_lifespan(_app: object) -> AsyncIterator[None]:
    """Do nothing at the start and the end of the server."""
    yield


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a request that no route matches, as `Router.not_found` does."""
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    raise HTTPException(404)
