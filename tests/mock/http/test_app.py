"""Tests of features that all routes share: error responses, CORS, Date header, and reports of bugs."""

import logging
from contextlib import suppress

import httpx
import pytest
from starlette.types import Message

from odyssey_mock import MockOdyssey
from odyssey_mock.http.app import Service
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.work_counts import instructions_of

ROUTES = [
    ("POST", "/auth/token"),
    ("GET", "/regions"),
    ("GET", "/ping/us-east-1"),
    ("POST", "/sessions/request"),
    ("POST", "/sessions/token"),
    ("POST", "/telemetry"),
]

LARGEST_RESPONSE = 3700
"""Maximum number of instructions for a response to `GET /regions` without a token, without uvicorn. It takes 3000."""


@pytest.mark.off_contract("an unknown route")
async def test_unknown_route_is_404(http: httpx.AsyncClient) -> None:
    answer = await http.get("/nope")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.off_contract("an unsupported method")
@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/_mock/health")])
async def test_unsupported_method_is_405_with_allowed_methods(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request("PATCH", path)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert method in answer.headers["allow"]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("POST", "/nope"), ("DELETE", "/auth/token")])
async def test_preflight_passes_for_every_path(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.options(
        path,
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type, x-anything",
            "Access-Control-Request-Private-Network": "true",
        },
    )
    assert answer.status_code == 200
    allowed = answer.headers
    assert allowed["access-control-allow-origin"] == "*"
    assert method in allowed["access-control-allow-methods"]
    assert "x-anything" in allowed["access-control-allow-headers"]
    assert allowed["access-control-allow-private-network"] == "true"


@pytest.mark.off_contract("an unknown route")
@pytest.mark.parametrize("path", ["/regions", "/nope", "/_mockery"])
async def test_other_origins_can_read_every_response(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {"Location", "ETag", "Link", "WWW-Authenticate"}


@pytest.mark.odyssey(clock="manual")
async def test_date_header_follows_the_servers_clock(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await odyssey_mock.advance(86_400)
    assert (await http.get("/_mock/health")).headers["date"] == "Fri, 02 Jan 2026 00:00:00 GMT"


async def test_unexpected_exception_is_500_and_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(api_key: str) -> None:
        raise LookupError("raised by the test")

    async with (
        MockOdyssey() as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        monkeypatch.setattr(mock.backend.accounts, "authenticate", fail)
        with caplog.at_level(logging.ERROR, "odyssey_mock"):
            body = {"api_key": mock.api_key}
            answer = await http.post("/auth/token", json=body, headers={"Origin": "https://app.example"})
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("unexpected LookupError in the mock")
    assert answer.headers["access-control-allow-origin"] == "*"
    (note,) = mock.journal.find("note", "defect")
    assert note.data["error"] == "LookupError('raised by the test')"
    assert note.data["at"] == "http /auth/token"
    assert any(frame.endswith(" fail") for frame in note.data["trace"])
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert mock.journal.find("rest")[0].data["status"] == 500


@pytest.mark.parametrize("origin", [{}, {"Origin": "https://app.example"}])
async def test_vary_states_all_headers_that_matter(http: httpx.AsyncClient, origin: dict[str, str]) -> None:
    api = await http.get("/regions", headers=origin)
    console = await http.get("/", headers={"Accept": "text/html", **origin})
    control = await http.get("/_mock/health", headers={"Accept": "text/html"})
    assert (api.headers.get_list("vary"), console.headers.get_list("vary")) == (["Origin"], ["Accept, Origin"])
    assert "vary" not in control.headers


async def test_request_costs_few_instructions(odyssey_mock: MockOdyssey) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/regions",
        "raw_path": b"/regions",
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"a")],
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    service = Service(odyssey_mock.backend, odyssey_mock.go_away)
    await service(dict(scope), receive, send)  # creates the routes

    def respond() -> None:
        with suppress(StopIteration):
            service(dict(scope), receive, send).send(None)

    used = instructions_of(respond)
    assert statuses == [401, 401]
    assert used < LARGEST_RESPONSE
