"""Tests of every cell of the access table: each route with each credential, and from each origin to each host."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from odyssey_mock import MockOdyssey
from odyssey_mock.http.app import Service
from odyssey_mock.http.lazy_routes import RemainingRoutes
from tests.access.scene import Scene, running
from tests.access.table import CELLS, ROUTES, RULES, Cell

ROWS: Mapping[str, Sequence[Cell]] = {
    name: tuple(cells) for name, cells in groupby(CELLS, lambda cell: f"{cell.deployment}: {cell.route.name}")
}
"""The cells of each route of each mock."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running() as scene:
        yield scene


@pytest.mark.parametrize("row", ROWS)
def test_requests_have_the_statuses_of_their_cells(row: str, scene: Scene) -> None:
    """One test sends the requests of a row, because pytest needs more time for a test than the mock for a request."""
    received = {str(cell): scene.status(cell) for cell in ROWS[row]}
    assert received == {str(cell): cell.expected for cell in ROWS[row]}


def test_rows_have_every_cell() -> None:
    assert sorted(str(cell) for cells in ROWS.values() for cell in cells) == sorted(map(str, CELLS))
    assert len(set(map(str, CELLS))) == len(CELLS)


async def test_table_has_every_route() -> None:
    async with MockOdyssey() as mock:
        served = set(names(Service(mock.backend, mock.go_away).routes))
    assert {route.name for route in ROUTES} == served


def names(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """Yield each method with its path. HEAD is left out, because it has the access of GET."""
    for route in routes:
        match route:
            case Mount():
                yield from names(route.routes, prefix + route.path)
            case RemainingRoutes():
                yield from names(route.routes, prefix)
            case WebSocketRoute():
                yield f"WS {prefix}{route.path}"
            case Route():
                yield from (f"{method} {prefix}{route.path}" for method in route.methods or () if method != "HEAD")


def test_every_kind_of_route_is_used() -> None:
    assert {route.kind for route in ROUTES} == RULES.keys()
