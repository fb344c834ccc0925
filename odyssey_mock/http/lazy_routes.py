"""Routes that are created when a request needs them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import override

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from odyssey_mock.http.public_urls import service_path


class LazyRoutes[T](BaseRoute):
    """The routes of an application, in the place of which this route stands in a router.

    Every test has a new mock with new routes, and most tests need only a few of them.
    """

    def __init__(self, source: T, creators: Mapping[str, Callable[[T], Sequence[BaseRoute]]]) -> None:
        """Prepare the routes.

        Args:
            source: the argument of the functions in `creators`.
            creators: for the first segment of each path, the function that returns the routes of such paths. A function
                with several segments is called once.
        """
        self._source = source
        self._creators = creators
        self._created: dict[Callable[[T], Sequence[BaseRoute]], Sequence[BaseRoute]] = {}

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """All routes."""
        return [route for create in dict.fromkeys(self._creators.values()) for route in self._created_by(create)]

    def _created_by(self, create: Callable[[T], Sequence[BaseRoute]]) -> Sequence[BaseRoute]:
        if create not in self._created:
            self._created[create] = create(self._source)
        return self._created[create]

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        create = self._creators.get(service_path(scope)[1:].partition("/")[0])
        if create is None:
            return Match.NONE, {}
        return _best_match(self._created_by(create), scope)

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the route that matches it, which `matches` has stored in `scope`."""
        route: BaseRoute = scope["route"]
        await route.handle(scope, receive, send)


class RemainingRoutes(BaseRoute):
    """Routes that are created with the first request that no earlier route of their router fully matches."""

    def __init__(self, create: Callable[[], Sequence[BaseRoute]]) -> None:
        """Prepare the routes; `create` returns them, and is called once."""
        self._create = create

    @cached_property
    def routes(self) -> Sequence[BaseRoute]:
        """All routes."""
        return self._create()

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return _best_match(self.routes, scope)

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the route that matches it, which `matches` has stored in `scope`."""
        route: BaseRoute = scope["route"]
        await route.handle(scope, receive, send)


def _best_match(routes: Sequence[BaseRoute], scope: Scope) -> tuple[Match, Scope]:
    """Return how well the best of the routes matches, and its scope with the route itself as `route`."""
    best: tuple[Match, Scope] = (Match.NONE, {})
    for route in routes:
        match, child_scope = route.matches(scope)
        if match.value > best[0].value:
            best = (match, {**child_scope, "route": route})
        if match is Match.FULL:
            break
    return best
