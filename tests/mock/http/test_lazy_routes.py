"""`LazyRoutes`: routes are created with the first request for one of their paths, and behave as if listed."""

from collections.abc import Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from odyssey_mock.http.lazy_routes import LazyRoutes, RemainingRoutes


async def answer(request: Request) -> Response:
    return PlainTextResponse(request.scope["route"].path)


class Parts:
    """Two groups of routes, and which of them were created."""

    def __init__(self) -> None:
        self.created: list[str] = []

    def cats(self) -> Sequence[BaseRoute]:
        self.created.append("cats")
        return [Route("/cats/{name}", answer, methods=["GET"]), Route("/cats/{name}", answer, methods=["PUT"])]

    def dogs(self) -> Sequence[BaseRoute]:
        self.created.append("dogs")
        return [Route("/dogs", answer), Route("/kennel", answer)]

    def routes(self) -> list[BaseRoute]:
        return [LazyRoutes(self, {"cats": Parts.cats, "dogs": Parts.dogs, "kennel": Parts.dogs})]


@pytest.mark.parametrize(
    ("method", "path", "status", "text", "created"),
    [
        ("GET", "/cats/tom", 200, "/cats/{name}", ["cats"]),
        ("PUT", "/cats/tom", 200, "/cats/{name}", ["cats"]),
        ("DELETE", "/cats/tom", 405, "Method Not Allowed", ["cats"]),
        ("GET", "/kennel", 200, "/kennel", ["dogs"]),
        ("GET", "/cats/tom/tail", 404, "Not Found", ["cats"]),
        ("GET", "/catsup", 404, "Not Found", []),
        ("GET", "/", 404, "Not Found", []),
        ("GET", "/dogs/", 307, "", ["dogs"]),
    ],
)
async def test_only_the_routes_of_the_path_are_created(
    method: str, path: str, status: int, text: str, created: list[str]
) -> None:
    parts = Parts()
    transport = httpx.ASGITransport(Starlette(routes=parts.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://mock") as http:
        for _ in range(2):
            response = await http.request(method, path)
            assert (response.status_code, response.text) == (status, text)
    assert parts.created == created


async def test_path_prefix_of_proxy_is_ignored() -> None:
    parts = Parts()
    transport = httpx.ASGITransport(Starlette(routes=parts.routes()), root_path="/mock")
    async with httpx.AsyncClient(transport=transport, base_url="http://mock") as http:
        assert (await http.get("/mock/dogs")).text == "/dogs"
    assert parts.created == ["dogs"]


async def test_remaining_routes_are_created_when_no_other_matches() -> None:
    parts = Parts()
    app = Starlette(routes=[Route("/mice", answer, methods=["GET"]), RemainingRoutes(parts.cats)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as client:
        statuses = [(await client.get("/mice")).status_code]
        created = [*parts.created]
        statuses += [(await client.get("/cats/tom")).status_code, (await client.put("/cats/tom")).status_code]
        statuses += [(await client.post("/cats/tom")).status_code, (await client.get("/birds")).status_code]
    assert (created, parts.created) == ([], ["cats"])
    assert statuses == [200, 200, 200, 405, 404]
