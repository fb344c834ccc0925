"""`LazyRoutes`, routes that are created with the first request for one of their paths."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import override

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from odyssey_mock.http.public_urls import service_path


class LazyRoutes(BaseRoute):
    """Several routes, in the place of which this route stands in a router.

    Every test has a new mock with new routes, and most tests need only a few of them.
    """

    def __init__(self, segments: frozenset[str], create: Callable[[], Sequence[BaseRoute]]) -> None:
        """Prepare the routes.

        Args:
            segments: the first segments of the paths of all routes.
            create: returns the routes; called once.
        """
        self._segments = segments
        self._create = create

    @cached_property
    def routes(self) -> Sequence[BaseRoute]:
        """The routes."""
        return self._create()

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if service_path(scope)[1:].partition("/")[0] not in self._segments:
            return Match.NONE, {}
        best: tuple[Match, Scope] = (Match.NONE, {})
        for route in self.routes:
            match, child_scope = route.matches(scope)
            if match.value > best[0].value:
                best = (match, {**child_scope, "route": route})
            if match is Match.FULL:
                break
        return best

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the route that matches it, which `matches` has stored in `scope`."""
        route: BaseRoute = scope["route"]
        await route.handle(scope, receive, send)
